"""What each layer puts out while the network trains: mean, spread, share of zeros, share at the rails.

>>> hook = ActivationStats(history, model)
>>> history.column("activation/1/zeros").values[-1]              # of a ReLU: half of its outputs are zero
0.49…
>>> history.column("activation/3/saturated").values[-1]          # of a tanh: |a| > 0.97
0.02…

The numbers come from the forward passes of training themselves, so it needs gradients that call the model
(``train.Autograd``); evaluation passes are left out.
"""

from __future__ import annotations

import torch

from thalweg.history import History
from thalweg.monitors.plan import SPARSE, Plan
from thalweg.train.hooks import Hook, State

RAILS: dict[type[torch.nn.Module], tuple[float, float]] = {
    torch.nn.Tanh: (-0.97, 0.97),
    torch.nn.Sigmoid: (0.01, 0.99),
    torch.nn.Softsign: (-0.9, 0.9),
    torch.nn.Hardtanh: (-0.999, 0.999),
    torch.nn.Hardsigmoid: (0.001, 0.999),
}
"""Where an activation counts as saturated: beyond it a unit passes back under 6 % of the gradient it passes at zero."""


class ActivationStats(Hook):
    """Writes ``activation/LAYER/mean``, ``/sd``, ``/zeros`` and, for activations with rails, ``/saturated``.

    Looks at modules without children that put out one float tensor; at those in ``layers`` alone where names are given. What
    the model puts out for its mini-batches in training is looked at, or, with ``rows``, what it puts out for these inputs in
    evaluation mode: then nothing hangs on the model between two looks, and it may be trained without being called.
    """

    def __init__(
        self,
        history: History,
        model: torch.nn.Module,
        *,
        plan: Plan = SPARSE,
        layers: tuple[str, ...] | None = None,
        rows: torch.Tensor | None = None,
    ) -> None:
        self.history, self.plan, self.rows = history, plan, rows
        named = {name: module for name, module in model.named_modules() if name and not list(module.children())}
        self.layers = {name: module for name, module in named.items() if layers is None or name in layers}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []
        self._seen: dict[str, torch.Tensor] = {}
        if rows is None:
            self._listen()  # the first forward pass comes before any moment of a hook

    def _listen(self) -> None:
        def listen(name: str, module: torch.nn.Module) -> torch.utils.hooks.RemovableHandle:
            def see(_module: torch.nn.Module, _inputs: object, output: object) -> None:
                if (
                    (module.training or self.rows is not None)
                    and isinstance(output, torch.Tensor)
                    and output.is_floating_point()
                ):
                    self._seen[name] = output.detach()

            return module.register_forward_hook(see)

        self._handles = [listen(name, module) for name, module in self.layers.items()]

    def on_gradient(self, state: State) -> None:
        step = state.step + 1
        looks = self.plan.samples(step)
        if looks and self.rows is not None:
            self._ask(state.model, self.rows)
        seen, self._seen = self._seen, {}
        if not looks:
            return
        record = {}
        for name, output in seen.items():
            for statistic, value in statistics(output, rails=RAILS.get(type(self.layers[name]))).items():
                record[f"activation/{name}/{statistic}"] = value
        if record:
            self.history.record(step, record)

    def on_step(self, state: State) -> None:
        wanted = self.rows is None and self.plan.samples(state.step + 1)
        if wanted and not self._handles:
            self._listen()
        elif not wanted and self._handles:
            self._leave()

    def _leave(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _ask(self, model: torch.nn.Module, rows: torch.Tensor) -> None:
        training = [module for module in model.modules() if module.training]
        model.eval()
        self._listen()
        try:
            with torch.no_grad():
                model(rows)
        finally:
            self._leave()
            for module in training:
                module.training = True


def statistics(output: torch.Tensor, *, rails: tuple[float, float] | None) -> dict[str, float]:
    """Mean, standard deviation (over all entries, population), share of exact zeros; share beyond ``rails``."""
    wide = output.float()
    found = {"mean": wide.mean(), "sd": wide.std(correction=0), "zeros": (wide == 0).float().mean()}
    if rails is not None:
        found["saturated"] = ((wide < rails[0]) | (wide > rails[1])).float().mean()
    return dict(zip(found, torch.stack(list(found.values())).tolist(), strict=True))
