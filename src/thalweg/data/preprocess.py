"""From raw inputs to what a network takes, learned from the training rows alone and reused for every later row.

>>> parts = split(data, seed=0)
>>> preprocessor = Preprocessor.fit(data, parts.train)
>>> x = preprocessor.inputs(data.inputs[parts.train])            # float32 (n, features) or (n, C, H, W)
>>> y = preprocessor.targets(data.targets[parts.train])          # int64 class numbers, or float32 with mean 0 and sd 1
>>> json.dump(preprocessor.to_dict(), file)                      # and Preprocessor.from_dict brings the same back

Tables are encoded column by column (``columns``); arrays are scaled: each feature of ``(n, features)`` and
``(n, T, features)``, each channel of images ``(n, C, …)``. What is left out or odd is said in ``notes``.

>>> preprocessor = Preprocessor.fit(data, parts.train, scale="robust", scale_target="quantile")
>>> preprocessor.embedded                                        # features that are codes of a category, to be looked up
(Embedded(name='town', feature=3, size=412),)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.data.dataset import Data
from thalweg.data.scales import SCALES, Scale
from thalweg.data.scaling import ArrayEncoder
from thalweg.data.tabular import Embedded, TableEncoder
from thalweg.errors import InputError

_KINDS: dict[str, type[TableEncoder] | type[ArrayEncoder]] = {"table": TableEncoder, "array": ArrayEncoder}


@dataclass(frozen=True)
class Preprocessor:
    """All that was learned about inputs and targets from training rows. Made by ``fit`` or ``from_dict``."""

    task: str
    classes: tuple[str, ...] | None
    target_name: str
    target_names: tuple[str, ...]
    """A name for each output of a regression; for one, and for classes, ``target_name`` alone."""
    encoder: TableEncoder | ArrayEncoder
    target_scales: tuple[Scale, ...] = ()
    """Of each output of a regression; none for classes."""
    notes: tuple[str, ...] = ()
    """Sentences for the user: columns left out and why."""

    @classmethod
    def fit(
        cls,
        data: Data,
        rows: np.ndarray,
        *,
        scale: str = "standard",
        scale_target: str = "standard",
        embed: bool = True,
    ) -> Preprocessor:
        """Learns from ``rows`` of ``data``. ``scale`` of the inputs and ``scale_target`` of the amounts to predict are each
        one of ``SCALES``; with ``embed`` categories of many values become codes, else the 50 most frequent features.

        Raises ``InputError`` where no column is left to learn from, or there is no such scale.
        """
        for chosen in (scale, scale_target):
            if chosen not in SCALES:
                raise InputError(f'there is no scale "{chosen}": choose among {", ".join(SCALES)}')
        encoder: TableEncoder | ArrayEncoder
        if isinstance(data.inputs, np.ndarray):
            encoder, notes = ArrayEncoder.fit(data.inputs, rows, scale=scale)
        else:
            encoder, notes = TableEncoder.fit(data.inputs, rows, scale=scale, embed=embed, time_name=data.time_name)
        scales: tuple[Scale, ...] = ()
        if data.task == "regression":
            outputs = data.targets[rows].reshape(len(rows), -1).T
            scales = tuple(Scale.fit(values, scale_target).for_targets() for values in outputs)
        return cls(data.task, data.classes, data.target_name, data.target_names, encoder, scales, tuple(notes))

    @property
    def target_mean(self) -> float | tuple[float, ...]:
        """The center of a regression's training targets, in the user's units; of each, where there are several outputs."""
        return _one_or_all([scale.center for scale in self.target_scales], 0.0)

    @property
    def target_scale(self) -> float | tuple[float, ...]:
        """The user's units of one unit of the scaled target, as ``target_mean``; 1 for classes.

        Of ``quantile`` scales it is the standard deviation, about the size of an error; ``restore_targets`` is exact.
        """
        return _one_or_all([scale.spread for scale in self.target_scales], 1.0)

    @property
    def embedded(self) -> tuple[Embedded, ...]:
        """The features of a flat input that are codes of a category: whole numbers, never scaled, to be embedded."""
        return self.encoder.embedded if isinstance(self.encoder, TableEncoder) else ()

    @property
    def feature_names(self) -> tuple[str, ...]:
        """A name for each of the ``input_shape`` numbers of a flat input; empty for images and sequences."""
        return self.encoder.feature_names

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example, without the batch."""
        return self.encoder.input_shape

    @property
    def n_outputs(self) -> int:
        """Outputs a network needs: one for a binary task, one for each amount, else one for each class."""
        return len(self.classes or ()) if self.task == "multiclass" else max(len(self.target_scales), 1)

    def inputs(self, source: Any) -> np.ndarray:
        """float32 ``(n, *input_shape)`` from a frame (columns in any order, others ignored) or an array.

        Raises ``InputError`` naming a column that is missing, or a column, row and value that cannot be read.
        """
        return self.encoder.encode(source)

    def targets(self, values: np.ndarray) -> np.ndarray:
        """``Data.targets`` as a loss takes them: int64 class numbers ``(n,)``, or float32 amounts ``(n,)`` or ``(n, k)``."""
        values = np.asarray(values)
        if self.task == "regression":
            return self._each_output(values, Scale.scaled)
        classes = len(self.classes or ())
        if values.dtype.kind not in "iu" or (len(values) and (values.min() < 0 or values.max() >= classes)):
            raise InputError(f'the targets "{self.target_name}" are no class numbers from 0 to {classes - 1}')
        return values.astype(np.int64)

    def restore_targets(self, values: np.ndarray) -> np.ndarray:
        """The way back, ``(n,)`` or ``(n, k)``: amounts in the user's units (float64), or the names of class numbers."""
        if self.classes is not None:
            return np.asarray(self.classes)[np.asarray(values)]
        return self._each_output(values, Scale.restored)

    def _each_output(self, values: np.ndarray, way: Callable[[Scale, np.ndarray], np.ndarray]) -> np.ndarray:
        values = np.asarray(values, np.float64)
        several = len(self.target_scales) > 1
        if several and (values.ndim != 2 or values.shape[1] != len(self.target_scales)):
            raise InputError(f"the targets have shape {values.shape}: give (n, {len(self.target_scales)})")
        columns = values.T if several else [values]
        scaled = [way(scale, column) for scale, column in zip(self.target_scales, columns, strict=True)]
        return np.stack(scaled, axis=1) if several else scaled[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; floats keep all their digits."""
        return {
            "task": self.task,
            "classes": None if self.classes is None else list(self.classes),
            "target": {
                "name": self.target_name,
                "names": list(self.target_names),
                "scales": [scale.to_dict() for scale in self.target_scales],
            },
            "notes": list(self.notes),
            "inputs": {"kind": self.encoder.kind, **self.encoder.to_dict()},
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Preprocessor:
        """What ``to_dict`` wrote down. Raises ``InputError`` where it was changed by something else."""
        try:
            inputs, target = dict(plain["inputs"]), plain["target"]
            return cls(
                plain["task"],
                None if plain["classes"] is None else tuple(plain["classes"]),
                target["name"],
                tuple(target["names"]),
                _KINDS[inputs.pop("kind")].from_dict(inputs),
                tuple(Scale.from_dict(scale) for scale in target["scales"]),
                tuple(plain["notes"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"the preprocessing that was saved cannot be read ({error!r}): train again") from None


def _one_or_all(values: Sequence[float], none: float) -> float | tuple[float, ...]:
    return tuple(values) if len(values) > 1 else values[0] if values else none
