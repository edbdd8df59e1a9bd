"""When a run ends early: the best weights are behind it, or its numbers are no longer numbers.

``EarlyStopping`` is mission E4: it measures the dev part after each pass, keeps the best weights, and ends the run when
``patience`` passes brought no gain. ``Guard`` ends a run whose loss or gradient stops being finite and says where
that began.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch

from thalweg.errors import Diverged, InputError
from thalweg.train.hooks import Hook, State
from thalweg.train.metrics import higher_is_better
from thalweg.train.parallel import everywhere, local, whole


class EarlyStopping(Hook):
    """Keeps the weights of the best pass; ends the run ``patience`` passes after the last gain.

    ``measure()`` returns the dev metrics of the model as it stands; ``watch`` names the one of ``METRICS`` that decides. A tie
    goes to the lower loss. Every better pass is kept; patience counts from the last pass that was better than the one it
    counted from before by more than ``min_gain``, in the metric's units. ``patience=0`` never stops, but the best is still
    kept. ``averaged`` opens a context in which the model holds the weights to be measured and kept, where an optimizer
    averages them. Raises ``InputError`` for an unknown metric.
    """

    def __init__(
        self, measure: Callable[[], Mapping[str, float]], *, watch: str = "loss", patience: int = 0, min_gain: float = 0.0,
        averaged: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:  # fmt: skip
        if not 0.0 <= min_gain < math.inf:
            raise InputError(f"min_gain = {min_gain}: the least gain that counts is 0 or more")
        self.measure = measure
        self.averaged = averaged
        self.watch = watch
        self.sign = 1.0 if higher_is_better(watch) else -1.0
        self.patience = patience
        self.min_gain = min_gain
        self.best_epoch = 0
        self.best_score = (-math.inf, -math.inf)
        self.best_metrics: dict[str, float] = {}
        self.best_weights: dict[str, torch.Tensor] = {}
        self.gain_epoch = 0
        self.gain_score = -math.inf

    def on_epoch(self, state: State) -> None:
        with self.averaged():
            self._look(state)

    def _look(self, state: State) -> None:
        metrics = self.measure()
        score = (self.sign * metrics[self.watch], -metrics["loss"])
        if not all(map(math.isfinite, score)):
            score = (-math.inf, -math.inf)
        if score > self.best_score:
            self.best_score, self.best_epoch, self.best_metrics = score, state.epoch, dict(metrics)
            weights = state.model.state_dict()
            if not self.best_weights:
                self.best_weights = {name: tensor.detach().clone() for name, tensor in weights.items()}
            for name, tensor in weights.items():
                self.best_weights[name].copy_(tensor.detach())
            if self.min_gain == 0.0 or score[0] > self.gain_score + self.min_gain:
                self.gain_epoch, self.gain_score = state.epoch, score[0]
        if self.patience and state.epoch - self.gain_epoch >= self.patience:
            enough = f" by more than {self.min_gain:g}" if self.min_gain else ""
            state.stop = f"dev {self.watch} has not improved{enough} for {self.patience} epochs"

    def restore(self, model: torch.nn.Module) -> None:
        """Puts the best weights back; leaves the model as it is where no pass has been measured yet."""
        if self.best_weights:
            model.load_state_dict(self.best_weights)

    def state_dict(self) -> dict:
        return {
            "best_epoch": self.best_epoch,
            "best_score": list(self.best_score),
            "best_metrics": dict(self.best_metrics),
            "best_weights": dict(self.best_weights),
            "gain_epoch": self.gain_epoch,
            "gain_score": self.gain_score,
        }

    def load_state_dict(self, saved: dict) -> None:
        self.best_epoch = saved["best_epoch"]
        self.best_score = tuple(saved["best_score"])
        self.best_metrics = dict(saved["best_metrics"])
        self.best_weights = dict(saved["best_weights"])
        self.gain_epoch = saved.get("gain_epoch", self.best_epoch)  # absent before there was a least gain
        self.gain_score = saved.get("gain_score", self.best_score[0])


class Guard(Hook):
    """Raises ``Diverged`` at the step whose loss or gradient is not finite, and names the layer where it began.

    The loss is looked at in every step before the weights take its gradient in. A gradient can overflow under a finite
    loss: ``norm`` gives the gradient norm of the step just made where the optimizer measures it anyway (``clip_norm=``);
    without it the gradients themselves are looked at, which costs a pass over them. The search for the layer follows
    the order in which back-propagation fills the gradients, last layer first.
    """

    def __init__(self, *, norm: Callable[[], float] | None = None) -> None:
        self.norm = norm

    def on_gradient(self, state: State) -> None:
        loss = float(state.loss)
        if not math.isfinite(loss):
            self._stop(state, state.step + 1, f"the loss became {loss}")
        if self.norm is None:
            gradients = [p.grad for p in state.model.parameters() if p.grad is not None]
            finite = not gradients or math.isfinite(float(whole(torch.stack(torch._foreach_norm(gradients))).sum()))
            if not finite and first_bad_layer(state.model):  # squares overflow before the gradients themselves do
                self._stop(state, state.step + 1, "the gradient is no longer finite")

    def on_step(self, state: State) -> None:
        if self.norm is not None and not math.isfinite(self.norm()):
            self._stop(state, state.step, "the gradient is no longer finite")

    def on_epoch(self, state: State) -> None:
        if not weights_are_finite(state.model):
            self._stop(state, state.step, "the update made weights that are no longer finite")

    def _stop(self, state: State, step: int, what: str) -> None:
        first = first_bad_layer(state.model)
        where = f", first in {first}" if first else " with every gradient still finite"
        raise Diverged(
            f"at step {step} (epoch {state.epoch + 1}) {what}{where}: use a smaller learning rate (lr), clip the "
            f"gradient (clip_norm = 1), or look for extreme values in the inputs"
        )


def weights_are_finite(model: torch.nn.Module) -> bool:
    """Whether every parameter is free of NaN and infinity."""
    parts = [part for parameter in model.parameters() if (part := local(parameter.detach())).numel()]
    sizes = torch._foreach_norm(parts, float("inf"))
    largest = max(map(float, sizes), key=lambda size: math.inf if math.isnan(size) else size, default=0.0)
    return everywhere(math.isfinite(largest), model.parameters())


def first_bad_layer(model: torch.nn.Module) -> str | None:
    """The parameter whose gradient stopped being finite first in back-propagation (the last layer's is filled first).

    None where every gradient is finite.
    """
    for name, parameter in reversed(list(model.named_parameters())):
        if parameter.grad is not None and not _finite(parameter.grad):
            return f"the gradient of {name}"
    for name, parameter in model.named_parameters():
        if not _finite(parameter.detach()):
            return f"the values of {name}"
    return None


def _finite(tensor: torch.Tensor) -> bool:
    return everywhere(bool(torch.isfinite(local(tensor)).all()), (tensor,))
