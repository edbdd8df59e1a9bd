"""The lines of a file that another process is writing, each given once.

>>> tail = Tail(Path("runs/digits-1/history.jsonl"))
>>> tail.lines()
([b'{"step":0,…}', …], True)                         # all of them: it begins
>>> tail.lines()
([b'{"step":34,…}'], False)                          # what has come since

A line half written waits until it is whole. Where the writer has gone back, as a resumed run does to its checkpoint, the file
begins anew, and whoever counted its lines forgets them.
"""

from __future__ import annotations

from pathlib import Path


class Tail:
    """Follows one file of lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def lines(self) -> tuple[list[bytes], bool]:
        """The whole lines since last asked, and whether they are the file from its beginning. Raises ``OSError``."""
        with self.path.open("rb") as file:
            file.seek(max(self._offset - 1, 0))
            data = file.read()
            if self._offset and not data.startswith(b"\n"):
                self._offset = 0
                file.seek(0)
                data = file.read()
        anew = self._offset == 0
        data = data if anew else data[1:]
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.split(b"\n")[:-1], anew
