"""What may be done to any rule in the same pass: decay, clipping, ascent. Each takes a rule and gives a rule.

They are assignments to ``g`` or ``w`` that come before the rule's own. Their order is fixed by ``ORDER``, PyTorch's: first the
sign (``maximize``), then clipping, then decay; so the decay always shrinks the weights and is never clipped.

>>> modified(rule, ("maximize", "coupled_decay"))
"""

from __future__ import annotations

from collections.abc import Iterable

import sympy

from thalweg.errors import InputError
from thalweg.rules.rule import Equations, Rule
from thalweg.rules.symbols import clip_norm, clip_value, g, gradient_norm, lr, w, weight_decay

TINY = sympy.Float(1e-6)
"""PyTorch's ``clip_grad_norm_`` adds it to the norm before dividing."""

ASSIGNMENTS: dict[str, tuple[str, sympy.Expr]] = {
    "maximize": ("g", -g),
    "clip_norm": ("g", sympy.Min(1, clip_norm / (gradient_norm + TINY)) * g),
    "clip_value": ("g", sympy.Max(sympy.Min(g, clip_value), -clip_value)),
    "coupled_decay": ("g", g + weight_decay * w),
    "decoupled_decay": ("w", w * (1 - lr * weight_decay)),
}
ORDER = tuple(ASSIGNMENTS)


def modified(rule: Rule, names: Iterable[str]) -> Rule:
    """The rule with the named modifiers before it, in their own order."""
    wanted = set(names)
    if not wanted <= set(ORDER):
        raise InputError(f"there is no modifier {min(wanted - set(ORDER))}; choose among {', '.join(ORDER)}")
    before: Equations = tuple(ASSIGNMENTS[name] for name in ORDER if name in wanted)
    reductions = ("gradient_norm",) if "clip_norm" in wanted else ()
    return rule.replacing(before=(*before, *rule.before), reductions=(*rule.reductions, *reductions))
