"""Which value of a hyperparameter trains best: the learning rate first, which matters most.

>>> choice = choose_rate(make, steps_per_epoch=17, epochs=50, rule="adam")
>>> choice.rate, choice.reason
(0.0021, 'lowest dev loss (0.131) of 6 short runs with rates from 0.0007 to 0.019, each 50 of 850 steps …')

``make(rate, steps, order)`` is all that a caller brings: it builds a fresh model with its optimizer, to be run and scored.
"""

from thalweg.search.choice import Candidate, RateChoice
from thalweg.search.rate import MakeTrial, Trial, choose_rate

__all__ = ["Candidate", "MakeTrial", "RateChoice", "Trial", "choose_rate"]
