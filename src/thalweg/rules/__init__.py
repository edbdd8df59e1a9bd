"""WHAT an update is: equations in SymPy, and nothing about how they are run.

>>> print(thalweg.rules.adam)                                    # a named rule, with its formula
>>> thalweg.rules.variant("adam", amsgrad=True)                  # one of its forms
>>> thalweg.rules.compose(first=thalweg.rules.average(beta), second=thalweg.rules.sum_square())

``lowered`` gives the ``Program`` of a named rule, ``equations`` its text, without importing SymPy where they have been made
before: they are kept in the cache folder, under a digest of this room's own source.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.cache import folder, write
from thalweg.rules.program import Program

if TYPE_CHECKING:
    from thalweg.rules.moments import average, average_square, compose, heavy_ball, plain, sum_square
    from thalweg.rules.rule import Rule

_FROM = (
    {"Rule": "rule", "modified": "modifiers", "TABLE": "named", "Stability": "stability"}
    | dict.fromkeys(
        (
            "average",
            "average_square",
            "compose",
            "heavy_ball",
            "plain",
            "running_max",
            "sign",
            "single_max",
            "sum_square",
        ),
        "moments",
    )
    | dict.fromkeys(("norm", "orthogonal", "sum_all", "sum_group", "sum_tensor", "sum_unit"), "symbols")
)
_FILES = {path.stem for path in Path(__file__).parent.glob("*.py")}
_ALIASES = {"adamw": ("adam", {}, ("decoupled_decay",)), "amsgrad": ("adam", {"amsgrad": True}, ())}

__all__ = [
    "Program",
    "Rule",
    "average",
    "average_square",
    "compose",
    "equations",
    "heavy_ball",
    "lowered",
    "plain",
    "sum_square",
]


def __getattr__(name: str) -> Any:
    if name in _FROM:
        return getattr(import_module(f"thalweg.rules.{_FROM[name]}"), name)
    if name.startswith("_") or name in _FILES:  # Python asks for a submodule as an attribute before it imports it
        raise AttributeError(name)
    try:
        return variant(name)
    except KeyError:
        raise AttributeError(f"module 'thalweg.rules' has no rule {name!r}") from None


def variant(name: str, *, modifiers: tuple[str, ...] = (), **options: bool | str) -> Rule:
    """A named rule in the form that the options choose, with modifiers. Raises ``KeyError`` for an unknown name."""
    from thalweg.rules.modifiers import modified
    from thalweg.rules.named import TABLE

    base, chosen, more = _ALIASES.get(name, (name, {}, ()))
    rule = modified(TABLE[base](**{**chosen, **options}), (*more, *modifiers))
    return rule if base == name else rule.replacing(name=name)


def names() -> tuple[str, ...]:
    """The names of all rules."""
    from thalweg.rules.named import TABLE

    return (*TABLE, *_ALIASES)


@cache
def lowered(name: str, options: tuple[tuple[str, bool | str], ...] = (), modifiers: tuple[str, ...] = ()) -> Program:
    """The program of a named rule's form; from the cache folder where it is there."""
    path = _kept(name, options, modifiers, "json")
    try:
        return Program.from_json(path.read_text(encoding="utf-8"))
    except (OSError, LookupError, ValueError, TypeError, AttributeError):
        program = variant(name, modifiers=modifiers, **dict(options)).program()
        write(path, program.to_json())
        return program


@cache
def equations(name: str, options: tuple[tuple[str, bool | str], ...] = (), modifiers: tuple[str, ...] = ()) -> str:
    """The equations of a named rule's form as ``str`` of it; from the cache folder where they are there."""
    path = _kept(name, options, modifiers, "txt")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        text = str(variant(name, modifiers=modifiers, **dict(options)))
        write(path, text)
        return text


def _kept(name: str, options: tuple[tuple[str, bool | str], ...], modifiers: tuple[str, ...], ending: str) -> Path:
    digest = sha256(repr((options, modifiers, _own_source())).encode()).hexdigest()[:16]
    return folder() / f"{name}-{digest}.{ending}"


@cache
def _own_source() -> str:
    digest = sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
