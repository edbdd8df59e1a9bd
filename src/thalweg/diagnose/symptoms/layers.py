"""What the layers put out: units that never answer, outputs at the rails, a start that no scheme draws.

>>> dead_relu(history, facts).sentence
'98% of the outputs of 1 are zero; at the start it was 52%.'
>>> bad_init(history, facts).sentence
'The untrained network has a loss of 41, where guessing among 10 classes gives 2.3.'

Each asks first whether learning suffered: a wide layer whose outputs are mostly zero is sparse, not ill.
"""

from __future__ import annotations

import math

import numpy as np

from thalweg.diagnose.finding import Chart, Facts, Finding, Series, Severity
from thalweg.diagnose.kinds import KINDS
from thalweg.diagnose.measures import final_skill, finite, layers, untrained_loss
from thalweg.diagnose.symptoms.rate import learning_rate_too_high
from thalweg.history import Column, History

LEARNED = 0.5
"""A network that explains half of what there is to explain is not held up by its layers."""
FIRST = 3
"""Steps in which the network is still nearly as it was made."""
MOST_ZERO = 0.95
"""Share of zeros among a layer's outputs. DeepDiagnosis takes 0.7, which half of the healthy nets on MNIST exceed."""
DEAD, RAILS, RAILS_AT_THE_END = 0.5, 0.5, 0.8
"""Share of units (SageMaker Debugger: half of a layer), and of outputs (DeepDiagnosis)."""
BORN = 0.9
LOSS = 2.5
"""Loss of the untrained net over ln C: healthy ones were 1.0 to 1.5, 2.1 on raw inputs, faulty 3.8
and more."""


def dead_relu(history: History, facts: Facts) -> Finding | None:
    """Nearly all outputs of a layer are zero, where what goes in is not, and the network does not learn."""
    if final_skill(history, facts) > LEARNED:
        return None
    columns = _dead_columns(history)
    ends = {name: float(np.median(column.values[-5:])) for name, column in columns.items()}
    if not ends:
        return None
    where = max(ends, key=lambda name: ends[name])
    begin = float(np.median(columns[where].values[:FIRST]))
    born = begin > BORN * ends[where]
    if not born and learning_rate_too_high(history, facts) is not None:
        return None  # the rate killed them, and names itself
    what = "units" if f"activation/{where}/dead" in history else "outputs"
    verb = "answer no row" if what == "units" else "are zero"
    return Finding(
        "dead_relu",
        f"{ends[where]:.0%} of the {what} of {where} {verb}; at the start it was {begin:.0%}.",
        where,
        {"at the start": begin, "at the end": ends[where], "share learned": final_skill(history, facts)},
        0.85 if born else 0.7,
        KINDS["dead_relu"].remedy,
        "Lu et al., Dying ReLU, 2019; Amazon SageMaker Debugger, DeadRelu",
        "critical",
        Chart((Series(where, *columns[where]),), y=f"share of {what}"),
    )


def _dead_columns(history: History) -> dict[str, Column]:
    """Dead layers: by their units where those were counted, else by zeros that come out where few went in."""
    found, before = {}, math.inf
    names = dict.fromkeys(name.rsplit("/", 1)[0] for name in history.under("activation"))
    for name in names:
        dead = finite(history.column(f"activation/{name}/dead"))
        zeros = finite(history.column(f"activation/{name}/zeros"))
        zero = float(np.median(zeros.values[-5:])) if len(zeros.values) else math.nan
        if len(dead.values) and np.median(dead.values[-5:]) > DEAD:
            found[name] = dead
        elif not len(dead.values) and zero > MOST_ZERO and before < 0.5:
            found[name] = zeros
        before = zero if math.isfinite(zero) else before
    return found


def saturated_activation(history: History, facts: Facts) -> Finding | None:
    """Most outputs of a hidden sigmoid or tanh are at the rails, before training or for good, and it does not learn."""
    if final_skill(history, facts) > LEARNED:
        return None
    named = list(dict.fromkeys(name.rsplit("/", 1)[0] for name in history.under("activation")))
    columns = {
        name: column
        for name in named[:-1]  # the last output may be sure of itself
        if len((column := finite(history.column(f"activation/{name}/saturated"))).values)
    }
    begins = {name: float(np.median(column.values[:FIRST])) for name, column in columns.items()}
    ends = {name: float(np.median(column.values[-5:])) for name, column in columns.items()}
    ill = [name for name in columns if begins[name] > RAILS or ends[name] > RAILS_AT_THE_END]
    if not ill:
        return None
    where = max(ill, key=lambda name: begins[name])
    born = begins[where] > RAILS
    if not born and learning_rate_too_high(history, facts) is not None:
        return None
    return Finding(
        "saturated_activation",
        f"{begins[where]:.0%} of the outputs of {where} are at the rails in the first steps, {ends[where]:.0%} in the last.",
        where,
        {"at the start": begins[where], "at the end": ends[where], "share learned": final_skill(history, facts)},
        0.85 if born else 0.6,
        KINDS["saturated_activation"].remedy,
        "Glorot & Bengio, AISTATS 2010; Wardat et al., DeepDiagnosis, ICSE 2022",
        "critical",
        Chart(tuple(Series(name, *columns[name]) for name in ill[:3]), y="share at the rails"),
    )


def bad_init(history: History, facts: Facts) -> Finding | None:
    """The untrained network is sure of what it cannot know, or so alike in all its units that no gradient arises."""
    if not facts.shares:
        return None
    start, guess, learned = untrained_loss(history), math.log(len(facts.shares)), final_skill(history, facts)
    norms = layers(history, "grad_norm", until=FIRST)
    severity: Severity = "critical"
    if len(norms) > 1 and not any(norms.values()) and math.isclose(start, guess, rel_tol=1e-5):
        said, sure = "The weights start at zero: every output is the same, and no weight gets a gradient.", 0.95
    elif start > LOSS * guess:
        said = (
            f"The untrained network has a loss of {start:.3g}, where guessing among {len(facts.shares)} classes gives"
        )
        said = f"{said} {guess:.3g}."
        severity, sure = ("critical", 0.8) if learned < LEARNED else ("note", 0.5)
    else:
        return None
    chart = Chart((Series("train", *finite(history.column("train/loss"))),), y="loss", log=True, level=guess)
    return Finding(
        "bad_init",
        said,
        "initialisation",
        {"start loss": start, "guessing": guess, "share learned": learned},
        sure,
        KINDS["bad_init"].remedy,
        "Glorot & Bengio, AISTATS 2010; Ben Braiek & Khomh, TheDeepChecker, 2022 (loss of the untrained network)",
        severity,
        chart if len(chart.series[0].values) > 1 else None,
    )
