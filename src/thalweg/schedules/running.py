"""A schedule while a run follows it: what it needs to know of the run, and what it has to remember.

A ``Schedule`` is a description and never changes; ``schedule.begin()`` gives the form that a run follows. It is told what
was measured, and its value follows from the step and from what it was told, so that it can be asked for any step:

>>> running = parse("warmup(100) >> plateau(0.5, patience=3)").begin()
>>> running.observe(500, {"dev/loss": 0.31})
>>> running(501)
1.0

A schedule that depends on the step alone is ``Fixed``: it hears nothing and remembers nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thalweg.schedules.schedule import Schedule


class Running:
    """A schedule that a run follows."""

    def __call__(self, step: int) -> float:
        """The value for the update that follows ``step`` updates, after all that was observed."""
        raise NotImplementedError

    def observe(self, step: int, measured: Mapping[str, float]) -> None:
        """Takes in what was measured after ``step`` updates, by the names of the history: ``dev/loss``."""

    def end(self) -> int | None:
        """The steps after which it has come to its end; None where that is not known, or never."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """What was observed, as plain numbers."""
        return {}

    def load_state_dict(self, saved: dict[str, Any], /) -> None:
        """Goes on from there."""


class Fixed(Running):
    """A schedule that depends on the step alone."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule

    def __call__(self, step: int) -> float:
        return self.schedule(step)

    def end(self) -> int | None:
        return self.schedule.length()


class RunningJoined(Running):
    """One after another: each part counts from where the one before it ended, and hears only what is measured in its time."""

    def __init__(self, parts: Sequence[Running]) -> None:
        self.parts = tuple(parts)

    def _at(self, step: int) -> tuple[Running, int]:
        start = 0
        for part in self.parts[:-1]:
            end = part.end()
            if end is None or step < start + end:
                return part, start
            start += end
        return self.parts[-1], start

    def __call__(self, step: int) -> float:
        part, start = self._at(step)
        return part(step - start)

    def observe(self, step: int, measured: Mapping[str, float]) -> None:
        part, start = self._at(step)
        part.observe(step - start, measured)

    def end(self) -> int | None:
        ends = [part.end() for part in self.parts]
        known = [end for end in ends if end is not None]
        return sum(known) if len(known) == len(ends) else None

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, saved: dict[str, Any], /) -> None:
        for part, state in zip(self.parts, saved["parts"], strict=True):
            part.load_state_dict(state)


class RunningScaled(Running):
    """A running schedule times a number."""

    def __init__(self, factor: float, inner: Running) -> None:
        self.factor, self.inner = factor, inner

    def __call__(self, step: int) -> float:
        return self.factor * self.inner(step)

    def observe(self, step: int, measured: Mapping[str, float]) -> None:
        self.inner.observe(step, measured)

    def end(self) -> int | None:
        return self.inner.end()

    def state_dict(self) -> dict[str, Any]:
        return self.inner.state_dict()

    def load_state_dict(self, saved: dict[str, Any], /) -> None:
        self.inner.load_state_dict(saved)


class RunningEvery(Running):
    """A running schedule, moved on by one each ``steps`` updates."""

    def __init__(self, steps: int, inner: Running) -> None:
        self.steps, self.inner = steps, inner

    def __call__(self, step: int) -> float:
        return self.inner(step // self.steps)

    def observe(self, step: int, measured: Mapping[str, float]) -> None:
        # Rounded up, for what ends now must not have ended before: nothing that follows may begin in the past.
        self.inner.observe(-(-step // self.steps), measured)

    def end(self) -> int | None:
        inner = self.inner.end()
        return None if inner is None else inner * self.steps

    def state_dict(self) -> dict[str, Any]:
        return self.inner.state_dict()

    def load_state_dict(self, saved: dict[str, Any], /) -> None:
        self.inner.load_state_dict(saved)
