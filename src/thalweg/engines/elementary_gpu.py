"""What generated GPU kernels call: the same small functions and formats as ``elementary``, in Triton.

Division and root are rounded as IEEE says, not approximated: memory is the limit, and the numbers are those of every other
engine.
"""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra import libdevice

INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)
"""The interpreter has no device library: what needs one is composed there."""
BLOCK = tl.constexpr(256)
REGISTER = tl.constexpr(1024)
"""Elements a program works on at once."""


@triton.jit
def divided(a, b):
    return tl.div_rn(a, b) if a.dtype == tl.float32 else a / b


@triton.jit
def share_of(a, b):
    """A plain number by a tensor."""
    return divided(tl.zeros_like(b) + a, b)


@triton.jit
def sqrt(a):
    return tl.sqrt_rn(a) if a.dtype == tl.float32 else tl.sqrt(a)


@triton.jit
def square(a):
    return a * a


@triton.jit
def absolute(a):
    return tl.abs(a)


@triton.jit
def sign(a):
    return tl.where(a > 0, 1.0, tl.where(a < 0, -1.0, a)).to(a.dtype)


@triton.jit
def maximum(a, b):
    return tl.where((a < b) | (b != b), b, a)


@triton.jit
def minimum(a, b):
    return tl.where((b < a) | (b != b), b, a)


@triton.jit
def where(condition, a, b):
    return tl.where(condition, a, b)


@triton.jit
def exp(a):
    return tl.exp(a) if INTERPRETED else libdevice.exp(a)


@triton.jit
def log(a):
    return tl.log(a) if INTERPRETED else libdevice.log(a)


@triton.jit
def tanh(a):
    if INTERPRETED:
        part = tl.exp(-2 * tl.abs(a))
        size = (1 - part) / (1 + part)
        return tl.where(a < 0, -size, size)
    return libdevice.tanh(a)


@triton.jit
def power(a, b):
    if INTERPRETED:
        return tl.exp(b * tl.log(a))
    return libdevice.pow(a, b)


@triton.jit
def mixed(a):
    """32 bits, well mixed: the last stage of MurmurHash3."""
    a = (a ^ (a >> 16)) * 0x85EBCA6B
    a = (a ^ (a >> 13)) * 0xC2B2AE35
    return a ^ (a >> 16)


@triton.jit
def seed_of(step, number):
    return mixed((step.to(tl.int64) * 0x9E3779B1 + number).to(tl.uint32))


@triton.jit
def key_of(seed, slot: tl.constexpr):
    return mixed((seed.to(tl.int64) + slot).to(tl.uint32))


@triton.jit
def random_bits(key, index):
    return mixed((index * 0x9E3779B1).to(tl.uint32) ^ key)


@triton.jit
def narrowed(value, noise):
    """The bfloat16 below or above, one at random with 16 random bits."""
    pattern = value.to(tl.uint32, bitcast=True)
    special = (pattern & 0x7F800000) == 0x7F800000
    kept = tl.where(special, pattern, (pattern + (noise & 0xFFFF)) & 0xFFFF0000)
    return kept.to(tl.float32, bitcast=True).to(tl.bfloat16)


@triton.jit
def decoded(code, scale):
    """The number of an 8-bit code: ``± scale (|code| / 127)⁴``; −128 is NaN."""
    part = code.to(tl.float32) * 0.007874015718698502
    size = scale * (part * part) * (part * part)
    return tl.where(code == -128, float("nan"), tl.where(code >= 0, size, -size))


@triton.jit
def block_scale(value, inside):
    """The largest finite size in each block, for each element."""
    size = tl.abs(value)
    finite = inside & (size < float("inf"))
    top = tl.max(tl.reshape(tl.where(finite, size, 0.0), (REGISTER // BLOCK, BLOCK)), axis=1, keep_dims=True)
    return tl.reshape(tl.broadcast_to(top, (REGISTER // BLOCK, BLOCK)), (REGISTER,))


@triton.jit
def encoded(value, scale, noise):
    """One of the two 8-bit codes around a number, at random so that their mean is the number; never 0 but for 0."""
    finite = tl.abs(value) < float("inf")
    size = tl.where(finite, tl.abs(value), 0.0)
    share = tl.where(scale > 0, tl.div_rn(size, tl.where(scale > 0, scale, 1.0)), 0.0)
    below = minimum(tl.floor(tl.sqrt_rn(tl.sqrt_rn(share)) * 127.0), 126.0)
    low, high = below * 0.007874015718698502, (below + 1.0) * 0.007874015718698502
    low, high = (low * low) * (low * low), (high * high) * (high * high)
    dice = (noise >> 8).to(tl.float32) * 5.9604644775390625e-08
    code = below + tl.where(share - low > dice * (high - low), 1.0, 0.0)
    code = maximum(code, tl.where(share > 0, 1.0, 0.0))
    code = tl.where(value >= 0, code, -code)
    return tl.where(finite, code, -128.0).to(tl.int8)
