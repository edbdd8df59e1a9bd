"""What generated CPU kernels call: an address as a pointer, and the small functions of a program, as PyTorch defines them.

``maximum`` and ``minimum`` give NaN where either operand is NaN; ``sign(NaN)`` is NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic


@intrinsic
def pointer(typing_context: Any, address: Any) -> Any:
    """An int64 address as ``void *``, for ``carray``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


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
