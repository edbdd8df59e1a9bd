"""optax, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

Cases = dict[str, tuple[str, dict[str, Any], list[int]]]


@pytest.fixture(scope="session")
def optax_runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Cases], Any]:
    """``optax_runs(cases) → case, step → tensors``; skips where optax is missing."""
    if find_spec("optax") is None:
        pytest.skip("optax is not installed")

    def run(cases: Cases) -> Callable[[str, int], list[np.ndarray]]:
        folder = tmp_path_factory.mktemp("optax")
        (folder / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
        tests = Path(__file__).parents[1]
        env = os.environ | {"JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(tests)}
        command = [sys.executable, str(tests / "optim" / "optax_trials.py"), "cases.json", "found.npz"]
        subprocess.run(command, cwd=folder, check=True, env=env)
        with np.load(folder / "found.npz") as archive:
            found = dict(archive)

        def at(case: str, step: int) -> list[np.ndarray]:
            count = sum(name.startswith(f"{case}/{step}/") for name in found)
            assert count
            return [found[f"{case}/{step}/{index}"] for index in range(count)]

        return at

    return run


@pytest.fixture
def float64_counts() -> Iterator[None]:
    """Counts and a rule's own numbers in float64: they are held in torch's default type, as torch holds its own."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
