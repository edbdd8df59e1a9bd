"""What is written down while somebody's loop runs: hooks on the model and the optimizer, nothing in between.

>>> tape = Tape(model, optimizer, history)
>>> ...                                          # the loop
>>> tape.close()
>>> tape.steps, tape.forwards["training"], tape.stale
(640, 640, 0)

A step costs a few microseconds; one that is looked at (ever fewer of them) half a step of a small net. Weights are kept at
the steps 0, 1, 2, 4, 8, … as far as ``MEMORY`` reaches; one gradient in each doubling of the step is kept with the weights and
the mini-batch it belongs to, so that it can be held against finite differences later. Everything else, activations and
losses too, is computed from these afterwards.
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
from thalweg.monitors.attach import Attached
from thalweg.monitors.plan import SPARSE, Plan
from thalweg.monitors.signals import GradientNorms, norms
from thalweg.train import Hook
from thalweg.train import State as Moment

LOOKS, SIGNALS = SPARSE, Plan(dense=8)
"""Where mini-batches are recognised; at half of these steps gradients and outputs are measured."""
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
    """A mini-batch as the model saw it: its rows (their fingerprints alone where they are large), and what the loss asked of
    each output."""

    step: int
    rows: torch.Tensor | None
    known: torch.Tensor | None = None
    pull: torch.Tensor | None = None

    @property
    def keys(self) -> torch.Tensor:
        """The fingerprint of each row; made when first asked for, which is after the run."""
        if self.known is None:
            self.known = fingerprint(self.rows)
        return self.known

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


class Ear:
    """A hook on somebody's model. A copy of the model, or one read back from a file, has a deaf one in its place."""

    def __init__(self, hear: Callable[..., None]) -> None:
        self._hear = hear

    def __call__(self, *arguments: Any) -> None:
        self._hear(*arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple]:
        return Ear, (_nothing,)


class Tape(Hook):
    """Listens from construction to ``close``. A hook that fails says so in ``faults``, and all of them listen no more.

    ``called`` is what the loop calls, where that is another module (compiled, parallel) than the one with the weights;
    ``given`` makes one tuple of the arguments of such a call.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        history: History,
        *,
        called: torch.nn.Module | None = None,
        given: Callable[[tuple, dict], tuple] | None = None,
    ) -> None:
        self.model, self.optimizer, self.history = model, optimizer, history
        self._called = model if called is None else called
        self._given = _in_order if given is None else given
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
        self.seen_rows = 0
        self._seen: list[torch.Tensor] = []
        self.doubled: Callable[..., None] = _nothing
        """Called where the step has doubled since, and when an output is not finite."""
        self._last: deque[tuple[int, torch.Tensor]] = deque(maxlen=32)
        self._sample: Sample | None = None
        self._since_step = 0
        self._dirty: bool | None = None
        self._left = MEMORY - _size(self.snapshots[0].values())
        self._named = dict(model.named_parameters())
        self._stepped = [p for group in optimizer.param_groups for p in group["params"]]
        self._looks, self._next = True, 1
        self._signals = GradientNorms(history, plan=SIGNALS)
        self._attached = Attached(model, optimizer, self, failed=self._failed)
        self._forward = self._called.register_forward_hook(self._ear(self._after_forward), with_kwargs=True)
        self._full: torch.utils.hooks.RemovableHandle | None = None
        self._expect()

    @property
    def seen(self) -> list[torch.Tensor]:
        """The first rows as the model saw them: float32 matrices ``(n, D)``."""
        return [rows.float() for rows in map(flat, self._seen) if rows is not None]

    @property
    def seen_shape(self) -> tuple[int, ...]:
        """The shape of one of these rows."""
        return tuple(self._seen[-1].shape[1:]) if self._seen else ()

    def counted(self) -> dict[str, float]:
        """``loop/…``: the shares of stale gradients and of passes in the wrong mode, and when outputs ceased to be finite."""
        numbers = {"loop/stale": self.stale / max(self.asked, 1), "loop/asked": float(self.asked)}
        if forwards := self.forwards["training"] + self.forwards["eval"]:
            numbers["loop/eval"] = self.forwards["eval"] / forwards
        if judged := self.forwards["judged in training"] + self.forwards["judged in eval"]:
            numbers["loop/judged_training"] = self.forwards["judged in training"] / judged
        if self.first_bad >= 0:
            numbers["loop/first_bad"] = float(self.first_bad)
            if before := [size for step, size in self.largest if step < self.first_bad]:
                numbers |= {"loop/largest_first": before[0], "loop/largest_before": max(before)}
        return numbers

    def close(self) -> None:
        """Takes every hook off."""
        self._measure()
        self._forget()
        self._attached.close()
        self._forward.remove()

    def _failed(self, moment: str, error: Exception) -> None:
        """Somebody else's loop must go on whatever we failed at."""
        self.faults.append(f"{moment}: {type(error).__name__}: {error}")
        self._last.clear()
        self.close()

    def _ear(self, hear: Callable[..., None]) -> Ear:
        """What ``model.compile()`` has compiled would compile our hooks too, step by step anew."""
        return Ear(hear if self._called._compiled_call_impl is None else torch.compiler.disable(hear))

    def _expect(self) -> None:
        """Before a step that may be kept in full: only then is there a hook in front of the model."""
        if self._full is None:
            hook = self._ear(self._before_forward)
            self._full = self._called.register_forward_pre_hook(hook, with_kwargs=True)

    def _forget(self) -> None:
        if self._full is not None:
            self._full.remove()
            self._full = None

    def _before_forward(self, model: torch.nn.Module, args: tuple, kwargs: dict) -> None:
        if not torch.is_grad_enabled() or self._since_step or self._sample is not None:
            return
        try:
            self._keep(model, self._given(args, kwargs))
        except Exception as error:
            self._failed("inputs", error)

    def _keep(self, model: torch.nn.Module, inputs: tuple) -> None:
        state = self.snapshots[self.steps]
        given = tree_map(lambda leaf: leaf.detach().clone() if isinstance(leaf, torch.Tensor) else leaf, inputs)
        cost = _size(tree_leaves(given)) + _size(state.values())
        if cost <= self._left:
            self._left -= cost
            self._sample = Sample(self.steps + 1, state, given, model.training, torch.get_rng_state())

    def _after_forward(self, model: torch.nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        try:
            out = output if isinstance(output, torch.Tensor) else first_float(output)
            if out is None:
                return
            if not (out.requires_grad and torch.is_grad_enabled()):
                self._judge(model, self._given(args, kwargs))
                return
            self.forwards["training" if model.training else "eval"] += 1
            self._since_step += 1
            looks = self._looks or self._sample is not None
            if looks or out.numel() <= SMALL:
                self._last.append((self.steps + 1, out.detach()))
            if looks:
                self._look(self._given(args, kwargs), out)
        except Exception as error:
            self._failed("outputs", error)

    def _judge(self, model: torch.nn.Module, inputs: tuple) -> None:
        self.forwards["judged in training" if model.training else "judged in eval"] += 1
        if model.training and len(self.judged) < 8:
            self.judged.append(fingerprint(inputs))

    def _look(self, inputs: tuple, out: torch.Tensor) -> None:
        if SIGNALS.samples(self.steps + 1):
            self._measure()
        self.sizes.append(len(out) if out.ndim else 1)
        leaves = inputs if inputs and isinstance(inputs[0], torch.Tensor) else tree_leaves(inputs)
        leaf = next((leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.ndim), None)
        if leaf is not None and leaf.numel() <= SMALL:
            batch = Batch(self.steps + 1, leaf.detach().clone())
        else:
            batch = Batch(self.steps + 1, None, fingerprint(leaf))
        self.batches.append(batch)
        if self.seen_rows < SEEN and leaf is not None and leaf.numel() <= 2**20:
            self._seen.append(leaf.detach().clone() if batch.rows is None else batch.rows)
            self.seen_rows += len(leaf)
        sample = self._sample

        def pulled(gradient: torch.Tensor) -> None:
            try:
                self.backwards += 1
                self._ask_for_stale()
                if gradient.numel() <= SMALL:
                    batch.pull = gradient.detach()
                if sample is not None and sample.pull is None:
                    sample.pull = gradient.detach().clone()
            except Exception as error:
                self._failed("backward", error)

        out.register_hook(pulled)

    def _measure(self) -> None:
        """The size of the newest output; where it is not finite, that of the ones kept before it: where did it begin?"""
        if self._last and self.first_bad < 0:
            step, out = self._last[-1]
            size = _largest(out)
            if math.isfinite(size):
                self.largest.append((step, size))
            else:
                for step, out in self._last:
                    if not math.isfinite(size := _largest(out)):
                        self.first_bad = step
                        break
                    self.largest.append((step, size))
                self.doubled()
        self._last.clear()

    def _ask_for_stale(self) -> None:
        """Whether old gradients meet this backward pass. One that somebody clears later in the same step (another
        optimizer's turn, between two of ours) does not count: the last word is what the step is made with."""
        if self.steps == 0 or self.asked >= ASKED or self._dirty is False:
            return
        old = [p.grad for p in self._stepped if p.grad is not None and not p.grad.is_sparse]
        self._dirty = any(n > 0 for n in norms(old[:1] + old[-2:]))

    def on_gradient(self, state: Moment) -> None:
        step = self.steps + 1
        rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        if not self.rates or self.rates[-1][1] != rates:
            self.rates.append((step, rates))
        if self._dirty is not None:
            self.asked += 1
            self.stale += self._dirty
            self._dirty = None
        if self._sample is not None:
            sample, self._sample = self._sample, None
            if self._since_step == 1:
                sample.gradient = {n: p.grad.detach().clone() for n, p in self._named.items() if p.grad is not None}
                self.samples.append(sample)
        if self._looks and SIGNALS.samples(step):
            self._signals.on_gradient(state)
            self.looked += 1
            for name, parameter in self._named.items():
                if parameter.grad is None:
                    self.no_gradient[name] = self.no_gradient.get(name, 0) + 1
            rate = max(rates, default=0.0)
            if not step & (step - 1) or rate != self.history.last("lr"):
                self.history.record(step, {"lr": rate})

    def on_step(self, state: Moment) -> None:
        step = self.steps = state.step
        self._since_step, self._dirty = 0, None
        if step >= self._next:
            self._next = LOOKS.after(step)
        self._looks = step + 1 == self._next
        if self._full is not None:
            self._forget()
        if not step & (step - 1):
            kept = _state(self.model)
            cost = _size(kept.values())
            if cost <= self._left:
                self._left -= cost
                self.snapshots[step] = kept
                self._expect()
            self.doubled()


def first_float(output: Any) -> torch.Tensor | None:
    """The first float tensor in whatever a model puts out; a single number (a loss beside the outputs) if there is no other."""
    leaves = [leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor) and leaf.is_floating_point()]
    return next((leaf for leaf in leaves if leaf.ndim), leaves[0] if leaves else None)


def _in_order(args: tuple, kwargs: dict) -> tuple:
    return (*args, *kwargs.values())


def _nothing(*_: Any) -> None:
    pass


def _largest(out: torch.Tensor) -> float:
    return float(out.abs().max()) if out.numel() else 0.0


def _state(model: torch.nn.Module) -> State:
    return {
        name: value.detach().clone() for name, value in model.state_dict().items() if isinstance(value, torch.Tensor)
    }


def _size(leaves: Any) -> int:
    return sum(leaf.numel() * leaf.element_size() for leaf in leaves if isinstance(leaf, torch.Tensor))
