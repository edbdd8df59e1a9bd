"""The doctor: asks every symptom, leaves out what another finding explains, and puts the gravest first.

>>> [finding.name for finding in examine(history, facts)]
['learning rate too high']

A rate that is too high also makes a network that gives everybody the same answer and has learned nothing; naming all
three would bury the one that helps. ``EXPLAINS`` says which finding makes which others redundant.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from thalweg.diagnose.finding import SEVERITIES, Facts, Finding
from thalweg.diagnose.symptoms import (
    budget_too_small,
    diverged,
    exploding_gradient,
    high_bias,
    high_variance,
    learning_rate_too_high,
    learning_rate_too_low,
    plateau,
    same_answer_for_all,
    vanishing_gradient,
)
from thalweg.history import History

Symptom = Callable[[History, Facts], Finding | None]

SYMPTOMS: tuple[Symptom, ...] = (
    diverged,
    exploding_gradient,
    vanishing_gradient,
    learning_rate_too_high,
    learning_rate_too_low,
    plateau,
    same_answer_for_all,
    high_bias,
    high_variance,
    budget_too_small,
)

_UNLEARNED = frozenset({"same answer for all", "high bias"})
EXPLAINS: dict[str, frozenset[str]] = {
    "diverged": _UNLEARNED | {"learning rate too high", "learning rate too low", "high variance"},
    "exploding gradient": _UNLEARNED | {"learning rate too high", "learning rate too low"},
    "vanishing gradient": _UNLEARNED | {"learning rate too high", "learning rate too low"},
    "learning rate too high": _UNLEARNED | {"learning rate too low", "budget too small"},
    "learning rate too low": _UNLEARNED,
    "plateau": frozenset({"budget too small"}),
    "same answer for all": frozenset({"high bias"}),
    "high variance": frozenset({"budget too small"}),
}


def examine(history: History, facts: Facts) -> list[Finding]:
    """What is wrong with a run, gravest and surest first; empty for a healthy one."""
    with np.errstate(all="ignore"):  # a run that blows up has numbers near the largest there are: they are the evidence
        found = [finding for symptom in SYMPTOMS if (finding := symptom(history, facts)) is not None]
    explained = frozenset[str]().union(*(EXPLAINS.get(finding.name, frozenset()) for finding in found))
    kept = [finding for finding in found if finding.name not in explained]
    return sorted(kept, key=lambda finding: (SEVERITIES.index(finding.severity), -finding.confidence))
