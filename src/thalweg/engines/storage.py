"""How numbers are held, apart from how they are computed with: float64, float32, bfloat16, or 8 bits in blocks.

Arithmetic is in float32 (float64 for float64 weights) whatever the storage; a result is rounded once, when it is stored.

* ``bfloat16`` rounds to the nearest, as PyTorch; ``bfloat16~`` to one of the two around at random, so that the mean is right:
  an average with β = 0.999 moves by a thousandth, which the nearest of 8 bits would never show.
* ``8bit``: blocks of 256 elements share a float32 scale, the largest size in the block; an element is ``± scale (c/127)⁴``
  with an 8-bit code c, rounded at random too. The fourth power spreads the codes over 8.4 decades of a square, 4.2 of a
  root: a second moment that falls to zero beside a larger one would make its weight jump.

The dice are counted, not drawn: 32 bits mixed from (step, parameter, slot, element). So every engine rolls the same, whatever
the number of threads, and a resumed run goes on to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

FORMATS = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "bfloat16~": torch.bfloat16,
           "8bit": torch.int8}  # fmt: skip
BLOCK = 256
MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class Storage:
    """The formats of a program's operands. A format ending in ``~`` and ``8bit`` round at random."""

    weight: str
    states: tuple[str, ...]

    @property
    def wide(self) -> str:
        """The type of the arithmetic."""
        return "float64" if self.weight == "float64" else "float32"

    @property
    def rolls(self) -> bool:
        """Whether anything is rounded at random."""
        return any(name in ("8bit", "bfloat16~") for name in (self.weight, *self.states))


def format_of(tensor: torch.Tensor) -> str:
    """The format's name for a tensor's own type."""
    return str(tensor.dtype).removeprefix("torch.")


def blocks(elements: int) -> int:
    """How many scales an 8-bit tensor has."""
    return -(-elements // BLOCK)


def mixed(a: torch.Tensor) -> torch.Tensor:
    """32 bits in int64, well mixed: the last stage of MurmurHash3."""
    a = (a ^ (a >> 16)) * 0x85EBCA6B & MASK
    a = (a ^ (a >> 13)) * 0xC2B2AE35 & MASK
    return a ^ (a >> 16)


def salt(slot: int) -> int:
    """What tells the dice of a parameter's slots apart: 0 is the weight, then the states."""
    return slot * 0x85EBCA6B & MASK


def key_of(step: int, parameter: int, slot: int) -> int:
    """What the dice of one tensor in one step are mixed from."""
    first = mixed(torch.tensor((step * 0x9E3779B1 + parameter) & MASK))
    return int(mixed((first + salt(slot)) & MASK))


def random_bits(key: int, like: torch.Tensor, first: int = 0) -> torch.Tensor:
    """32 random bits for each element, in int64, in the order in which elements are counted, from ``first`` on."""
    index = torch.arange(first, first + like.numel(), device=like.device).reshape(like.shape)
    return mixed((index * 0x9E3779B1 & MASK) ^ key)


def narrowed(value: torch.Tensor, key: int, first: int = 0) -> torch.Tensor:
    """bfloat16, one of the two around ``value`` (float32) at random; ``first`` is the number of its first element."""
    pattern = value.view(torch.int32).to(torch.int64) & MASK
    kept = ((pattern + (random_bits(key, value, first) & 0xFFFF)) & 0xFFFF0000) if value.numel() else pattern
    kept = torch.where(kept >= 1 << 31, kept - (1 << 32), kept).to(torch.int32).view(torch.float32)
    return torch.where(value.isfinite(), kept, value).to(torch.bfloat16)


def decoded(codes: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """float32 of 8-bit codes; ``scales`` holds one for each block of the flattened tensor."""
    part = codes.float() * torch.tensor(1 / 127, dtype=torch.float32)
    scale = scales.repeat_interleave(BLOCK)[: codes.numel()].reshape(codes.shape)
    size = scale * (part * part) * (part * part)
    return torch.where(codes == -128, torch.nan, torch.where(codes >= 0, size, -size))


def encoded(value: torch.Tensor, key: int) -> tuple[torch.Tensor, torch.Tensor]:
    """8-bit codes and scales of float32 values."""
    padding = blocks(value.numel()) * BLOCK - value.numel()
    size = torch.where(value.isfinite(), value.abs(), 0.0)
    scales = torch.nn.functional.pad(size.flatten(), (0, padding)).reshape(-1, BLOCK).amax(1)
    scale = scales.repeat_interleave(BLOCK)[: value.numel()].reshape(value.shape)
    share = torch.where(scale > 0, size / scale, 0.0)
    below = torch.clamp(torch.floor(torch.sqrt(torch.sqrt(share)) * 127), max=126)
    unit = torch.tensor(1 / 127, dtype=torch.float32)
    low, high = below * unit, (below + 1) * unit
    low, high = (low * low) * (low * low), (high * high) * (high * high)
    dice = (random_bits(key, value) >> 8).float() * 2.0**-24
    code = below + (share - low > dice * (high - low)).float()
    code = torch.maximum(code, (share > 0).float())
    code = torch.where(value >= 0, code, -code)
    return torch.where(value.isfinite(), code, -128.0).to(torch.int8), scales
