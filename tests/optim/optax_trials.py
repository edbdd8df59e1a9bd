"""Runs optax on the trials of ``typed``, as a program of its own: JAX would leave threads and 64-bit numbers behind.

``python optax_trials.py CASES.json RESULT.npz``: each case is a name in ``BUILD``, options, and after which steps to look.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from optim.typed import gradients, weights


def _chain(scale: Any, o: Any, lr: float | None = None) -> Any:
    """A scaling, decoupled decay, the rate: what most of optax's aliases are."""
    parts = [scale, optax.add_decayed_weights(o.get("weight_decay", 0.0))]
    return optax.chain(*parts, optax.scale_by_learning_rate(o["lr"] if lr is None else lr))


def _coupled(o: Any, *parts: Any) -> Any:
    """Decay as a part of the gradient; a minus sign where it is to ascend."""
    sign = optax.scale(-1.0) if o.get("maximize") else optax.identity()
    return optax.chain(sign, optax.add_decayed_weights(o.get("weight_decay", 0.0)), *parts)


def _free(o: Any) -> dict[str, Any]:
    return {"learning_rate": o["lr"], "weight_decay": o.get("weight_decay", 0.0)}


def _agc(o: Any) -> Any:
    # optax's units are the last axis of kernels laid out input first; PyTorch's first dimension are the outputs. One of its
    # own, then, for each number of dimensions.
    def update(grads: Any, state: Any, params: Any) -> Any:
        found = []
        for g, w in zip(grads, params, strict=True):
            axes = tuple(range(1, g.ndim)) if g.ndim > 1 else None
            clip = optax.adaptive_grad_clip(o["clip_adaptive"], axis=axes)
            found.append(clip.update(g, clip.init(w), w)[0] if g.size else g)
        return found, state

    return optax.chain(optax.GradientTransformation(lambda _: optax.EmptyState(), update), optax.sgd(o["lr"]))


BUILD: dict[str, Any] = {
    "Momentum": lambda o: _coupled(o, optax.ema(o["beta"], debias=False), optax.scale(-o["lr"])),
    "HeavyBall": lambda o: _coupled(o, optax.sgd(o["lr"], momentum=o["beta"])),
    "Nesterov": lambda o: _coupled(o, optax.sgd(o["lr"], momentum=o["beta"], nesterov=True)),
    # optax has no schedule of the momentum: momentum_decay=1e6 makes it β₁ from the first step on.
    "NAdamW": lambda o: optax.nadamw(o["lr"], *o["betas"], eps=o["eps"], weight_decay=o["weight_decay"]),
    "NAdam": lambda o: optax.nadam(o["lr"], *o["betas"], eps=o["eps"]),
    "Adam": lambda o: optax.rmsprop(
        o["lr"], decay=o["betas"][1], eps=o["eps"], eps_in_sqrt=False, bias_correction=True
    ),
    # optax has two ε, the authors one in both places.
    "AdaBelief": lambda o: _chain(optax.scale_by_belief(*o["betas"], eps=o["eps"], eps_root=o["eps"]), o),
    "Lion": lambda o: optax.lion(o["lr"], *o["betas"], weight_decay=o.get("weight_decay", 0.0)),
    # optax weighs the change by 1−β₂, the authors' code by β₂: the same at ½. optax's decay is decoupled as ours.
    "Adan": lambda o: optax.adan(
        o["lr"], *o["betas"], eps=o["eps"], eps_root=0.0, weight_decay=o.get("weight_decay", 0.0)
    ),
    "Yogi": lambda o: _chain(
        optax.scale_by_yogi(*o["betas"], eps=o["eps"], initial_accumulator_value=o["initial_accumulator"]), o
    ),
    "LAMB": lambda o: optax.lamb(o["lr"], *o["betas"], eps=o["eps"], weight_decay=o.get("weight_decay", 0.0)),
    "LARS": lambda o: optax.lars(
        o["lr"], o.get("weight_decay", 0.0), trust_coefficient=o["trust_coefficient"], eps=o["eps"],
        momentum=o["momentum"], nesterov=o["nesterov"],
    ),
    "ScheduleFreeSGD": lambda o: optax.contrib.schedule_free_sgd(
        b1=o["momentum"], weight_lr_power=o["weight_lr_power"], **_free(o)
    ),
    "ScheduleFreeAdamW": lambda o: optax.contrib.schedule_free_adamw(
        b1=o["betas"][0], b2=o["betas"][1], eps=o["eps"], weight_lr_power=o["weight_lr_power"], **_free(o)
    ),
    "clip_adaptive": _agc,
}  # fmt: skip


def run(name: str, options: dict[str, Any], look: list[int]) -> dict[int, list[np.ndarray]]:
    """The weights after the steps ``look``."""
    transformation = BUILD[name](options)
    params = [jax.numpy.asarray(w) for w in weights()]
    state = transformation.init(params)

    @jax.jit
    def step(params: Any, state: Any, grads: Any) -> Any:
        updates, state = transformation.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    found = {}
    for number in range(1, max(look) + 1):
        params, state = step(params, state, [jax.numpy.asarray(g) for g in gradients(number - 1)])
        if number in look:
            found[number] = [np.asarray(w) for w in params]
    return found


if __name__ == "__main__":
    cases = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    arrays = {}
    for case, (name, options, look) in cases.items():
        for number, tensors in run(name, options, look).items():
            arrays |= {f"{case}/{number}/{index}": tensor for index, tensor in enumerate(tensors)}
    np.savez(sys.argv[2], **arrays)
