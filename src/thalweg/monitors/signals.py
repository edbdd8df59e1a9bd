"""How strong the learning signal is: the gradient's norm, and how far a step moves each weight.

>>> hooks = GradientNorms(history), UpdateRatios(history)
>>> history.under("grad_norm")["0.weight"].values[-1]            # ‖∂L/∂W‖₂ of one layer
0.031…
>>> history.under("update_ratio")["0.weight"].values[-1]         # ‖Δw‖₂/‖w‖₂: healthy about 1e-3
0.0012…

By layer they look at weights (two or more dimensions) only. Biases and scales start at zero or one, where a ratio to their
own size says nothing, and their gradients tell no other story than their layer's weights. The parameters are listed once,
at the first step looked at.
"""

from __future__ import annotations

import math

import torch

from thalweg.history import History
from thalweg.monitors.plan import SPARSE, Plan
from thalweg.train.hooks import Hook, State
from thalweg.train.parallel import whole

HALF = (torch.float16, torch.bfloat16)


def weights(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The parameters of two or more dimensions, by ``update_ratio/NAME``, in the model's order."""
    return {f"update_ratio/{name}": p for name, p in model.named_parameters() if p.ndim >= 2}


def norms(tensors: list[torch.Tensor]) -> list[float]:
    """The 2-norm of each tensor, of any shapes; one wait for the device in all.

    Sums in float32 at least: a half-precision norm overflows at 65504.
    """
    if not tensors:
        return []
    dense = [t.coalesce().values() if t.is_sparse else t for t in tensors]
    wide = [t.float() if t.dtype in HALF else t for t in dense]
    found = [norm if type(norm) is torch.Tensor else whole(norm) for norm in torch._foreach_norm(wide)]
    devices = {norm.device for norm in found}
    return torch.stack(found).tolist() if len(devices) == 1 else [float(norm) for norm in found]


class GradientNorms(Hook):
    """Writes ``grad_norm`` (all trained parameters as one vector) and ``grad_norm/WEIGHT`` on the plan's steps.

    It reads ``p.grad`` as the hooks before it left it: put it before clipping.
    """

    def __init__(self, history: History, *, plan: Plan = SPARSE) -> None:
        self.history, self.plan = history, plan
        self._named: dict[str, torch.nn.Parameter] = {}

    def on_gradient(self, state: State) -> None:
        step = state.step + 1
        if not self.plan.samples(step):
            return
        self._named = self._named or {
            f"grad_norm/{name}" if p.ndim >= 2 else name: p for name, p in state.model.named_parameters()
        }
        given = {name: p.grad for name, p in self._named.items() if p.grad is not None}
        found = norms(list(given.values()))
        record = {"grad_norm": math.hypot(*found)}
        record |= {name: norm for name, norm in zip(given, found, strict=True) if name.startswith("grad_norm/")}
        self.history.record(step, record)


class UpdateRatios(Hook):
    """Writes ``update_ratio/WEIGHT``: ‖w_t − w_{t−1}‖₂ / ‖w_{t−1}‖₂ on the plan's steps.

    The weights before the step are remembered on those steps only. A weight that is all zeros has no ratio. Bands: about
    1e-3 is healthy, 1e-4 … 1e-2 usual (Stanford CS231n, *Neural Networks 3*, "Ratio of weights:updates").
    """

    def __init__(self, history: History, *, plan: Plan = SPARSE) -> None:
        self.history, self.plan = history, plan
        self._named: dict[str, torch.nn.Parameter] = {}
        self._before: dict[str, torch.Tensor] = {}

    def on_gradient(self, state: State) -> None:
        if self.plan.samples(state.step + 1):
            self._named = self._named or weights(state.model)
            self._before = {n: p.detach().clone() for n, p in self._named.items() if p.requires_grad}

    def on_step(self, state: State) -> None:
        if not self._before:
            return
        names, before = list(self._before), list(self._before.values())
        self._before = {}
        moved = torch._foreach_sub([self._named[name].detach() for name in names], before)
        found = norms([*moved, *before])
        ratios = zip(names, found[: len(before)], found[len(before) :], strict=True)
        record = {name: step / size for name, step, size in ratios if size > 0}
        if record:
            self.history.record(state.step, record)
