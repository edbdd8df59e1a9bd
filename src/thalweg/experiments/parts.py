"""The three parts of the data as the network sees them: scaled, encoded, on the device.

Everything that is learned from data before training (means, categories, the size of the targets) is learned from the
training part alone. The test part is kept apart and looked at once, at the end.

Three kinds of data come to the same ``Prepared``: data in memory, data that stream from disk, and the user's own loaders.

>>> prepared = prepare(load("digits"), spec, device=torch.device("cpu"))
>>> prepared.parts.train[0].shape, prepared.rows
(torch.Size([1079, 64]), 1079)
>>> len(prepared.batches(32, Ranks()))                                 # mini-batches in a pass
34
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.errors import InputError
from thalweg.experiments.spec import Spec
from thalweg.train import Batches, Repeated, pack
from thalweg.train.parallel import Ranks

if TYPE_CHECKING:
    from thalweg.data import Data, Preprocessor, Split, Stream

Pair = tuple[torch.Tensor, torch.Tensor]
SMALLEST_SAMPLE, LARGEST_SAMPLE = 256, 10_000


@dataclass(frozen=True)
class Parts:
    """Inputs ``(n, …)`` and targets ``(n,)`` or ``(n, k)`` of each part; ``test`` is None where the split has none."""

    train: Pair
    """Of data that stream, the sample."""
    dev: Pair
    test: Pair | None
    sample: Pair
    """Training examples, at most as many as matter, on which training metrics are measured after each pass."""


@dataclass(frozen=True)
class Prepared:
    """Data ready to be trained on."""

    parts: Parts
    task: str
    rows: int
    """Training rows, all of them."""
    batches: Callable[[int, Ranks], Batches]
    """The mini-batches of a size, for one process of some; a loader keeps its own size."""
    preprocessor: Preprocessor | None = None
    """None where the user's loaders bring finished tensors."""
    class_counts: tuple[int, ...] | None = None
    """Training rows of each class."""
    weighted: bool = False
    """Whether targets are packed with a weight for each row (``train.pack``)."""
    notes: tuple[str, ...] = ()
    """Sentences for the user on how the data were looked at."""

    def sizes(self) -> dict[str, int]:
        parts = self.parts
        return {
            "train": self.rows,
            "dev": len(parts.dev[1]),
            "test": 0 if parts.test is None else len(parts.test[1]),
        }


def prepare(data: Data | Stream, spec: Spec, *, device: torch.device, rows: Split | None = None) -> Prepared:
    """Splits (or takes the split ``rows``), fits the preprocessing on the training part, and moves all to the device.

    Of data that stream only the dev and test parts and a sample of the training part are held.
    """
    from thalweg.data import Preprocessor, Stream, TensorBatches, split

    if isinstance(data, Stream):
        return _prepare_stream(data, spec, device=device)
    fractions = None if spec.split is None else (spec.split[0], spec.split[1], spec.split[2])
    rows = split(data, seed=spec.seed, fractions=fractions) if rows is None else rows
    preprocessor = Preprocessor.fit(data, rows.train, scale=spec.scale, scale_target=spec.scale_target)
    scale = 1.0
    if data.weights is not None:
        scale = _mean_weight(data.weights[rows.train], "training")
        for name, part in (("dev", rows.dev), ("test", rows.test)):
            if len(part):
                _mean_weight(data.weights[part], name)
    parts: list[Pair | None] = []
    for part in (rows.train, rows.dev, rows.test):
        if len(part) == 0:
            parts.append(None)
            continue
        inputs = torch.from_numpy(preprocessor.inputs(data.inputs[part]))
        targets = torch.from_numpy(preprocessor.targets(data.targets[part]))
        if data.weights is not None:
            targets = pack(targets, torch.from_numpy(data.weights[part] / scale))
        parts.append((inputs.to(device), targets.to(device)))
    train, dev, test = parts
    if train is None or dev is None:
        raise InputError(f"{data.name} is too small: its training and dev parts need at least one row each")
    counts = None
    if data.classes is not None:
        counts = tuple(np.bincount(data.targets[rows.train], minlength=len(data.classes)).tolist())
    return Prepared(
        Parts(train, dev, test, _sample(train, len(dev[1]), spec.seed)),
        data.task,
        len(train[1]),
        lambda size, ranks: TensorBatches(*train, batch_size=size, seed=spec.seed, rank=ranks.rank, world=ranks.world),
        preprocessor=preprocessor,
        class_counts=counts,
        weighted=data.weights is not None,
        notes=_on_mismatch(data, rows, spec.seed),
    )


def _on_mismatch(data: Data, rows: Split, seed: int) -> tuple[str, ...]:
    """What a table's parts have against each other where they are no random division of one table (mission F2)."""
    if isinstance(data.inputs, np.ndarray) or (data.assigned is None and data.time is None):
        return ()
    from thalweg.data.profile import mismatch

    found = mismatch(data, rows, seed=seed)
    return (found.sentence, *(f"{column.text}." for column in found.columns[:3])) if found.differs else ()


def _mean_weight(weights: np.ndarray, part: str) -> float:
    """The mean weight of training rows becomes 1: the loss of weighted rows stays in the size of unweighted ones."""
    mean = float(weights.mean())
    if mean == 0:
        raise InputError(f"every row of the {part} part has weight 0, so nothing in it counts: give some of them more")
    return mean


def _sample(train: Pair, size: int, seed: int) -> Pair:
    size = min(len(train[1]), max(size, SMALLEST_SAMPLE), LARGEST_SAMPLE)
    if size == len(train[1]):
        return train
    rows = torch.randperm(len(train[1]), generator=torch.Generator().manual_seed(seed))[:size].to(train[1].device)
    return train[0][rows], train[1][rows]


def _prepare_stream(stream: Stream, spec: Spec, *, device: torch.device) -> Prepared:
    from thalweg.data import auto_batch_size

    fractions = None if spec.split is None else (spec.split[0], spec.split[1], spec.split[2])
    batch_size = spec.batch_size or auto_batch_size(len(stream))
    found = stream.prepare(
        seed=spec.seed, fractions=fractions, scale=spec.scale, scale_target=spec.scale_target, batch_size=batch_size
    )
    weighted = found.sample[1].ndim == 2

    def pair(arrays: tuple[np.ndarray, np.ndarray]) -> Pair:
        return torch.from_numpy(arrays[0]).to(device), torch.from_numpy(arrays[1]).to(device)

    def batches(size: int, ranks: Ranks) -> Batches:
        return replace(found.batches, batch_size=size, device=device, rank=ranks.rank, world=ranks.world)

    sample = pair(found.sample)
    counts = None
    if stream.classes is not None:
        labels = found.sample[1].reshape(len(found.sample[1]), -1)[:, 0].astype(np.int64)
        counts = tuple(np.bincount(labels, minlength=len(stream.classes)).tolist())
    return Prepared(
        Parts(sample, pair(found.dev), pair(found.test) if len(found.test[1]) else None, sample),
        stream.task,
        found.rows_train,
        batches,
        preprocessor=found.preprocessor,
        class_counts=counts,
        weighted=weighted,
        notes=found.notes,
    )


def prepare_loaders(train: Iterable, dev: Iterable | Pair, spec: Spec, *, device: torch.device) -> Prepared:
    """Where the user brings loaders: nothing is scaled or split, the batches are the loader's."""
    batches = Repeated(train, seed=spec.seed, device=device)
    sample = _gather(batches.epoch(0), LARGEST_SAMPLE)
    held_out = (
        (dev[0].to(device), dev[1].to(device))
        if isinstance(dev, tuple)
        else _gather(Repeated(dev, device=device).epoch(0))
    )
    rows = _rows_of(train, len(sample[1]))
    task = spec.task or ("regression" if held_out[1].is_floating_point() else "multiclass")
    return Prepared(Parts(sample, held_out, None, sample), task, rows, partial(_as_they_are, batches))


def _as_they_are(batches: Batches, batch_size: int, ranks: Ranks) -> Batches:
    if not ranks.alone:
        raise InputError("these data cannot be shared between processes: start one process, without torchrun")
    return batches


def _rows_of(loader: Any, gathered: int) -> int:
    """How many examples a loader has, where its data set knows; else those that were looked at."""
    sized = isinstance(loader, torch.utils.data.DataLoader) and isinstance(loader.dataset, Sized)
    return len(loader.dataset) if sized else gathered


def _gather(batches: Iterable[Pair], limit: int | None = None) -> Pair:
    inputs, targets, count = [], [], 0
    for x, y in batches:
        inputs.append(x)
        targets.append(y)
        count += len(y)
        if limit is not None and count >= limit:
            break
    if not inputs:
        raise InputError("a loader gave no batch at all: the data is empty")
    return torch.cat(inputs), torch.cat(targets)
