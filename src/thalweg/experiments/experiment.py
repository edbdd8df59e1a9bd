"""A training run from its parts to its result: the one path that ``thalweg train`` and ``thalweg.fit`` share.

``Experiment`` holds what a run is made of (model, parts, objective, settings) and the choices made for it;
``conduct`` finds a rate where none is given, trains with the hooks that every run has, puts the best weights back and
measures each part, the test part once.

The order of the random draws is part of the contract: initialisation from the seed, the order of the examples from
(seed, epoch), everything that modules draw while training (dropout) from torch's generator seeded when training begins. A
search for the rate before it therefore changes nothing of what follows.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import InputError
from thalweg.experiments.build import (
    DTYPES,
    averaged_weights,
    build_monitors,
    build_optimizer,
    build_regularisers,
    build_schedule,
)
from thalweg.experiments.parts import Pair, Parts
from thalweg.experiments.recipe import Choice
from thalweg.experiments.spec import Spec
from thalweg.experiments.steering import Steering
from thalweg.experiments.watcher import Watcher
from thalweg.history import History
from thalweg.train import (
    Autograd,
    Batches,
    ClipNorm,
    EarlyStopping,
    Gradients,
    Guard,
    Hook,
    Objective,
    Reacting,
    Scheduled,
    State,
    Weighted,
    evaluate,
    train,
    unpack,
)
from thalweg.train.checkpoint import Remembers
from thalweg.train.objectives import BinaryCrossEntropy, CrossEntropy
from thalweg.train.parallel import DataParallel, Ranks, SameBuffers, Whole, shard
from thalweg.train.passes import Passes

if TYPE_CHECKING:
    from thalweg.schedules import Schedule

ALONE = Ranks()


@dataclass
class Experiment:
    """What a run is made of. ``optimizer`` is the user's own where one was given."""

    spec: Spec
    model: torch.nn.Module
    parts: Parts
    shared: Callable[[Ranks], Batches]
    """The mini-batches of one process among several."""
    objective: Objective
    optimizer: torch.optim.Optimizer | None = None
    choices: list[Choice] = field(default_factory=list)
    rows: int = 1
    """Training rows, the m of λ/2m."""

    @cached_property
    def batches(self) -> Batches:
        """The mini-batches of a process that is alone."""
        return self.shared(ALONE)

    def truth(self, targets: torch.Tensor) -> torch.Tensor:
        """The targets without the weights that may be packed with them."""
        return unpack(targets)[0] if isinstance(self.objective, Weighted) else targets

    def build_optimizer(
        self, model: torch.nn.Module, *, lr: float, measured: bool = False
    ) -> tuple[torch.optim.Optimizer, tuple[Hook, ...]]:
        """An optimizer over a model's parameters, the user's own if there is one, and the regularisers that go with it."""
        optimizer = self.optimizer
        if optimizer is None:
            optimizer = build_optimizer(self.spec, model.parameters(), lr=lr, examples=self.rows, measured=measured)
        return optimizer, build_regularisers(self.spec, optimizer, examples=self.rows)

    def gradients(self, model: torch.nn.Module) -> Gradients:
        """The fastest way to this model's gradients: explicit back-propagation where it is held equal, else autograd."""
        from thalweg.models import Backprop

        dtype = DTYPES[self.spec.precision]
        mixed = any(word.lower().startswith("mixup") for word in self.spec.augment or ())
        if dtype is None and not Backprop.refuses(model, self.objective, soft=mixed):
            return Backprop(model, self.objective)
        return Autograd(model, self.objective, autocast=dtype)

    def parallel(
        self, model: torch.nn.Module, ranks: Ranks, *, asked: Callable[[], bool], due: Callable[[], bool]
    ) -> DataParallel:
        """The same for a process among several."""
        unused = not self.spec.shard and self._leaves_unused(model)
        return DataParallel(
            model,
            self.objective,
            ranks,
            autocast=DTYPES[self.spec.precision],
            unused=unused,
            sharded=self.spec.shard,
            asked=asked,
            due=due,
            mass=self.objective.mass if isinstance(self.objective, CrossEntropy | BinaryCrossEntropy) else len,
        )

    def _leaves_unused(self, model: torch.nn.Module) -> bool:
        """Whether the loss does not depend on all parameters."""
        trial = copy.deepcopy(model).train()
        inputs, targets = self.parts.sample[0][:2], self.parts.sample[1][:2]
        with torch.random.fork_rng():
            self.objective(trial(inputs), targets).backward()
        return any(p.grad is None for p in trial.parameters() if p.requires_grad)

    def check_shapes(self) -> None:
        """Runs two examples through the model: a shape that does not fit is said before anything else happens."""
        highest = int(self.truth(self.parts.dev[1]).reshape(len(self.parts.dev[1]), -1)[:, 0].argmax())
        rows = torch.tensor([0, highest], device=self.parts.dev[1].device)  # the highest class too
        device = next((p.device for p in self.model.parameters()), rows.device)
        inputs, targets = self.parts.dev[0][rows].to(device), self.parts.dev[1][rows].to(device)
        training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                outputs = self.model(inputs)
        except Exception as error:
            shape = tuple(inputs.shape[1:])
            raise InputError(
                f"the model cannot take these inputs of shape (batch, {', '.join(map(str, shape))}): "
                f"{type(error).__name__}: {next(iter(str(error).splitlines()), 'no message')}"
            ) from error
        finally:
            self.model.train(training)
        if not isinstance(outputs, torch.Tensor):
            raise InputError(
                f"the model gives {type(outputs).__name__}, not a tensor of outputs: let its forward return the tensor"
            )
        self.objective.check(outputs, targets)
        known = ["loss", *self.objective.metrics(outputs, targets)]
        if (self.spec.watch or "loss") not in known:
            raise InputError(f'there is no dev metric "{self.spec.watch}" to watch: choose among {", ".join(known)}')
        measured = [f"{part}/{name}" for part in ("train", "dev") for name in known]
        awaited = build_schedule(self.spec, steps=1).watches() if self.optimizer is None else ()
        unknown = [name for name in awaited if name not in measured]
        if unknown:
            raise InputError(
                f'the schedule waits for "{unknown[0]}", which the run does not measure: choose among {", ".join(measured)}'
            )


@dataclass(frozen=True)
class Outcome:
    """What came of a run. ``metrics`` by part: ``{"train": {"loss": …}, "dev": …, "test": …}``."""

    state: State
    metrics: dict[str, dict[str, float]]
    best_epoch: int
    stopped: str
    seconds: float


class Interrupt(Hook):
    """Ends a run at the next step once ``requested`` says so: nothing of the step under way is lost."""

    def __init__(self, requested: Callable[[], bool]) -> None:
        self.requested = requested

    def on_step(self, state: State) -> None:
        if self.requested():
            state.stop = INTERRUPTED


INTERRUPTED = "interrupted"


class Flush(Hook):
    """Hands the history to the operating system every second, so that a reader in another process can follow."""

    def __init__(self, history: History, seconds: float = 1.0) -> None:
        self.history, self.seconds, self.due = history, seconds, 0.0

    def on_step(self, state: State) -> None:
        if time.monotonic() >= self.due:
            self.history.flush()
            self.due = time.monotonic() + self.seconds


def conduct(
    experiment: Experiment,
    *,
    history: History,
    watcher: Watcher,
    checkpoint: Any = None,
    resume: bool = False,
    interrupted: Callable[[], bool] = lambda: False,
    hooks: Sequence[Hook] = (),
    ranks: Ranks = ALONE,
    steering: Steering | None = None,
) -> Outcome:
    """Trains the experiment's model and measures it. ``experiment.spec.lr`` is set by now (or the optimizer is the user's).

    ``checkpoint`` is the path to write to; with ``resume`` the run goes on from it. The model ends with the best weights.
    Where ``ranks`` are several, each process calls this and trains on its share of each mini-batch. ``steering`` obeys
    commands while the run goes; it needs a ``checkpoint``.
    """
    from thalweg import monitors

    spec, model, parts, objective = experiment.spec, experiment.model, experiment.parts, experiment.objective
    own = experiment.optimizer
    sharded = spec.shard and not ranks.alone
    if sharded:
        shard(model, parts.dev[1].device)
    elif spec.shard:  # begun by several processes, and now one goes on
        model.to(parts.dev[1].device)
    optimizer, regularisers = experiment.build_optimizer(model, lr=spec.lr or 1.0, measured=True)

    newest: dict[str, float] = {}

    def measure() -> dict[str, float]:
        measured = evaluate(model, *parts.sample, objective), evaluate(model, *parts.dev, objective)
        at_train, at_dev = ranks.tell(measured)  # one pass is the best for all, also where sums round differently
        record = {f"train/{name}": value for name, value in at_train.items()}
        newest.update(record | {f"dev/{name}": value for name, value in at_dev.items()})
        history.record(state.step, newest)
        return at_dev

    early = EarlyStopping(
        measure,
        watch=spec.watch or "loss",
        patience=spec.patience,
        min_gain=spec.min_gain,
        averaged=lambda: averaged_weights(optimizer),
    )
    clipping: list[Hook] = []
    scheduled: list[Scheduled] = []
    remember: dict[str, Remembers] = {"model": model, "optimizer": optimizer, "early": early}
    norm = None

    def rate_of(spec: Spec) -> Schedule:
        return float(spec.lr or 1.0) * build_schedule(spec, steps=spec.epochs * len(experiment.batches))

    reacts = False
    if own is None:
        schedule = rate_of(spec)
        reacts = bool(schedule.watches())
        norm = _gradient_norm(optimizer)
        if reacts:
            reacting = Reacting("lr", schedule.begin(), optimizer=optimizer, measured=lambda: newest)
            scheduled, remember["schedule"] = [reacting], reacting
        else:
            scheduled = [Scheduled("lr", schedule, optimizer=optimizer)]
    elif spec.clip_norm is not None:
        clipping = [ClipNorm(spec.clip_norm)]
    clock = time.monotonic()
    agree: list[Hook] = []
    agreed: Callable[[], bool] | None = None
    gradients: Gradients
    batches = experiment.batches if ranks.alone else experiment.shared(ranks)
    if ranks.alone:
        gradients = experiment.gradients(model)
    else:
        due = lambda: checkpoints is not None and checkpoints.due()  # noqa: E731
        gradients = parallel = experiment.parallel(model, ranks, asked=interrupted, due=due)
        interrupted, agreed = lambda: parallel.stop, lambda: parallel.save
        agree.append(SameBuffers(model))
    torch.manual_seed(spec.seed + 1 + ranks.rank * 0x9E3779B1)  # the processor's generator takes the lower 32 bits
    state = State(model, optimizer)
    saving: list[Hook] = []
    checkpoints: Passes | None = None
    if checkpoint is not None:
        if sharded:
            remember |= {name: Whole(remember[name], model) for name in ("model", "optimizer", "early")}
        if steering is not None:
            remember["steering"] = steering
        checkpoints = Passes(
            checkpoint,
            remember=remember,
            wanted=() if steering is None else steering.wanted,
            offset=history.flush,
            ranks=ranks,
            agreed=agreed,
        )
        saving.append(checkpoints)
        if steering is not None:
            steering.attach(
                model=model,
                optimizer=optimizer,
                best=early.best,
                scheduled=scheduled[0],
                schedule=lambda spec: rate_of(spec).begin() if reacts else rate_of(spec),
                history=history,
                checkpoints=checkpoints,
            )
            saving.insert(0, steering)
        if resume:
            state, offset = checkpoints.load(model, optimizer)
            history.rewind(offset)
    watcher.follow(history, epochs=spec.epochs, steps_per_epoch=len(experiment.batches))
    every_run = (
        *monitors.default(history),  # before whatever changes the gradient or ends the run: they see what was there
        *build_monitors(spec, model, objective, parts.sample, history),
        *regularisers,
        *clipping,
        Guard(norm=norm),
        *agree,
        early,
        *scheduled,  # after what measures, for it may react to it
        Flush(history),
        watcher,
        *hooks,
        *saving,
        Interrupt(interrupted),
    )
    already = history.last("seconds", 0.0)
    if state.step == 0 and not resume:
        first = measure()
        if math.isfinite(first["loss"]) and math.isnan(first.get(spec.watch or "loss", 0.0)):
            raise InputError(
                f"{spec.watch} cannot be measured on the dev part, whose rows are all of one class or one amount: watch "
                f"another metric, or give a dev part that has more"
            )
    state.stop = ""
    while True:
        if steering is not None:
            steering.begin(state)
        if not state.stop:
            epochs = spec.epochs if steering is None else steering.epochs
            state = train(model, optimizer, gradients, batches, epochs=epochs, hooks=every_run, state=state)
        if steering is None or not steering.goes_on(state):
            break
        state = steering.go_on(state)
        gradients = experiment.gradients(model) if ranks.alone else gradients
        watcher.follow(history, epochs=steering.epochs, steps_per_epoch=len(batches))
    stopped = state.stop
    if checkpoints is not None:
        checkpoints.save(state)
    history.flush()
    if stopped == INTERRUPTED:
        return Outcome(state, {}, early.best.epoch, stopped, already + time.monotonic() - clock)
    early.restore(model)
    model.eval()
    metrics = {"train": evaluate(model, *parts.train, objective), "dev": evaluate(model, *parts.dev, objective)}
    if parts.test is not None:
        metrics["test"] = evaluate(model, *parts.test, objective)
    for part, values in metrics.items():
        if not math.isfinite(values["loss"]):
            raise InputError(
                f"the trained model's loss on the {part} part is {values['loss']}: look for extreme inputs there"
            )
    return Outcome(state, metrics, early.best.epoch, stopped, already + time.monotonic() - clock)


def _gradient_norm(optimizer: torch.optim.Optimizer) -> Callable[[], float] | None:
    """The norm thalweg's optimizers measure when they clip; other optimizers have none."""
    from thalweg.optim import Optimizer

    if not isinstance(optimizer, Optimizer):
        return None
    return lambda: optimizer.gradient_norm


__all__ = ["INTERRUPTED", "Choice", "Experiment", "Outcome", "Pair", "conduct"]
