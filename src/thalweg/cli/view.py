"""``thalweg view``: the runs folder as a site on this machine, until Ctrl-C.

$ thalweg view
http://127.0.0.1:8000/   3 runs in runs; Ctrl-C ends
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from thalweg.cli.leaving import print_object
from thalweg.errors import InputError


def view(
    runs: Annotated[str, typer.Option("--runs", metavar="FOLDER", help="The folder that holds all runs.")] = "runs",
    port: Annotated[int, typer.Option("--port", metavar="INTEGER", help="Where it answers; 0 takes any free.")] = 8000,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Another address than loopback lets others read, too.")
    ] = "127.0.0.1",
    opened: Annotated[bool, typer.Option("--open/--no-open", help="Show it in a browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Say where it answers as one JSON object.")] = False,
) -> None:
    """Serve all runs, studies and pages to a browser on this machine; what is running keeps up by itself.

    \b
    thalweg view
    thalweg view --runs elsewhere/runs --port 0 --open
    """
    from thalweg.view import Server, Site

    if Path(runs).exists() and not Path(runs).is_dir():
        raise InputError(f"{runs} is a file: name the folder that holds the runs with --runs")
    site = Site(runs)
    with Server(site, host=host, port=port) as server:
        if not server.loopback:
            print(f"thalweg: {host} is not loopback: who reaches this machine can read all of {runs}", file=sys.stderr)
        if as_json:
            print_object({"url": server.url, "runs": runs})
        else:
            print(f"{server.url}   {_count(site)} in {runs}; Ctrl-C ends")
        sys.stdout.flush()
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        threading.Thread(target=_warm, daemon=True).start()
        if opened:
            import webbrowser

            webbrowser.open(server.url)
        try:
            server.serve()
        except KeyboardInterrupt:
            print("", file=sys.stderr)


def _count(site: object) -> str:
    from thalweg.view import Site

    assert isinstance(site, Site)
    count = len(site.entries())
    return "1 entry" if count == 1 else f"{count:,} entries"


def _warm() -> None:
    """The first page of a run needs torch: it is imported while the reader still looks at the list."""
    import thalweg.experiments.page  # noqa: F401
