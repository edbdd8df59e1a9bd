"""The command line as a user runs it: a process of its own, in an empty folder."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from thalweg.cli import main


@dataclass(frozen=True)
class Finished:
    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out.splitlines()[-1])


class CommandLine:
    """``thalweg`` in ``folder``; one thread, as tests share the machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error", "COLUMNS": "160"}

    def start(self, *words: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "thalweg", *words],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # As at a terminal: behind ``nohup make test &`` interrupts are ignored, and whom we start would inherit it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def __call__(self, *words: str) -> Finished:
        process = self.start(*words)
        out, err = process.communicate(timeout=300)
        return Finished(process.returncode, out, err)

    def fails(self, *words: str) -> str:
        """The one sentence of a command that must end with status 2 and no traceback."""
        return self._sentence(self(*words))

    def refuses(self, *words: str) -> str:
        """The same in this process: for tables of wrong words, where Python's start takes longer than the answer."""
        with (
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(io.StringIO()) as err,
            mock.patch.object(sys, "argv", ["thalweg", *words]),
            pytest.raises(SystemExit) as left,
        ):
            main()
        return self._sentence(Finished(int(left.value.code or 0), out.getvalue(), err.getvalue()))

    def _sentence(self, finished: Finished) -> str:
        assert finished.status == 2, finished
        assert "Traceback" not in finished.err
        lines = [line for line in finished.err.splitlines() if line.startswith("thalweg: ")]
        assert len(lines) == 1, finished.err
        return lines[0].removeprefix("thalweg: ")
