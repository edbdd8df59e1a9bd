"""Smooth activations in compiled kernels: value and derivative at once, in single precision and without a branch.

The C library's exponential takes one number at a time; these are polynomials that a compiler turns into vectors: ``exp`` after
Cephes (Moshier 1992), ``tanh`` and ``erf`` as quotients of polynomials (Eigen's), each within a few units in the last
place of 1. The derivative is stored as the value is made, so that the way back is a product.

>>> activate(TANH, F32(0), z, b, d)             # z ← tanh(z + b), d ← 1 − tanh²; z and d (units, rows), b (units)
>>> KINDS[nn.SiLU](nn.SiLU())
(3, 0.0)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from torch import nn

SLOPED, TANH, SIGMOID, SILU, GELU, GELU_BY_TANH, ELU = range(7)
F32, I32 = np.float32, np.int32
STRICT: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
"""Sums in the order written: what is lost in one place is added in another."""
KINDS: dict[type[nn.Module], Callable[[Any], tuple[int, float]]] = {
    nn.Tanh: lambda _: (TANH, 0.0),
    nn.Sigmoid: lambda _: (SIGMOID, 0.0),
    nn.SiLU: lambda _: (SILU, 0.0),
    nn.GELU: lambda module: (GELU_BY_TANH if module.approximate == "tanh" else GELU, 0.0),
    nn.ELU: lambda module: (ELU, float(module.alpha)),
}
"""The number of each activation in a kernel, and what it has to be told."""

NONE, HALF, ONE = F32(0), F32(0.5), F32(1)
LOWEST, HIGHEST = F32(-87.3), F32(88.3)
LOG2_E, LN2_HIGH, LN2_LOW = F32(1.44269504), F32(0.693359375), F32(-2.12194440e-4)
E5, E4, E3, E2, E1, E0 = map(
    F32, (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5)
)
TANH_ENDS = F32(7.90531110763549805)
T1, T3, T5, T7, T9, T11, T13 = map(F32, (
    4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05, 5.12229709037114e-08, -8.60467152213735e-11,
    2.00018790482477e-13, -2.76076847742355e-16,
))  # fmt: skip
U0, U2, U4, U6 = map(F32, (4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06))
ERF_ENDS = F32(4)
R1, R3, R5, R7, R9, R11, R13 = map(F32, (
    -1.60960333262415e-02, -2.95459980854025e-03, -7.34990630326855e-04, -5.69250639462346e-05, -2.10102402082508e-06,
    2.77068142495902e-08, -2.72614225801306e-10,
))  # fmt: skip
S0, S2, S4, S6, S8 = map(F32, (
    -1.42647390514189e-02, -7.37332916720468e-03, -1.68282697438203e-03, -2.13374055278905e-04, -1.45660718464996e-05,
))  # fmt: skip
ROOT_HALF, ROOT_TWO_PI, ROOT_TWO_BY_PI, CUBE = map(F32, (0.70710678, 0.39894228, 0.79788456, 0.044715))


def _number(typing_context: Any, pattern: Any) -> Any:
    """The float32 of 32 bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


number: Any = intrinsic(_number)


@njit(**STRICT)
def exponential(x):
    x = LOWEST if x < LOWEST else HIGHEST if x > HIGHEST else x
    n = I32(x * LOG2_E + (HALF if x >= NONE else -HALF))
    f = F32(n)
    r = (x - f * LN2_HIGH) - f * LN2_LOW
    p = ((((E5 * r + E4) * r + E3) * r + E2) * r + E1) * r + E0
    return (p * r * r + r + ONE) * number(I32((n + I32(127)) << I32(23)))


@njit(**STRICT)
def hyperbolic(x):
    x = -TANH_ENDS if x < -TANH_ENDS else TANH_ENDS if x > TANH_ENDS else x
    s = x * x
    p = ((((((T13 * s + T11) * s + T9) * s + T7) * s + T5) * s + T3) * s + T1) * x
    return p / (((U6 * s + U4) * s + U2) * s + U0)


@njit(**STRICT)
def error_function(x):
    x = -ERF_ENDS if x < -ERF_ENDS else ERF_ENDS if x > ERF_ENDS else x
    s = x * x
    p = ((((((R13 * s + R11) * s + R9) * s + R7) * s + R5) * s + R3) * s + R1) * x
    return p / ((((S8 * s + S6) * s + S4) * s + S2) * s + S0)


@njit(**STRICT)
def logistic(x):
    small = exponential(-abs(x))
    return (ONE if x >= NONE else small) / (ONE + small)


@njit(**STRICT)
def _tanh(z, b, d):
    units, rows = z.shape
    for j in range(units):
        for i in range(rows):
            y = hyperbolic(z[j, i] + b[j])
            z[j, i], d[j, i] = y, ONE - y * y


@njit(**STRICT)
def _sigmoid(z, b, d):
    units, rows = z.shape
    for j in range(units):
        for i in range(rows):
            y = logistic(z[j, i] + b[j])
            z[j, i], d[j, i] = y, y * (ONE - y)


@njit(**STRICT)
def _silu(z, b, d):
    units, rows = z.shape
    for j in range(units):
        for i in range(rows):
            x = z[j, i] + b[j]
            y = logistic(x)
            z[j, i], d[j, i] = x * y, y * (ONE + x * (ONE - y))


@njit(**STRICT)
def _gelu(z, b, d):
    units, rows = z.shape
    for j in range(units):
        for i in range(rows):
            x = z[j, i] + b[j]
            share = HALF + HALF * error_function(x * ROOT_HALF)
            z[j, i], d[j, i] = x * share, share + x * ROOT_TWO_PI * exponential(-HALF * x * x)


@njit(**STRICT)
def _gelu_by_tanh(z, b, d):
    units, rows = z.shape
    for j in range(units):
        for i in range(rows):
            x = z[j, i] + b[j]
            y = hyperbolic(ROOT_TWO_BY_PI * x * (ONE + CUBE * x * x))
            # Beyond 5 it is 1 but for rounding, which x and ``inner`` would make large.
            y = y if abs(x) < F32(5) else ONE if x > NONE else -ONE
            inner = ROOT_TWO_BY_PI * (ONE + F32(3) * CUBE * x * x)
            z[j, i], d[j, i] = HALF * x * (ONE + y), HALF * (ONE + y) + HALF * x * (ONE - y * y) * inner


@njit(**STRICT)
def _elu(alpha, z, b, d):
    units, rows = z.shape
    for j in range(units):
        for i in range(rows):
            x = z[j, i] + b[j]
            y = alpha * exponential(NONE if x > NONE else x)
            z[j, i], d[j, i] = (x if x > NONE else y - alpha), (ONE if x > NONE else y)


@njit(**STRICT)
def activate(kind, alpha, z, b, d):
    """``z ← f(z + b)`` and ``d ← f′(z + b)`` for z and d (units, rows), b (units)."""
    if kind == TANH:
        _tanh(z, b, d)
    elif kind == SIGMOID:
        _sigmoid(z, b, d)
    elif kind == SILU:
        _silu(z, b, d)
    elif kind == GELU:
        _gelu(z, b, d)
    elif kind == GELU_BY_TANH:
        _gelu_by_tanh(z, b, d)
    else:
        _elu(alpha, z, b, d)
