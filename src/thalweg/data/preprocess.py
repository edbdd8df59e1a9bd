"""From raw inputs to what a network takes, learned from the training rows alone and reused for every later row.

>>> parts = split(data, seed=0)
>>> preprocessor = Preprocessor.fit(data, parts.train)
>>> x = preprocessor.inputs(data.inputs[parts.train])            # float32 (n, features) or (n, C, H, W)
>>> y = preprocessor.targets(data.targets[parts.train])          # int64 class numbers, or float32 with mean 0 and sd 1
>>> json.dump(preprocessor.to_dict(), file)                      # and Preprocessor.from_dict brings the same back

Tables are encoded column by column (``columns``); arrays are standardised: each feature of ``(n, features)`` and
``(n, T, features)``, each channel of images ``(n, C, …)``. What is left out or odd is said in ``notes``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.data.columns import mean_and_sd, standardised
from thalweg.data.dataset import Data
from thalweg.data.scaling import ArrayEncoder
from thalweg.data.tabular import TableEncoder
from thalweg.errors import InputError

_KINDS: dict[str, type[TableEncoder] | type[ArrayEncoder]] = {"table": TableEncoder, "array": ArrayEncoder}


@dataclass(frozen=True)
class Preprocessor:
    """All that was learned about inputs and targets from training rows. Made by ``fit`` or ``from_dict``."""

    task: str
    classes: tuple[str, ...] | None
    target_name: str
    encoder: TableEncoder | ArrayEncoder
    target_mean: float = 0.0
    target_scale: float = 1.0
    """The standard deviation of a regression's training targets, in the user's units; 1 for classes."""
    notes: tuple[str, ...] = ()
    """Sentences for the user: columns left out and why."""

    @classmethod
    def fit(cls, data: Data, rows: np.ndarray) -> Preprocessor:
        """Learns from ``rows`` of ``data``. Raises ``InputError`` where no column is left to learn from."""
        encoder: TableEncoder | ArrayEncoder
        if isinstance(data.inputs, np.ndarray):
            encoder, notes = ArrayEncoder.fit(data.inputs, rows)
        else:
            encoder, notes = TableEncoder.fit(data.inputs, rows)
        mean, scale = 0.0, 1.0
        if data.task == "regression":
            mean, scale = mean_and_sd(data.targets[rows])
        return cls(data.task, data.classes, data.target_name, encoder, mean, scale or 1.0, tuple(notes))

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
        """Outputs a network needs: one for a binary task or a regression, else one for each class."""
        return len(self.classes or ()) if self.task == "multiclass" else 1

    def inputs(self, source: Any) -> np.ndarray:
        """float32 ``(n, *input_shape)`` from a frame (columns in any order, others ignored) or an array.

        Raises ``InputError`` naming a column that is missing, or a column, row and value that cannot be read.
        """
        return self.encoder.encode(source)

    def targets(self, values: np.ndarray) -> np.ndarray:
        """``Data.targets`` as a loss takes them: int64 class numbers, or float32 standardised amounts; ``(n,)``."""
        values = np.asarray(values)
        if self.task == "regression":
            return standardised(values.astype(np.float64), self.target_mean, self.target_scale)
        classes = len(self.classes or ())
        if values.dtype.kind not in "iu" or (len(values) and (values.min() < 0 or values.max() >= classes)):
            raise InputError(f'the targets "{self.target_name}" are no class numbers from 0 to {classes - 1}')
        return values.astype(np.int64)

    def restore_targets(self, values: np.ndarray) -> np.ndarray:
        """The way back: amounts in the user's units (float64), or the names of class numbers."""
        if self.classes is not None:
            return np.asarray(self.classes)[np.asarray(values)]
        return np.asarray(values, np.float64) * self.target_scale + self.target_mean

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; floats keep all their digits."""
        return {
            "task": self.task,
            "classes": None if self.classes is None else list(self.classes),
            "target": {"name": self.target_name, "mean": self.target_mean, "scale": self.target_scale},
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
                _KINDS[inputs.pop("kind")].from_dict(inputs),
                target["mean"],
                target["scale"],
                tuple(plain["notes"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"the preprocessing that was saved cannot be read ({error!r}): train again") from None
