"""Plotly's JavaScript, packed: 1.9 MB in a page instead of 4.8.

The Python package ships the library; here it is compressed and written as text, and the page unpacks it with the browser's own
``DecompressionStream``. The packed text is kept for as long as the process lives.

>>> len(packed()) < 2_100_000
True
>>> gzip.decompress(base64.b64decode(packed()))[:2]
b'/*'
"""

from __future__ import annotations

import base64
import gzip
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from thalweg.errors import MissingDependency


@cache
def packed() -> str:
    """plotly.js as base64 of gzip; the same text each time. Raises ``MissingDependency`` where plotly is not installed."""
    found = find_spec("plotly")  # importing plotly itself takes longer than making the page
    if found is None or found.origin is None:
        raise MissingDependency("plotly", "the page")
    library = Path(found.origin).parent / "package_data" / "plotly.min.js"
    return base64.b64encode(gzip.compress(library.read_bytes(), 9, mtime=0)).decode("ascii")
