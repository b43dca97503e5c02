"""`make bench`: every figure, one after the other."""

from benchmarks import callback_to_submit

QUESTIONS = (callback_to_submit,)

for question in QUESTIONS:
    question.main()
