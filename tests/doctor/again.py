"""Judges the kept histories anew: ``python again.py FOLDER``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import collection  # noqa: F401
import collection_more  # noqa: F401
import collection_wide  # noqa: F401
from ailing import PROGRAMS
from sweep import table

from thalweg.diagnose.verdict import judge
from thalweg.history import History

KIND = {}
results = []
for path in sorted(Path(sys.argv[1]).glob("*.jsonl")):
    name, seed = path.stem.rsplit("-", 1)
    if name not in PROGRAMS:
        continue
    findings, _ = judge(History.read(path), ())
    kind = PROGRAMS[name](0).kind
    results.append((name, int(seed), kind, [(f.kind, round(f.confidence, 2)) for f in findings], {}, []))
table(results)
