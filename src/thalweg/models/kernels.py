"""One training step of a small net, forward and back, as one compiled function.

A net of a hundred units a layer spends as long between PyTorch's operations as in them. Here the whole chain rule is one call:
the matrix products of ``tiles``, and everything between them (bias and activation; softmax, loss and its gradient; derivative
and bias gradient) in one pass each. Numba compiles it once and keeps the machine code on disk; there is no source for each
net, the layers are rows of a table of addresses.

>>> step(layers, factors, rows, x.data_ptr(), y.data_ptr(), loss.data_ptr(), CROSS_ENTROPY, wanted, work)
-1                                                  # or the row whose class does not exist

Hidden layers lie transposed, ``(units, rows)``: a product with W then runs along the rows of the batch, and so does everything
else. One transposed copy of each hidden layer serves the gradient of the weights above it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import carray, njit, types
from numba.extending import intrinsic

from thalweg.models.smooth import activate
from thalweg.models.tiles import multiply, transpose

CROSS_ENTROPY, BINARY, SQUARES = range(3)
N_IN, N_OUT, WEIGHT, BIAS, WEIGHT_GRAD, BIAS_GRAD, OUTPUT, GRADIENT, TURNED, MASK, TRAINED, KIND, DERIVATIVE = range(13)
"""Columns of ``layers``, int64: sizes; addresses of W (out, in), b, their gradients (0: not wanted, W alone), output and its
gradient (out, B), the input turned to the other order (the first layer's (in, B), others' (B, in)), dropout mask (B, out; 0:
none); whether anything at this layer or below it is trained; the kind of activation (see ``smooth``) and, where it is a smooth
one, the address of its derivative (out, B)."""
SLOPE, SCALE = range(2)
"""Columns of ``factors``, float32: the activation's slope below 0 (0 ReLU, 1 none; ELU: its α); 1/keep of its dropout."""
F32 = np.float32
OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc"}}
"""Sums may be taken in any order, which vectorises them; infinities and NaN keep their meaning."""


def _pointer(typing_context: Any, address: Any) -> Any:
    """An int64 address as ``void *``, for ``carray``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


pointer: Any = intrinsic(_pointer)


@njit(**OPTIONS)
def step(layers, factors, rows, x_at, y_at, loss_at, kind, wanted, work):
    """Writes the mean loss and all gradients. Returns -1, or the first row whose target is no class.

    ``x`` float32 (rows, n_in); ``y`` int64 (rows) for ``CROSS_ENTROPY``, else float32 (rows, n_out); ``wanted`` float32
    (C, C + 1): for each class its wanted distribution over the C classes, and its weight in the mean; ``work`` float32
    (3, rows).
    """
    last = len(layers) - 1
    h_at = layers[0, TURNED]
    transpose(x_at, h_at, rows, layers[0, N_IN])
    for l in range(len(layers)):
        n_in, n_out, z_at = layers[l, N_IN], layers[l, N_OUT], layers[l, OUTPUT]
        multiply(layers[l, WEIGHT], n_in, 1, h_at, rows, z_at, rows, n_out, rows, n_in)
        z = carray(pointer(z_at), (n_out, rows), F32)
        b = carray(pointer(layers[l, BIAS]), n_out, F32)
        slope = factors[l, SLOPE]
        if layers[l, KIND]:
            activate(layers[l, KIND], slope, z, b, carray(pointer(layers[l, DERIVATIVE]), (n_out, rows), F32))
        else:
            for j in range(n_out):
                for i in range(rows):
                    v = z[j, i] + b[j]
                    z[j, i] = v if v > 0 else slope * v
        if layers[l, MASK]:
            _drop(z, layers[l, MASK], factors[l, SCALE])
        h_at = z_at

    C = layers[last, N_OUT]
    z = carray(pointer(layers[last, OUTPUT]), (C, rows), F32)
    g = carray(pointer(layers[last, GRADIENT]), (C, rows), F32)
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

    for l in range(last, -1, -1):
        if not layers[l, TRAINED]:
            break
        n_in, n_out, g_at = layers[l, N_IN], layers[l, N_OUT], layers[l, GRADIENT]
        g = carray(pointer(g_at), (n_out, rows), F32)
        b_grad = carray(pointer(layers[l, BIAS_GRAD]), n_out, F32)
        if l < last:
            if layers[l, MASK]:
                _drop(g, layers[l, MASK], factors[l, SCALE])
            if layers[l, KIND]:
                d = carray(pointer(layers[l, DERIVATIVE]), (n_out, rows), F32)
                for j in range(n_out):
                    for i in range(rows):
                        g[j, i] *= d[j, i]
            else:
                h = carray(pointer(layers[l, OUTPUT]), (n_out, rows), F32)
                slope = factors[l, SLOPE]
                for j in range(n_out):
                    for i in range(rows):
                        g[j, i] = g[j, i] if h[j, i] > 0 else slope * g[j, i]
        for j in range(n_out):
            total = F32(0)
            for i in range(rows):
                total += g[j, i]
            b_grad[j] = total
        if layers[l, WEIGHT_GRAD]:
            h_at = x_at
            if l > 0:
                h_at = layers[l, TURNED]
                transpose(layers[l - 1, OUTPUT], h_at, n_in, rows)
            multiply(g_at, rows, 1, h_at, n_in, layers[l, WEIGHT_GRAD], n_in, n_out, n_in, rows)
        if l > 0 and layers[l - 1, TRAINED]:
            multiply(layers[l, WEIGHT], 1, n_in, g_at, rows, layers[l - 1, GRADIENT], rows, n_in, rows, n_out)
    return -1


@njit(**OPTIONS)
def _drop(z, mask_at, scale):
    units, rows = z.shape
    mask = carray(pointer(mask_at), (rows, units), F32)
    for j in range(units):
        for i in range(rows):
            z[j, i] *= mask[i, j] * scale


@njit(**OPTIONS)
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


@njit(**OPTIONS)
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


@njit(**OPTIONS)
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
