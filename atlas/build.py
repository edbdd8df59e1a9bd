"""Runs every entry in full and hangs them in a gallery: ``atlas/site/index.html``.

>>> python atlas/build.py                       # what has been run before, under the same text, is not run again
>>> python atlas/build.py zigzag window         # these anew; the others as they were kept
>>> python atlas/build.py --fresh --jobs 4

A result is kept in ``atlas/site/results`` under a digest of the script and of what it takes from its neighbours; a change of
the library itself asks for ``--fresh``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import re
import sys
import time
import traceback
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: one process a core, each on one thread

import thalweg
from claim import HERE, SEEDS, entry, measure, names
from thalweg.report import write
from thalweg.report.figure import Figure
from thalweg.report.gallery import Plate, gallery_page
from thalweg.report.markup import data

SITE = HERE / "site"


def digest(name: str) -> str:
    """Of the script and of what it takes from its neighbours; not of how it is told and drawn: that asks for --fresh."""
    script = (HERE / f"{name}.py").read_text(encoding="utf-8")
    taken = sorted({*re.findall(r"^from (\w+) import", script, re.MULTILINE)} - {"claim", "draw"})
    texts = [path.read_text(encoding="utf-8") for one in taken if (path := HERE / f"{one}.py").exists()]
    return hashlib.sha256("\0".join([script, *texts]).encode()).hexdigest()[:16]


def kept(name: str, site: Path) -> Path:
    """Where the result of an entry stands."""
    return site / "results" / f"{name}-{digest(name)}.json"


def run(name: str, site: Path) -> float:
    """Runs one entry in full and keeps what it found; the seconds of one core that it took."""
    path = kept(name, site)  # a script that is edited while it runs has not been run
    began = time.process_time()
    shown = measure(entry(name), range(SEEDS), small=False)
    took = time.process_time() - began
    result = {
        "holds": [bool(one) for one in shown.holds],
        "numbers": {what: [float(one) for one in values] for what, values in shown.numbers.items()},
        "figure": {
            "caption": shown.figure.caption, "data": shown.figure.data, "layout": shown.figure.layout,
            "height": shown.figure.height,
        },
        "but": shown.but,
        "seconds": took,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob(f"{name}-*.json"):
        old.unlink(missing_ok=True)
    write(path, data(result))
    return took


def plate(name: str, site: Path) -> Plate:
    """A kept result beside its claim and its text."""
    one = entry(name)
    found: dict[str, Any] = json.loads(kept(name, site).read_text(encoding="utf-8"))
    numbers = {w: [math.nan if v is None else v for v in values] for w, values in found["numbers"].items()}
    return Plate(
        name, one.title, one.group, one.claim, one.source, found["holds"], numbers,
        Figure(name, one.title, **found["figure"]), found["but"], (HERE / f"{name}.py").read_text(encoding="utf-8"),
        f"atlas/{name}.py", found["seconds"],
    )  # fmt: skip


def main() -> int:
    """0 where every claim holds but those known to be refuted, and these do not."""
    parser = argparse.ArgumentParser(description="Runs the atlas and writes its gallery.")
    parser.add_argument("names", nargs="*", help="entries to run anew")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="entries at once")
    parser.add_argument("--fresh", action="store_true", help="run what has been run before, too")
    parser.add_argument("--out", type=Path, default=SITE, help="folder of the page and the results")
    chosen = parser.parse_args()
    known, site = names(), chosen.out
    if unknown := sorted({*chosen.names} - {*known}):
        parser.error(f"there is no entry {unknown[0]}: choose among {', '.join(known)}")
    todo = [name for name in known if chosen.fresh or name in chosen.names or not kept(name, site).exists()]
    failed = _run(todo, chosen.jobs, site)
    plates = [plate(name, site) for name in known if kept(name, site).exists()]
    site.mkdir(parents=True, exist_ok=True)
    page = site / "index.html"
    write(page, gallery_page("The atlas", plates, version=thalweg.__version__))
    for one in plates:
        if not one.proven:
            print(f"{one.file}: holds in {one.verdict}" + (f"; {one.but}" if entry(one.key).refuted else ""))
        elif entry(one.key).refuted:
            print(f"{one.file}: holds in {one.verdict}, though it says of itself that it is refuted")
    print(f"{len(plates)} claims, {sum(one.proven for one in plates)} hold  {page}")
    return 1 if failed or any(one.proven is entry(one.key).refuted for one in plates) else 0


def _run(todo: list[str], jobs: int, site: Path) -> list[str]:
    """Runs entries in processes of their own; those that broke."""
    broken = []
    with ProcessPoolExecutor(max(1, min(jobs, len(todo))), multiprocessing.get_context("spawn")) as pool:
        running: dict[Future[float], str] = {pool.submit(run, name, site): name for name in todo}
        for done, future in enumerate(as_completed(running), start=1):
            name = running[future]
            try:
                print(f"[{done}/{len(todo)}] {name}  {future.result():.1f} s", flush=True)
            except Exception as error:  # one broken entry leaves the others standing
                broken.append(name)
                print(f"[{done}/{len(todo)}] {name} broke: {error}", file=sys.stderr, flush=True)
                traceback.print_exception(error)
    return broken


if __name__ == "__main__":
    sys.exit(main())
