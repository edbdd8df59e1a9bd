"""Every setting of a ``Spec`` as an option of the command line: made from the spec's own fields, written down nowhere else.

``hidden: list[int]`` becomes ``--hidden 256,128``; ``options: dict`` becomes ``--option momentum=0.9``, as often as wanted.
An option that is not given is ``None`` here and leaves the setting alone.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import typer
from pydantic_core import PydanticUndefined

from thalweg.errors import InputError
from thalweg.experiments.spec import Spec


def with_settings(command: Callable[..., None], *, only: Sequence[str] = ()) -> Callable[..., None]:
    """Gives a command the settings of ``Spec`` (or ``only`` some) as options; it receives those given as ``settings``."""
    names = only or tuple(Spec.model_fields)
    own = [
        parameter
        for name, parameter in inspect.signature(command, eval_str=True).parameters.items()
        if name != "settings"
    ]
    options = [_option(name) for name in names]

    @functools.wraps(command)
    def wrapped(**arguments: Any) -> None:
        given = {name: _value(name, arguments.pop(name)) for name in names if arguments[name] not in (None, [])}
        for name in names:
            arguments.pop(name, None)
        command(**arguments, settings=given)

    wrapped.__signature__ = inspect.Signature(own + options)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in own + options}
    return wrapped


def _option(name: str) -> inspect.Parameter:
    field = Spec.model_fields[name]
    kind, flag = _kind(name), _flag(name)
    if kind is bool:
        flag = f"{flag}/--no-{name.replace('_', '-')}"
    shown = "" if field.is_required() or field.default in (None, PydanticUndefined) else str(field.default)
    plain: Any = list[str] if kind is dict else (kind if kind in (int, float, bool) else str) | None
    annotation = Annotated[
        plain,
        typer.Option(
            flag,
            help=field.description,
            show_default=shown or False,
            metavar=None if kind is bool else _metavar(name, kind),
        ),
    ]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _flag(name: str) -> str:
    flag = f"--{name.replace('_', '-')}"
    return flag.removesuffix("s") if _kind(name) is dict else flag


def _kind(name: str) -> type:
    """The plain type behind a field's annotation: int, float, str, list or dict."""
    if name == "clip_norm":  # a number, or the word none
        return str
    arms = _arms(name)
    origins = [typing.get_origin(arm) for arm in arms]
    if list in origins or dict in origins:
        return list if list in origins else dict
    return arms[0] if arms[0] in (int, float, str, bool) else str


def _arms(name: str) -> list[Any]:
    """The alternatives of a field's annotation, None apart."""
    annotation: Any = Spec.model_fields[name].annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [arm for arm in typing.get_args(annotation) if arm is not types.NoneType]
    return [annotation]


def _metavar(name: str, kind: type) -> str:
    if name == "clip_norm":
        return "NUMBER"
    return {int: "INTEGER", float: "NUMBER", list: "A,B,…", dict: "NAME=VALUE", str: "TEXT"}[kind]


def _value(name: str, text: Any) -> Any:
    kind = _kind(name)
    if kind is list:
        if any(typing.get_origin(arm) is Literal and text in typing.get_args(arm) for arm in _arms(name)):
            return text
        if list[str] in _arms(name):
            return [word.strip() for word in text.split(",") if word.strip()]
        return [number_of(word, name) for word in text.replace(" ", ",").split(",") if word]
    if kind is dict:
        return dict(_pair(item, _flag(name)) for item in text)
    if name == "clip_norm" and text.lower() != "none":
        return number_of(text, name)
    return text


def number_of(word: str, name: str) -> int | float:
    try:
        return int(word)
    except ValueError:
        try:
            return float(word)
        except ValueError:
            raise InputError(f'--{name.replace("_", "-")}: "{word}" is not a number') from None


def _pair(item: str, flag: str) -> tuple[str, Any]:
    name, equals, value = item.partition("=")
    if not equals:
        raise InputError(f"{flag} {item}: write it as NAME=VALUE, as in momentum=0.9")
    return name, value_of(value)


def value_of(text: str) -> Any:
    """True or false, a number, numbers with commas between, or else the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        numbers = [int(word) if word.strip().isdecimal() else float(word) for word in text.split(",")]
    except ValueError:
        return text
    return numbers if "," in text else numbers[0]
