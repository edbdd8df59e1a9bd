"""The last activation and the loss, by behaviour: what do they say to ideal outputs, to blank ones, to swapped targets?

>>> head(case)
>>> case.history.last("head/softmax"), case.history.last("loss/floor"), case.history.last("loss/best")
(1.0, 1.46, 0.0)                               # behind this softmax the loss cannot fall below 1.46
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from thalweg.doctor.case import Case
from thalweg.doctor.twin import Loss, outputs, quietly

ENDS = {
    "SoftmaxBackward": "softmax", "LogSoftmaxBackward": "log_softmax", "SigmoidBackward": "sigmoid", "ReluBackward": "relu",
    "TanhBackward": "tanh", "LogSigmoidBackward": "log_softmax", "ClampMinBackward": "relu", "HardtanhBackward": "tanh",
    "SoftplusBackward": "softplus",
}  # fmt: skip
THROUGH = ("View", "Squeeze", "Unsqueeze", "Reshape", "Alias", "ToCopy", "UnsafeView", "Transpose", "Expand", "Select")
RANGES = {
    "softmax": (0.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "relu": (0.0, math.inf),
    "tanh": (-1.0, 1.0),
    "softplus": (0.0, math.inf),
}
SCALES = (1.0, 3.0, 10.0, 20.0)


def head(case: Case) -> None:
    """Writes ``head/KIND`` and the ``loss/…`` of crafted outputs."""
    rows = case.train.sample(256, seed=1)
    inputs, targets = case.train.take(rows)
    with quietly(0):
        model = case.twin.at(case.tape.snapshots[0])
        found = model(inputs)
        out = next(x for x in tree_leaves(found) if isinstance(x, torch.Tensor) and x.is_floating_point())
        last = ending(out)
    numbers = {f"head/{last}": 1.0} if last else {}
    out = out.detach()
    ended = outputs(case.twin.at(case.end), inputs)
    if last == "softmax":
        numbers["head/rows_sum"] = float(out.reshape(len(out), -1).sum(1).sub(1).abs().max() < 1e-3)
        numbers["head/width"] = float(out.reshape(len(out), -1).shape[1])
    if bool(torch.isfinite(ended).all()) and len(ended) > 1:
        numbers["head/end_spread"] = float(ended.std(0, correction=0).mean() / (1e-12 + ended.abs().mean()))
    case.write(numbers | _loss(case, out, targets, last) | _affine(case, inputs))


def ending(out: torch.Tensor) -> str:
    """The activation a tensor was made by, looked at through changes of shape; empty for none."""
    node = out.grad_fn
    while node is not None and any(word in node.name() for word in THROUGH) and node.next_functions:
        node = next((n for n, _ in node.next_functions if n is not None), None)
    name = "" if node is None else node.name()
    return next((kind for start, kind in ENDS.items() if name.startswith(start)), "")


def _loss(case: Case, out: torch.Tensor, targets: torch.Tensor, last: str) -> dict[str, float]:
    kind, loss = case.task.kind, case.loss
    numbers: dict[str, float] = {}

    def say(name: str, guess: torch.Tensor, wanted: torch.Tensor = targets) -> float:
        try:
            with torch.no_grad():
                value = loss(guess.to(out.dtype), wanted)
            numbers[f"loss/{name}"] = float(value) if value.numel() == 1 else math.nan
        except Exception:  # a loss may refuse outputs outside its range: then it cannot be asked this
            return math.nan
        return numbers[f"loss/{name}"]

    ideal = _ideal(case, out, targets)
    if ideal is None:
        return numbers
    say(
        "null",
        torch.zeros_like(out) if last not in ("softmax", "sigmoid") else out.mean(0, keepdim=True).expand_as(out),
    )
    turned = torch.roll(torch.arange(len(out)), 1 + len(out) // 3)
    if kind in ("classes", "binary", "labels"):
        tops = [say(f"ideal_{scale:g}", scale * ideal) for scale in SCALES]
        numbers["loss/best"] = min((t for t in tops if math.isfinite(t)), default=math.nan)
        low, high = RANGES.get(last, (-math.inf, math.inf))
        if math.isfinite(low) or math.isfinite(high):
            inside = [
                say(f"inside_{s:g}", _inside(s * ideal, low, high)) for s in (SCALES if high == math.inf else (1.0,))
            ]
            numbers["loss/floor"] = min((t for t in inside if math.isfinite(t)), default=math.nan)
        if low == 0.0 and high == 1.0:
            say("anti", 1 - _inside(ideal, low, high) if kind != "classes" else _inside(ideal, low, high)[turned])
        else:
            say("anti", -3 * ideal)
        if math.isinf(low) and math.isinf(high):
            numbers |= _pull_back(loss, -3 * ideal, targets)
    else:
        numbers["loss/best"] = say("ideal", ideal)
        low, high = RANGES.get(last, (-math.inf, math.inf))
        if math.isfinite(low) or math.isfinite(high):
            numbers["loss/floor"] = say("inside", ideal.clamp(low, high))
        say("anti", ideal[turned])
    say("pairs", ideal)
    say("unpaired", ideal[turned])
    half = len(out) // 2
    if half:
        once, twice = (
            say("half", ideal[:half] * 0, targets[:half]),
            say("twice", ideal[: 2 * half] * 0, targets[: 2 * half]),
        )
        if once and math.isfinite(once) and math.isfinite(twice):
            numbers["loss/doubling"] = twice / once
    return numbers


def _pull_back(loss: Loss, wrong: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
    """``loss/pull_back``: the norm of the loss's gradient where every output is wrong; 0 leaves them so."""
    try:
        with torch.enable_grad():
            outputs = wrong.requires_grad_()
            (slope,) = torch.autograd.grad(loss(outputs, targets).sum(), outputs)
    except Exception:  # as above
        return {}
    return {"loss/pull_back": float(slope.norm())}


def _inside(ideal: torch.Tensor, low: float, high: float) -> torch.Tensor:
    return ideal.clamp(max(low, -1e30), min(high, 1e30))


def _ideal(case: Case, out: torch.Tensor, targets: torch.Tensor) -> torch.Tensor | None:
    """The answer nobody could better, at scale one: +1 for the right class, −1 for the others; the target itself."""
    labels = case.task.labels(targets)
    if case.task.kind == "classes":
        return (2 * torch.nn.functional.one_hot(labels, out.shape[1]) - 1).to(out.dtype)
    if case.task.kind == "binary":
        return (2 * labels - 1).to(out.dtype).reshape(out.shape)
    if case.task.kind == "labels":
        return torch.where(targets > case.task.low, 1.0, -1.0).to(out.dtype).reshape(out.shape)
    if case.task.kind in ("numbers", "codes") and targets.numel() == out.numel():
        return targets.to(out.dtype).reshape(out.shape)
    return None


def _affine(case: Case, inputs: Any) -> dict[str, float]:
    """``affine``: how far the network is from a plain affine map of its inputs (0 is one)."""
    if not isinstance(inputs, torch.Tensor) or not inputs.is_floating_point() or len(inputs) < 8:
        return {}
    with quietly(0), torch.no_grad():
        model = case.twin.at(case.tape.snapshots[0]).double()
        quarter = len(inputs) // 4
        a, b, c = (inputs[k * quarter : (k + 1) * quarter].double() for k in range(3))
        try:
            before = _before_last(case, model, a), _before_last(case, model, b)
            mixed = _before_last(case, model, a + b - c), _before_last(case, model, c)
        except Exception:  # a custom layer may insist on float32: then it is not asked
            return {}
        gap = (before[0] + before[1] - mixed[0] - mixed[1]).abs().max()
        layers = sum(p.ndim >= 2 for p in model.parameters())
        spread = float(before[0].std(0, correction=0).max())
        steady = spread <= 1e-6 * float(
            before[0].abs().max()
        )  # what hardly depends on its inputs looks affine in any case
        return {"n/weights": float(layers)} | ({} if steady else {"affine": float(gap) / spread})


def _before_last(case: Case, model: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    return next(x for x in tree_leaves(model(inputs)) if isinstance(x, torch.Tensor))
