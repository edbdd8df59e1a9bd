"""The doctor: reads what a run recorded and says what is wrong with it, if anything.

Pure functions of a history and a few facts: no network, no torch, so it works on last year's log as on a live one.

>>> verdict = examine(History.read("runs/digits-1/history.jsonl"), Facts(task="multiclass", classes=10, n_dev=360))
>>> verdict.findings[0].kind, verdict.findings[0].sentence
('lr_too_high', 'The learning rate is too high: the loss ends at 4.1, above the 2.3 it started from.')

A healthy run has no findings:

>>> examine(healthy, facts).findings
()

Of a loop that ``thalweg.watch`` sat beside, whose history holds what its tests wrote, it knows more:

>>> examine(doctor.history).findings[0].evidence["test"]
'a tenth of the rate from the same start'

A fault has one of the 26 names of ``kinds.KINDS``. Symptoms (``symptoms/``) are what the curves of a run suggest, causes
(``causes/``) what tests decided; ``verdict.py`` makes one list of them. Thresholds stand beside their source and are set so
that healthy runs raise nothing; see ``tests/diagnose`` for the runs they are held against.
"""

from __future__ import annotations

from thalweg.diagnose.finding import Chart, Facts, Finding, Series, Verdict
from thalweg.diagnose.kinds import KINDS
from thalweg.diagnose.verdict import examine

__all__ = ["KINDS", "Chart", "Facts", "Finding", "Series", "Verdict", "examine"]
