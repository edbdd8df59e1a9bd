"""What is learned about inputs and targets before training, from the training rows alone, and used for ever after.

Numbers are standardised by the training mean and standard deviation; a missing one becomes the mean, with an indicator beside
it; words become one-hot vectors of the values seen, the rare ones together as ``other``; dates become numbers; images are
scaled by the mean and deviation of each channel; regression targets are standardised.

>>> preprocessor = Preprocessor.fit(data, rows.train)
>>> preprocessor.inputs(frame)                       # any frame with the same columns, in any order
>>> Preprocessor.from_dict(json.loads(json.dumps(preprocessor.to_dict())))     # the same numbers to the last bit
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.data.columns import Column, columns_from, learn_column
from thalweg.data.source import Data, Inputs
from thalweg.data.task import class_numbers
from thalweg.errors import InputError


@dataclass(frozen=True)
class Preprocessor:
    """``inputs`` and ``targets`` turn what was read into what a network sees; ``notes`` are sentences for the user."""

    task: str
    target_name: str
    classes: tuple[str, ...] | None
    columns: tuple[Column, ...] | None
    """For tables: how each column becomes features."""
    raw_shape: tuple[int, ...]
    mean: np.ndarray
    sd: np.ndarray
    """For arrays: what each feature (or channel) is shifted and divided by; a constant one is divided by 1."""
    target_mean: float = 0.0
    target_scale: float = 1.0
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(cls, data: Data, rows: np.ndarray) -> Preprocessor:
        """Learns from ``rows`` of the data and from no other."""
        mean = sd = np.zeros(0)
        columns: tuple[Column, ...] | None = None
        notes: list[str] = []
        if isinstance(data.inputs, np.ndarray):
            mean, sd = _moments(data.inputs[rows])
            raw_shape: tuple[int, ...] = data.inputs.shape[1:]
            still = int((sd == 0).sum())
            if still:
                notes.append(f"{still} of {sd.size} inputs are constant in the training part")
        else:
            learned = [learn_column(column) for column in data.inputs[rows].iter_columns()]
            notes += [note for _, note in learned if note]
            columns = tuple(column for column, _ in learned)
            raw_shape = (sum(column.width for column in columns),)
            if raw_shape == (0,):
                raise InputError(f"{data.name}: no column is left to learn from: {'; '.join(notes)}")
        target_mean, target_scale = 0.0, 1.0
        if data.classes is None:
            targets = data.targets[rows].astype(np.float64)
            target_mean, target_scale = float(targets.mean()), float(targets.std()) or 1.0
        return cls(
            data.task,
            data.target_name,
            data.classes,
            columns,
            tuple(raw_shape),
            mean,
            sd,
            target_mean,
            target_scale,
            tuple(notes),
        )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example as the network sees it: ``(features,)`` or ``(C, H, W)``."""
        return self.raw_shape

    @property
    def n_outputs(self) -> int:
        """Outputs a network needs: one for each of several classes, else one."""
        return len(self.classes) if self.classes is not None and len(self.classes) > 2 else 1

    @property
    def feature_names(self) -> tuple[str, ...]:
        """A name for each feature of a table; numbers for arrays."""
        if self.columns is None:
            return tuple(map(str, range(int(np.prod(self.raw_shape)))))
        return tuple(name for column in self.columns for name in column.features)

    def inputs(self, raw: Inputs) -> np.ndarray:
        """float32 ``(n, features)`` or ``(n, C, H, W)``. Raises ``InputError`` naming a column that is missing or of another kind."""
        if self.columns is not None:
            frame = columns_from(raw, self.columns)
            parts = [column.apply(frame[column.name]) for column in self.columns if column.width]
            return np.concatenate(parts, axis=1, dtype=np.float32)
        array = np.asarray(raw)
        if array.shape[1:] != self.raw_shape:
            raise InputError(
                f"inputs of shape (n, {', '.join(map(str, array.shape[1:]))}) do not fit: "
                f"this model was trained on (n, {', '.join(map(str, self.raw_shape))})"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise InputError(f"the inputs hold a value that is not finite, in row {row}: fill or drop it")
        scale = np.where(self.sd == 0, 1.0, self.sd)
        found = array.astype(np.float32)
        shape = (1, -1, *([1] * (array.ndim - 2)))
        found -= self.mean.reshape(shape).astype(np.float32)
        found /= scale.reshape(shape).astype(np.float32)
        return found

    def targets(self, raw: np.ndarray) -> np.ndarray:
        """int64 class numbers, float32 0 and 1 for a binary task, or standardised float32."""
        if self.classes is None:
            return ((raw.astype(np.float64) - self.target_mean) / self.target_scale).astype(np.float32)
        numbers = class_numbers(raw, self.classes)
        return numbers.astype(np.float32) if len(self.classes) == 2 else numbers

    def restore_targets(self, standardised: np.ndarray) -> np.ndarray:
        """Predictions back in the units of the user's target."""
        return np.asarray(standardised, dtype=np.float64) * self.target_scale + self.target_mean

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; ``from_dict`` gives the same preprocessor to the last bit."""
        return {
            "task": self.task,
            "target_name": self.target_name,
            "classes": None if self.classes is None else list(self.classes),
            "columns": None if self.columns is None else [column.to_dict() for column in self.columns],
            "raw_shape": list(self.raw_shape),
            "mean": self.mean.tolist(),
            "sd": self.sd.tolist(),
            "target_mean": self.target_mean,
            "target_scale": self.target_scale,
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Preprocessor:
        return cls(
            task=saved["task"],
            target_name=saved["target_name"],
            classes=None if saved["classes"] is None else tuple(saved["classes"]),
            columns=None if saved["columns"] is None else tuple(map(Column.from_dict, saved["columns"])),
            raw_shape=tuple(saved["raw_shape"]),
            mean=np.array(saved["mean"]),
            sd=np.array(saved["sd"]),
            target_mean=saved["target_mean"],
            target_scale=saved["target_scale"],
            notes=tuple(saved["notes"]),
        )


def _moments(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature of ``(n, features)``, of each channel of ``(n, C, …)``, in float64."""
    if inputs.ndim == 2:
        wide = inputs.astype(np.float64)
        return wide.mean(0), wide.std(0)
    axes = (0, *range(2, inputs.ndim))
    if inputs.dtype == np.uint8:  # exactly and without a copy in float64: through how often each value stands
        counts = [np.bincount(inputs[:, channel].ravel(), minlength=256) for channel in range(inputs.shape[1])]
        values = np.arange(256.0)
        means = np.array([np.average(values, weights=count) for count in counts])
        squares = [np.average((values - mean) ** 2, weights=count) for mean, count in zip(means, counts, strict=True)]
        return means, np.sqrt(squares)
    return inputs.mean(axes, dtype=np.float64), inputs.std(axes, dtype=np.float64)
