"""Runs the collection, keeps the histories, prints what was mistaken: ``python sweep.py OUT [NAME|NAME] [seed,seed]``."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))


def one(task):
    name, seed, out = task
    import torch

    torch.set_num_threads(1)
    import collection  # noqa: F401
    import collection_more  # noqa: F401
    import collection_wide  # noqa: F401
    from ailing import PROGRAMS, run

    p = PROGRAMS[name](seed)
    from thalweg.doctor.watcher import Doctor

    spent = {}
    inner = Doctor._examine

    def timed(self):
        spent["run"] = time.perf_counter() - self._begin
        t = time.perf_counter()
        inner(self)
        spent["probe"] = time.perf_counter() - t

    Doctor._examine = timed
    try:
        doctor = run(p)
    finally:
        Doctor._examine = inner
    h = doctor.history
    path = Path(out) / f"{name}-{seed}.jsonl"
    path.unlink(missing_ok=True)
    from thalweg.history import History

    file = History(path)
    for column in h.columns:
        for s, v in zip(*h.column(column), strict=True):
            file.record(int(s), {column: v})
    file.close()
    notes = [n.sentence for n in doctor.notes() if n.kind == "note"]
    return name, seed, p.kind, [(f.kind, round(f.confidence, 2)) for f in doctor.findings()], spent, notes


def table(results):
    top = anyhit = faulty = healthy = false = 0
    for name, seed, kind, found, spent, notes in sorted(results, key=lambda r: (r[2] or "", r[0])):
        kinds = [k for k, _ in found]
        if kind is None:
            healthy += 1
            false += bool(kinds)
            ok = not kinds
        else:
            faulty += 1
            top += kinds[:1] == [kind]
            anyhit += kind in kinds
            ok = kinds[:1] == [kind]
        mark = "  " if ok else "~ " if kind in kinds else "X "
        said = " ".join(f"{k}:{c}" for k, c in found)[:110]
        took = f"[{spent.get('run', 0):.1f}+{spent.get('probe', 0):.1f}s]"
        print(f"{mark}{name:26s} {seed} {kind or '-':20s} {said}  {took} {notes[:2] or ''}")  # noqa: T201
    print(f"top {top}/{faulty}  any {anyhit}/{faulty}  false {false}/{healthy}")  # noqa: T201


if __name__ == "__main__":
    out, word = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    seeds = [int(s) for s in sys.argv[3].split(",")] if len(sys.argv) > 3 else [0]
    Path(out).mkdir(parents=True, exist_ok=True)
    import collection  # noqa: F401
    import collection_more  # noqa: F401
    import collection_wide  # noqa: F401
    from ailing import PROGRAMS

    tasks = [(n, s, out) for n in PROGRAMS for s in seeds if any(w in n for w in word.split("|"))]
    results = []
    with ProcessPoolExecutor(3) as pool:
        for result in pool.map(one, tasks):
            results.append(result)
            table(results[-1:])
    table(results)
