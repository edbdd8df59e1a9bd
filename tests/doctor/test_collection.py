"""A few programs of the collection, those that take a second: the fault is named first, the healthy raise nothing.

``python benchmarks/doctor.py`` runs all of them and prints what was mistaken.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(
    str(Path(__file__).parents[2] / "benchmarks")
)  # where the programs are; behind the tests, which have a module of the same name as one there

from ailing import PROGRAMS, run

QUICK = (
    "ok wine", "ok iris", "ok diabetes", "ok cancer logistic", "raw wine", "lr high cancer", "lr low cancer", "leak column",
    "undertrained diabetes", "nan input", "imbalance cancer", "mismatch cancer", "new wine eval", "new circles stale",
    "new blobs softmax", "new friedman pairs", "new iris short", "act sigmoid bce",
)  # fmt: skip


@pytest.mark.parametrize("name", QUICK)
def test_the_fault_is_named_first(name):
    program = PROGRAMS[name](0)
    found = [finding.kind for finding in run(program).findings()]
    assert found[:1] == ([program.kind] if program.kind else []), found
