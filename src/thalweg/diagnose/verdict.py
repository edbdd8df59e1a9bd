"""The verdict on a watched run: every cause is asked, causes come before what they bring about.

>>> findings, notes = judge(history, ())
>>> [finding.kind for finding in findings]
['lr_too_high', 'dead_relu']

``ORDER`` is the precedence: faults of the program first, for nothing else can be judged while they stand, then what is wrong
with the data, the start, the rate, and at last what is wrong with the size of network and data. Those less sure than
``SURE`` come after all that are surer: mostly what the faults above bring about.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from thalweg.diagnose.causes import fit, pairing, program, rate, start
from thalweg.diagnose.finding import Finding
from thalweg.diagnose.kinds import KINDS
from thalweg.diagnose.numbers import Numbers, Suspicion
from thalweg.history import History

Cause = Callable[[Numbers], Suspicion | None]

ORDER: tuple[Cause, ...] = (
    program.no_zero_grad,
    program.wrong_gradient,
    pairing.wrong_loss,
    pairing.wrong_activation,
    program.frozen_params,
    program.wrong_mode,
    program.wrong_optimizer,
    program.data_order,
    rate.nan,
    fit.leakage,
    start.alike,
    start.unnormalised_input,
    start.exploding_gradient,
    start.dead_relu,
    start.saturated_activation,
    start.bad_init,
    start.vanishing_gradient,
    rate.lr_too_high,
    fit.class_imbalance,
    rate.plateau,
    fit.over_regularised,
    rate.lr_too_low,
    rate.undertrained,
    fit.label_noise,
    fit.train_dev_mismatch,
    fit.high_variance,
    fit.high_bias,
)
SURE = 0.75
"""Suspicions at least so sure stand in the order of the table; the others follow, surest first."""


def judge(history: History, said: tuple[str, ...]) -> tuple[list[Finding], list[Finding]]:
    """Findings, likeliest cause first, and notes. ``said``: sentences of what could not be examined."""
    numbers = Numbers(history)
    with np.errstate(all="ignore"):
        found = [suspicion for cause in ORDER if (suspicion := cause(numbers)) is not None]
    first = {s.kind: s for s in reversed(found) if not s.note}
    worthy = [s for s in found if first.get(s.kind) is s]
    ranked = sorted(worthy, key=lambda s: (s.confidence < SURE, 0.0 if s.confidence >= SURE else -s.confidence))
    notes = [_finding(s) for s in found if s.note]
    notes += [Finding("note", sentence, "the watcher", {}, 1.0, "", "", "note") for sentence in said]
    return [_finding(s) for s in ranked], notes


def _finding(s: Suspicion) -> Finding:
    kind = KINDS[s.kind]
    evidence: dict[str, float | str] = {"test": s.test, **s.evidence}
    return Finding(
        s.kind,
        s.sentence,
        s.where,
        evidence,
        s.confidence,
        kind.remedy,
        kind.reference,
        "note" if s.note else "warning",
    )
