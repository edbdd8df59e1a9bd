"""The user's own network: ``mymodel.py:build`` names a function (or a class) that makes a ``torch.nn.Module``.

It is called with those of these keywords that it declares: ``input_shape`` (a tuple, without the batch), ``n_inputs`` (their
product), ``n_outputs`` (classes; 1 for a binary task or a regression). A function without parameters is fine::

    def build(n_inputs, n_outputs):
        return nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, 64), nn.ReLU(), nn.Linear(64, n_outputs))
"""

from __future__ import annotations

import importlib.util
import inspect
import math
import sys
from pathlib import Path
from typing import Any

import torch

from thalweg.errors import InputError


def is_own(model: str) -> bool:
    """Whether a model setting names a file rather than a built-in model."""
    return ".py" in model or ":" in model


def build_own(model: str, *, input_shape: tuple[int, ...], n_outputs: int) -> torch.nn.Module:
    """Calls the user's function. Raises ``InputError`` naming the file, the function and what is wrong."""
    file, _, function = model.partition(":")
    path = Path(file)
    if not function:
        raise InputError(f'model "{model}" names no function: write {file}:build')
    if not path.is_file():
        raise InputError(f"the model file {path} does not exist")
    make = _load(path, function)
    offered = {"input_shape": input_shape, "n_inputs": math.prod(input_shape), "n_outputs": n_outputs}
    try:
        parameters = inspect.signature(make).parameters
    except (TypeError, ValueError):
        raise InputError(f"{path}: {function} cannot be called") from None
    unknown = [
        name
        for name, parameter in parameters.items()
        if name not in offered
        and parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if unknown:
        raise InputError(
            f"{path}: {function} asks for {', '.join(unknown)}, but only input_shape, n_inputs and n_outputs are given: "
            f"give the others a default"
        )
    arguments = {name: value for name, value in offered.items() if name in parameters}
    try:
        module = make(**arguments)
    except Exception as error:
        raise InputError(
            f"{path}: {function} failed: {type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"{path}: {function} returned {type(module).__name__}, not a torch.nn.Module")
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise InputError(f"{path}: the module from {function} has no parameters to train")
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
