"""Noise that a program in any language can roll again: a number for each (seed, step, direction), by hashing, not by counting.

All rules that walk a surface with one seed meet the same noise, so their paths are compared as pairs; and a page that goes
on walking by itself meets it, too.

>>> normal(0, 1)
(-0.41…, 0.87…)
>>> normal(0, 1) == normal(0, 1)
True
"""

from __future__ import annotations

import math

MASK = 0xFFFFFFFF
JAVASCRIPT = """\
const $mixed = (a) => {
  a = Math.imul(a ^ (a >>> 16), 0x85ebca6b);
  a = Math.imul(a ^ (a >>> 13), 0xc2b2ae35);
  return (a ^ (a >>> 16)) >>> 0;
};
const $normal = (seed, step) => {
  const share = (part) => ($mixed(Math.imul(2 * step + part, 0x9e3779b1) ^ $mixed(seed + 1)) + 0.5) / 4294967296;
  const size = Math.sqrt(-2 * Math.log(share(0))), angle = 2 * Math.PI * share(1);
  return [size * Math.cos(angle), size * Math.sin(angle)];
};
"""
"""``normal`` as JavaScript: the same numbers to rounding."""


def normal(seed: int, step: int) -> tuple[float, float]:
    """Two independent standard normal numbers (Box and Muller 1958) of a seed and a step."""
    first, second = (_share(seed, 2 * step + part) for part in (0, 1))
    size, angle = math.sqrt(-2 * math.log(first)), 2 * math.pi * second
    return size * math.cos(angle), size * math.sin(angle)


def _share(seed: int, index: int) -> float:
    return (_mixed((index * 0x9E3779B1 & MASK) ^ _mixed(seed + 1 & MASK)) + 0.5) / 2**32


def _mixed(a: int) -> int:
    """32 bits, well mixed: the last stage of MurmurHash3."""
    a = (a ^ (a >> 16)) * 0x85EBCA6B & MASK
    a = (a ^ (a >> 13)) * 0xC2B2AE35 & MASK
    return a ^ (a >> 16)
