"""One training step of a small net, forward and back, as one compiled function.

A net of a hundred units a layer spends as long between PyTorch's operations as in them. Here the whole chain rule is one call:
matrix products by the BLAS that PyTorch itself uses, with as many threads, and everything between them (bias and activation;
softmax, loss and its gradient; derivative and bias gradient) in one pass each. Numba compiles it once and keeps the machine
code on disk; there is no source for each net, the layers are rows of a table of addresses.

>>> step(blas(), layers, factors, rows, x.data_ptr(), y.data_ptr(), loss.data_ptr(), CROSS_ENTROPY, wanted, work)
-1                                                  # or the row whose class does not exist
"""

from __future__ import annotations

import ctypes
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

CROSS_ENTROPY, BINARY, SQUARES = range(3)
N_IN, N_OUT, WEIGHT, BIAS, WEIGHT_GRAD, BIAS_GRAD, OUTPUT, GRADIENT, MASK, TRAINED = range(10)
"""Columns of ``layers``, int64: sizes; addresses of W (out, in), b, their gradients (0: not wanted, W alone), z (B, out), ∂L/∂z
(B, out), dropout mask (B, out; 0: none); whether anything at this layer or below it is trained. The last layer's z and ∂L/∂z
lie transposed, (out, B): few classes make long rows of examples."""
SLOPE, SCALE = range(2)
"""Columns of ``factors``, float32: the activation's slope below 0 (0 ReLU, 1 none); 1/keep of its dropout."""
F32 = np.float32
PLAIN, TRANSPOSED = ord("N"), ord("T")


@cache
def blas() -> int:
    """The address of the Fortran ``sgemm`` that PyTorch links; 0 where its library does not show it."""
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        path = Path(torch.__file__).parent / "lib" / name
        if path.exists():
            try:
                return ctypes.cast(ctypes.CDLL(str(path)).sgemm_, ctypes.c_void_p).value or 0
            except (OSError, AttributeError):
                return 0
    return 0


def _pointer(typing_context: Any, address: Any) -> Any:
    """An int64 address as ``void *``, for ``carray``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


pointer: Any = intrinsic(_pointer)


def _sgemm(
    typing_context: Any, at: Any, transa: Any, transb: Any, m: Any, n: Any, k: Any, a: Any, lda: Any, b: Any, ldb: Any,
    c: Any, ldc: Any,
) -> Any:  # fmt: skip
    """Fortran's ``C ← op(A) op(B)``, columns first, at the address ``at``; all arguments int64.

    Sizes are handed over as 64-bit numbers: their lower halves are what a library with 32-bit sizes reads.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, single = ir.IntType(8), ir.FloatType()
        anything = byte.as_pointer()

        def kept(value: Any) -> Any:
            return builder.bitcast(cgutils.alloca_once_value(builder, value), anything)

        at, first, second, m, n, k, a, lda, b, ldb, c, ldc = arguments
        letters = [kept(builder.trunc(letter, byte)) for letter in (first, second)]
        m, n, k, lda, ldb, ldc = (kept(size) for size in (m, n, k, lda, ldb, ldc))
        a, b, c = (builder.inttoptr(address, anything) for address in (a, b, c))
        one, zero = kept(ir.Constant(single, 1.0)), kept(ir.Constant(single, 0.0))
        kind = ir.FunctionType(ir.VoidType(), [anything] * 13)
        function = builder.inttoptr(at, kind.as_pointer())
        builder.call(function, [*letters, m, n, k, one, a, lda, b, ldb, zero, c, ldc])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 12), generate


sgemm: Any = intrinsic(_sgemm)


@njit(cache=True, nogil=True)
def multiply(gemm, a, turn_a, width_a, b, turn_b, width_b, c, rows, inner, columns):
    """``C ← op(A) op(B)``, rows first: C (rows, columns); ``width`` is the row length as it lies in memory."""
    sgemm(gemm, turn_b, turn_a, columns, rows, inner, b, width_b, a, width_a, c, columns)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def step(gemm, layers, factors, rows, x_at, y_at, loss_at, kind, wanted, work):
    """Writes the mean loss and all gradients. Returns -1, or the first row whose target is no class.

    ``x`` float32 (rows, n_in); ``y`` int64 (rows) for ``CROSS_ENTROPY``, else float32 (rows, n_out); ``wanted`` float32
    (C, C + 1): for each class its wanted distribution over the C classes, and its weight in the mean; ``work`` float32
    (3, rows).
    """
    last = len(layers) - 1
    h_at = x_at
    for l in range(last):
        n_in, n_out, z_at = layers[l, N_IN], layers[l, N_OUT], layers[l, OUTPUT]
        multiply(gemm, h_at, PLAIN, n_in, layers[l, WEIGHT], TRANSPOSED, n_in, z_at, rows, n_in, n_out)
        z = carray(pointer(z_at), (rows, n_out), F32)
        b = carray(pointer(layers[l, BIAS]), n_out, F32)
        slope, scale = factors[l, SLOPE], factors[l, SCALE]
        for i in range(rows):
            for j in range(n_out):
                v = z[i, j] + b[j]
                z[i, j] = v if v > 0 else slope * v
        if layers[l, MASK]:
            mask = carray(pointer(layers[l, MASK]), (rows, n_out), F32)
            for i in range(rows):
                for j in range(n_out):
                    z[i, j] *= mask[i, j] * scale
        h_at = z_at

    n_in, C = layers[last, N_IN], layers[last, N_OUT]
    z_at, g_at = layers[last, OUTPUT], layers[last, GRADIENT]
    multiply(gemm, layers[last, WEIGHT], PLAIN, n_in, h_at, TRANSPOSED, n_in, z_at, C, n_in, rows)
    z = carray(pointer(z_at), (C, rows), F32)
    g = carray(pointer(g_at), (C, rows), F32)
    b = carray(pointer(layers[last, BIAS]), C, F32)
    for c in range(C):
        for i in range(rows):
            z[c, i] += b[c]
    loss = carray(pointer(loss_at), 1, F32)
    if kind == CROSS_ENTROPY:
        classes = carray(pointer(y_at), rows, np.int64)
        for i in range(rows):
            if classes[i] < 0 or classes[i] >= C:
                return i
        loss[0] = _cross_entropy(z, classes, wanted, work, g)
    elif kind == BINARY:
        loss[0] = _binary(z, carray(pointer(y_at), (rows, C), F32), g)
    else:
        loss[0] = _squares(z, carray(pointer(y_at), (rows, C), F32), g)
    b_grad = carray(pointer(layers[last, BIAS_GRAD]), C, F32)
    for c in range(C):
        b_grad[c] = g[c].sum()

    turned = PLAIN  # the last layer's ∂L/∂z is transposed already
    for l in range(last, -1, -1):
        if not layers[l, TRAINED]:
            break
        n_in, n_out, g_at = layers[l, N_IN], layers[l, N_OUT], layers[l, GRADIENT]
        width = rows if turned == PLAIN else n_out
        h_at = layers[l - 1, OUTPUT] if l > 0 else x_at
        if layers[l, WEIGHT_GRAD]:
            multiply(gemm, g_at, turned, width, h_at, PLAIN, n_in, layers[l, WEIGHT_GRAD], n_out, rows, n_in)
        if l == 0 or not layers[l - 1, TRAINED]:
            break
        below_at = layers[l - 1, GRADIENT]
        back = TRANSPOSED if turned == PLAIN else PLAIN
        multiply(gemm, g_at, back, width, layers[l, WEIGHT], PLAIN, n_in, below_at, rows, n_out, n_in)
        turned = TRANSPOSED
        below = carray(pointer(below_at), (rows, n_in), F32)
        h = carray(pointer(h_at), (rows, n_in), F32)
        b_grad = carray(pointer(layers[l - 1, BIAS_GRAD]), n_in, F32)
        b_grad[:] = 0
        slope, scale = factors[l - 1, SLOPE], factors[l - 1, SCALE]
        if layers[l - 1, MASK]:
            mask = carray(pointer(layers[l - 1, MASK]), (rows, n_in), F32)
            for i in range(rows):
                for j in range(n_in):
                    below[i, j] *= mask[i, j] * scale
        for i in range(rows):
            for j in range(n_in):
                v = below[i, j] if h[i, j] > 0 else slope * below[i, j]
                below[i, j] = v
                b_grad[j] += v
    return -1


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _cross_entropy(z, classes, wanted, work, g):
    """``−Σ q log softmax(z)`` and ``(softmax(z) Σq − q)/Σw``; q and w are the rows of ``wanted``. ``z`` is overwritten."""
    C, rows = z.shape
    largest, sum_exp, sum_q = work[0], work[1], work[2]
    total = 0.0
    for i in range(rows):
        largest[i], sum_exp[i], sum_q[i] = z[0, i], 0, 0
        total += wanted[classes[i], C]
    for c in range(1, C):
        for i in range(rows):
            largest[i] = max(largest[i], z[c, i])
    for c in range(C):
        for i in range(rows):
            z[c, i] -= largest[i]
            g[c, i] = math.exp(z[c, i])
            sum_exp[i] += g[c, i]
            sum_q[i] += wanted[classes[i], c]
    share = F32(1.0 / total)
    loss = 0.0
    for i in range(rows):
        loss += sum_q[i] * math.log(sum_exp[i])
        sum_q[i] /= sum_exp[i]
    for c in range(C):
        for i in range(rows):
            q = wanted[classes[i], c]
            if q != 0:
                loss -= q * z[c, i]
            g[c, i] = (g[c, i] * sum_q[i] - q) * share
    return loss / total


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _binary(z, y, g):
    """``max(z, 0) − z y + log(1 + e^−|z|)`` and ``(σ(z) − y)/n``."""
    n = z.size
    loss = 0.0
    for c in range(z.shape[0]):
        for i in range(z.shape[1]):
            small = math.exp(-abs(z[c, i]))
            loss += max(z[c, i], F32(0)) - z[c, i] * y[i, c] + math.log1p(small)
            sigmoid = (F32(1) if z[c, i] >= 0 else small) / (F32(1) + small)
            g[c, i] = (sigmoid - y[i, c]) / F32(n)
    return loss / n


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _squares(z, y, g):
    """``(z − y)²`` and ``2 (z − y)/n``."""
    n = z.size
    loss = 0.0
    for c in range(z.shape[0]):
        for i in range(z.shape[1]):
            off = z[c, i] - y[i, c]
            loss += np.float64(off) * off
            g[c, i] = off * F32(2.0 / n)
    return loss / n
