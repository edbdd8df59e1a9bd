"""Which values the hyperparameters may take together, as the user writes it.

>>> space = Space.parse({"lr": "1e-4..1:log", "beta1": "0.9..0.999:one-minus", "hidden": "[64, 128]", "layers": "1..4"})
>>> space["lr"].at(0.5), space["beta1"].at(0.5), space["layers"].at(0.5)
(0.01, 0.99, 3)

In TOML a list is a choice, a plain number is fixed, and a table says when a hyperparameter is there at all:

>>> space = Space.parse(tomllib.loads('''
... lr = "1e-4..1:log"
... epochs = 30
... optimizer = ["sgd", "adam"]
... momentum = { range = "0.5..0.99:one-minus", when = { optimizer = "sgd" } }
... '''))
>>> space.at({"lr": 0.5, "epochs": 0.0, "optimizer": 0.9, "momentum": 0.5})                 # Adam has no momentum
{'lr': 0.01, 'epochs': 30, 'optimizer': 'adam'}
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thalweg.errors import InputError
from thalweg.search.dimensions import Choices, Dimension, Fixed, Range, Value, parse_dimension

Point = dict[str, Value]
"""One value of each hyperparameter that is active."""
KINDS = ("range", "choices", "value")


@dataclass(frozen=True)
class Space:
    """Named dimensions, in order; ``when`` says with which values of others one is active (absent: always).

    Raises ``InputError`` for a condition on a dimension that is not there, on a value it never takes, or in a circle.
    """

    dimensions: Mapping[str, Dimension]
    when: Mapping[str, Mapping[str, tuple[Value, ...]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, conditions in self.when.items():
            if name not in self.dimensions:
                raise InputError(f"{name}: there is a condition, but no range: give one")
            for other, values in conditions.items():
                if other not in self.dimensions:
                    raise InputError(
                        f'{name}: it depends on "{other}", which the space lacks: it has {_names(self.dimensions)}'
                    )
                for value in values:
                    if not _takes(self.dimensions[other], value):
                        raise InputError(f"{name}: it depends on {other} = {value!r}, which {other} never is")
        self.order()

    @classmethod
    def parse(cls, entries: Mapping[str, Any]) -> Space:
        """From what the user writes, by hyperparameter: a text (``low..high``, ``low..high:log``, ``low..high:one-minus``,
        ``low..high:power2``, ``[a, b, c]``), a list (choices), a number or boolean (fixed), or a table with one of
        ``range``, ``choices``, ``value`` and, where it is not always active, ``when``.

        Raises ``InputError``, naming the key, for anything else.
        """
        dimensions, when = {}, {}
        for name, entry in entries.items():
            if isinstance(entry, Mapping):
                conditions = entry.get("when")
                if conditions is not None:
                    when[name] = _conditions(name, conditions)
                entry = _only(name, {key: value for key, value in entry.items() if key != "when"})
            dimensions[name] = entry if isinstance(entry, Range | Choices | Fixed) else _dimension(name, entry)
        return cls(dimensions, when)

    @classmethod
    def read(cls, path: Path) -> Space:
        """From a TOML file: its table ``[space]``, or all of it where there is none. Raises ``InputError``."""
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{path}: the space can't be read ({error.strerror})") from None
        except ValueError as error:
            raise InputError(f"{path}: this is no TOML ({error})") from None
        entries = table.get("space", table)
        if not isinstance(entries, dict) or not entries:
            raise InputError(f'{path}: the space is empty: give each hyperparameter a line, as in lr = "1e-4..1:log"')
        try:
            return cls.parse(entries)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """As TOML and JSON hold it: ``Space.parse(space.to_dict()) == space``, in the same order."""
        entries: dict[str, Any] = {}
        tables = False
        for name, dimension in self.dimensions.items():
            text = dimension.text
            # TOML writes plain keys before tables, so after the first table all are tables.
            tables |= name in self.when or (isinstance(dimension, Fixed) and isinstance(text, str))
            if not tables:
                entries[name] = text
                continue
            kind = {Range: "range", Choices: "choices"}.get(type(dimension), "value")
            entries[name] = {kind: text}
            if name in self.when:
                entries[name]["when"] = {other: list(values) for other, values in self.when[name].items()}
        return entries

    def at(self, places: Mapping[str, float]) -> Point:
        """The value of each active dimension from the places of all."""
        return self.active({name: dimension.at(places[name]) for name, dimension in self.dimensions.items()})

    def places(self, values: Mapping[str, Value]) -> dict[str, float]:
        """The places of a point; dimensions that it lacks have none."""
        return {name: dimension.place(values[name]) for name, dimension in self.dimensions.items() if name in values}

    def active(self, values: Point) -> Point:
        """The part of the values that belongs together: a dimension goes where a condition of its own is not met."""
        kept: Point = {}
        for name in self.order():
            if name in values and self.wants(name, kept):
                kept[name] = values[name]
        return {name: kept[name] for name in self.dimensions if name in kept}

    def wants(self, name: str, point: Mapping[str, Value]) -> bool:
        """Whether a dimension is active beside the values of those it depends on."""
        conditions = self.when.get(name, {})
        return all(other in point and point[other] in values for other, values in conditions.items())

    def order(self) -> list[str]:
        """The names, each after those it depends on. Raises ``InputError`` where they depend on each other in a circle."""
        order: dict[str, None] = {}

        def visit(name: str, above: tuple[str, ...]) -> None:
            if name in above:
                raise InputError(f"{name}: its condition depends on itself ({' → '.join((*above, name))})")
            for other in self.when.get(name, {}):
                visit(other, (*above, name))
            order[name] = None

        for name in self.dimensions:
            visit(name, ())
        return list(order)

    @property
    def searched(self) -> list[str]:
        """The names of what is not fixed."""
        return [name for name, dimension in self.dimensions.items() if not isinstance(dimension, Fixed)]

    def __getitem__(self, name: str) -> Dimension:
        return self.dimensions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.dimensions)

    def __len__(self) -> int:
        return len(self.dimensions)


def _dimension(name: str, entry: Any) -> Dimension:
    if isinstance(entry, str):
        return parse_dimension(name, entry)
    try:
        return Choices(tuple(entry)) if isinstance(entry, list | tuple) else Fixed(entry)
    except (InputError, TypeError) as error:
        raise InputError(f"{name}: {error}") from None


def _only(name: str, table: Mapping[str, Any]) -> Dimension:
    if len(table) != 1 or next(iter(table)) not in KINDS:
        raise InputError(
            f"{name}: a table holds one of {', '.join(KINDS)} and perhaps when, not {_names(table) or 'nothing'}"
        )
    (kind, entry), *_ = table.items()
    if kind == "value":
        try:
            return Fixed(entry)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
    wanted = str if kind == "range" else list | tuple
    if not isinstance(entry, wanted):
        raise InputError(f"{name}: {kind} is {'a text' if kind == 'range' else 'a list'}, not {entry!r}")
    return _dimension(name, entry)


def _conditions(name: str, conditions: Any) -> dict[str, tuple[Value, ...]]:
    if not isinstance(conditions, Mapping) or not conditions:
        raise InputError(f'{name}: when is a table of other hyperparameters, as in when = {{ optimizer = "sgd" }}')
    return {
        other: tuple(values) if isinstance(values, list | tuple) else (values,) for other, values in conditions.items()
    }


def _takes(dimension: Dimension, value: Value) -> bool:
    try:
        place = dimension.place(value)
    except (ValueError, TypeError, OverflowError):
        return False
    return -1e-9 <= place <= 1 + 1e-9 and dimension.at(min(max(place, 0.0), 1.0)) == value


def _names(names: Mapping[str, Any]) -> str:
    return ", ".join(names)
