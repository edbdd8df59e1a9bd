"""The page of a run: one self-contained HTML file that says first what is wrong, then how it went, then what it was.

>>> run = RunReport(name="digits-1", task="multiclass", metrics={"test": {"accuracy": 0.975, "loss": 0.09}})
>>> write("runs/digits-1/page.html", render(run, history, examine(history, facts)))

It needs no network, no server and no other file, works from 400 to 1600 pixels, on light and dark screens and on paper. All
that strangers may have named (columns, classes, files) is escaped; a content security policy forbids the rest.

>>> render(RunReport(name="<script>alert(1)</script>"), History(), Verdict()).count("<script>alert")
0

``figures`` says what the charts show, ``page`` where everything stands, ``page.css`` and ``page.js`` how it looks and moves.
The same run gives the same bytes.
"""

from thalweg.report.page import render, write
from thalweg.report.run import RateReport, RunReport

__all__ = ["RateReport", "RunReport", "render", "write"]
