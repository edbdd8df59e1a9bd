"""Matrix products and transposes of the compiled way, against NumPy, with guard numbers around every result."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.models import tiles
from thalweg.models.tiles import multiply, transpose

GUARD = np.float32(-12345.0)
sizes = st.integers(1, 70)


def guarded(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    """A buffer full of guards, and the contiguous array in its middle."""
    count = int(np.prod(shape))
    buffer = np.full(count + 64, GUARD)
    return buffer, buffer[32 : 32 + count].reshape(shape)


def assert_guards_stand(buffer: np.ndarray, count: int) -> None:
    assert (buffer[:32] == GUARD).all() and (buffer[32 + count :] == GUARD).all(), "it wrote beyond the result"


@settings(max_examples=150, deadline=None)
@given(sizes, sizes, sizes, st.booleans(), st.integers(0, 2**32 - 1))
def test_products_are_those_of_numpy(rows: int, columns: int, inner: int, turned: bool, seed: int) -> None:
    draw = np.random.default_rng(seed)
    a = draw.standard_normal((inner, rows) if turned else (rows, inner)).astype(np.float32)
    b = draw.standard_normal((inner, columns)).astype(np.float32)
    buffer, c = guarded(rows, columns)
    a_row, a_step = (1, rows) if turned else (inner, 1)
    multiply(a.ctypes.data, a_row, a_step, b.ctypes.data, columns, c.ctypes.data, columns, rows, columns, inner)
    left = a.T if turned else a
    exact = left.astype(np.float64) @ b.astype(np.float64)
    bound = np.abs(left).astype(np.float64) @ np.abs(b).astype(np.float64) * (inner + 1) * np.finfo(np.float32).eps
    assert (np.abs(c - exact) <= bound).all()
    assert_guards_stand(buffer, c.size)


@settings(max_examples=80, deadline=None)
@given(sizes, sizes)
def test_transposes_are_those_of_numpy(rows: int, columns: int) -> None:
    a = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    buffer, c = guarded(columns, rows)
    transpose(a.ctypes.data, c.ctypes.data, rows, columns)
    assert np.array_equal(c, a.T)
    assert_guards_stand(buffer, c.size)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_goes_through(value: float) -> None:
    a, b = np.ones((9, 33), dtype=np.float32), np.ones((33, 40), dtype=np.float32)
    a[8, 5] = value
    c = np.empty((9, 40), dtype=np.float32)
    multiply(a.ctypes.data, 33, 1, b.ctypes.data, 40, c.ctypes.data, 40, 9, 40, 33)
    np.testing.assert_array_equal(c[8], np.float32(value))
    np.testing.assert_array_equal(c[:8], np.float32(33))


@pytest.mark.parametrize("features, shape", [({"avx2": True}, (6, 8)), ({}, (8, 4))], ids=["AVX2", "neither"])
def test_tiles_of_other_processors(
    features: dict[str, bool], shape: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their tiles run here too, only slower."""
    import numba
    from llvmlite import binding

    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: features)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    spec = importlib.util.spec_from_file_location(f"tiles_{shape[0]}_{shape[1]}", tiles.__file__)
    assert spec is not None and spec.loader is not None
    other = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(other)
    assert shape == (other.ROWS, other.LANES)
    draw = np.random.default_rng(0)
    for rows, columns, inner in ((1, 1, 1), (7, 9, 5), (13, 16, 3), (20, 33, 40)):
        a, b = (draw.integers(-4, 5, size).astype(np.float32) for size in ((rows, inner), (inner, columns)))
        buffer, c = guarded(rows, columns)
        other.multiply(a.ctypes.data, inner, 1, b.ctypes.data, columns, c.ctypes.data, columns, rows, columns, inner)
        assert np.array_equal(c, a @ b)
        assert_guards_stand(buffer, c.size)
        buffer, turned = guarded(inner, rows)
        other.transpose(a.ctypes.data, turned.ctypes.data, rows, inner)
        assert np.array_equal(turned, a.T)
        assert_guards_stand(buffer, turned.size)
