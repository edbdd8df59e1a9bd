"""What generated CPU kernels call: an address as a pointer, and the small functions of a program, as PyTorch defines them.

``maximum`` and ``minimum`` give NaN where either operand is NaN; ``sign(NaN)`` is NaN.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit, types
from numba.extending import intrinsic


@intrinsic
def pointer(typing_context: Any, address: Any) -> Any:
    """An int64 address as ``void *``, for ``carray``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


options = {"error_model": "numpy"}


@njit(**options)
def maximum(a, b):  # type: ignore[no-untyped-def]
    return b if (a < b or b != b) else a


@njit(**options)
def minimum(a, b):  # type: ignore[no-untyped-def]
    return b if (b < a or b != b) else a


@njit(**options)
def where(condition, a, b):  # type: ignore[no-untyped-def]
    return a if condition else b


@njit(**options)
def square(a):  # type: ignore[no-untyped-def]
    return a * a


@njit(**options)
def sign(a):  # type: ignore[no-untyped-def]
    return a / abs(a) if a != 0 else a


@njit(**options)
def absolute(a):  # type: ignore[no-untyped-def]
    return abs(a)


@njit(**options)
def power(a, b):  # type: ignore[no-untyped-def]
    return a**b


sqrt, exp, log, tanh = math.sqrt, math.exp, math.log, math.tanh
