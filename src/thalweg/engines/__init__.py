"""HOW a program runs: engines make kernels, kernels walk a table of tensors.

``engine("reference")`` is the definition, ``engine("cpu")`` one fused pass; ``choose`` picks by device, type and layout.

>>> kernel = engine("cpu").compile(rules.lowered("adam"), Storage("float32", ("float32", "float32")))
>>> kernel.run(0, segments, scalars)
>>> print(source(rules.adam.program()))                          # what Numba compiles
"""

from thalweg.engines.choose import can_run, choose, engine, layout
from thalweg.engines.cpu import source
from thalweg.engines.engine import Engine, Kernel
from thalweg.engines.matrices import MATRICES
from thalweg.engines.segments import Segments
from thalweg.engines.storage import Storage, blocks, decoded, encoded, format_of

__all__ = [
    "MATRICES", "Engine", "Kernel", "Segments", "Storage", "blocks", "can_run", "choose", "decoded", "encoded", "engine",
    "format_of", "layout", "source",
]  # fmt: skip
