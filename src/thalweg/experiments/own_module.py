"""The user's own network: ``mymodel.py:build`` names a function (or a class) that makes a ``torch.nn.Module``.

It is called with those of these keywords that it declares: ``input_shape`` (a tuple, without the batch), ``n_inputs`` (their
product), ``n_outputs`` (classes; 1 for a binary task or a regression). Arguments of its own have a default, or are given as
``model_options``. A function without parameters is fine::

    def build(n_inputs, n_outputs):
        return nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, 64), nn.ReLU(), nn.Linear(64, n_outputs))
"""

from __future__ import annotations

import importlib.util
import inspect
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from thalweg.errors import InputError


def is_own(model: str) -> bool:
    """Whether a model setting names a file rather than a built-in model."""
    return ".py" in model or ":" in model


def build_own(
    model: str, *, input_shape: tuple[int, ...], n_outputs: int, given: Mapping[str, Any] | None = None
) -> torch.nn.Module:
    """Calls the user's function, with the arguments ``given`` besides. Raises ``InputError`` naming the file, the function and
    what is wrong.
    """
    file, _, function = model.partition(":")
    path = Path(file)
    if not function:
        raise InputError(f'model "{model}" names no function: write {file}:build')
    if not path.is_file():
        raise InputError(f"the model file {path} does not exist")
    return called(_load(path, function), f"{path}: {function}", input_shape, n_outputs, given or {})


def called(
    make: Callable[..., Any], where: str, input_shape: tuple[int, ...], n_outputs: int, given: Mapping[str, Any]
) -> torch.nn.Module:
    """The module that a function makes; ``where`` names the function. Raises ``InputError``."""
    offered = {"input_shape": input_shape, "n_inputs": math.prod(input_shape), "n_outputs": n_outputs}
    try:
        parameters = inspect.signature(make).parameters
    except (TypeError, ValueError):
        raise InputError(f"{where} cannot be called") from None
    own = [name for name in parameters if name not in offered]
    if strange := [name for name in given if name not in own]:
        takes = f"it takes {', '.join(own)}" if own else "it takes none of its own"
        raise InputError(f"{where} has no argument {strange[0]}: {takes}")
    unknown = [
        name
        for name, parameter in parameters.items()
        if name not in offered
        and name not in given
        and parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if unknown:
        raise InputError(
            f"{where} asks for {', '.join(unknown)}, but only input_shape, n_inputs and n_outputs are given: "
            f"give the others a default, or as --model-option {unknown[0]}=…"
        )
    arguments = {name: value for name, value in offered.items() if name in parameters} | dict(given)
    try:
        module = make(**arguments)
    except Exception as error:
        raise InputError(f"{where} failed: {type(error).__name__}: {' '.join(str(error).split())}") from error
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"{where} returned {type(module).__name__}, not a torch.nn.Module")
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise InputError(f"{where} gave a module that has no parameters to train")
    return module


def _load(path: Path, function: str) -> Any:
    """The named function of a Python file, imported with its own folder on the path, as Python runs a script."""
    name = f"thalweg_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(
            f"{path} cannot be imported: {type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    finally:
        sys.path.remove(folder)
    if function not in vars(module):
        raise InputError(f"{path} has no function {function}")
    return vars(module)[function]
