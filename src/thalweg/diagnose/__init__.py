"""The doctor: reads what a run recorded and says what is wrong with it, if anything.

Pure functions of a history and a few facts: no network, no torch, so it works on last year's log as on a live one.

>>> findings = examine(History.read("runs/digits-1/history.jsonl"), Facts(task="multiclass", classes=10, n_dev=360))
>>> findings[0].sentence
'The learning rate is too high: the loss ends at 4.1, above the 2.3 it started from.'

A healthy run has no findings:

>>> examine(healthy, facts)
[]

Of a run that ``thalweg.watch`` sat beside, whose history holds what the probes wrote, ``judge`` knows more: 26 kinds of fault,
causes before what they bring about (``kinds.py``, ``causes/``, ``verdict.py``):

>>> findings, notes = judge(doctor.history, ())
>>> findings[0].kind, findings[0].remedy
('lr_too_high', 'Lower the learning rate tenfold; warm it up or let it fall.')

Each symptom is one function in ``symptoms/``; ``SYMPTOMS`` is the list of them. Thresholds stand beside their source and
are set so that healthy runs raise nothing; see ``tests/diagnose`` for the runs they are held against.
"""

from __future__ import annotations

from thalweg.diagnose.doctor import SYMPTOMS, examine
from thalweg.diagnose.finding import Chart, Facts, Finding, Series
from thalweg.diagnose.verdict import judge

__all__ = ["SYMPTOMS", "Chart", "Facts", "Finding", "Series", "examine", "judge"]
