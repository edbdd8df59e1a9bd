"""Small real trainings, healthy and faulty, as data: what the doctor is held against.

A row is a problem, a net, an optimizer and a rate, and the kinds of findings that are right for it (a fault often has
several right names); a healthy row has none. Labels are of runs, not of programs, so each row trains with several seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine, make_circles
from torch import nn

from thalweg import monitors
from thalweg.diagnose import Facts
from thalweg.history import History
from thalweg.train import Autograd, evaluate, train
from thalweg.train.hooks import Hook, State
from thalweg.train.objectives import OBJECTIVES

Net = Callable[[int, int], nn.Module]


def mlp(*hidden: int, activation: type[nn.Module] = nn.ReLU, norm: bool = False, std: float | None = None) -> Net:
    """A fully connected net; ``std`` replaces PyTorch's initialisation by N(0, std²)."""

    def make(inputs: int, outputs: int) -> nn.Module:
        layers: list[nn.Module] = []
        for width in hidden:
            layers += [nn.Linear(inputs, width), *([nn.BatchNorm1d(width)] if norm else []), activation()]
            inputs = width
        net = nn.Sequential(*layers, nn.Linear(inputs, outputs))
        if std is not None:
            for p in net.parameters():
                nn.init.normal_(p, std=std) if p.ndim > 1 else nn.init.zeros_(p)
        return net

    return make


@cache
def problem(name: str, seed: int) -> tuple[str, tuple[torch.Tensor, ...]]:
    """Task and (train inputs, train targets, dev inputs, dev targets); inputs standardised by the training part."""
    rng = np.random.default_rng(seed)
    X, y = {
        "digits": lambda: load_digits(return_X_y=True),
        "wine": lambda: load_wine(return_X_y=True),
        "cancer": lambda: load_breast_cancer(return_X_y=True),
        "diabetes": lambda: load_diabetes(return_X_y=True),
        "circles": lambda: make_circles(600, noise=0.1, factor=0.5, random_state=seed),
        "noise": lambda: (rng.normal(size=(300, 20)), rng.integers(0, 2, 300)),
        "rare": lambda: rare(rng),
    }[name.split("-")[0]]()
    order = rng.permutation(len(y))
    X, y = np.asarray(X, dtype=np.float64)[order], np.asarray(y)[order]
    if name.endswith("-small"):
        X, y = X[:360], y[:360]
    cut = len(y) * 3 // 4 if not name.endswith("-small") else 60
    mean, sd = X[:cut].mean(0), X[:cut].std(0)
    X = (X - mean) / np.where(sd > 0, sd, 1)
    task = "regression" if name.startswith("diabetes") else "binary" if y.max() == 1 else "multiclass"
    if task == "regression" and not name.endswith("-raw"):
        y = (y - y[:cut].mean()) / y[:cut].std()
    inputs = torch.tensor(X, dtype=torch.float32)
    targets = torch.tensor(y, dtype=torch.int64 if task == "multiclass" else torch.float32)
    return task, (inputs[:cut], targets[:cut], inputs[cut:], targets[cut:])


def rare(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two classes 12:1 that overlap a little."""
    y = (rng.random(1200) < 0.08).astype(int)
    return rng.normal(size=(1200, 6)) + 1.5 * y[:, None], y


@dataclass(frozen=True)
class Shuffled:
    """Mini-batches of tensors in an order drawn from (seed, epoch)."""

    inputs: torch.Tensor
    targets: torch.Tensor
    size: int
    seed: int

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = torch.from_numpy(np.random.default_rng((self.seed, number)).permutation(len(self.targets)))
        for rows in order.split(self.size)[start:]:
            yield self.inputs[rows], self.targets[rows]

    def __len__(self) -> int:
        return -(-len(self.targets) // self.size)


@dataclass(frozen=True)
class Run:
    """One training. ``right`` are the kinds of findings that are right for it; none for a healthy one."""

    name: str
    data: str
    net: Net
    optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer]
    epochs: int
    right: frozenset[str] = frozenset()
    batch: int = 64
    decay: bool = True
    """Cosine decay of the rate to zero."""
    dies: float = 1.0
    """The share of the run after which the rate is a ten-thousandth."""
    wrong: float = 0.0
    """The share of training labels that are drawn anew."""

    def history(self, seed: int) -> tuple[History, Facts]:
        torch.manual_seed(seed)
        task, (X, y, dev_X, dev_y) = problem(self.data, seed)
        outputs = int(y.max()) + 1 if task == "multiclass" else 1
        if self.wrong:
            rng = np.random.default_rng((seed, 7))
            drawn = torch.from_numpy(rng.integers(0, int(y.max()) + 1, len(y))).to(y.dtype)
            y = torch.where(torch.from_numpy(rng.random(len(y)) < self.wrong), drawn, y)
        model = self.net(X.shape[1], outputs)
        optimizer = self.optimizer(list(model.parameters()))
        objective = OBJECTIVES[task]
        history = History()
        batches = Shuffled(X, y, self.batch, seed)
        steps = self.epochs * len(batches)

        class Steer(Hook):
            def on_epoch(self, state: State) -> None:
                for part, pair in {"train": (X, y), "dev": (dev_X, dev_y)}.items():
                    found = evaluate(model, *pair, objective)
                    history.record(state.step, {f"{part}/{name}": value for name, value in found.items()})

        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: (
                (0.5 * (1 + np.cos(np.pi * step / steps)) if self.decay else 1.0)
                * (1e-4 if step >= self.dies * steps else 1.0)
            ),
        )

        class Decay(Hook):
            def on_step(self, state: State) -> None:
                scheduler.step()

        steer = Steer()
        steer.on_epoch(State(model, optimizer))
        hooks = (*monitors.default(history), Decay(), steer)
        train(model, optimizer, Autograd(model, objective), batches, epochs=self.epochs, hooks=hooks)
        counts = np.bincount(y.long().numpy()) if task != "regression" else np.zeros(0)
        shares = tuple((counts / counts.sum()).tolist()) if len(counts) else ()
        facts = Facts(
            task=task, classes=max(len(shares), 1), class_shares=shares, n_train=len(y), n_dev=len(dev_y),
            epochs=self.epochs, batch_size=self.batch, rule=type(optimizer).__name__.lower(),
        )  # fmt: skip
        return history, facts


def sgd(lr: float, momentum: float = 0.0) -> Callable[[list[nn.Parameter]], torch.optim.Optimizer]:
    return lambda parameters: torch.optim.SGD(parameters, lr=lr, momentum=momentum)


def adam(lr: float) -> Callable[[list[nn.Parameter]], torch.optim.Optimizer]:
    return lambda parameters: torch.optim.AdamW(parameters, lr=lr)


def accept(*names: str) -> frozenset[str]:
    return frozenset(names)


HIGH, LOW, BUDGET, PLATEAU = "lr_too_high", "lr_too_low", "undertrained", "plateau"
VANISHING, EXPLODING, INIT, RAILS = "vanishing_gradient", "exploding_gradient", "bad_init", "saturated_activation"
BIAS, VARIANCE, RARE, LABELS = "high_bias", "high_variance", "class_imbalance", "label_noise"

HEALTHY = (
    Run("digits adam", "digits", mlp(64, 64), adam(3e-3), 20),
    Run("digits sgd", "digits", mlp(64, 64), sgd(0.2), 25),
    Run("digits momentum", "digits", mlp(64), sgd(0.05, 0.9), 20),
    Run("digits deep tanh", "digits", mlp(48, 48, 48, 48, activation=nn.Tanh), adam(2e-3), 20),
    Run("digits batch norm", "digits", mlp(64, 64, norm=True), adam(3e-3), 15),
    Run("digits constant rate", "digits", mlp(64, 64), adam(2e-3), 25, decay=False),
    Run("digits softmax regression", "digits", mlp(), adam(1e-2), 30),
    Run("digits tiny batches", "digits", mlp(64), sgd(0.02), 10, batch=8),
    Run("wine", "wine", mlp(32), adam(5e-3), 40, batch=32),
    Run("breast cancer", "cancer", mlp(32, 32), adam(2e-3), 25),
    Run("breast cancer full batch", "cancer", mlp(32), adam(1e-2), 60, batch=1000),
    Run("diabetes", "diabetes", mlp(32), adam(2e-3), 40),
    Run("diabetes linear", "diabetes", mlp(), adam(2e-2), 60),
    Run("circles", "circles", mlp(32, 32), adam(5e-3), 40, batch=32),
    Run("rare class", "rare", mlp(16), adam(5e-3), 25),
    Run("digits rmsprop", "digits", mlp(64, 64), lambda p: torch.optim.RMSprop(p, lr=1e-3), 25),
    Run("circles momentum", "circles", mlp(32, 32), sgd(0.05, 0.9), 60, batch=32),
)
FAULTY = (
    Run("sgd blows up", "digits", mlp(64, 64), sgd(50.0), 8, accept(HIGH)),
    Run("regression blows up", "diabetes", mlp(32), sgd(5.0), 10, accept(HIGH)),
    Run("adam far too high", "digits", mlp(64, 64), adam(1.0), 20, accept(HIGH), decay=False),
    Run("adam too high", "digits", mlp(64, 64, 64), adam(0.2), 20, accept(HIGH), decay=False),
    Run("momentum kills all units", "digits", mlp(64, 64), sgd(5.0, 0.9), 15, accept(HIGH)),
    Run(
        "tanh saturated at the start",
        "digits",
        mlp(*[64] * 4, activation=nn.Tanh, std=1.0),
        sgd(0.01),
        15,
        accept(EXPLODING, INIT, RAILS),
    ),
    Run("sgd too low", "digits", mlp(64, 64), sgd(1e-4), 20, accept(LOW)),
    Run("adam too low", "digits", mlp(64, 64), adam(1e-6), 20, accept(LOW)),
    Run("too few epochs", "digits", mlp(64, 64), sgd(0.02), 6, accept(BUDGET, LOW), decay=False),
    Run("deep sigmoid", "digits", mlp(*[32] * 8, activation=nn.Sigmoid), sgd(0.1), 20, accept(VANISHING)),
    Run("deep tiny init", "digits", mlp(*[32] * 6, std=0.01), sgd(0.1), 15, accept(VANISHING)),
    Run("deep huge init", "digits", mlp(*[64] * 6, std=1.0), sgd(1e-3), 15, accept(EXPLODING, INIT, HIGH)),
    Run("linear on circles", "circles", mlp(), adam(1e-2), 40, accept(BIAS), batch=32),
    Run("memorises noise", "noise", mlp(128, 128), adam(3e-3), 40, accept(VARIANCE), batch=32),
    Run("little data", "digits-small", mlp(256, 256), adam(3e-3), 40, accept(VARIANCE), batch=32),
    Run("raw targets", "diabetes-raw", mlp(32), adam(1e-3), 20, accept(BIAS, LOW, BUDGET)),
    Run("rare class, one answer", "rare", mlp(16), sgd(3e-4), 20, accept(RARE, LOW)),
    Run("wrong labels", "digits", mlp(256, 256), adam(2e-3), 40, accept(LABELS), wrong=0.4),
    Run("few wrong labels", "digits", mlp(256, 256), adam(2e-3), 40, accept(LABELS, VARIANCE), wrong=0.15),
    Run("schedule dies early", "digits", mlp(64, 64), sgd(0.03), 20, accept(PLATEAU), decay=False, dies=0.15),
    Run("all zeros", "digits", mlp(64, 64, std=0.0), sgd(0.1), 15, accept(INIT, VANISHING)),
)
