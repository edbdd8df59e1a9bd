"""What a run is made from: data, a TOML file of settings, or a module of one's own with ``--data``.

>>> spec_of("digits", {"epochs": 3}).epochs
3
>>> spec_of("net.py:build", {"data": "digits"}).model
'net.py:build'
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from thalweg.errors import InputError
from thalweg.experiments.spec import Spec

Source = Annotated[
    str,
    typer.Argument(
        metavar="DATA|SPEC.toml|MODEL.py:FUNCTION", help="Data, a TOML file of settings, or your own module."
    ),
]


def spec_of(source: str, settings: dict[str, Any], verb: str) -> Spec:
    """The spec that the words of a command mean. Raises ``InputError`` where data are missing or given twice."""
    if source.endswith(".toml"):
        return Spec.read(source, **{"name": None} | settings)  # a run repeated gets a new name unless one is given
    if ".py" in source and (":" in source or source.endswith(".py")):
        if "data" not in settings:
            raise InputError(f"{source} is a model: say what to {verb} it on with --data, as in --data digits")
        return Spec(**{"model": source} | settings)
    if "data" in settings:
        raise InputError(f"the data are given twice, as {source} and as --data {settings['data']}: give them once")
    return Spec(data=source, **settings)
