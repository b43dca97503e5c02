"""`make bench`: every figure, one after the other."""

from benchmarks import callback_to_submit, growth

QUESTIONS = (callback_to_submit, growth)

for question in QUESTIONS:
    question.main()
