"""The command line: the only room that prints.

``thalweg train digits`` trains; ``predict``, ``runs``, ``report`` and ``resume`` work on what it left behind. Results go to
standard output, progress to standard error; ``--json`` makes the last line of standard output one JSON object. A mistake
of the user's is one sentence and exit status 2, Ctrl-C is status 130.

Importing this room imports neither torch nor anything else that is slow: ``thalweg --help`` answers at once.
"""

from __future__ import annotations

import json
import os
import sys

from thalweg.cli.leaving import Told
from thalweg.errors import InputError


def main() -> None:
    """Runs the command line and leaves with its exit status."""
    # Idle OpenMP threads wait asleep, not spinning: on a machine that does anything else, spinning costs a factor of ten.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    as_json = "--json" in sys.argv[1:]
    try:
        from thalweg.cli.commands import app

        app()
    except Told:
        raise
    except InputError as error:
        _leave(str(error), 2, as_json)
    except KeyboardInterrupt:
        _leave("stopped", 130, as_json)
    except SystemExit as leaving:  # Typer's own: it has said on standard error what is wrong with the words given
        if leaving.code == 130:
            _leave("stopped", 130, as_json)
        if as_json and leaving.code:
            print(json.dumps({"error": "the command was not understood: see standard error"}))
        raise
    except BrokenPipeError:  # the reader of our output has gone, as in `thalweg runs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _leave(sentence: str, status: int, as_json: bool) -> None:
    print(f"thalweg: {sentence}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": sentence}, ensure_ascii=False))
    sys.exit(status)
