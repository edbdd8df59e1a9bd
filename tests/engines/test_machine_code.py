"""The fused engine's machine code: that it is packed, its life on disk, and whose threads run it."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from numba import njit, types

from tables import storage
from thalweg import rules
from thalweg.engines import native
from thalweg.engines.cpu import MANY, source

SOURCE = '''"""A kernel that adds up the numbers below the one it is given."""
import numpy as np
from numba import carray
from thalweg.engines.elementary import job_address, pointer
KERNELS = {"total": {}}
def total():
    job = carray(pointer(job_address()), 3, np.int64)
    for i in range(job[1]):
        job[2] += i
'''


def run(code: str, folder=None, **environment: str) -> subprocess.CompletedProcess:
    more = {"THALWEG_CACHE": str(folder)} if folder is not None else {}
    everything = {**os.environ, "OMP_NUM_THREADS": "1", **more, **environment}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=everything, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    ("dtype", "instruction"), [("float32", "sqrtps"), ("float64", "sqrtpd"), ("bfloat16", "sqrtps")]
)
def test_the_loop_is_vectorised(dtype: str, instruction: str) -> None:
    """A packed square root in the machine code: what makes the kernel as fast as memory."""
    program = rules.adam.program()
    space: dict = {}
    exec(source(program, storage(program, dtype)), space)
    compiled = njit(types.void(), error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(space["phase0"])
    (found,) = compiled.overloads.values()
    code = found.library.get_asm_str()
    assert instruction in code or "fsqrt\tv" in code


def test_phases_that_only_sum_are_vectorised() -> None:
    """A sum in one fixed order would be added one by one."""
    program = rules.variant("sgd", modifiers=("clip_norm",)).program()
    space: dict = {}
    exec(source(program, storage(program)), space)
    (flags,) = (flags for name, flags in space["KERNELS"].items() if name == "phase0")
    compiled = njit(types.void(), error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, **flags)(
        space["phase0"]
    )
    (found,) = compiled.overloads.values()
    code = found.library.get_asm_str()
    assert "addpd" in code or "fadd\tv" in code or "fmla\tv" in code
    assert space["KERNELS"]["phase1"] == {}  # what is stored is computed as written


class TestEntries:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("THALWEG_CACHE", str(tmp_path))
        native.machine_code.cache_clear()
        yield tmp_path
        native.machine_code.cache_clear()

    @staticmethod
    def total() -> int:
        job = native.job_of(100, 0)
        native.machine_code("total", SOURCE)["total"](job.ctypes.data, 1)
        return int(job[2])

    def compiled(self, monkeypatch) -> list[str]:
        calls: list[str] = []
        own = native._compiled
        monkeypatch.setattr(native, "_compiled", lambda text: calls.append(text) or own(text))
        return calls

    def test_an_entry_is_made_once(self, folder, monkeypatch) -> None:
        calls = self.compiled(monkeypatch)
        assert self.total() == 4950
        native.machine_code.cache_clear()
        assert self.total() == 4950
        assert len(calls) == 1
        assert len(list(folder.glob("total-*.o"))) == 1

    @pytest.mark.parametrize(
        "torn",
        [lambda whole: b"", lambda whole: whole[:10], lambda whole: whole[: len(whole) // 2], lambda whole: whole[:-1],
         lambda whole: whole[:-100] + b"\0" * 100, lambda whole: b"text\n" + whole, lambda whole: whole + b"more"],
    )  # fmt: skip
    def test_a_torn_object_file_is_made_anew(self, folder, monkeypatch, torn) -> None:
        assert self.total() == 4950
        (path,) = folder.glob("total-*.o")
        whole = path.read_bytes()
        path.write_bytes(torn(whole))
        native.machine_code.cache_clear()
        calls = self.compiled(monkeypatch)
        assert self.total() == 4950
        assert len(calls) == 1
        native.machine_code.cache_clear()
        assert self.total() == 4950
        assert len(calls) == 1

    def test_another_source_is_another_entry(self, folder) -> None:
        assert self.total() == 4950
        job = native.job_of(100, 0)
        native.machine_code("total", SOURCE.replace("+= i", "+= 2 * i"))["total"](job.ctypes.data, 1)
        assert job[2] == 9900
        assert len(list(folder.glob("total-*.o"))) == 2

    def test_another_processor_is_another_entry(self, folder, monkeypatch) -> None:
        assert self.total() == 4950
        native.machine_code.cache_clear()
        own = native._toolchain()
        monkeypatch.setattr(native, "_toolchain", lambda: [*own, "another"])
        assert self.total() == 4950
        assert len(list(folder.glob("total-*.o"))) == 2


class TestOnDisk:
    CODE = (
        "import sys, torch; from thalweg import optim\n"
        "w = torch.nn.Parameter(torch.ones(5)); w.grad = torch.ones(5)\n"
        "o = optim.Adam([w], lr=0.5, clip_norm=9.0); o.step(); print(w[0].item())\n"
        "print('numba' in sys.modules, 'sympy' in sys.modules, 'torch._dynamo' in sys.modules)\n"
    )

    def test_the_second_process_compiles_nothing_and_needs_no_numba(self, tmp_path) -> None:
        first = run(self.CODE, tmp_path)
        assert first.stdout.split() == ["0.5", "True", "True", "False"], first.stderr
        kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        second = run(self.CODE, tmp_path)
        assert second.stdout.split() == ["0.5", "False", "False", "False"], second.stderr
        assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == kept
        assert any(name.endswith(".o") for name in kept)

    def test_what_calls_functions_of_c_runs_without_numba_too(self, tmp_path) -> None:
        """exp, log, tanh, pow and floor are found by whoever links the object file, not only by Numba."""
        code = (
            "import sys, torch, sympy; from thalweg.optim import FromRule; from thalweg.rules import Rule\n"
            "from thalweg.rules.symbols import g, lr, state, w\n"
            "m = state('m'); value = sympy.exp(-g) + sympy.tanh(w) + sympy.log(1 + g**2) + sympy.Abs(w)**sympy.Rational(7, 5)\n"
            "rule = Rule('calls', m=m / 2 + value, step=lr * m)\n"
            "for dtype in (torch.float32, torch.float64, torch.bfloat16):\n"
            "    for kept in (None, 'bfloat16', '8bit'):\n"
            "        line = torch.linspace(-1, 1, 700).to(dtype); w = torch.nn.Parameter(line); w.grad = 2 * line.flip(0)\n"
            "        o = FromRule([w], rule, lr=0.5, engine='cpu', state_dtype=kept)\n"
            "        o.step(); o.step(); print(w.detach().double().sum().item())\n"
            "print('numba' in sys.modules)"
        )
        first, second = run(code, tmp_path), run(code, tmp_path)
        assert first.stdout.split()[-1:] == ["True"], first.stderr
        assert second.stdout.split() == [*first.stdout.split()[:-1], "False"], second.stderr

    def test_processes_that_start_together_do_not_disturb_each_other(self, tmp_path) -> None:
        environment = {**os.environ, "THALWEG_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"}
        started = [
            subprocess.Popen(
                [sys.executable, "-W", "error", "-c", self.CODE],
                env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for _ in range(2)
        ]  # fmt: skip
        for output, error in [process.communicate(timeout=120) for process in started]:
            assert output.split()[:1] == ["0.5"], error

    @pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write anywhere")
    def test_a_folder_that_cannot_be_written_is_no_obstacle(self, tmp_path) -> None:
        tmp_path.chmod(0o500)
        found = run(self.CODE, tmp_path)
        assert found.stdout.split()[:1] == ["0.5"], found.stderr


class TestThreads:
    STEP = (
        "import os, torch; torch.set_num_threads({threads})\n"
        "from thalweg import optim\n"
        f"w = torch.nn.Parameter(torch.ones({2 * MANY})); w.grad = torch.ones({2 * MANY})\n"
        "o = optim.SGD([w], lr=0.25, clip_norm=1e9); o.step()\n"
    )

    @pytest.mark.parametrize("threads", [1, 3])
    def test_torchs_number_of_threads_stays_as_it_was_set(self, threads: int) -> None:
        """One thread that becomes two makes every small torch operation twenty times as slow."""
        found = run(self.STEP.format(threads=threads) + "print(torch.get_num_threads())")
        assert found.stdout.split() == [str(threads)], found.stderr

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")
    def test_threads_are_torchs(self) -> None:
        """Where torch has computed with its threads, a step starts no others."""
        code = (
            "import torch; torch.set_num_threads(3)\n"
            "big = torch.ones(1 << 22); (big * big).sum(); threads = lambda: len(__import__('os').listdir('/proc/self/task'))\n"
            "before = threads()\n" + self.STEP.format(threads=3) + "print(threads() - before, before > 1)"
        )
        found = run(code, OMP_NUM_THREADS="3")
        assert found.stdout.split() == ["0", "True"], found.stderr

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_a_child_forked_after_a_threaded_step_still_steps(self) -> None:
        """It inherits no threads: waiting for them would be waiting for ever (as torch's own large operations do there)."""
        code = self.STEP.format(threads=2) + (
            "child = os.fork()\n"
            "if child == 0:\n"
            "    o.step(); os._exit(0 if w.tolist() == [0.5] * len(w) else 1)\n"
            "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
            "o.step(); print(bool((w == 0.5).all()))\n"
        )
        found = run(code, OMP_NUM_THREADS="2")
        assert found.stdout.split() == ["0", "True"], found.stderr

    def test_every_chunk_is_taken_once_whatever_the_number_of_threads(self) -> None:
        """The counter in the job, advanced by many threads at once."""
        text = '''"""Counts visits."""
import numpy as np
from numba import carray
from thalweg.engines.elementary import job_address, pointer, take
KERNELS = {"visit": {}}
def visit():
    job = carray(pointer(job_address()), 4, np.int64)
    seen = carray(pointer(job[3]), (job[1],), np.int64)
    while True:
        place = take(job[2])
        if place >= job[1]:
            break
        seen[place] += 1
'''
        kernel = native.machine_code("visit", text)["visit"]
        for threads in (1, 2, 4):
            counter, seen = np.zeros(1, dtype=np.int64), np.zeros(20_000, dtype=np.int64)
            job = native.job_of(len(seen), counter.ctypes.data, seen.ctypes.data)
            kernel(job.ctypes.data, threads)
            assert (seen == 1).all()


def test_without_torchs_openmp_a_kernel_runs_on_its_own_thread(monkeypatch) -> None:
    monkeypatch.setattr(native, "_parallel", lambda: None)
    job = native.job_of(100, 0)
    native.machine_code("total", SOURCE)["total"](job.ctypes.data, 4)
    assert job[2] == 4950
    assert torch.get_num_threads() >= 1


def test_the_source_is_the_same_in_every_process(tmp_path) -> None:
    """It names the entry on disk: in the order of a set it would be compiled anew by chance."""
    code = (
        "from thalweg import rules; from thalweg.engines import source; from thalweg.rules.modifiers import ORDER\n"
        "print(*(source(rules.variant(name, modifiers=ORDER).program()) for name in ('adam', 'muon', 'swats')))"
    )
    texts = {run(code, tmp_path, PYTHONHASHSEED=seed).stdout for seed in ("1", "2", "3", "4")}
    assert len(texts) == 1 and "KERNELS" in texts.pop()
