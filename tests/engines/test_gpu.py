"""The GPU engine against the living definition: on a GPU where there is one, else in Triton's interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import torch

from thalweg import optim, rules
from thalweg.engines import gpu
from thalweg.engines.segments import CHUNK
from thalweg.errors import InputError

pytest.importorskip("triton", reason="the GPU engine needs triton: pip install triton")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("neither a GPU nor Triton's interpreter (TRITON_INTERPRET=1)", allow_module_level=True)

SHAPES = [(7, 5), (5,), (3, 2, 4, 2), (300,), (CHUNK + 3,), (0, 3)]
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "clipped, shrunk and averaged": {"clip_norm": 0.1, "l1": 0.01, "ema": 0.9},
    "by tensor and unit": {"clip_tensor_norm": 0.05, "clip_adaptive": 0.01},
    "8 bits": {"state_dtype": "8bit"},
    "bfloat16": {"dtype": torch.bfloat16, "state_dtype": "bfloat16", "stochastic_rounding": True},
    "float64": {"dtype": torch.float64},
}
CLOSE = {torch.float32: 2e-6, torch.float64: 1e-12, torch.bfloat16: 1e-6}


def trained(engine: str, name: str, *, dtype: torch.dtype = torch.float32, **options: Any) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [shape for shape in SHAPES if name != "muon" or len(shape) > 1]
    weights = [torch.nn.Parameter(torch.randn(shape, generator=generator).to(DEVICE, dtype)) for shape in shapes]
    optimizer = optim.NAMED[name](weights, engine=engine, **options)
    for _ in range(3):
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=generator).to(DEVICE, dtype)
        optimizer.step()
    states = [
        v for state in optimizer.state.values() for k, v in state.items() if isinstance(v, torch.Tensor) and v.ndim
    ]
    return [tensor.detach().double() for tensor in (*weights, *states) if tensor.numel()]


FEW = ("adam", "lamb", "swats", "schedule_free_adamw")
ALL_WAYS = ("plain", "clipped, shrunk and averaged")


@pytest.mark.parametrize(
    ("name", "way"), [(name, way) for name in optim.NAMED for way in WAYS if way in ALL_WAYS or name in FEW]
)
def test_numbers_are_the_references(name: str, way: str) -> None:
    options = WAYS[way]
    tolerance = CLOSE[options.get("dtype", torch.float32)]
    for found, expected in zip(trained("gpu", name, **options), trained("reference", name, **options), strict=True):
        off = (found - expected).abs()
        size = float(expected.abs().max()) or 1.0
        if way in (
            "8 bits",
            "bfloat16",
        ):  # where rounding differs in the last bit of float32, the same dice may fall otherwise
            assert float((off > tolerance * size).double().mean()) < 2e-3
        else:
            assert float(off.max()) <= tolerance * size


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # the interpreter is NumPy, which warns
def test_what_is_not_finite_stays_in_its_element() -> None:
    weight = torch.nn.Parameter(torch.ones(50, device=DEVICE))
    weight.grad = torch.linspace(-1, 1, 50, device=DEVICE)
    weight.grad[17], weight.grad[33] = torch.nan, torch.inf
    optim.Adam([weight], engine="gpu").step()
    assert torch.nonzero(~weight.isfinite()).flatten().tolist() == [17, 33]


def test_a_number_that_changes_compiles_nothing() -> None:
    """Hyperparameters lie in memory; the text has none of them."""
    text = gpu.source(rules.adam.program())
    assert "0.9" not in text and "tl.load(scalars" in text
    weight = torch.nn.Parameter(torch.ones(9, device=DEVICE))
    optimizer = optim.SGD([weight], lr=1.0, engine="gpu")
    for rate in (1.0, 0.5, 0.25):
        optimizer.param_groups[0]["lr"] = rate
        weight.grad = torch.ones(9, device=DEVICE)
        optimizer.step()
    assert weight.tolist() == [1 - 1.75] * 9


def test_memory_of_this_machine_is_not_the_gpus() -> None:
    """Without the interpreter the engine refuses tensors that no GPU can reach, instead of reading where it must not."""
    code = (
        "import torch; from thalweg import optim\n"
        "w = torch.nn.Parameter(torch.ones(3)); w.grad = torch.ones(3)\n"
        "optim.Adam([w], engine='gpu').step()\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert run.returncode == 1 and "on cpu, so the gpu engine cannot run it; choose engine='auto'" in run.stderr


def test_a_missing_triton_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(InputError, match="the gpu engine needs the package triton"):
        gpu.Gpu().compile(rules.sgd.program(), gpu.Storage("float32", ()))
