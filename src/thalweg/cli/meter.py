"""A bar on a terminal, as every long command draws it on standard error: words, the bar, words; notes stand above it.

>>> meter = Meter()
>>> meter.draw(12, 64, "trial 12/64", "best dev accuracy 98.61 %  0:01 left")
>>> meter.close()                                                                  # the last state stays on the screen
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


class Meter:
    """Drawn from the first ``draw`` to ``close``; then it may begin anew."""

    def __init__(self) -> None:
        self._progress: Progress | None = None

    @property
    def drawn(self) -> bool:
        """Whether there is a bar."""
        return self._progress is not None

    def draw(self, done: int, total: int | None, before: str, behind: str = "") -> None:
        """Shows ``done`` of ``total`` (None: not known) between two texts in Rich's markup."""
        if self._progress is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            self._progress = Progress(
                TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[words]}"),
                console=Console(stderr=True), auto_refresh=False,
            )  # fmt: skip
            self._progress.add_task(before, total=total, completed=done, words=behind)
            self._progress.start()
        self._progress.update(
            self._progress.task_ids[0], completed=done, total=total, description=before, words=behind, refresh=True
        )

    def note(self, sentence: str) -> None:
        """A remark above the bar, word for word."""
        from rich.console import Console

        console = self._progress.console if self._progress is not None else Console(stderr=True)
        console.print(f"note: {sentence}", style="dim", markup=False, highlight=False)

    def close(self) -> None:
        """Leaves the last state on the screen."""
        if self._progress is not None:
            self._progress.refresh()
            self._progress.stop()
            self._progress = None
