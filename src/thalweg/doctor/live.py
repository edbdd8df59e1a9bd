"""Findings as they arise: what the tape has so far is judged while the loop still runs, and each finding said once.

>>> with thalweg.watch(model, optimizer) as doctor:             # on stderr, by the logger "thalweg.doctor":
...     ...
doctor: step 8: In 100% of the steps looked at, the gradient of the step before was still there when backward began.
>>> with thalweg.watch(model, optimizer, live=findings.append, quiet=True) as doctor:
...     ...

It looks at the steps 8, 16, 32, … and when a number is none. A healthy run hears nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from statistics import median

import torch
from torch.utils._pytree import tree_leaves

from thalweg.diagnose import Finding
from thalweg.diagnose.causes import early, program, rate
from thalweg.diagnose.numbers import Numbers, Suspicion
from thalweg.diagnose.verdict import finding_of
from thalweg.doctor.loop_probe import modal
from thalweg.doctor.tape import Tape
from thalweg.doctor.trace import trace, units
from thalweg.doctor.twin import Twin, quietly
from thalweg.history import History

LOG = logging.getLogger("thalweg.doctor")
FIRST = 8
"""Before this step nothing is judged but numbers that are none."""
UNITS = 256
"""The step from which units are asked whether they live, at every second look: it takes a forward pass of a copy."""
ROWS = 16
CAUSES: tuple[Callable[[Numbers], Suspicion | None], ...] = (
    program.no_zero_grad,
    early.cut_off,
    program.wrong_mode,
    rate.nan,
    early.gradient_runs_away,
    early.outputs_run_away,
    early.died,
)


class Live:
    """Judges a tape; ``tell`` is called with each finding, ``quiet`` keeps it off the log."""

    def __init__(self, tape: Tape, twin: Twin | None, *, tell: Callable[[Finding], None] | None, quiet: bool) -> None:
        self._tape, self._twin, self._tell, self._quiet = tape, twin, tell, quiet
        self._modal = modal(tape.model)
        self._said: set[str] = set()
        self.found: list[Finding] = []
        tape.doubled = self.look

    def look(self) -> None:
        """Says what is new."""
        tape = self._tape
        broken = tape.first_bad >= 0
        if tape.steps < FIRST and not broken:
            return
        scratch = History()
        scratch.record(tape.steps, tape.counted() | {"loop/modal": float(self._modal)} | self._signals())
        if (
            tape.steps >= UNITS
            and tape.steps.bit_length() % 2
            and not broken
            and self._twin is not None
            and "dead_relu" not in self._said
        ):
            scratch.record(tape.steps, self._dead(self._twin))
        numbers = Numbers(scratch)
        found = (suspicion for cause in CAUSES if (suspicion := cause(numbers)) is not None and not suspicion.note)
        self.say(finding_of(suspicion, scratch) for suspicion in found)

    def say(self, findings: Iterable[Finding]) -> None:
        """Passes on those whose kind was not said yet."""
        for finding in findings:
            if finding.kind in self._said:
                continue
            self._said.add(finding.kind)
            self.found.append(finding)
            if not self._quiet:
                LOG.warning("doctor: step %d: %s", self._tape.steps, finding.sentence)
            if self._tell is not None:
                self._tell(finding)

    def _signals(self) -> dict[str, float]:
        tape = self._tape
        numbers: dict[str, float] = {}
        norms = tape.history.column("grad_norm").values.tolist()
        if len(norms) > 2:
            numbers |= {"early/grad_norm": norms[-1], "early/grad_norm_usual": median(norms[:-1])}
        if tape.largest:
            numbers |= {"early/largest": tape.largest[-1][1], "early/largest_first": tape.largest[0][1]}
        held = {id(p) for group in tape.optimizer.param_groups for p in group["params"]}
        named = dict(tape.model.named_parameters())
        without = [
            name
            for name, times in tape.no_gradient.items()
            if times >= tape.looked > 2 and named[name].requires_grad and id(named[name]) in held
        ]
        numbers |= {f"early/no_gradient/{name}": 1.0 for name in without}
        total = max(sum(p.numel() for p in named.values()), 1)
        return numbers | {"early/no_gradient_share": sum(named[name].numel() for name in without) / total}

    def _dead(self, twin: Twin) -> dict[str, float]:
        """``early/dead/LAYER``: the share of the units of a ReLU that are zero for all rows of the last mini-batch kept."""
        tape = self._tape
        state = tape.snapshots.get(tape.steps)
        inputs = tape.samples[-1].inputs if tape.samples else ()
        if (
            state is None
            or min((len(x) for x in tree_leaves(inputs) if isinstance(x, torch.Tensor) and x.ndim), default=0) < ROWS
        ):
            return {}
        found: dict[str, float] = {}
        with quietly(0), torch.no_grad():
            for number, op in enumerate(trace(twin.at(state), *inputs).ops):
                if op.kind == "relu":
                    zero = (units(op.output) == 0).all(0)
                    found[f"early/dead/{op.where or f'relu {number}'}"] = float(zero.double().mean())
        return found
