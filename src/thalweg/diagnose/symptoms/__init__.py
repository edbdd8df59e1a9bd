"""The symptoms, one function each: ``History, Facts → Finding | None``.

>>> diverged(history, facts).where
'batch/loss'
>>> high_variance(history, facts) is None
True

Each looks at one kind of evidence and stays silent where that was not recorded: ``divergence`` (numbers that are none),
``signals`` (gradients by layer), ``rate`` (how the loss moves), ``fit`` (what was learned, and what of it holds).
"""

from thalweg.diagnose.symptoms.divergence import diverged
from thalweg.diagnose.symptoms.fit import high_bias, high_variance, same_answer_for_all
from thalweg.diagnose.symptoms.rate import budget_too_small, learning_rate_too_high, learning_rate_too_low, plateau
from thalweg.diagnose.symptoms.signals import exploding_gradient, vanishing_gradient

__all__ = [
    "budget_too_small",
    "diverged",
    "exploding_gradient",
    "high_bias",
    "high_variance",
    "learning_rate_too_high",
    "learning_rate_too_low",
    "plateau",
    "same_answer_for_all",
    "vanishing_gradient",
]
