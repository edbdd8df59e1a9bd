"""Schedules: the value of a hyperparameter as a function of the updates made.

A schedule is called with a step, the number of updates made so far (0 for the first one), and gives a float in closed form:
nothing to advance, nothing to restore on resume. Most give a factor of the initial value, between 0 and 1.

>>> rate = 0.1 * (warmup(500) >> cosine(10_000))
>>> rate(0), rate(499), rate(500 + 5_000)
(0.0002, 0.1, 0.05)

``a >> b`` runs ``a`` for its ``steps``, then ``b`` from its own step 0; after its last step a schedule stays where it is.
``every`` makes it count something slower than steps, such as passes over the data:

>>> parse("every(23, exponential(0.95))")(46)                  # α₀ · 0.95^epoch with 23 updates in a pass
0.9025

``plateau`` and ``until`` react to what the run measures; ``begin()`` gives the form that hears of it.

Its text is the expression that makes it: ``parse(repr(schedule)) == schedule``. ``parse`` evaluates nothing but this grammar.
"""

from __future__ import annotations

from thalweg.schedules.outline import Outline, Stretch, outline
from thalweg.schedules.reactive import plateau, until
from thalweg.schedules.running import Running
from thalweg.schedules.schedule import Joined, Scaled, Schedule
from thalweg.schedules.shapes import (
    SHAPES,
    constant,
    cosine,
    every,
    exponential,
    inverse_root,
    inverse_time,
    linear,
    one_cycle,
    polynomial,
    restarts,
    root,
    sine,
    staircase,
    warmup,
    warmup_constant,
    wsd,
)
from thalweg.schedules.text import parse

__all__ = [
    "SHAPES",
    "Joined",
    "Outline",
    "Running",
    "Scaled",
    "Schedule",
    "Stretch",
    "constant",
    "cosine",
    "every",
    "exponential",
    "inverse_root",
    "inverse_time",
    "linear",
    "one_cycle",
    "outline",
    "parse",
    "plateau",
    "polynomial",
    "restarts",
    "root",
    "sine",
    "staircase",
    "until",
    "warmup",
    "warmup_constant",
    "wsd",
]
