"""The page of a run: one self-contained HTML file that says first what is wrong, then how it went, then what it was.

>>> run = RunReport(name="digits-1", task="multiclass", metrics={"test": {"accuracy": 0.975, "loss": 0.09}})
>>> write("runs/digits-1/page.html", render(run, history, examine(history, facts)))

It needs no network, no server and no other file, works from 400 to 1600 pixels, on light and dark screens and on paper. All
that strangers may have named (columns, classes, files) is escaped; a content security policy forbids the rest.

>>> render(RunReport(name="<script>alert(1)</script>"), History(), Verdict()).count("<script>alert")
0

A loop that ``thalweg.watch`` sat beside has a page too:

>>> write("doctor.html", render_verdict(verdict, doctor.history, title="my loop"))

``curves`` and ``outcome`` say what the charts show, ``evidence`` how a finding reads, ``page`` and ``watched`` where everything
stands, ``page.css`` and ``page.js`` how it looks and moves. The same run gives the same bytes.
"""

from thalweg.report.page import render, write
from thalweg.report.run import RateReport, RunReport
from thalweg.report.watched import render_verdict

__all__ = ["RateReport", "RunReport", "render", "render_verdict", "write"]
