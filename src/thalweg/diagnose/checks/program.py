"""Is the program what it is meant to be: parameters that are reached, the gradient, the modes, output and loss, classes?

>>> parameters(Reach(total=9_000, frozen={"0.weight": 8_192}, unused={}, unheld={})).kind
'frozen_params'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from thalweg.diagnose import Finding
from thalweg.diagnose.checks.check import Check, Status, passed
from thalweg.diagnose.checks.signals import Layer, chain

GOOD, WRONG = 1e-5, 1e-3
"""Bands of a gradient check's ratio (mission H2): up to GOOD it is right, above WRONG it is not."""
PAIRING = ("wrong_loss", "wrong_activation")
FEW_ROWS = 4
"""Rows in a batch below which batch normalisation's moments are noise."""
RARE = 0.5


@dataclass(frozen=True)
class Reach:
    """Parameters by name with their sizes: ``frozen`` ask for no gradient, ``unused`` get none, ``unheld`` are not in the
    optimizer. ``total``: weights of the model."""

    total: int
    frozen: Mapping[str, int] = field(default_factory=dict)
    unused: Mapping[str, int] = field(default_factory=dict)
    unheld: Mapping[str, int] = field(default_factory=dict)


def parameters(r: Reach) -> Check:
    """Every parameter is trained, or it is said which are not."""
    name = "parameters"
    for group, words in (
        (r.unheld, "the optimizer does not hold them"),
        (r.unused, "the loss does not depend on them"),
        (r.frozen, "they have requires_grad=False"),
    ):
        if group:
            share = sum(group.values()) / max(r.total, 1)
            names = list(group)
            shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            said = f"{share:.0%} of the weights will not move ({shown}): {words}."
            grave = group is not r.frozen and share > 0.05  # freezing is often meant; a lost layer never is
            return Check(
                name, "failed" if grave else "warned", said, "frozen_params", names[0], evidence={"share": share}
            )
    return passed(name, f"All {r.total:,} weights get a gradient.", weights=r.total)


@dataclass(frozen=True)
class Gradient:
    """One parameter's gradient check: its ratio and the entry that is furthest off."""

    parameter: str
    ratio: float
    entry: str
    kinks: int = 0


def gradient(found: Sequence[Gradient], *, of: int, refused: str = "") -> Check:
    """Back-propagation against differences in float64, the parameter and entry that is off."""
    name = "gradient check"
    if refused:
        return Check(name, "skipped", f"Not asked: {refused}.")
    worst = max(found, key=lambda one: one.ratio, default=None)
    if worst is None:
        return Check(name, "skipped", "Not asked: no parameter needs a gradient.")
    looked = f"{len(found)} of {of} parameters" if len(found) < of else f"all {of} parameters"
    if worst.ratio <= GOOD:
        word = "great" if worst.ratio <= 1e-7 else "good"
        return passed(
            name, f"Ratio {worst.ratio:.0e} at most, {word} ({looked}, float64, two-sided).", ratio=worst.ratio
        )
    wrong = [one for one in found if one.ratio > WRONG]
    last = wrong[-1] if wrong else worst  # what is wrong behind makes all before it wrong: the last one is the culprit
    said = f"The gradient of {last.parameter} is not the loss's: ratio {last.ratio:.1g} (1e-5 is right), worst at {last.entry}."
    status: Status = "failed" if wrong else "warned"
    return Check(name, status, said, "wrong_gradient", last.parameter, evidence={"ratio": last.ratio})


def pairing(findings: Sequence[Finding]) -> Check:
    """Whether the last activation and the loss belong together, and the loss and the targets."""
    for finding in findings:
        if finding.kind in PAIRING:
            status: Status = "failed" if finding.severity != "note" else "warned"
            return Check(
                "output and loss", status, finding.sentence, finding.kind, finding.where, evidence=finding.evidence
            )
    return passed(
        "output and loss", "Right outputs cost least, wrong ones most, and the output can reach the right ones."
    )


@dataclass(frozen=True)
class Modes:
    """``norms``: layers of batch normalisation; ``batch``, ``last``: rows in a mini-batch, and in the last of a pass;
    ``random``: two evaluations of one input differ in evaluation mode."""

    norms: int
    batch: int
    last: int
    random: bool


def modes(m: Modes) -> Check:
    """Batch normalisation has rows enough, and evaluation is not random."""
    name = "modes"
    if m.random:
        said = "The model gives two answers to one input in evaluation mode: dropout or noise is left on."
        return Check(name, "failed", said, "wrong_mode", "the model",
                     "Draw only while self.training: F.dropout(x, training=self.training), or nn.Dropout.")  # fmt: skip
    if m.norms and m.batch < FEW_ROWS:
        said = f"Batch normalisation takes its moments from {m.batch} rows."
        status: Status = "failed" if m.batch == 1 else "warned"
        return Check(name, status, said, "wrong_mode", "batch_size",
                     "Take mini-batches of 16 rows or more, or norm = layer.", {"batch_size": m.batch})  # fmt: skip
    if m.norms and m.last == 1:
        said = f"With batches of {m.batch} the last of a pass has one row, and batch normalisation cannot take moments of one."
        return Check(name, "warned", said, "wrong_mode", "batch_size", "Choose another batch_size, or drop the last batch.",
                     {"batch_size": m.batch, "last": m.last})  # fmt: skip
    if m.batch == 1:
        return Check(name, "warned", "Each step is made from one row: its gradient is mostly noise.", "", "batch_size",
                     "Take mini-batches of 16 rows or more.", {"batch_size": 1})  # fmt: skip
    what = f"batch normalisation takes its moments from {m.batch} rows; " if m.norms else ""
    said = f"{what}evaluation gives the same answer twice; {m.batch} rows a step."
    return passed(name, said[:1].upper() + said[1:])


def inputs(findings: Sequence[Finding]) -> Check:
    """Columns of like scale around zero."""
    for finding in findings:
        if finding.kind == "nan":
            return Check("inputs", "failed", finding.sentence, "nan", finding.where, evidence=finding.evidence)
    for finding in findings:
        if finding.kind == "unnormalised_input":
            return Check(
                "inputs", "warned", finding.sentence, "unnormalised_input", finding.where, evidence=finding.evidence
            )
    return passed("inputs", "Finite, of like scale, around zero.")


def weights(findings: Sequence[Finding], layers: tuple[Layer, ...]) -> Check | None:
    """What the causes say of the weights drawn; None where they say nothing that matters.

    Zeros are meant where signals go around the layer; an odd scale that does no harm is no matter.
    """
    on_the_way = {layer.name for layer in chain(layers)}
    around = {layer.name for layer in layers if layer.weighted} - on_the_way
    for finding in findings:
        alike = "difference" in finding.evidence
        if finding.kind == "bad_init" and (alike or finding.severity != "note"):
            if alike and finding.where.rpartition(".")[0] in around:
                continue
            grave = alike or finding.confidence >= 0.75
            return Check("weights", "failed" if grave else "warned", finding.sentence, "bad_init", finding.where,
                         evidence=finding.evidence)  # fmt: skip
    return None


def classes(counts: Sequence[int], *, weighted: bool) -> Check:
    """How unequal the classes are."""
    present = [count for count in counts if count]
    total, ratio = sum(counts), max(present) / min(present)
    if len(present) < 2:
        said = "All training rows have the same class."
        return Check(
            "classes", "failed", said, "class_imbalance", "the targets", "Look at how rows were divided into parts."
        )
    largest = max(counts) / total
    said = f"{len(present)} classes, the largest {largest:.0%} of {total:,} rows, {ratio:.3g} times the smallest"
    evidence = {"largest": largest, "ratio": ratio}
    if ratio > 10 and not weighted:
        rare = f"{said}: always guessing the largest is right in {largest:.0%}."
        remedy = "Set class_weights = balanced and watch balanced_accuracy or f1."
        return Check("classes", "warned", rare, "class_imbalance", "the targets", remedy, evidence)
    return passed("classes", f"{said}{', weighted' if weighted else ''}.", **evidence)


OF_DATA = {
    "copy of the target": ("failed", "leakage"),
    "gives the target away": ("failed", "leakage"),
    "repeated across parts": ("failed", "leakage"),
    "label noise": ("warned", "label_noise"),
    "imbalance": ("warned", "class_imbalance"),
}
"""What a suspicion about data means, by its kind; the others are worth a look and have no name. Gravest first."""


def data(suspicions: Sequence[tuple[str, str]], *, rows: int, name: str) -> Check:
    """What the profile of the data found: (kind, sentence) of each."""
    if not suspicions:
        return passed("data", f"{name}: {rows:,} rows, nothing suspicious.")
    known = dict(reversed(suspicions))
    first = next((kind for kind in OF_DATA if kind in known), suspicions[0][0])
    status, named = OF_DATA.get(first, ("warned", ""))
    more = f" And {len(suspicions) - 1} more: see thalweg data." if len(suspicions) > 1 else ""
    remedy = "" if named else "Leave out what says nothing, with --drop; thalweg data shows the columns."
    grave: Status = "failed" if status == "failed" else "warned"
    return Check("data", grave, known[first] + more, named, "the data", remedy, {"suspicions": len(suspicions)})
