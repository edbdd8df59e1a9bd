"""A program: a model, a rule, data and a plain loop, healthy or with one known fault.

>>> add("digits rate 30", on_digits, "lr_too_high", lambda: mlp(64, 64, 10), lambda m: sgd(m, 30.0))
>>> run(PROGRAMS["digits rate 30"](0)).findings()[0].kind
'lr_too_high'
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

import thalweg

Pair = tuple[Any, torch.Tensor]


@dataclass
class Program:
    """``kind`` is the fault, None for a healthy one. ``train`` and ``dev`` are what the loop uses and the doctor is given."""

    kind: str | None
    model: nn.Module
    optimizer: torch.optim.Optimizer
    loss: Callable
    train: Pair
    dev: Pair
    data: str = ""
    epochs: int = 10
    batch: int = 32
    zero: bool = True
    shuffle: bool = True
    mode: str = "train"
    judge: str = "eval"
    schedule: Callable | None = None
    penalty: Callable | None = None
    spoil: Callable | None = None
    augment: Callable | None = None
    parts: int = 1
    undivided: bool = False
    told: tuple[str, ...] = ("loss", "train", "dev")
    train_dev: Pair | None = None
    seed: int = 0

    @property
    def layers(self) -> str:
        """The kinds of layers in the model, for telling architectures apart."""
        leaves = {type(m).__name__ for m in self.model.modules() if not list(m.children())}
        return "+".join(sorted(leaves)) or type(self.model).__name__

    @property
    def half(self) -> int:
        """1 or 2: programs of one data set and one architecture are all in the same half, whatever their fault."""
        return 1 + zlib.crc32(f"{self.data} {self.layers}".encode()) % 2


PROGRAMS: dict[str, Callable[[int], Program]] = {}
NEW: set[str] = set()
"""Programs written after the doctor's thresholds were set, and not looked at before the first measurement."""


def add(
    name: str, on: Callable, kind: str | None, build: Callable, rule: Callable, *, new: bool = False, **more: Any
) -> None:
    """Enters a program: ``on(kind, model, optimizer, **more)`` makes it from ``build()`` and ``rule(model)``."""
    assert name not in PROGRAMS, name

    def make(seed: int) -> Program:
        torch.manual_seed(seed)
        model = build()
        return replace(on(kind, model, rule(model), **more), seed=seed)

    PROGRAMS[name] = make
    if new:
        NEW.add(name)


def taken(X: Any, rows: torch.Tensor) -> Any:
    return {k: v[rows] for k, v in X.items()} if isinstance(X, dict) else X[rows]


def run(p: Program) -> thalweg.doctor.Doctor:
    """The loop a user would write."""
    X, y = p.train
    generator = torch.Generator().manual_seed(p.seed)
    scheduler = p.schedule(p.optimizer) if p.schedule else None
    given = {"loss": p.loss, "train": p.train, "dev": p.dev}
    given = {name: given[name] for name in p.told}
    with thalweg.watch(p.model, p.optimizer, train_dev=p.train_dev, quiet=True, **given) as doctor:
        for _epoch in range(p.epochs):
            getattr(p.model, p.mode)()
            order = torch.randperm(len(y), generator=generator) if p.shuffle else torch.arange(len(y))
            for rows in order.split(p.batch):
                if p.zero:
                    p.optimizer.zero_grad()
                for part in rows.chunk(p.parts):
                    inputs = taken(X, part)
                    value = p.loss(p.model(p.augment(inputs, generator) if p.augment else inputs), y[part])
                    if p.penalty:
                        value = value + p.penalty(p.model)
                    (value if p.undivided else value / p.parts).backward()
                if p.spoil:
                    p.spoil(p.model)
                p.optimizer.step()
            if scheduler:
                scheduler.step()
            getattr(p.model, p.judge)()
            with torch.no_grad():
                p.model(p.dev[0])
            doctor.epoch_end()
    return doctor
