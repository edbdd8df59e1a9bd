"""The verdict on a run: symptoms (what its curves suggest) and causes (what tests decided), each kind of fault once, ranked.

>>> examine(history, Facts(classes=10, n_dev=360)).findings[0].title          # a run of thalweg's: curves
'Learning rate too high'
>>> verdict = examine(doctor.history, said=("the model cannot be copied",))   # a watched loop: tests
>>> [finding.kind for finding in verdict.findings], len(verdict.notes)
(['lr_too_high', 'dead_relu'], 1)

``SYMPTOMS`` and ``CAUSES`` are tables in order of precedence. A symptom leaves out those after it that it explains: a rate that
is too high also makes a network that gives everybody the same answer, and naming both would bury the one that helps. Causes
have faults of the program first, for nothing else can be judged while they stand, then what is wrong with the data, the
start, the rate, and at last with the size of network and data; those less sure than ``SURE`` come after all that are surer.
Where the tests had what it takes to judge a kind (``DECIDED``), theirs is the last word: a symptom that they did not confirm
is a note, or left out where they confirmed another cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from thalweg.diagnose import symptoms
from thalweg.diagnose.causes import fit, pairing, program, rate, start
from thalweg.diagnose.finding import SEVERITIES, Facts, Finding, Severity, Verdict
from thalweg.diagnose.kinds import KINDS
from thalweg.diagnose.numbers import Numbers, Suspicion
from thalweg.diagnose.pictures import picture
from thalweg.history import History

Symptom = Callable[[History, Facts], Finding | None]
Cause = Callable[[Numbers], Suspicion | None]

SYMPTOMS: tuple[Symptom, ...] = (
    symptoms.diverged,
    symptoms.exploding_gradient,
    symptoms.dead_relu,
    symptoms.saturated_activation,
    symptoms.bad_init,
    symptoms.vanishing_gradient,
    symptoms.learning_rate_too_high,
    symptoms.beyond_the_edge,
    symptoms.schedule_died,
    symptoms.learning_rate_too_low,
    symptoms.plateau,
    symptoms.saddle,
    symptoms.rare_classes_missed,
    symptoms.same_answer_for_all,
    symptoms.high_bias,
    symptoms.mismatch,
    symptoms.label_noise,
    symptoms.high_variance,
    symptoms.budget_too_small,
)
SUGGESTED = (
    "nan",
    "exploding_gradient",
    "dead_relu",
    "saturated_activation",
    "bad_init",
    "vanishing_gradient",
    "lr_too_high",
    "lr_too_low",
    "plateau",
    "class_imbalance",
    "high_bias",
    "train_dev_mismatch",
    "label_noise",
    "high_variance",
    "undertrained",
)
"""The kinds that symptoms name."""
CAUSES: tuple[Cause, ...] = (
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
    rate.accumulation,
    program.decay_on_everything,
)
SURE = 0.75
"""Causes at least so sure stand in the order of the table; the others follow, surest first."""

_UNLEARNED = frozenset({"high_bias", "class_imbalance", "plateau"})
_RATES = frozenset({"lr_too_high", "lr_too_low", "undertrained"})
_START = frozenset({"dead_relu", "saturated_activation", "bad_init", "vanishing_gradient"})
EXPLAINS: dict[str, frozenset[str]] = {
    "nan": _UNLEARNED | _RATES | _START | {"high_variance"},
    "exploding_gradient": _UNLEARNED | _RATES | _START,
    "dead_relu": _UNLEARNED | _RATES | _START,
    "saturated_activation": _UNLEARNED | _RATES | _START,
    "bad_init": _UNLEARNED | _RATES | _START,
    "vanishing_gradient": _UNLEARNED | _RATES,
    "lr_too_high": _UNLEARNED | {"lr_too_low", "undertrained", "high_variance"},
    "lr_too_low": _UNLEARNED,
    "plateau": _UNLEARNED | {"undertrained", "lr_too_low"},
    "class_imbalance": frozenset({"high_bias"}),
    "label_noise": frozenset({"high_variance", "undertrained"}),
    "train_dev_mismatch": frozenset({"high_variance"}),
    "high_variance": frozenset({"undertrained"}),
}
"""Which kinds a symptom makes redundant, where they come after it in the table."""
_REACH = ("reference/train", "reference/dev")
DECIDED: dict[str, tuple[str, ...]] = {
    "nan": ("input/not_finite", "loop/first_bad", *_REACH),
    "lr_too_high": ("trial/slow/loss", *_REACH),
    "lr_too_low": ("trial/fast/loss", *_REACH),
    "undertrained": ("trial/more/loss", *_REACH),
    "class_imbalance": ("class/recall_rare", *_REACH),
    "train_dev_mismatch": ("domain/auc", *_REACH),
    **dict.fromkeys(
        ("plateau", "vanishing_gradient", "exploding_gradient", "dead_relu", "saturated_activation"), _REACH
    ),
    **dict.fromkeys(("bad_init", "high_bias", "high_variance", "over_regularised", "label_noise"), _REACH),
}
"""Numbers of which one is enough for the tests to have judged a kind: its own trial, or what these data allow."""


def examine(history: History, facts: Facts | None = None, said: Sequence[str] = ()) -> Verdict:
    """What is wrong with a run, likeliest cause first; no findings for a healthy one.

    ``facts`` are what the numbers of a history do not say about themselves; None where nobody knows them, and then only what
    needs none is asked. ``said`` are sentences of what could not be examined: they become notes.
    """
    with np.errstate(all="ignore"):  # a run that blows up has numbers near the largest there are: they are the evidence
        decided, remarks = _causes(history)
        shown = _symptoms(history, Facts.of(history) if facts is None else facts)
    named = {finding.kind for finding in (*decided, *remarks)}
    shown = [finding for finding in shown if finding.kind not in named]
    settled = [f for f in shown if any(name in history for name in DECIDED.get(f.kind, ()))]
    suggested = [f for f in shown if f not in settled and f.severity != "note"]
    remarks += [f for f in shown if f not in settled and f.severity == "note"]
    if not decided:  # beside a cause that was confirmed they are what it brings about
        remarks += [
            replace(f, severity="note", sentence=f"{f.sentence} The tests did not confirm it.") for f in settled
        ]
    remarks += [Finding("note", sentence, "the watcher", {}, 1.0, "", "", "note") for sentence in said]
    return Verdict((*decided, *suggested), tuple(remarks), tested="n/steps" in history)


def _symptoms(history: History, facts: Facts) -> list[Finding]:
    """Gravest and surest first, without those that an earlier one explains or that name its kind again."""
    found: list[Finding] = []
    explained: set[str] = set()
    for symptom in SYMPTOMS:
        finding = symptom(history, facts)
        if finding is not None and finding.kind not in explained:
            found.append(finding)
            if finding.severity != "note":
                explained |= {finding.kind} | EXPLAINS.get(finding.kind, frozenset())
    return sorted(found, key=lambda finding: (SEVERITIES.index(finding.severity), -finding.confidence))


def _causes(history: History) -> tuple[list[Finding], list[Finding]]:
    """What the tests decided: findings in order, and notes."""
    numbers = Numbers(history)
    found = [suspicion for cause in CAUSES if (suspicion := cause(numbers)) is not None]
    worthy = list(_first_of_a_kind(s for s in found if not s.note))
    ranked = sorted(worthy, key=lambda s: (s.confidence < SURE, 0.0 if s.confidence >= SURE else -s.confidence))
    return [finding_of(s, history) for s in ranked], [finding_of(s, history) for s in found if s.note]


def _first_of_a_kind(suspicions: Iterable[Suspicion]) -> Iterable[Suspicion]:
    kinds: set[str] = set()
    for suspicion in suspicions:
        if suspicion.kind not in kinds:
            kinds.add(suspicion.kind)
            yield suspicion


def finding_of(s: Suspicion, history: History) -> Finding:
    kind = KINDS[s.kind]
    severity: Severity = "note" if s.note else "critical" if s.confidence >= SURE else "warning"
    return Finding(
        s.kind,
        s.sentence,
        s.where,
        {"test": s.test, **s.evidence},
        s.confidence,
        kind.remedy,
        kind.reference,
        severity,
        picture(s.kind, s.evidence, history),
    )
