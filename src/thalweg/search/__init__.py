"""Which value of a hyperparameter trains best: the learning rate first, which matters most.

>>> choice = choose_rate(make, steps_per_epoch=17, epochs=50, rule="adam")
>>> choice.rate, choice.reason
"""

from thalweg.search.rate import Candidate, MakeTrial, RateChoice, Trial, choose_rate

__all__ = ["Candidate", "MakeTrial", "RateChoice", "Trial", "choose_rate"]
