"""Where generated things are kept between processes: lowered programs and compiled kernels.

The folder is ``$THALWEG_CACHE``, else ``thalweg`` under ``$XDG_CACHE_HOME`` or ``~/.cache``; where that cannot be written, a
temporary folder of the user's own. Everything in it can be deleted at any time: it is made again.
"""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path


def folder() -> Path:
    """The cache folder, made if need be; private to the user, for what lies in it is executed."""
    named = os.environ.get("THALWEG_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    own = (
        Path(tempfile.gettempdir())
        / f"thalweg-{os.getuid() if os.name == 'posix' else os.environ.get('USERNAME', 'user')}"
    )
    for candidate in (Path(named) if named else home / "thalweg", own):
        try:
            candidate.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            continue
        if os.access(candidate, os.W_OK) and (os.name != "posix" or candidate.stat().st_uid == os.getuid()):
            return candidate
    return Path(tempfile.mkdtemp(prefix="thalweg-"))


def write(path: Path, text: str) -> None:
    """Puts a text into the cache whole: processes and threads that start together do not see half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
