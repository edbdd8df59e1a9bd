"""What may be done to any rule in the same pass: ascent, clipping, decay, shrinking, averaging. Each takes a rule and gives
a rule.

They are assignments around the rule's own, in the fixed order of ``BEFORE`` and ``AFTER``. Before it, PyTorch's: first the sign
(``maximize``), then clipping, then decay; so the decay always shrinks the weights and is never clipped. After it, the
proximal step of L1, then the average of the weights that result.

>>> modified(rule, ("maximize", "coupled_decay", "l1", "ema"))
"""

from __future__ import annotations

from collections.abc import Iterable

import sympy

from thalweg.errors import InputError
from thalweg.rules.rule import Equations, Rule
from thalweg.rules.symbols import (
    clip_adaptive,
    clip_norm,
    clip_tensor_norm,
    clip_value,
    ema,
    g,
    gradient_norm,
    hyper,
    l1,
    lr,
    norm,
    state,
    sum_all,
    sum_unit,
    swa_every,
    swa_start,
    t,
    w,
    weight_decay,
)

TINY = sympy.Float(1e-6)
"""PyTorch's ``clip_grad_norm_`` adds it to the norm before dividing."""
SMALLEST_WEIGHT, SMALLEST_GRADIENT = sympy.Float(1e-3), sympy.Float(1e-6)
"""Brock et al. 2021: units that begin at zero could never move without the first; timm's second avoids 0/0."""

ema_weight, swa_weight = state("ema_weight"), state("swa_weight")
swa_count, swa_taken = hyper("swa_count"), hyper("swa_taken")
_limit = clip_adaptive * sympy.Max(norm(w, sum_unit), SMALLEST_WEIGHT)
_length = norm(g, sum_unit)

_due = (t >= swa_start) & sympy.Eq(sympy.Mod(t - swa_start, swa_every), 0)

BEFORE: dict[str, Equations] = {
    "maximize": (("g", -g),),
    "clip_norm": (
        (gradient_norm.name, norm(g, sum_all)),
        ("g", sympy.Min(1, clip_norm / (gradient_norm + TINY)) * g),
    ),
    "clip_tensor_norm": (("g", sympy.Min(1, clip_tensor_norm / (norm(g) + TINY)) * g),),
    "clip_adaptive": (
        ("g", sympy.Piecewise((1, _length < _limit), (_limit / sympy.Max(_length, SMALLEST_GRADIENT), True)) * g),
    ),
    "clip_value": (("g", sympy.Max(sympy.Min(g, clip_value), -clip_value)),),
    "coupled_decay": (("g", g + weight_decay * w),),
    "decoupled_decay": (("w", w * (1 - lr * weight_decay)),),
}
AFTER: dict[str, Equations] = {
    "l1": (("w", sympy.Max(w - lr * l1, 0) + sympy.Min(w + lr * l1, 0)),),
    "ema": ((ema_weight.name, sympy.Piecewise((w, sympy.Eq(t, 1)), (ema * ema_weight + (1 - ema) * w, True))),),
    "swa": (
        (swa_taken.name, sympy.Piecewise((1, _due), (0, True))),
        (swa_count.name, swa_count + swa_taken),
        (
            swa_weight.name,
            swa_weight
            + (w - swa_weight)
            * sympy.Piecewise((1, t < swa_start), (1 / swa_count, sympy.Eq(swa_taken, 1)), (0, True)),
        ),
    ),
}
ORDER = (*BEFORE, *AFTER)


def modified(rule: Rule, names: Iterable[str]) -> Rule:
    """The rule with the named modifiers around it, in their own order."""
    wanted = set(names)
    if not wanted <= set(ORDER):
        raise InputError(f"there is no modifier {min(wanted - set(ORDER))}; choose among {', '.join(ORDER)}")
    before = tuple(equation for name in BEFORE if name in wanted for equation in BEFORE[name])
    after = tuple(equation for name in AFTER if name in wanted for equation in AFTER[name])
    starts = {**rule.starts, **{name: w for name, _ in after if name in (ema_weight.name, swa_weight.name)}}
    return rule.replacing(before=(*before, *rule.before), after=(*rule.after, *after), starts=starts)
