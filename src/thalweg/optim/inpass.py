"""What any optimizer here can do in the same pass, as keyword arguments that every class takes.

>>> AdamW(model.parameters(), clip_norm=1.0, decay="matrices", ema=0.999, state_dtype="8bit")

* ``clip_norm``: the largest norm of the whole gradient, as ``clip_grad_norm_``; ``clip_tensor_norm``: of each tensor's;
  ``clip_value``: of each element; ``clip_adaptive``: of each output unit's, as a share of its weights' norm (AGC, Brock et
  al. 2021).
* ``l1``: after the step, weights move towards 0 by ``lr·l1`` and stop there (a proximal step for ``l1·Σ|w|``), so they
  become exactly 0.
* ``ema``: an average of the weights with this β, as PyTorch's ``AveragedModel`` keeps it; ``swa=(start, every)``: the plain
  mean of the weights at every ``every``-th step from ``start`` on. ``with optimizer.averaged():`` puts the average in the
  weights' place.
* ``decay="matrices"``: weight decay and L1 leave out biases and norm parameters (those of fewer than two dimensions).
* ``state_dtype``: ``"float32"``, ``"bfloat16"`` or ``"8bit"``; None holds states as their weights. ``stochastic_rounding``:
  bfloat16 weights are rounded at random, so that small steps are not lost.
* ``engine``: ``"auto"``, ``"cpu"``, ``"gpu"`` or ``"reference"``.
"""

from __future__ import annotations

from typing import Any, TypedDict


class InPass(TypedDict, total=False):
    """The arguments of this module's docstring."""

    clip_norm: float | None
    clip_tensor_norm: float | None
    clip_adaptive: float | None
    clip_value: float | None
    l1: Any
    ema: float | None
    swa: tuple[int, int] | None
    decay: str
    state_dtype: str | None
    stochastic_rounding: bool
    engine: str


OURS: dict[str, Any] = {
    "clip_norm": None, "clip_tensor_norm": None, "clip_adaptive": None, "clip_value": None, "l1": 0.0, "ema": None, "swa": None,
    "decay": "all", "state_dtype": None, "stochastic_rounding": False,
}  # fmt: skip
"""Keys of a parameter group that PyTorch's do not have, and what stands there where nothing was asked."""
ASKED_BY_VALUE = ("clip_norm", "clip_tensor_norm", "clip_adaptive", "clip_value", "ema", "swa")
PARTS: dict[str, tuple[str, int | None]] = {"swa_start": ("swa", 0), "swa_every": ("swa", 1)}


def taken(given: InPass) -> tuple[dict[str, Any], str]:
    """The groups' defaults and the engine. Raises ``TypeError`` for an argument that no optimizer has."""
    unknown = set(given) - set(OURS) - {"engine"}
    if unknown:
        raise TypeError(f"unexpected keyword argument {min(unknown)!r}")
    return {**OURS, **{key: value for key, value in given.items() if key != "engine"}}, given.get("engine", "auto")


def modifiers_of(group: dict[str, Any], decay: str) -> tuple[str, ...]:
    """What a group asks to be done around its rule; ``decay`` is how its weight decay acts,
    if not in the rule itself."""
    found = [name for name in ASKED_BY_VALUE if group.get(name) is not None]
    if group.get("maximize"):
        found.append("maximize")
    if decay and group.get("weight_decay", 0) != 0:
        found.append(decay)
    if group.get("l1", 0.0) != 0:
        found.append("l1")
    return tuple(sorted(found))
