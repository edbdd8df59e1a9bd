"""The README is true: its commands run, in its order, and print what it says, numbers apart."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FAILS = "thalweg: "


def commands() -> list[tuple[str, list[str]]]:
    """(command, lines it is said to print), in order."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", README, flags=re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:].split("#")[0].strip(), []))
            else:
                found[-1][1].append(line)
    return found


def shape(line: str) -> str:
    """A line without its numbers, and without what hangs on their last digit: whether a run stopped early, who won a race."""
    line = re.sub(r"\b(sgd|momentum|adam)\b", "RULE", line)
    line = re.sub(r"^RULE (can't be told|was|beat|from) .*?; (?=steps to|dev )", "", line)
    line = re.sub(r": the difference is noise\.$|decades\s+lr .*", "", line)
    line = re.sub(r", dev \w+ has not improved for \d+ epochs", "", line)
    line = re.sub(r"(the best of \d+ trials had [\d.]+).*", r"\1", line)
    return re.sub(r"\s+", " ", re.sub(r"\d[\d.,e+-]*", "0", line)).strip()


def are_shown(expected: list[str], printed: list[str]) -> bool:
    """Whether these lines were printed; "…" stands for any number of them."""
    if "…" not in expected:
        return printed == expected
    at = expected.index("…")
    rest = expected[at + 1 :]
    return printed[:at] == expected[:at] and any(are_shown(rest, printed[k:]) for k in range(at, len(printed) + 1))


def test_every_command_does_what_the_readme_says(tmp_path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    ran = 0
    for command, expected in commands():
        words = shlex.split(command)
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), flags=re.M), command
            continue
        words = [sys.executable, *words[1:]] if words[0] == "python" else [sys.executable, "-m", *words]
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        should_fail = bool(expected) and expected[0].startswith(FAILS)
        assert done.returncode == (2 if should_fail else 0), (command, done.stderr)
        printed = (done.stderr if should_fail else done.stdout).splitlines()
        if expected:
            shapes = [shape(line) for line in printed if line.strip()]
            assert are_shown([shape(line) for line in expected], shapes), (command, shapes)
        ran += 1
    assert ran >= 7
    first, second = ((tmp_path / f"runs/{run}/model.safetensors").read_bytes() for run in ("digits-1", "digits-2"))
    assert first == second, "the README promises the same bits"


def test_what_the_readme_points_at_exists() -> None:
    for picture in re.findall(r"!\[[^]]+\]\(([^)]+)\)", README):
        assert (ROOT / picture).is_file(), picture
    for path in re.findall(r"`((?:docs|benchmarks|examples)/[\w./-]*)`", README):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("target", ["help", "demo", "test", "check", "bench", "atlas", "size"])
def test_the_makefile_has(target: str) -> None:
    assert re.search(rf"^{target}:.*## ", (ROOT / "Makefile").read_text(), flags=re.M)
