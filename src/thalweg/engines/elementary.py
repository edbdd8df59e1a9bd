"""What generated CPU kernels call: the job, addresses, the small functions of a program, and how narrow numbers are read
and made.

The small functions are PyTorch's: ``maximum`` and ``minimum`` give NaN where either operand is NaN; ``sign(NaN)`` is NaN. The
narrow formats are those of ``storage``, which says what they mean; both are tested against each other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic as numba_intrinsic

from thalweg.engines.storage import BLOCK

intrinsic: Any = numba_intrinsic  # called without the typing context that its function takes
I32, I64, F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
VECTORS = '"prefer-vector-width"="256"'
"""An attribute of kernels, which llvmlite has no word for: vectors of 512 bits walk memory a tenth slower."""


@intrinsic
def job_address(typing_context: Any) -> Any:
    """The address that the machine code was called with.

    By Numba's convention a function's first argument is the address for its return value: a kernel returns nothing, its
    caller passes the job, and the job's first number is the place where Numba puts that nothing.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        set.add(builder.function.attributes, VECTORS)
        return builder.ptrtoint(builder.function.args[0], I64)

    return types.int64(), generate


@intrinsic
def take(typing_context: Any, counter: Any) -> Any:
    """The number at an address, which is one larger afterwards, in one atomic act."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.inttoptr(arguments[0], I64.as_pointer())
        return builder.atomic_rmw("add", place, ir.Constant(I64, 1), "monotonic")

    return types.int64(types.int64), generate


@intrinsic
def pointer(typing_context: Any, address: Any) -> Any:
    """An int64 address as ``void *``, for ``carray``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


@intrinsic
def block_buffer(typing_context: Any) -> Any:
    """The address of a block of float32 on the stack; each place it is written has its own."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ptrtoint(cgutils.alloca_once(builder, ir.ArrayType(F32, BLOCK)), I64)

    return types.int64(), generate


@intrinsic
def bits(typing_context: Any, number: Any) -> Any:
    """The bits of a float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], I32)

    return types.uint32(types.float32), generate


@intrinsic
def number(typing_context: Any, pattern: Any) -> Any:
    """The float32 of some bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], F32)

    return types.float32(types.uint32), generate


@intrinsic
def times(typing_context: Any, a: Any, b: Any) -> Any:
    """The low 32 bits of a product; Numba's own is of 64 bits, which costs three times as much."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.mul(arguments[0], arguments[1])

    return types.uint32(types.uint32, types.uint32), generate


@njit(error_model="numpy")
def maximum(a, b):
    return b if (a < b or b != b) else a


@njit(error_model="numpy")
def minimum(a, b):
    return b if (b < a or b != b) else a


@njit(error_model="numpy")
def where(condition, a, b):
    return a if condition else b


@njit(error_model="numpy")
def square(a):
    return a * a


@njit(error_model="numpy")
def sign(a):
    return np.copysign(np.float32(1), a) if (a > 0 or a < 0) else a


@njit(error_model="numpy")
def absolute(a):
    return abs(a)


@njit(error_model="numpy")
def power(a, b):
    return a**b


sqrt, exp, log, tanh = math.sqrt, math.exp, math.log, math.tanh


@njit(error_model="numpy")
def mixed(a):
    """32 bits, well mixed: the last stage of MurmurHash3."""
    a = times(np.uint32(a ^ (a >> np.uint32(16))), np.uint32(0x85EBCA6B))
    a = times(np.uint32(a ^ (a >> np.uint32(13))), np.uint32(0xC2B2AE35))
    return np.uint32(a ^ (a >> np.uint32(16)))


@njit(error_model="numpy")
def random_bits(key, index):
    return mixed(np.uint32(times(np.uint32(index), np.uint32(0x9E3779B1)) ^ key))


@njit(error_model="numpy")
def widened(pattern):
    """A bfloat16's number."""
    return number(np.uint32(pattern) << np.uint32(16))


@njit(error_model="numpy")
def narrowed(value, noise):
    """The bfloat16 below or above: the nearest with ``noise`` 0x7fff and the last bit, one at random with 16 random bits."""
    pattern = bits(value)
    if value != value:
        return np.uint16(0x7FC0)
    if (pattern & np.uint32(0x7F800000)) == np.uint32(0x7F800000):
        return np.uint16(pattern >> np.uint32(16))
    return np.uint16(np.uint32(pattern + noise) >> np.uint32(16))


@njit(error_model="numpy")
def nearest(value):
    pattern = bits(value)
    return narrowed(value, np.uint32(np.uint32(0x7FFF) + ((pattern >> np.uint32(16)) & np.uint32(1))))


@njit(error_model="numpy")
def finite_size(value):
    """The bits of a number's size, which are larger for larger numbers; 0 where it is not finite."""
    pattern = bits(value) & np.uint32(0x7FFFFFFF)
    return pattern if pattern < np.uint32(0x7F800000) else np.uint32(0)


@njit(error_model="numpy")
def decoded(code, scale):
    """The number of an 8-bit code: ``± scale (|code| / 127)⁴``; −128 is NaN."""
    part = np.float32(code) * np.float32(1 / 127)
    size = scale * (part * part) * (part * part)
    return np.float32(np.nan) if code == -128 else (size if code >= 0 else -size)


@njit(error_model="numpy")
def encoded(value, scale, noise):
    """One of the two 8-bit codes around a number, at random so that their mean is the number; never 0 but for 0."""
    finite = (bits(value) & np.uint32(0x7F800000)) != np.uint32(0x7F800000)
    size = abs(value) if finite else np.float32(0)
    share = size / scale if scale > 0 else np.float32(0)
    below = np.float32(np.int32(math.sqrt(math.sqrt(share)) * np.float32(127)))  # a call of floor would not vectorise
    below = below if below < np.float32(126) else np.float32(126)
    low, high = below * np.float32(1 / 127), (below + np.float32(1)) * np.float32(1 / 127)
    low, high = (low * low) * (low * low), (high * high) * (high * high)
    dice = np.float32(np.int32(noise >> np.uint32(8))) * np.float32(2.0**-24)
    code = below + (np.float32(1) if share - low > dice * (high - low) else np.float32(0))
    code = code if code > 0 or share == 0 else np.float32(1)
    whole = np.int32(code if value >= 0 else -code)
    return np.int8(whole if finite else np.int32(-128))
