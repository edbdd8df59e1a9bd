"""HOW a program runs: engines make kernels, kernels walk a table of tensors.

``engine("reference")`` is the definition, ``engine("cpu")`` one fused pass; ``choose`` picks by device, type and layout.

>>> kernel = engine("cpu").compile(rules.lowered("adam"), torch.float32)
>>> kernel.update(segments, scalars)
>>> print(source(rules.adam.program()))                          # what Numba compiles
"""

from thalweg.engines.choose import choose, engine
from thalweg.engines.cpu import source
from thalweg.engines.engine import Engine, Kernel
from thalweg.engines.segments import Segments

__all__ = ["Engine", "Kernel", "Segments", "choose", "engine", "source"]
