"""A PostgreSQL server for a test, where the machine has one: that of ``THALWEG_POSTGRES`` (a URL), or one of its own."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database; skips where there is neither a URL nor a server."""
    pytest.importorskip("psycopg", reason="PostgreSQL's driver psycopg is not installed")
    given = os.environ.get("THALWEG_POSTGRES")
    if given:
        with _fresh_database(given) as url:
            yield url
        return
    found = shutil.which("initdb") or next(iter(sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))[-1:]), None)
    if found is None:
        pytest.skip("no PostgreSQL here: install the package postgresql or set THALWEG_POSTGRES")
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as name:  # a socket's path may have 107 characters
        home, tools = Path(name), Path(found).parent
        user = "postgres" if os.geteuid() == 0 else ""
        if user:  # the server refuses to run as root
            shutil.chown(home, user)
        become = ["runuser", "-u", user, "--"] if user else []

        def call(*command: str) -> None:
            subprocess.run([*become, *command], check=True, stdout=subprocess.DEVNULL, cwd=home, timeout=120)

        call(f"{tools}/initdb", "-D", f"{home}/data", "-A", "trust", "-U", "tester", "-N", "--locale=C", "-E", "UTF8")
        options = f"-k {home} -c listen_addresses='' -c fsync=off"
        call(f"{tools}/pg_ctl", "-D", f"{home}/data", "-w", "-o", options, "-l", f"{home}/log", "start")
        try:
            yield f"postgresql://tester@/postgres?host={home}"
        finally:
            call(f"{tools}/pg_ctl", "-D", f"{home}/data", "-w", "-m", "immediate", "stop")


@contextmanager
def _fresh_database(given: str) -> Iterator[str]:
    import sqlalchemy as sa

    name = f"thalweg_{uuid.uuid4().hex[:12]}"
    url = sa.make_url(given).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()
