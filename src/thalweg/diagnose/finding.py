"""What the doctor is told and what it says: ``Facts`` of a run, a ``Finding`` about it, and the ``Verdict``: all of them.

>>> Facts(task="multiclass", class_shares=(0.5, 0.3, 0.2), n_dev=360).majority
0.5
>>> Finding("plateau", "The loss does not move.", where="train/loss", evidence={"loss": 2.303}, confidence=0.9,
...         remedy="Raise the learning rate.", reference="…", severity="critical").title
'Plateau'
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from thalweg.diagnose.kinds import KINDS
from thalweg.errors import InputError
from thalweg.history import History

Severity = Literal["critical", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "note")


@dataclass(frozen=True)
class Facts:
    """What the numbers of a history do not say about themselves. Zero or empty where it is not known, the task too.

    ``class_shares`` are the shares of the classes in the training part, in any order, adding up to 1; without them all
    ``classes`` are taken as equally frequent. ``epochs`` is the budget, not the passes made. ``stopped`` says why the run
    ended before its budget, empty where it did not. ``stable_product`` is the largest stable rate times curvature of the rule
    on a quadratic (2 for gradient descent), 0 for a rule that has none.
    """

    task: str = "multiclass"
    classes: int = 1
    class_shares: tuple[float, ...] = ()
    n_train: int = 0
    n_dev: int = 0
    epochs: int = 0
    batch_size: int = 0
    rule: str = ""
    stopped: str = ""
    schedule: str = ""
    stable_product: float = 0.0

    def __post_init__(self) -> None:
        if self.task not in ("", "binary", "multiclass", "regression"):
            raise InputError(f'the task is "{self.task}": the doctor knows binary, multiclass and regression')
        if self.class_shares and abs(sum(self.class_shares) - 1) > 1e-6:
            raise InputError(f"class_shares add up to {sum(self.class_shares):g}: give shares that add up to 1")

    @classmethod
    def of(cls, history: History) -> Facts:
        """What a watched loop's own history says: the sizes of its parts."""
        return cls(task="", n_train=int(history.last("n/train", 0.0)), n_dev=int(history.last("n/dev", 0.0)))

    @property
    def shares(self) -> tuple[float, ...]:
        """The class shares, equal ones where they are not known; empty for a regression and where the task is not known."""
        if self.task in ("", "regression"):
            return ()
        classes = max(self.classes, 2)
        return self.class_shares or (1 / classes,) * classes

    @property
    def metric(self) -> str:
        """The name of the metric that says how good the model is: higher is better, 1 is perfect."""
        return "r2" if self.task == "regression" else "accuracy"

    @property
    def majority(self) -> float:
        """What the metric is without looking at the inputs: the largest class's share, or R² 0 of the mean."""
        return max(self.shares, default=0.0)

    @property
    def prior_loss(self) -> float:
        """The loss without looking at the inputs: the entropy −Σ p ln p (nats); NaN for a regression."""
        return -sum(p * math.log(p) for p in self.shares if p > 0) if self.shares else math.nan


@dataclass(frozen=True)
class Series:
    """One line of a finding's chart, or one set of its bars: ``steps`` and ``values``, both ``(n,)``."""

    label: str
    steps: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Chart:
    """The evidence as a picture: lines over steps. ``mark`` is a step to point at, ``level`` a value to compare with.

    With ``ticks``, a name for each value, it has bars instead: of trials, layers or classes.
    """

    series: tuple[Series, ...]
    y: str
    log: bool = False
    mark: int | None = None
    level: float | None = None
    ticks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a run.

    ``kind`` is its name among ``kinds.KINDS`` ("note" for a remark that names no fault), ``sentence`` says it with its numbers,
    ``where`` names the part of the run or network, ``evidence`` holds the numbers by name, and under ``test`` which test
    decided, ``remedy`` says what to do, ``reference`` where the rule is from; ``confidence`` 0…1 is how sure the rule is of the
    cause, not how bad it is. ``chart`` shows the evidence where there is something to draw.
    """

    kind: str
    sentence: str
    where: str
    evidence: Mapping[str, float | str]
    confidence: float
    remedy: str
    reference: str
    severity: Severity
    chart: Chart | None = field(default=None, compare=False)

    @property
    def title(self) -> str:
        """The kind as people read it: "Learning rate too high"."""
        known = KINDS.get(self.kind)
        return self.kind[:1].upper() + self.kind[1:].replace("_", " ") if known is None else known.title


@dataclass(frozen=True)
class Verdict:
    """What was found: ``findings`` deserve action, likeliest cause first; ``notes`` are remarks below that.

    A healthy run has no findings. ``tested``: whether causes were tested, or only the curves of the run read.
    """

    findings: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()
    tested: bool = False
