"""What is answered to a path: the list of what lies in the runs folder, and the page of each; plain data in, plain data out.

>>> site = Site("runs")
>>> site.answer("/page/digits-1")
Answer(status=200, body=b'<!doctype html>…', kind='text/html; charset=utf-8', tag='"5f1c…"', policy="default-src 'none'; …")
>>> site.answer("/page/..%2f..%2fetc%2fpasswd").status
404

Pages of runs and studies are made from their files as they stand, without writing anything, and kept until a file changes;
those of what else lies there are given out as they are. A path leads nowhere but to an entry of the list: no other file is
ever read out.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from thalweg.errors import InputError
from thalweg.experiments.folder import Folder
from thalweg.report.index import Entry, index_page
from thalweg.report.markup import text
from thalweg.report.page import ICON, document, light, served
from thalweg.report.sheet import Sheet, section
from thalweg.report.underway import underway_page
from thalweg.view.reading import KINDS, Reader, stamp

EVERY, SELDOM = 1000, 4000
"""Milliseconds after which an open page asks again, where something is running and where nothing is."""
POLICY = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
STILL = (
    f"default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data: blob:; {POLICY}"
)
"""For pages that others may have made: besides what they allow themselves, they may not ask this server for anything."""
OURS = re.compile(r"<title>[^<]* · thalweg</title>")
OWN = {"run", "cross-validation", "study", "race"}
"""Kinds whose pages are made here, from their files as they stand."""
KEPT = 16
"""Pages kept ready."""


@dataclass(frozen=True)
class Answer:
    """A status with its body; ``tag`` changes whenever the body would."""

    status: int
    body: bytes
    kind: str = "text/html; charset=utf-8"
    tag: str = ""
    policy: str = POLICY


class Site:
    """The site of one runs folder. May be asked by several threads at once."""

    def __init__(self, runs: str | Path) -> None:
        self.runs = Path(runs)
        self.root = self.runs.resolve()
        self._readers: dict[str, Reader] = {}
        self._pages: dict[tuple[str, str], str] = {}
        self._looking = threading.RLock()
        self._making = threading.Lock()

    def answer(self, target: str, *, known: str = "") -> Answer:
        """The answer to a path with its query; 304 without a body where the asker knows the tag already."""
        try:
            parts = urlsplit(target)
        except ValueError:  # as in http://[::1/
            return self._nothing(target)
        asked_light = parts.query == "light"
        if parts.path == "/":
            return self._list(known, asked_light)
        if parts.path == "/favicon.ico":
            return Answer(200, ICON.encode(), kind="image/svg+xml")
        name = _name(parts.path)
        if name is None or not self._there(name):
            return self._nothing(target)
        return self._page(name, known, asked_light)

    def entries(self) -> list[Entry]:
        """A row for each entry, by name."""
        with self._looking:
            return [self._entry(name) for name in sorted(self._names())]

    # ---- the list ------------------------------------------------------------------------------------------------
    def _names(self) -> set[str]:
        """What lies in the runs folder and is ours; readers of what has gone are dropped."""
        try:
            found = {path.name for path in self.root.iterdir() if _listed(path)}
        except OSError:
            found = set()
        for gone in self._readers.keys() - found:
            del self._readers[gone]
        return found

    def _entry(self, name: str) -> Entry:
        path = self.root / name
        if not self._inside(path):
            return Entry(
                name, "link", state="damaged", said="it leads out of this folder: what lies there is not shown"
            )
        link = f"/page/{quote(name)}"
        if path.suffix == ".html" and path.is_file():
            return _of_file(path, link)
        return replace(self._reader(name).entry(), link=link)

    def _reader(self, name: str) -> Reader:
        path = self.root / name
        reader = self._readers.get(name)
        if reader is None or reader.kind == "page":  # a folder is made before what it is
            reader = self._readers[name] = Reader(path)
        return reader

    def _there(self, name: str) -> bool:
        path = self.root / name
        return _listed(path) and self._inside(path)

    def _inside(self, path: Path) -> bool:
        """Whether a path, and all that lies directly in it, is in the runs folder also when links are followed."""
        try:
            links = [path] if path.is_symlink() else []
            if path.is_dir():
                with os.scandir(path) as found:
                    links += [Path(one.path) for one in found if one.is_symlink()]
            return all(self.root in link.resolve().parents for link in links)
        except (OSError, RuntimeError):  # a link that leads to itself
            return False

    def _list(self, known: str, asked_light: bool) -> Answer:
        entries = self.entries()
        tag = _tag("list", repr(entries))
        if known == tag:
            return Answer(304, b"", tag=tag)
        every = EVERY if any(entry.state == "running" for entry in entries) else SELDOM
        page = served(index_page(self.root.name, entries), home="/", live=every)
        return Answer(200, (light(page) if asked_light else page).encode(), tag=tag)

    # ---- pages ---------------------------------------------------------------------------------------------------
    def _page(self, name: str, known: str, asked_light: bool) -> Answer:
        path = self.root / name
        with self._looking:
            reader = None if path.is_file() else self._reader(name)
            entry = None if reader is None else reader.entry()
            tag = _tag(name, repr(stamp(path) if reader is None else reader.stamps()))
        if known == tag:
            return Answer(304, b"", tag=tag)
        with self._making:  # one after the other: two would take as long, and twice the memory
            if (page := self._pages.pop((name, tag), None)) is None:
                page = self._made(path, entry)
            self._pages[name, tag] = page
            while len(self._pages) > KEPT:
                del self._pages[next(iter(self._pages))]
        still = entry is None or entry.kind not in OWN or (entry.kind == "race" and entry.state == "finished")
        return Answer(200, (light(page) if asked_light else page).encode(), tag=tag, policy=STILL if still else POLICY)

    def _made(self, path: Path, entry: Entry | None) -> str:
        """A page however the folder is: one that cannot be made says why."""
        name = path.name
        try:
            if entry is None:
                return served(path.read_text(encoding="utf-8"), home="/")
            if entry.state == "damaged":
                raise InputError(entry.said)
            if entry.kind in OWN:
                page = self._underway(path, entry) if entry.kind == "race" else _rendered(path, entry)
                return served(page, home="/", live=EVERY if entry.state == "running" else 0)
            return served(Folder(path).page.read_text(encoding="utf-8"), home="/")
        except InputError as error:
            said = str(error)
        except Exception as error:  # whatever is wrong with one folder, the site goes on and says so
            said = f"the page of {name} cannot be made ({type(error).__name__}: {error}): its files are damaged or half written"
        live = EVERY if entry is not None and entry.kind in OWN else 0
        return served(_notice(name, said), home="/", live=live)

    def _underway(self, path: Path, entry: Entry) -> str:
        """The page that a race has left; before, how far it is."""
        if entry.state == "finished":
            return Folder(path).page.read_text(encoding="utf-8")
        with self._looking:
            reader = self._reader(path.name)
            lanes, total = reader.lanes.read(), reader.lanes.total
        return underway_page(path.name, lanes, state=entry.state, said=entry.said, total=total)

    def _nothing(self, target: str) -> Answer:
        said = f"there is no page {target[:80]}: the list has all there are"
        return Answer(404, served(_notice("Not found", said), home="/").encode())


def _rendered(path: Path, entry: Entry) -> str:
    status = "" if entry.state != "silent" else f"silent: {entry.said}"
    if entry.kind == "study":
        from thalweg.experiments.tuning.folder import StudyFolder
        from thalweg.experiments.tuning.record import rendered_study

        return rendered_study(StudyFolder(path), status=status)
    from thalweg.experiments.page import rendered

    return rendered(Folder(path), status=status)[0]


def _notice(title: str, said: str) -> str:
    shown = section("What is wrong", "wrong", f'<div class="card"><p>{text(said[:1].upper() + said[1:])}.</p></div>')
    assert shown is not None
    return document(
        title, heading=f"<h1>{text(title)}</h1>", written=[shown], sheet=Sheet(), footer="Served by thalweg."
    )


def _name(path: str) -> str | None:
    """The entry that a path names; None for a path that is not of the form ``/page/NAME``."""
    name = unquote(path.removeprefix("/page/"))
    safe = name and not name.startswith(".") and not set(name) & {"/", "\\", "\0"}
    return name if path.startswith("/page/") and safe else None


def _listed(path: Path) -> bool:
    try:
        if path.is_dir():
            held = any((path / name).exists() for name in (*KINDS, "page.html", "result.json", "history.jsonl"))
        else:
            held = path.suffix == ".html" and (path.is_symlink() or (path.is_file() and _ours(path)))
    except OSError:  # a folder of somebody else's, or a name that cannot be one
        return False
    return held and not path.name.startswith(".")


def _ours(path: Path) -> bool:
    return bool(OURS.search(_head(path)))


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(2000).decode("utf-8", "replace")
    except OSError:
        return ""


def _of_file(path: Path, link: str) -> Entry:
    found = OURS.search(_head(path))
    title = found[0][7:].split(" · thalweg")[0] if found else ""
    kind = "check" if title.startswith("check ") else "page"
    made = stamp(path)
    when = "" if made is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(made[0] / 1e9))
    return Entry(path.name, kind, link=link, when=when)


def _tag(*parts: str) -> str:
    return '"' + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24] + '"'
