"""What is written down while somebody's loop runs: hooks on the model and the optimizer, nothing in between.

>>> tape = Tape(model, optimizer, history)
>>> ...                                          # the loop
>>> tape.close()
>>> tape.steps, tape.forwards["training"], tape.stale
(640, 640, 0)

Each step costs a few small sums. Weights are kept at the steps 0, 1, 2, 4, 8, … as far as ``MEMORY`` reaches; one gradient
in each doubling of the step is kept with the weights and the mini-batch it belongs to, so that it can be held against
finite differences later. Everything else, activations and losses too, is computed from these afterwards.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

from thalweg.doctor.examples import fingerprint, flat
from thalweg.history import History
from thalweg.monitors.plan import Plan
from thalweg.monitors.signals import norms

LOOKS = Plan(dense=32)
MEMORY = 256 * 2**20
"""Bytes of weights, gradients and mini-batches kept at most."""
ASKED = 40
"""Backward passes asked whether they met an old gradient."""
SMALL = 2**16
"""Numbers in an output that may be kept from one look to the next."""
SEEN = 512
"""Rows of inputs kept, to know how the model saw them."""
State = dict[str, torch.Tensor]


@dataclass
class Batch:
    """A mini-batch as the model saw it: the fingerprints of its rows, and what the loss asked of each output."""

    step: int
    keys: torch.Tensor
    pull: torch.Tensor | None = None

    @property
    def wanted(self) -> torch.Tensor | None:
        """What each row's loss asks for: the class whose output it pulls up most, or, of a single output, its sign (1 for
        up); −1 where it asks for next to nothing."""
        if self.pull is None or self.pull.ndim == 0:
            return None
        rows = self.pull.reshape(len(self.pull), -1)
        asked = rows.argmin(1) if rows.shape[1] > 1 else (rows[:, 0] < 0).long()
        return torch.where(rows.abs().amax(1) * len(rows) > 1e-2, asked, -1)


@dataclass
class Sample:
    """One step in full: weights before it, the inputs, the random state of the forward pass, the gradient it was made with."""

    step: int
    state: State
    inputs: Any
    training: bool
    random: torch.Tensor
    pull: torch.Tensor | None = None
    gradient: State = field(default_factory=dict)


class Tape:
    """Listens from construction to ``close``. A hook that fails says so in ``faults`` and listens no more."""

    def __init__(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, history: History) -> None:
        self.model, self.optimizer, self.history = model, optimizer, history
        self.steps = 0
        self.forwards = {"training": 0, "eval": 0, "judged in training": 0, "judged in eval": 0}
        self.batches: list[Batch] = []
        self.judged: list[torch.Tensor] = []
        self.rates: list[tuple[int, list[float]]] = []
        self.sizes: list[int] = []
        self.snapshots: dict[int, State] = {0: _state(model)}
        self.samples: list[Sample] = []
        self.largest: list[tuple[int, float]] = []
        self.first_bad = -1
        self.stale, self.asked = 0, 0
        self.backwards = 0
        self.faults: list[str] = []
        self.no_gradient: dict[str, int] = {}
        self.looked = 0
        self.seen: list[torch.Tensor] = []
        self.seen_rows = 0
        self.seen_shape: tuple[int, ...] = ()
        self._last: deque[tuple[int, torch.Tensor]] = deque(maxlen=16)
        self._sample: Sample | None = None
        self._since_step = 0
        self._left = MEMORY - _size(self.snapshots[0].values())
        self._named = dict(model.named_parameters())
        self._stepped = [p for group in optimizer.param_groups for p in group["params"]]
        self._handles = [
            model.register_forward_hook(self._guarded(self._forward)),
            model.register_forward_pre_hook(self._guarded(self._before)),
            optimizer.register_step_pre_hook(self._guarded(self._pre)),
            optimizer.register_step_post_hook(self._guarded(self._post)),
        ]

    def close(self) -> None:
        """Takes every hook off."""
        self._measure()
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _guarded(self, hook: Callable[..., None]) -> Callable[..., None]:
        def run(*arguments: Any) -> None:
            try:
                hook(*arguments)
            except Exception as error:  # somebody else's loop must go on whatever we failed at
                self.faults.append(f"{hook.__name__.strip('_')}: {type(error).__name__}: {error}")
                self.close()

        return run

    def _before(self, model: torch.nn.Module, inputs: tuple) -> None:
        if not torch.is_grad_enabled() or self._since_step or self._sample is not None:
            return
        state = self.snapshots.get(self.steps)
        if state is None:
            return
        given = tree_map(lambda leaf: leaf.detach().clone() if isinstance(leaf, torch.Tensor) else leaf, inputs)
        cost = _size(tree_leaves(given)) + _size(state.values())
        if cost <= self._left:
            self._left -= cost
            self._sample = Sample(self.steps + 1, state, given, model.training, torch.get_rng_state())

    def _forward(self, model: torch.nn.Module, inputs: tuple, output: Any) -> None:
        out = output if isinstance(output, torch.Tensor) else first_float(output)
        if out is None:
            return
        if not (torch.is_grad_enabled() and out.requires_grad):
            self.forwards["judged in training" if model.training else "judged in eval"] += 1
            if model.training and len(self.judged) < 8:
                self.judged.append(fingerprint(inputs))
            return
        self.forwards["training" if model.training else "eval"] += 1
        self._since_step += 1
        step = self.steps + 1
        looks = LOOKS.samples(step) or self._sample is not None
        if looks or out.numel() <= SMALL:
            self._last.append((step, out.detach()))
        if not looks:
            return
        self._measure()
        self.sizes.append(len(out) if out.ndim else 1)
        batch = Batch(step, fingerprint(inputs))
        self.batches.append(batch)
        if self.seen_rows < SEEN and (rows := flat(inputs)) is not None and rows.numel() <= 2**20:
            self.seen.append(rows.float())
            self.seen_shape = tuple(next(x for x in tree_leaves(inputs) if isinstance(x, torch.Tensor)).shape[1:])
            self.seen_rows += len(rows)
        sample = self._sample

        def pulled(gradient: torch.Tensor) -> None:
            self.backwards += 1
            self._ask_for_stale()
            if gradient.numel() <= SMALL:
                batch.pull = gradient.detach()
            if sample is not None and sample.pull is None:
                sample.pull = gradient.detach().clone()

        out.register_hook(self._guarded(pulled))

    def _measure(self) -> None:
        """The size of the last outputs: between two looks only they are kept, so that a run that blows up is seen to."""
        sizes = [float(out.abs().max()) if out.numel() else 0.0 for _, out in self._last if self.first_bad < 0]
        if sizes and math.isfinite(sizes[-1]):
            self.largest.append((self._last[-1][0], sizes[-1]))
        elif sizes:
            for (step, _), size in zip(self._last, sizes, strict=True):
                if not math.isfinite(size):
                    self.first_bad = step
                    break
                self.largest.append((step, size))
        self._last.clear()

    def _ask_for_stale(self) -> None:
        """A gradient that is there before the first backward pass since the step is one that nobody cleared."""
        if self.steps == 0 or self._since_step != 1 or self.asked >= ASKED:
            return
        self.asked += 1
        old = [p.grad for p in self._stepped if p.grad is not None and not p.grad.is_sparse]
        self.stale += any(n > 0 for n in norms(old[:1] + old[-2:]))

    def _pre(self, optimizer: torch.optim.Optimizer, _args: tuple, _kwargs: dict) -> None:
        step = self.steps + 1
        rates = [float(group["lr"]) for group in optimizer.param_groups]
        if not self.rates or self.rates[-1][1] != rates:
            self.rates.append((step, rates))
        sample, self._sample = self._sample, None
        if sample is not None and self._since_step == 1:
            sample.gradient = {n: p.grad.detach().clone() for n, p in self._named.items() if p.grad is not None}
            self.samples.append(sample)
        if LOOKS.samples(step):
            self.looked += 1
            given = {n: p.grad for n, p in self._named.items() if p.grad is not None}
            for name, parameter in self._named.items():
                if parameter.grad is None:
                    self.no_gradient[name] = self.no_gradient.get(name, 0) + 1
            self.history.record(
                step, {"grad_norm": math.hypot(*norms(list(given.values()))), "lr": max(rates, default=0.0)}
            )

    def _post(self, _optimizer: torch.optim.Optimizer, _args: tuple, _kwargs: dict) -> None:
        self.steps += 1
        self._since_step = 0
        step = self.steps
        if step & (step - 1) == 0:
            state = _state(self.model)
            cost = _size(state.values())
            if cost <= self._left:
                self._left -= cost
                self.snapshots[step] = state


def first_float(output: Any) -> torch.Tensor | None:
    """The first float tensor in whatever a model puts out."""
    leaves = tree_leaves(output)
    return next((leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.is_floating_point()), None)


def _state(model: torch.nn.Module) -> State:
    return {
        name: value.detach().clone() for name, value in model.state_dict().items() if isinstance(value, torch.Tensor)
    }


def _size(leaves: Any) -> int:
    return sum(leaf.numel() * leaf.element_size() for leaf in leaves if isinstance(leaf, torch.Tensor))
