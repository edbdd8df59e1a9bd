"""Is this gradient the derivative of that loss? Finite differences against back-propagation.

A network with a wrong gradient often still learns, only worse: curves do not show it, this check does.

>>> model = model.double()
>>> print(thalweg.gradcheck(lambda: cross_entropy(model(x), y) + 0.01 * penalty(model), model))
gradient check: great, ratio 1.3e-09 (one-sided differences: 4.1e-07)
>>> print(thalweg.gradcheck((lambda w: np.sum(w**3), lambda w: 2 * w**2), np.array([1.0, 2.0])))
gradient check: wrong, ratio 2.0e-01 (one-sided differences: 2.0e-01)
  w: ratio 2.0e-01, worst at (1,): 8 given, 12 measured

The measure is ``‖d̂ − d‖₂ / (‖d̂‖₂ + ‖d‖₂)`` with the two-sided difference ``d̂ = (J(θ+ε) − J(θ−ε)) / 2ε``: at most 1e-7
great, 1e-5 good, above that look, above 1e-3 wrong. It is taken for each parameter by itself, so that a small layer's
fault does not drown in a large layer's norm, first along random directions, which see every entry at the cost of two
losses, then for sampled entries; a parameter that fails is halved until the entry that is off has a name.

Float64 and ``ε = 1e-6`` are not a matter of taste: rounding makes the literal ``ε = 1e-7`` in float32 garbage (ratio 0.9
on correct nets), ``1e-4`` in float64 crosses the kinks of ReLU (up to 2e-3 on correct nets). Where a kink is met none the
less, smaller steps and the two one-sided slopes tell it from a fault. Keep regularisation in the loss, dropout out
of it, and the batch small; check the untrained net and again after some training, for some faults hide near zero.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from thalweg.gradcheck.check import check, check_function, gradcheck
from thalweg.gradcheck.verdict import Entry, GradientCheck, ParameterCheck

__all__ = ["Entry", "GradientCheck", "ParameterCheck", "check", "check_function", "gradcheck"]


class _Door(ModuleType):
    """The room has the name of its function: ``thalweg.gradcheck(loss, parameters)`` and ``thalweg.gradcheck.check`` both work.

    A module's class may be replaced so (Python's data model, "Customizing module attribute access").
    """

    def __call__(self, loss: Any, parameters: Any, **options: Any) -> GradientCheck:
        return gradcheck(loss, parameters, **options)


sys.modules[__name__].__class__ = _Door
