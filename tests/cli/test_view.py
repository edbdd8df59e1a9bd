"""``thalweg view`` as a user runs it: says where it answers, answers, leaves at Ctrl-C."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
from pathlib import Path

from commandline import CommandLine
from view import folders


def test_it_says_where_it_answers_and_leaves_at_ctrl_c(thalweg: CommandLine) -> None:
    folders.run(thalweg.folder / "runs")
    process = thalweg.start("view", "--port", "0")
    assert process.stdout is not None
    said = process.stdout.readline()
    url = said.split()[0]
    assert said == f"{url}   1 entry in runs; Ctrl-C ends\n"
    assert b"digits-1" in urllib.request.urlopen(url, timeout=60).read()
    page = urllib.request.urlopen(url + "page/digits-1", timeout=120).read()
    assert b"chart-loss" in page
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert err.strip() == ""


def test_as_json_and_at_the_end_of_its_process(thalweg: CommandLine) -> None:
    process = thalweg.start("view", "--port", "0", "--runs", "elsewhere", "--json")
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    assert told["runs"] == "elsewhere"
    assert b"Nothing yet" in urllib.request.urlopen(told["url"], timeout=60).read()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_another_host_is_warned_of(thalweg: CommandLine) -> None:
    process = thalweg.start("view", "--port", "0", "--host", "0.0.0.0")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "0.0.0.0 is not loopback: who reaches this machine can read all of runs" in err


def test_mistakes_are_sentences(thalweg: CommandLine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = thalweg.fails("view", "--port", str(port))
        assert said.startswith(f"port {port} of 127.0.0.1 is in use: take another")
    Path(thalweg.folder / "file").write_text("")
    assert thalweg.fails("view", "--runs", "file") == "file is a file: name the folder that holds the runs with --runs"
