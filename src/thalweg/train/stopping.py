"""When a run ends early: the best weights are behind it, or its numbers are no longer numbers.

``EarlyStopping`` is mission E4: it measures the dev part after each pass, keeps the best weights, and ends the run when
``patience`` passes brought nothing better. ``Guard`` ends a run whose loss or gradient stops being finite and says where
that began.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch

from thalweg.errors import Diverged
from thalweg.train.hooks import Hook, State

HIGHER_IS_BETTER = {"accuracy", "r2"}


class EarlyStopping(Hook):
    """Keeps the weights of the best pass; ends the run after ``patience`` passes without a better one.

    ``measure()`` returns the dev metrics of the model as it stands; ``watch`` names the one that decides. A tie goes to the
    lower loss. ``patience=0`` never stops, but the best is still kept.
    """

    def __init__(self, measure: Callable[[], Mapping[str, float]], *, watch: str = "loss", patience: int = 0) -> None:
        self.measure = measure
        self.watch = watch
        self.patience = patience
        self.best_epoch = 0
        self.best_score = (-math.inf, -math.inf)
        self.best_metrics: dict[str, float] = {}
        self.best_weights: dict[str, torch.Tensor] = {}

    def on_epoch(self, state: State) -> None:
        metrics = self.measure()
        sign = 1.0 if self.watch in HIGHER_IS_BETTER else -1.0
        score = (sign * metrics[self.watch], -metrics["loss"])
        if not all(map(math.isfinite, score)):
            score = (-math.inf, -math.inf)
        if score > self.best_score:
            self.best_score, self.best_epoch, self.best_metrics = score, state.epoch, dict(metrics)
            weights = state.model.state_dict()
            if not self.best_weights:
                self.best_weights = {name: tensor.detach().clone() for name, tensor in weights.items()}
            for name, tensor in weights.items():
                self.best_weights[name].copy_(tensor.detach())
        elif self.patience and state.epoch - self.best_epoch >= self.patience:
            state.stop = f"dev {self.watch} has not improved for {self.patience} epochs"

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
        }

    def load_state_dict(self, saved: dict) -> None:
        self.best_epoch = saved["best_epoch"]
        self.best_score = tuple(saved["best_score"])
        self.best_metrics = dict(saved["best_metrics"])
        self.best_weights = dict(saved["best_weights"])


class Guard(Hook):
    """Raises ``Diverged`` at the first step whose loss or gradient is not finite, before the weights take it in.

    The loss is looked at in every step; where it is not finite, the gradients are searched in the order
    back-propagation fills them (last layer first), so the layer named is where it began. A gradient that is not finite
    under a finite loss shows in the loss of the next step; ``gradients=True`` looks at them in every step, at the cost of a
    pass over them.
    """

    def __init__(self, *, gradients: bool = False) -> None:
        self.gradients = gradients

    def on_gradient(self, state: State) -> None:
        loss = float(state.loss)
        if math.isfinite(loss) and not self.gradients:
            return
        first = first_bad_gradient(state.model)
        if math.isfinite(loss) and first is None:
            return
        what = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient is not finite (the loss is {loss:.4g})"
        where = f"; the gradient of {first} went first" if first else "; no gradient is affected yet"
        raise Diverged(
            f"at step {state.step + 1} (epoch {state.epoch + 1}) {what}{where}: use a smaller learning rate, clip the gradient "
            f"(clip_norm = 1), or look for extreme inputs"
        )


def first_bad_gradient(model: torch.nn.Module) -> str | None:
    """The parameter whose gradient stopped being finite first in back-propagation: the last one in the model's order.

    Weights that are no longer finite come before gradients: where some are, the first of those is named.
    """
    parameters = [(name, p) for name, p in model.named_parameters()]
    for name, parameter in parameters:
        if not bool(torch.isfinite(parameter.detach()).all()):
            return f"{name} (its values are no longer finite)"
    for name, parameter in reversed(parameters):
        if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
            return name
    return None
