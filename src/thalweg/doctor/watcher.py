"""The doctor in anyone's loop: listens while it runs, tests what it suspects when it ends, says what it found.

See ``thalweg.watch`` for the three lines it takes.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch

from thalweg.diagnose import Finding, Verdict, examine
from thalweg.doctor.case import Case, progress, reference
from thalweg.doctor.data_probe import data
from thalweg.doctor.examples import Examples, flat
from thalweg.doctor.gradient_probe import gradient
from thalweg.doctor.head_probe import head
from thalweg.doctor.keywords import Keywords
from thalweg.doctor.live import Live
from thalweg.doctor.loop_probe import loop, modal
from thalweg.doctor.losses import recognise
from thalweg.doctor.start_probe import layers
from thalweg.doctor.tape import Tape
from thalweg.doctor.task import Task
from thalweg.doctor.trials import trials
from thalweg.doctor.twin import Loss, Twin, outputs, quietly
from thalweg.history import History

PROBES: tuple[Callable[[Case], None], ...] = (data, loop, progress, reference, head, layers, gradient, trials)
"""In the order they run; a later one may read what an earlier one wrote."""


class Doctor:
    """What ``thalweg.watch`` gives: a context manager. ``history`` holds every number the verdict rests on."""

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        loss: Loss | None,
        train: Any,
        dev: Any,
        train_dev: Any,
        live: Callable[[Finding], None] | None = None,
        quiet: bool = False,
    ) -> None:
        self.history = History()
        self._optimizer, self._loss = optimizer, loss
        self._model = unwrapped(model)
        self._called = self._model.model if isinstance(self._model, Keywords) else model
        self._tell, self._quiet = live, quiet
        self._live: Live | None = None
        like = next((p for p in model.parameters() if p.is_floating_point()), None)
        self._train = None if train is None else Examples.of(train, "train", like)
        self._dev = None if dev is None else Examples.of(dev, "dev", like)
        self._train_dev = None if train_dev is None else Examples.of(train_dev, "train_dev", like)
        self._tape: Tape | None = None
        self._twin: Twin | None = None
        self._epochs = 0
        self._said: list[str] = []
        self._verdict: Verdict | None = None

    def __enter__(self) -> Doctor:
        try:
            self._twin = Twin.of(self._model, self._optimizer)
        except Exception as error:  # a model that cannot be copied is watched all the same
            self._said.append(
                f"the model cannot be copied ({type(error).__name__}: {error}): nothing is tried on a copy"
            )
        given = self._model.given if isinstance(self._model, Keywords) else None
        self._tape = Tape(self._model, self._optimizer, self.history, called=self._called, given=given)
        self._live = Live(self._tape, self._twin, tell=self._tell, quiet=self._quiet)
        return self

    def note(self, sentence: str) -> None:
        """Adds a remark that ``notes`` gives back with the others."""
        self._said.append(sentence)

    def epoch_end(self) -> None:
        """Marks the end of a pass over the data."""
        self._epochs += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._tape is not None
        self._tape.close()
        if self._verdict is not None:
            return
        broke = self._tape.first_bad >= 0 or isinstance(error, FloatingPointError | OverflowError)
        if error is None or (broke and isinstance(error, Exception)):
            self.examine()
        else:  # somebody waits for this error, or pressed Ctrl-C: what the tape has is judged, nothing is tried
            ended = f"the loop ended with {type(error).__name__}: nothing was tried on copies; doctor.examine() does so"
            self._conclude(None, ended)

    @property
    def verdict(self) -> Verdict:
        """Findings and notes together; empty while the loop runs."""
        return Verdict() if self._verdict is None else self._verdict

    def findings(self) -> list[Finding]:
        """What deserves action, likeliest cause first; empty for a healthy run."""
        return list(self.verdict.findings)

    def notes(self) -> list[Finding]:
        """Remarks below that: what looks unusual and did no harm, and what could not be examined."""
        return list(self.verdict.notes)

    def page(self, path: str | Path, *, title: str = "A training loop") -> None:
        """Writes findings, evidence and curves as one self-contained HTML page. Raises ``InputError`` where it cannot."""
        from thalweg.report import render_verdict, write

        write(path, render_verdict(self.verdict, self.history, title=title))

    def to_tensorboard(self, target: Any) -> None:
        """Writes every number by its name, and the findings as text, to a folder or a ``SummaryWriter``.

        Raises ``InputError`` where TensorBoard is not installed.
        """
        from thalweg.monitors.tensorboard import to_tensorboard

        to_tensorboard(self.history, target, texts={f"finding/{f.kind}": described(f) for f in self.findings()})

    def examine(self) -> None:
        """Tests on copies what may be wrong, and judges. The end of the ``with`` calls it, unless an error ended the loop."""
        python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  somebody's program may use it
        grad = torch.is_grad_enabled()
        try:
            with quietly(0), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what a crafted question makes a loss warn of is not the user's doing
                case = self._case()
                for probe in PROBES if case is not None else ():
                    try:
                        assert case is not None
                        probe(case)
                    except Exception as error:  # a probe that fails must not end somebody's program
                        self._said.append(f"{probe.__name__}: {type(error).__name__}: {error}")
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
            torch.set_grad_enabled(grad)
        self._conclude(case)

    def _conclude(self, case: Case | None, *said: str) -> None:
        tape, live = self._tape, self._live
        assert tape is not None and live is not None
        numbers = {"n/epochs": float(self._epochs), "n/steps": float(tape.steps)}
        if case is None:  # no rows to ask the probes about: the tape's own counts, and what was said on the way
            numbers |= tape.counted() | {"loop/modal": float(modal(self._model))}
        self.history.record(tape.steps, numbers)
        verdict = examine(self.history, said=(*self._said, *tape.faults, *said))
        if case is None:
            live.look()
            named = {finding.kind for finding in (*verdict.findings, *verdict.notes)}
            heard = tuple(finding for finding in live.found if finding.kind not in named)
            verdict = replace(verdict, findings=(*verdict.findings, *heard))
        self._verdict = verdict
        live.say(verdict.findings)

    def _case(self) -> Case | None:
        if self._twin is None or self._train is None or self._tape is None:
            return None
        try:
            train, dev, train_dev = self._as_seen(self._train, self._tape)
            loss = self._loss or recognise(self._twin, self._tape, train)
            if loss is None:
                self._said.append("no loss was given, and none that is known fits the gradients seen: give loss=")
                return None
            rows = train.sample(64)
            inputs, targets = train.take(rows)
            end = {n: v.detach().clone() for n, v in self._model.state_dict().items() if isinstance(v, torch.Tensor)}
            # A logit may start between 0 and 1 on every row, as a probability does; when the loop has ended it does not.
            first, last = (outputs(self._twin.at(state), inputs) for state in (self._tape.snapshots[0], end))
            out = torch.cat([first, last.to(first)])
            task = Task.of(out, train.targets) if len(targets) else Task("other")
            return Case(self.history, self._tape, self._twin, end, loss, train, dev, train_dev, task)
        except Exception as error:  # data that do not fit the model leave the tape
            self._said.append(f"the model cannot be asked about train: {type(error).__name__}: {error}")
            return None

    def _as_seen(self, train: Examples, tape: Tape) -> tuple[Examples, Examples | None, Examples | None]:
        """The data as the model saw them, where the loop itself scales the rows it is given."""
        parts = train, self._dev, self._train_dev
        whole = flat(train.inputs)
        if not tape.seen or whole is None or whole.shape[1] != tape.seen[0].shape[1]:
            return parts
        keys = torch.cat([batch.keys for batch in tape.batches])
        seen = torch.cat(tape.seen)
        if float((train.recognise(keys) >= 0).double().mean()) > 0.5 or not bool(torch.isfinite(whole).all()):
            return parts
        inside = seen.double()
        far = float((inside.mean() - whole.mean()).abs() / whole.std()), float(inside.std() / whole.std())
        if far[0] < 0.3 and 0.7 < far[1] < 1.4:  # another value for each row, the same scale: augmentation
            return parts
        self._said.append("the loop scales the rows of train before the model sees them: they were scaled likewise")
        scaled = [None if part is None else part.as_seen(seen, tape.seen_shape, train) for part in parts]
        assert scaled[0] is not None
        return scaled[0], scaled[1], scaled[2]


def unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    """The module that holds the weights, where ``torch.compile`` or a parallel wrapper stands around it."""
    while True:
        if isinstance(model, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel):
            model = model.module
        elif type(model).__name__ == "OptimizedModule":  # asking by type would import the compiler
            model = model._orig_mod  # type: ignore[assignment]
        else:
            return model


def described(finding: Finding) -> str:
    """A finding in Markdown."""
    return f"**{finding.kind}** at {finding.where} ({finding.confidence:.0%})\n\n{finding.sentence}\n\n{finding.remedy}"
