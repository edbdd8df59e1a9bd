"""Where generated things are kept between processes: lowered programs and compiled kernels.

The folder is ``$THALWEG_CACHE``, else ``thalweg`` under ``$XDG_CACHE_HOME`` or ``~/.cache``; where that cannot be written, a
temporary folder of the user's own. Everything in it can be deleted at any time: it is made again.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from thalweg.files import replacing


def folder() -> Path:
    """The cache folder, made if need be; private to the user, for what lies in it is executed."""
    named = os.environ.get("THALWEG_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    asked = os.path.expanduser(named or os.path.join(home, "thalweg"))
    own = (
        Path(tempfile.gettempdir())
        / f"thalweg-{os.getuid() if os.name == 'posix' else os.environ.get('USERNAME', 'user')}"
    )
    for candidate in (Path(asked), own):
        if str(candidate).startswith("~"):
            continue  # there is no home
        try:
            candidate.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            continue
        if os.access(candidate, os.W_OK) and (os.name != "posix" or candidate.stat().st_uid == os.getuid()):
            return candidate
    return Path(tempfile.mkdtemp(prefix="thalweg-"))


def write(path: Path, text: str) -> None:
    """Puts a text into the cache whole: processes and threads that start together do not see half of it."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """The same of bytes. Where the disk is full nothing is kept: it is only a cache."""
    with suppress(OSError), replacing(path) as beside:
        beside.write_bytes(content)


@cache
def imported(name: str, text: str, *, version: str = "") -> ModuleType:
    """Python source as a module, imported from a file in the cache folder, where Numba keeps its machine code beside it.

    The file is named after the text and ``version``, which stands for whatever else the machine code depends on (Numba
    compiles anew when the file of a function changes, not when one does that it calls from).
    """
    digest = sha256((text + version).encode()).hexdigest()[:16]
    path = folder() / f"{name}-{digest}.py"
    if not path.exists() or path.read_bytes() != text.encode():  # a full disk or a power cut leaves half a file
        write(path, text)
    if not path.exists():  # nothing can be kept there
        path = Path(tempfile.mkdtemp(prefix="thalweg-")) / path.name
        path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"thalweg_{name.replace('-', '_')}_{digest}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Numba finds the module of cached machine code by its name
    spec.loader.exec_module(module)
    return module
