"""``thalweg steer`` beside a ``thalweg train`` that goes, as two processes; and the live view."""

from __future__ import annotations

import io
import signal
import time

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from thalweg.cli.live import View, live_watcher
from thalweg.cli.progress import Lines
from thalweg.cli.steer import setting
from thalweg.errors import InputError
from thalweg.history import History
from thalweg.train import State

SLOW = """
import time
import torch

class Slow(torch.nn.Linear):
    def forward(self, x):
        time.sleep(0.005)
        return super().forward(x)

def build():
    return Slow(13, 3)
"""
WORDS = ("train", "slow.py:build", "--data", "wine", "--lr", "0.01", "--patience", "0", "--epochs", "20000")


def test_a_run_is_steered_killed_resumed_ended_and_repeated(thalweg) -> None:
    (thalweg.folder / "slow.py").write_text(SLOW)
    process = thalweg.start(*WORDS, "--name", "killed")
    run = thalweg.folder / "runs/killed"
    deadline = time.monotonic() + 120
    while not (run / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    told = thalweg("steer", "killed", "--set", "lr=0.05", "--set", "betas=0.8,0.99", "--json")
    assert told.status == 0, told
    assert "lr 0.01 → 0.05 from step" in told.json["said"] and "betas 0.9,0.999 → 0.8,0.99" in told.json["said"]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    record = (run / "interventions.jsonl").read_text()
    going = thalweg.start("resume", "killed")
    time.sleep(1.0)
    ended = thalweg("steer", "killed", "--stop")
    while ended.status == 2 and "nobody trains" in ended.err and going.poll() is None:  # it is not up yet
        ended = thalweg("steer", "killed", "--stop")
    assert ended.status == 0 and "ended after step" in ended.out, ended
    assert going.communicate(timeout=200) and going.returncode == 0
    assert (run / "interventions.jsonl").read_text().startswith(record)
    assert "has finished: it cannot be steered" in thalweg.fails("steer", "killed", "--pause")
    repeated = thalweg("train", "runs/killed/steered.toml", "--name", "repeated")
    assert repeated.status == 0, repeated
    first, second = (load_file(thalweg.folder / f"runs/{name}/model.safetensors") for name in ("killed", "repeated"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    histories = [History.read(thalweg.folder / f"runs/{name}/history.jsonl") for name in ("killed", "repeated")]
    for name in ("steer/lr", "steer/stop", "steer/betas/2", "dev/loss"):
        one, other = (history.column(name) for history in histories)
        assert np.array_equal(one.steps, other.steps) and np.array_equal(one.values, other.values)
    assert "Interventions" in (run / "page.html").read_text()


@pytest.mark.parametrize(
    ("text", "value"),
    [("lr=0.01", ("lr", 0.01)), ("clip-norm=none", ("clip_norm", None)), ("betas=0.9, 0.99", ("betas", [0.9, 0.99]))],
)
def test_a_setting_is_a_name_and_numbers(text, value) -> None:
    assert setting(text) == value


@pytest.mark.parametrize("text", ["lr", "lr=", "lr=fast"])
def test_a_setting_that_is_none_is_said(text) -> None:
    with pytest.raises(InputError, match="--set lr"):
        setting(text)


def test_the_view_shows_how_far_the_loss_and_what_can_be_said() -> None:
    history = History()
    for step in range(1, 60):
        history.record(step, {"batch/loss": 2.0 / step, "lr": 0.01})
    history.record(59, {"train/loss": 0.1234, "dev/loss": 0.2, "dev/accuracy": 0.9})
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    view = View(console)
    view.follow(history, epochs=10, steps_per_epoch=20)
    view.settable = {"lr": "0.01", "betas": "0.9,0.999", "epochs": "10"}
    view.note("lr 0.01 → 0.02 from step 60 on")
    history.record(59, {"steer/lr": 0.02, "steer/betas/1": 0.8, "steer/betas/2": 0.9})
    model = torch.nn.Linear(1, 1)
    state = State(model, torch.optim.SGD(model.parameters(), lr=0.02), epoch=2, step=59, examples=590)
    view.on_step(state)
    state.epoch = 10
    view.on_epoch(state)
    shown = console.file.getvalue()
    for words in ("epoch 3/10", "0.1234", "90.00 %", "2.00e-02", "lr 0.01 → 0.02"):
        assert words in shown
    for words in ("steer run --set NAME=VALUE", "lr 0.02  betas 0.8,0.9  epochs 10"):
        assert words in shown
    assert any("⠀" < letter <= "⣿" for letter in shown)


def test_a_loss_that_is_no_number_is_said_by_the_view() -> None:
    history = History()
    history.record(1, {"batch/loss": np.nan})
    history.record(2, {"batch/loss": np.inf})
    view = View(Console(file=io.StringIO(), width=80))
    view.history = history
    assert view._loss(40) == ["the loss is no longer finite"]


def test_without_a_terminal_there_are_lines() -> None:
    assert isinstance(live_watcher(), Lines)
