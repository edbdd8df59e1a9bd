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


class Best:
    """The best weights so far by one metric, and whether patience has run out.

    ``watch`` names the metric that decides; a tie goes to the lower loss. ``patience=0`` never stops, but the best is still
    kept. Any better pass is kept as the best; patience counts from the last one that gained more than ``min_gain``.
    """

    def __init__(self, *, watch: str, patience: int = 0, min_gain: float = 0.0) -> None:
        if not 0.0 <= min_gain < math.inf:
            raise InputError(f"min_gain = {min_gain}: the least gain that counts is 0 or more")
        self.watch, self.patience, self.min_gain = watch, patience, min_gain
        self.sign = 1.0 if higher_is_better(watch) else -1.0
        self.epoch = self.gain_epoch = 0
        self.score, self.gain_score = (-math.inf, -math.inf), -math.inf
        self.metrics: dict[str, float] = {}
        self.weights: dict[str, torch.Tensor] = {}

    def look(self, metrics: Mapping[str, float], model: torch.nn.Module, epoch: int) -> str:
        """Takes in the dev metrics of a model after pass ``epoch``. Says why to stop; empty to go on."""
        score = (self.sign * metrics[self.watch], -metrics["loss"])
        if not all(map(math.isfinite, score)):
            score = (-math.inf, -math.inf)
        if score > self.score:
            self.score, self.metrics = score, dict(metrics)
            self.keep(model, epoch)
            if self.min_gain == 0.0 or score[0] > self.gain_score + self.min_gain:
                self.gain_epoch, self.gain_score = epoch, score[0]
        if self.patience and epoch - self.gain_epoch >= self.patience:
            enough = f" by more than {self.min_gain:g}" if self.min_gain else ""
            return f"dev {self.watch} has not improved{enough} for {self.patience} epochs"
        return ""

    def keep(self, model: torch.nn.Module, epoch: int) -> None:
        """Keeps the weights as they are now."""
        self.epoch = epoch
        weights = model.state_dict()
        if not self.weights:
            self.weights = {name: tensor.detach().clone() for name, tensor in weights.items()}
        for name, tensor in weights.items():
            self.weights[name].copy_(tensor.detach())

    def state_dict(self) -> dict:
        return {
            "best_epoch": self.epoch,
            "best_score": list(self.score),
            "best_metrics": dict(self.metrics),
            "best_weights": dict(self.weights),
            "gain_epoch": self.gain_epoch,
            "gain_score": self.gain_score,
        }

    def load_state_dict(self, saved: dict) -> None:
        self.epoch = saved["best_epoch"]
        self.score = tuple(saved["best_score"])
        self.metrics = dict(saved["best_metrics"])
        self.weights = dict(saved["best_weights"])
        self.gain_epoch = saved.get("gain_epoch", self.epoch)  # absent before there was a least gain
        self.gain_score = saved.get("gain_score", self.score[0])


class EarlyStopping(Hook):
    """Keeps the weights of the best pass (``Best``); ends the run after ``patience`` passes without a better one.

    ``measure()`` returns the dev metrics of the model as it stands. ``averaged`` opens a context in which the model holds the
    weights to be measured and kept, where an optimizer averages them. ``patience=0`` never stops. Raises ``InputError`` for
    an unknown metric.
    """

    def __init__(
        self, measure: Callable[[], Mapping[str, float]], *, watch: str = "loss", patience: int = 0, min_gain: float = 0.0,
        averaged: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:  # fmt: skip
        self.measure = measure
        self.averaged = averaged
        self.best = Best(watch=watch, patience=patience, min_gain=min_gain)

    def on_epoch(self, state: State) -> None:
        with self.averaged():
            state.stop = self.best.look(self.measure(), state.model, state.epoch) or state.stop

    def restore(self, model: torch.nn.Module) -> None:
        """Puts the best weights back; leaves the model as it is where no pass has been measured yet."""
        if self.best.weights:
            model.load_state_dict(self.best.weights)

    def state_dict(self) -> dict:
        return self.best.state_dict()

    def load_state_dict(self, saved: dict) -> None:
        self.best.load_state_dict(saved)


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
