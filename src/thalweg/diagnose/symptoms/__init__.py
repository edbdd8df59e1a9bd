"""The symptoms, one function each: ``History, Facts → Finding | None``.

>>> diverged(history, facts).where
'batch/loss'
>>> high_variance(history, facts) is None
True

Each looks at one kind of evidence and stays silent where that was not recorded: ``divergence`` (numbers that are none),
``signals`` (gradients by layer), ``layers`` (what the layers put out, and the start), ``rate`` (how the loss moves),
``landscape`` (curvature), ``fit`` (what was learned, and what of it holds).
"""

from thalweg.diagnose.symptoms.divergence import diverged
from thalweg.diagnose.symptoms.fit import (
    high_bias,
    high_variance,
    label_noise,
    mismatch,
    rare_classes_missed,
    same_answer_for_all,
)
from thalweg.diagnose.symptoms.landscape import beyond_the_edge, saddle
from thalweg.diagnose.symptoms.layers import bad_init, dead_relu, saturated_activation
from thalweg.diagnose.symptoms.rate import (
    budget_too_small,
    learning_rate_too_high,
    learning_rate_too_low,
    plateau,
    schedule_died,
)
from thalweg.diagnose.symptoms.signals import exploding_gradient, vanishing_gradient

__all__ = [
    "bad_init",
    "beyond_the_edge",
    "budget_too_small",
    "dead_relu",
    "diverged",
    "exploding_gradient",
    "high_bias",
    "high_variance",
    "label_noise",
    "learning_rate_too_high",
    "learning_rate_too_low",
    "mismatch",
    "plateau",
    "rare_classes_missed",
    "saddle",
    "same_answer_for_all",
    "saturated_activation",
    "schedule_died",
    "vanishing_gradient",
]
