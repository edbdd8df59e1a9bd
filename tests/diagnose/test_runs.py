"""The doctor on real trainings: what is faulty is named, what is healthy is left alone."""

from __future__ import annotations

import pytest

from diagnose.runs import FAULTY, HEALTHY, Run
from thalweg.diagnose import examine

pytestmark = pytest.mark.filterwarnings("ignore:lr_scheduler.step:UserWarning")


def named(row: Run) -> str:
    return row.name.replace(" ", "-")


@pytest.mark.parametrize("row", HEALTHY, ids=named)
def test_a_healthy_run_has_no_findings(row: Run) -> None:
    assert [finding.sentence for finding in examine(*row.history(seed=0)).findings] == []


@pytest.mark.parametrize("row", FAULTY, ids=named)
def test_a_faulty_run_is_named_rightly(row: Run) -> None:
    findings = examine(*row.history(seed=0)).findings
    assert findings, f"nothing was found; right would be {set(row.right)}"
    assert findings[0].kind in row.right, [finding.sentence for finding in findings]


def test_the_table_has_both() -> None:
    assert len(HEALTHY) >= 12
    assert len(FAULTY) >= 12
    assert all(row.right for row in FAULTY)
    assert not any(row.right for row in HEALTHY)
