"""`make bench`: every figure, one after the other."""

from benchmarks import acknowledge, callback_to_submit, growth

QUESTIONS = (acknowledge, callback_to_submit, growth)

for question in QUESTIONS:
    question.main()
