"""How often the doctor is right: programs with one known fault, healthy ones, what it names, what it costs.

    python benchmarks/doctor.py --out benchmarks/results/doctor.md
    python benchmarks/doctor.py --quick                          # one seed, every fifth program
    python benchmarks/doctor.py --only "noise" --seeds 0,1 --keep /tmp/kept
    python benchmarks/doctor.py --again /tmp/kept                # judges what was kept anew, without training

A program is right where the first finding has its kind, named where any has, a false alarm where a healthy one has any.
Programs fall into two halves by data set and kinds of layers together (parity of a checksum): thresholds are
set on the first; the second is only measured. Intervals are Wilson's, 95 %. Probes' cost is their processor time over the
run's own.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from ailing import NEW, PROGRAMS, run
from thalweg.diagnose import examine as judge
from thalweg.doctor import Doctor
from thalweg.history import History


@dataclass(frozen=True)
class Outcome:
    """What the doctor made of a program. ``ran``, ``probed`` in seconds of one processor."""

    name: str
    seed: int
    kind: str | None
    half: int
    new: bool
    found: tuple[str, ...]
    sure: tuple[float, ...]
    said: tuple[str, ...]
    ran: float
    probed: float

    @property
    def right(self) -> bool:
        return self.found[:1] == ((self.kind,) if self.kind else ())

    @property
    def named(self) -> bool:
        return self.kind in self.found if self.kind else not self.found

    def line(self) -> str:
        mark = "  " if self.right else "~ " if self.named and self.kind else "X "
        found = " ".join(f"{k}:{c:.2f}" for k, c in zip(self.found, self.sure, strict=True))
        notes = f"  {list(self.said[:2])}" if self.said else ""
        took = f"[{self.ran:.1f}+{self.probed:.1f} s]"
        return f"{mark}{self.half} {self.name:28s} {self.seed} {self.kind or '-':20s} {found}  {took}{notes}"


def one(task: tuple[str, int, str]) -> Outcome:
    name, seed, keep = task
    torch.set_num_threads(1)
    program = PROGRAMS[name](seed)
    spent = {"probed": 0.0}
    examine = Doctor.examine

    def timed(doctor: Doctor) -> None:
        begin = time.process_time()
        examine(doctor)
        spent["probed"] = time.process_time() - begin

    Doctor.examine = timed  # type: ignore[method-assign]
    begin = time.process_time()
    try:
        doctor = run(program)
    finally:
        Doctor.examine = examine  # type: ignore[method-assign]
    ran = time.process_time() - begin - spent["probed"]
    found = doctor.findings()
    said = tuple(note.sentence for note in doctor.notes() if note.kind == "note")
    outcome = Outcome(name, seed, program.kind, program.half, name in NEW, tuple(f.kind for f in found),
                      tuple(f.confidence for f in found), said, ran, spent["probed"])  # fmt: skip
    if keep:
        _kept(Path(keep), outcome, doctor.history)
    return outcome


def _kept(folder: Path, outcome: Outcome, history: History) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{outcome.name}-{outcome.seed}.jsonl"
    path.unlink(missing_ok=True)
    file = History(path)
    for name in history.columns:
        for step, value in zip(*history.column(name), strict=True):
            file.record(int(step), {name: value})
    file.close()
    path.with_suffix(".json").write_text(json.dumps(asdict(outcome)))


def again(folder: Path) -> Iterator[Outcome]:
    """The verdicts of today on histories that were kept."""
    for path in sorted(folder.glob("*.jsonl")):
        was = json.loads(path.with_suffix(".json").read_text())
        found = judge(History.read(path)).findings
        yield Outcome(**{**was, "said": tuple(was["said"]), "found": tuple(f.kind for f in found),
                         "sure": tuple(f.confidence for f in found)})  # fmt: skip


def wilson(hits: int, n: int) -> str:
    """A share with its 95 % interval (Wilson 1927)."""
    if not n:
        return "–"
    z, p = 1.96, hits / n
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)
    return f"{hits}/{n} = {p:.1%} ({max(low, 0):.1%} – {min(high, 1):.1%})"


def rates(outcomes: Iterable[Outcome]) -> list[str]:
    seen = list(outcomes)
    ill, well = [o for o in seen if o.kind], [o for o in seen if not o.kind]
    return [
        wilson(sum(o.right for o in ill), len(ill)),
        wilson(sum(o.named for o in ill), len(ill)),
        wilson(sum(bool(o.found) for o in well), len(well)),
    ]


def confusion(outcomes: list[Outcome]) -> list[str]:
    """Rows: the true kind; columns: the kind named first."""
    counts = Counter((o.kind or "healthy", o.found[0] if o.found else "nothing") for o in outcomes)
    kinds = sorted({kind for kind, _ in counts})
    lines = ["| true | right | named first instead |", "|---|---|---|"]
    for kind in kinds:
        row = {named: c for (k, named), c in counts.items() if k == kind}
        good = row.pop("nothing" if kind == "healthy" else kind, 0)
        others = ", ".join(f"{named} {c}" for named, c in sorted(row.items(), key=lambda item: -item[1]))
        lines.append(f"| {kind} | {good}/{good + sum(row.values())} | {others} |")
    return lines


def cost(outcomes: list[Outcome], title: str) -> str:
    ratios = sorted(o.probed / max(o.ran, 1e-9) for o in outcomes)
    if not ratios:
        return f"| {title} | – | – | – | – | – |"
    slowest = max(outcomes, key=lambda o: o.probed)
    nine = ratios[min(int(0.9 * len(ratios)), len(ratios) - 1)]
    return (
        f"| {title} | {len(ratios)} | {statistics.median(ratios):.2f} | {nine:.2f} | {ratios[-1]:.2f} | "
        f"{slowest.probed:.1f} s ({slowest.name}) |"
    )


def report(outcomes: list[Outcome]) -> str:
    names = {o.name: o.kind for o in outcomes}
    ill, seeds = sum(kind is not None for kind in names.values()), sorted({o.seed for o in outcomes})
    lines = [
        "# The doctor against programs with one known fault\n",
        f"`python benchmarks/doctor.py`: {ill} faulty and {len(names) - ill} healthy programs, seeds {seeds}; torch "
        f"{torch.__version__}, {platform.machine()}, one thread. Shares with Wilson's 95 % interval.\n",
        "| part | true kind first | true kind anywhere | healthy with any alarm |",
        "|---|---|---|---|",
    ]
    parts = {
        "first half, thresholds set on it": [o for o in outcomes if o.half == 1],
        "second half": [o for o in outcomes if o.half == 2],
        "written apart": [o for o in outcomes if o.new],
        "all": outcomes,
    }
    lines += [f"| {title} | {' | '.join(rates(part))} |" for title, part in parts.items()]
    lines += ["\n## Cost of the probes, over the time of the run\n", "| runs | n | median | 90 % | max | longest |",
              "|---|---|---|---|---|---|"]  # fmt: skip
    lines.append(cost(outcomes, "all"))
    lines.append(cost([o for o in outcomes if o.ran < 1], "under 1 s"))
    lines.append(cost([o for o in outcomes if 1 <= o.ran < 5], "1 to 5 s"))
    lines.append(cost([o for o in outcomes if o.ran >= 5], "5 s and more"))
    for half in (1, 2):
        lines += [f"\n## Confusion, half {half}\n", *confusion([o for o in outcomes if o.half == half])]
    lines += ["\n## What was mistaken\n", "```"]
    lines += [o.line() for o in sorted(outcomes, key=lambda o: (o.half, o.kind or "", o.name, o.seed)) if not o.right]
    return "\n".join([*lines, "```", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, every fifth program")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--only", default="", help="programs whose name or kind holds one of these words, parted by |")
    parser.add_argument("--new", action="store_true", help="only the programs written apart")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", default="", help="a folder for histories")
    parser.add_argument("--again", type=Path, help="judge the histories of this folder")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    words = given.only.split("|")
    if given.again:
        outcomes = [o for o in again(given.again) if any(w in o.name or w == o.kind for w in words)]
        outcomes = [o for o in outcomes if o.new or not given.new]
    else:
        seeds = [0] if given.quick else [int(s) for s in given.seeds.split(",")]
        names = [name for name in PROGRAMS if name in NEW or not given.new][:: 5 if given.quick else 1]
        names = [name for name in names if any(w in name or w == PROGRAMS[name](0).kind for w in words)]
        tasks = [(name, seed, given.keep) for seed in seeds for name in names]
        outcomes = []
        with ProcessPoolExecutor(given.jobs) as pool:
            for outcome in pool.map(one, tasks):
                outcomes.append(outcome)
                print(outcome.line(), flush=True)
    text = report(outcomes)
    print(text)
    if given.out:
        given.out.write_text(text)


if __name__ == "__main__":
    main()
