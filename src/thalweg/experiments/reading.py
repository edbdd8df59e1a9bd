"""The data that a spec names, read as it says: in memory, or to stream from disk where they are large.

>>> read(Spec(data="digits"))
Data(name='digits', …)
>>> read(Spec(data="houses.csv", target="price", stream=True))
Stream(…)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.errors import InputError
from thalweg.experiments.own_module import is_own
from thalweg.experiments.spec import Spec

if TYPE_CHECKING:
    from thalweg.data import Data, Stream


def is_large(spec: Spec) -> bool:
    """Whether the data of a spec are streamed where it doesn't say."""
    from thalweg import data

    return spec.data not in data.BUNDLED and data.is_large(spec.data)


def read(spec: Spec) -> Data | Stream:
    """Opens the data. Raises ``InputError`` for what cannot be read, and for settings that data on disk do not know."""
    if spec.stream if spec.stream is not None else is_large(spec):
        return _streamed(spec)
    return read_whole(spec)


def read_whole(spec: Spec) -> Data:
    """Reads the data into memory."""
    return Beside(spec.dev, spec.test, spec.weights, spec.groups, spec.time, spec.split_column).read(spec.data, spec)


@dataclass(frozen=True)
class Beside:
    """What stands beside the data: parts of their own, and columns (by name or as arrays) that say more about each row.

    >>> Beside(groups=patients).read((X, y), spec)
    Data(…)
    """

    dev: Any = None
    test: Any = None
    weights: Any = None
    groups: Any = None
    time: Any = None
    split_column: Any = None

    def read(self, data: Any, spec: Spec) -> Data:
        """``data`` in any form that ``thalweg.data.load`` takes, as the spec says. Raises ``InputError`` as that does."""
        from thalweg.data import load

        return load(
            data,
            target=spec.target,
            task=spec.task,
            delimiter=spec.delimiter,
            drop=spec.drop or (),
            dev=self.dev,
            test=self.test,
            weights=self.weights,
            groups=self.groups,
            time=self.time,
            split_column=self.split_column,
        )


def _streamed(spec: Spec) -> Stream:
    from thalweg import data

    for name in ("groups", "time", "split_column", "dev", "test"):
        if getattr(spec, name) is not None:
            raise InputError(f"{name} is not known for data that stream from disk: load them whole with --no-stream")
    return data.open_stream(spec.data, target=spec.target, task=spec.task, weights=spec.weights, drop=spec.drop or ())


def anywhere(spec: Spec) -> Spec:
    """The spec with whole paths: a run is repeated, resumed and used to predict from any folder."""
    from thalweg.data import BUNDLED

    changes: dict[str, Any] = {}
    for name in ("data", "dev", "test", "interventions"):
        path = getattr(spec, name)
        if path is not None and path not in BUNDLED and Path(path).exists():
            changes[name] = str(Path(path).resolve())
    if is_own(spec.model):
        file, _, function = spec.model.partition(":")
        changes["model"] = f"{Path(file).resolve()}:{function}" if Path(file).is_file() else spec.model
    return spec.replace(**changes)
