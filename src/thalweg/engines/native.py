"""Generated source as machine code: compiled once by Numba, kept as an object file, loaded without Numba ever after.

A *kernel* is a Python function without arguments that reads everything from the job, a row of int64 numbers whose address
the machine code is called with. So one call costs a microsecond, and the same address can be handed to OpenMP: the threads that
torch computes with then run the kernel too, and each takes the next chunk from a common counter.

>>> kernel = machine_code("adam-float32", source)["phase0"]
>>> kernel(job, threads=2)

An entry in the cache begins with its own digest: a torn file is made anew.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from thalweg.cache import folder, write_bytes

Call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_kept: list[Any] = []
"""Machine code must outlive everything that may call it."""
_forked = False


class NativeKernel:
    """Machine code at an address."""

    def __init__(self, address: int) -> None:
        self.address = address
        self.call = Call(address)

    def __call__(self, job: int, threads: int) -> None:
        """Runs on this thread, or on as many of torch's as ``threads`` says. ``job`` is the address of the job."""
        if threads > 1 and not _forked:
            parallel = _parallel()
            if parallel is not None:
                parallel(self.address, job, threads, 0)
                return
        self.call(job)


@cache
def _parallel() -> Callable[[int, int, int, int], None] | None:
    """``GOMP_parallel`` of the OpenMP that torch has loaded: its threads are awake where torch has just computed."""
    for path in sorted((Path(torch.__file__).parent / "lib").glob("*omp*")):
        try:
            function = ctypes.CDLL(str(path)).GOMP_parallel
        except (OSError, AttributeError):
            continue
        return _declared(function)
    try:
        return _declared(ctypes.CDLL(None).GOMP_parallel)  # linked by the process, as in a build from source
    except (OSError, AttributeError, TypeError):
        return None


def _declared(function: Any) -> Callable[[int, int, int, int], None]:
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    function.restype = None
    found: Callable[[int, int, int, int], None] = function
    return found


def _after_fork() -> None:
    global _forked
    _forked = True  # a child inherits no threads, and OpenMP would wait for them for ever


if os.name == "posix":
    os.register_at_fork(after_in_child=_after_fork)


@cache
def machine_code(name: str, text: str) -> dict[str, NativeKernel]:
    """The kernels in a source text, by name. Its ``KERNELS`` names them, each with Numba's flags for it."""
    key = sha256(json.dumps([text, _toolchain()]).encode()).hexdigest()[:16]
    path = folder() / f"{name}-{key}.o"
    try:
        return _loaded(path.read_bytes())
    except (OSError, ValueError, KeyError):
        entry = _compiled(text)
        write_bytes(path, entry)
        return _loaded(entry)


@cache
def _llvm() -> Any:
    """llvmlite's binding. Importing makes many objects, and the collector would look through all of torch's meanwhile."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        import llvmlite.binding as llvm
    finally:
        if collecting:
            gc.enable()
    return llvm


@cache
def _toolchain() -> list[str]:
    """All that machine code depends on beside its source."""
    llvm = _llvm()
    own = [(Path(__file__).parent / file).read_text(encoding="utf-8") for file in ("native.py", "elementary.py")]
    return [
        version("numba"), version("llvmlite"), llvm.get_process_triple(), llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(), sha256("".join(own).encode()).hexdigest(),
    ]  # fmt: skip


def _compiled(text: str) -> bytes:
    from numba import njit, types

    space: dict[str, Any] = {}
    exec(compile(text, "<generated kernel>", "exec"), space)
    parts = []
    for name, flags in space["KERNELS"].items():
        options: dict[str, Any] = {
            "error_model": "numpy",
            "no_cpython_wrapper": True,
            "no_cfunc_wrapper": True,
            **flags,
        }
        compiled: Any = njit(types.void(), **options)(space[name])
        (found,) = compiled.overloads.values()
        library = found.library
        code = library._codegen._tm.emit_object(library._final_module)
        parts.append((name, found.fndesc.llvm_func_name, code))
    head = json.dumps([(name, symbol, len(code)) for name, symbol, code in parts]).encode()
    body = head + b"\n" + b"".join(code for *_, code in parts)
    return sha256(body).hexdigest().encode() + b"\n" + body


def _loaded(entry: bytes) -> dict[str, NativeKernel]:
    """Raises ``ValueError`` for an entry that is not whole."""
    digest, _, body = entry.partition(b"\n")
    if sha256(body).hexdigest().encode() != digest:
        raise ValueError("the entry is not whole")
    head, _, rest = body.partition(b"\n")
    kernels = {}
    for name, symbol, length in json.loads(head):
        kernels[name] = NativeKernel(_linked(rest[:length], symbol))
        rest = rest[length:]
    return kernels


def _linked(code: bytes, symbol: str) -> int:
    import llvmlite.binding as llvm

    _initialised()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)  # the engine takes it over
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _kept.append(engine)
    address: int = engine.get_function_address(symbol)
    return address


@cache
def _initialised() -> None:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # Numba's object files name its memory manager, which no kernel calls. Were it missing, LLVM would link nothing at all from
    # outside, and a call of expf would go to address 0. Numba puts in its own when it is imported.
    if not llvm.address_of_symbol("NRT_MemInfo_call_dtor"):
        llvm.add_symbol("NRT_MemInfo_call_dtor", ctypes.cast(_nothing, ctypes.c_void_p).value)


@Call
def _nothing(job: int) -> int:
    return 0


def job_of(*numbers: int) -> np.ndarray:
    """A job: a free place for the machine code's own return value, then the numbers."""
    return np.array([0, *numbers], dtype=np.int64)
