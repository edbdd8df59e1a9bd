"""Steering a run while it goes: what is set takes effect, the record repeats it to the same bits, wrong words are said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from thalweg.errors import InputError
from thalweg.experiments import Folder, Silent, Spec, Watcher, resume, start
from thalweg.experiments.interventions import (
    Command,
    Intervention,
    Mailbox,
    check_steerable,
    read_record,
    send,
    settable,
    validated,
)
from thalweg.experiments.run import Interrupted
from thalweg.history import History
from thalweg.train import State


@pytest.fixture(autouse=True)
def look_at_once(monkeypatch) -> None:
    monkeypatch.setattr("thalweg.experiments.steering.EVERY", 0.0)
    monkeypatch.setattr("thalweg.experiments.run.write_page", lambda folder: None, raising=False)


@pytest.fixture
def table(tmp_path: Path) -> str:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(120, 3))
    y = (x @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=120) > 0).astype(int)
    path = tmp_path / "table.csv"
    path.write_text("a,b,c,y\n" + "".join(f"{a},{b},{c},{k}\n" for (a, b, c), k in zip(x, y, strict=True)))
    return str(path)


def spec(table: str, tmp_path: Path, **more: Any) -> Spec:
    settings = {
        "hidden": [6],
        "dropout": [0.2],
        "skip": False,
        "epochs": 8,
        "batch_size": 12,
        "lr": 0.01,
        "patience": 0,
    }
    return Spec(data=table, target="y", runs=str(tmp_path / "runs"), **settings | more)


class Person(Watcher):
    """Says things at chosen steps, as a person in another terminal would."""

    def __init__(self, says: dict[int, Command], folder: Path, kill: int = 0) -> None:
        self.says, self.folder, self.kill = dict(says), folder, kill

    def on_step(self, state: State) -> None:
        command = self.says.pop(state.step, None)
        if command is not None:
            Mailbox(Folder(self.folder)).put(command)
        if state.step == self.kill:
            self.kill = 0
            raise Killed


class Killed(BaseException):
    pass


def weights(folder: Folder) -> dict[str, torch.Tensor]:
    return load_file(folder.model)


def same(one: Folder, other: Folder) -> bool:
    first, second = weights(one), weights(other)
    return all(torch.equal(first[name], second[name]) for name in first)


def answers(folder: Folder) -> list[dict[str, str]]:
    return [json.loads(path.read_text()) for path in sorted((folder.path / "steer").glob("*.answer.json"))]


SCRIPTS: dict[str, dict[int, Command]] = {
    "numbers": {
        9: Command(settings={"lr": 0.05, "weight_decay": 0.3, "betas": [0.7, 0.9]}),
        20: Command(settings={"clip_norm": None, "dropout": 0.4}),
    },
    "epochs": {13: Command(settings={"epochs": 11}), 30: Command(settings={"epochs": 9, "patience": 4})},
    "back": {
        17: Command(settings={"lr": 0.1}),
        25: Command(back_to=2, settings={"lr": 0.002}),
        30: Command(settings={"dropout": [0.0]}),
    },
}


@pytest.fixture
def always_kept(monkeypatch) -> None:
    """Each pass has a checkpoint, as in runs whose passes take a second."""
    monkeypatch.setattr("thalweg.train.passes.Passes.on_epoch", lambda self, state: self.save(state))


@pytest.mark.parametrize("script", ["numbers", "epochs", "back"])
def test_a_steered_run_is_repeated_from_its_record_to_the_same_bits(script, table, tmp_path, always_kept) -> None:
    asked = spec(table, tmp_path, name="steered")
    steered, result = start(asked, Person(SCRIPTS[script], tmp_path / "runs/steered"))
    assert [answer["error"] for answer in answers(steered)] == [""] * len(SCRIPTS[script])
    repeated, again = start(Spec.read(steered.path / "steered.toml", name="repeated"), Silent())
    plain, _ = start(Spec.read(steered.spec, name="plain"), Silent())
    assert same(steered, repeated) and not same(steered, plain)
    assert again["metrics"] == result["metrics"] and again["epochs"] == result["epochs"]
    first, second = (read_record(folder.path / "interventions.jsonl") for folder in (steered, repeated))
    assert [(one.act, one.step, one.epoch, one.what, one.to) for one in first] == [
        (one.act, one.step, one.epoch, one.what, one.to) for one in second
    ]
    numbers = [History.read(folder.history) for folder in (steered, repeated)]
    assert np.array_equal(numbers[0].column("batch/loss").values, numbers[1].column("batch/loss").values)


@pytest.mark.parametrize("schedule", ["plateau(0.5, patience=1)", "warmup(5) >> plateau(0.3, patience=1)"])
def test_a_schedule_that_reacts_is_steered_too(schedule, table, tmp_path, always_kept) -> None:
    asked = spec(table, tmp_path, name="steered", schedule=schedule, epochs=12)
    back = Command(back_to=3, settings={"lr": 0.02})
    says = {9: Command(settings={"lr": 0.05}), 41: back, 50: Command(settings={"epochs": 14})}
    steered, _ = start(asked, Person(says, tmp_path / "runs/steered"))
    assert [answer["error"] for answer in answers(steered)] == ["", "", ""]
    repeated, _ = start(Spec.read(steered.path / "steered.toml", name="repeated"), Silent())
    assert same(steered, repeated)
    rates = [History.read(folder.history).column("lr").values for folder in (steered, repeated)]
    assert np.array_equal(*rates) and len(set(rates[0].tolist())) >= 3


def test_the_way_left_by_going_back_is_kept(table, tmp_path, always_kept) -> None:
    folder, _ = start(spec(table, tmp_path, name="a"), Person({26: Command(back_to=2)}, tmp_path / "runs/a"))
    steps = History.read(folder.history).column("train/loss").steps.tolist()
    left = History.read(folder.path / "abandoned-1.jsonl")
    done = read_record(folder.path / "interventions.jsonl")[0].step
    assert steps == [6 * epoch for epoch in range(9)]
    assert left.column("train/loss").steps.tolist() == [18, 24] and left.column("lr").steps.max() == done


@pytest.mark.parametrize(
    ("script", "at"), [("numbers", 14), ("numbers", 27), ("back", 21), ("back", 40), ("epochs", 33)]
)
def test_what_was_done_before_a_kill_is_in_effect_after_it(script, at, table, tmp_path, always_kept) -> None:
    asked = spec(table, tmp_path, name="whole")
    whole, _ = start(asked, Person(SCRIPTS[script], tmp_path / "runs/whole"))
    left = {step: command for step, command in SCRIPTS[script].items() if step > at}
    before = {step: command for step, command in SCRIPTS[script].items() if step <= at}
    folder = tmp_path / "runs/killed"
    with pytest.raises(Killed):
        start(asked.replace(name="killed"), Person(before, folder, kill=at))
    with pytest.raises(InputError, match="nobody trains the run"):
        check_steerable(Folder(folder))
    killed, _ = resume("killed", Person(left, folder), runs=str(tmp_path / "runs"))
    assert same(whole, killed)
    acts = [
        [(one.act, one.step, one.what) for one in read_record(f.path / "interventions.jsonl")] for f in (whole, killed)
    ]
    assert acts[0] == acts[1]
    with pytest.raises(InputError, match="has finished: it cannot be steered"):
        check_steerable(killed)


def test_settings_take_effect_at_the_next_step(table, tmp_path) -> None:
    says = {9: Command(settings={"lr": 0.05})}
    asked = spec(table, tmp_path, name="a", schedule="constant", warmup=0.0)
    folder, _ = start(asked, Person(says, tmp_path / "runs/a"))
    history = History.read(folder.history)
    steps, rates = history.column("lr")
    done = read_record(folder.path / "interventions.jsonl")[0]
    assert (done.before, done.to, done.what) == (0.01, 0.05, "lr")
    assert set(rates[steps <= done.step]) == {0.01} and set(rates[steps > done.step]) == {0.05}
    assert history.column("steer/lr").steps.tolist() == [done.step]
    assert history.column("steer/lr").values.tolist() == [0.05]


def test_an_ended_run_keeps_its_best_and_says_why(table, tmp_path) -> None:
    folder, result = start(spec(table, tmp_path, name="a"), Person({22: Command(stop=True)}, tmp_path / "runs/a"))
    assert result["status"] == "finished" and 22 <= result["steps"] <= 23
    assert result["stopped"] == f"ended by hand after step {result['steps']}" and "test" in result["metrics"]
    assert not (folder.path / "passes").exists()
    repeated, again = start(Spec.read(folder.path / "steered.toml", name="b"), Silent())
    assert same(folder, repeated) and again["steps"] == result["steps"]


def test_a_paused_run_waits_obeys_and_changes_nothing(table, tmp_path, monkeypatch) -> None:
    waited: list[int] = []
    mailbox = Mailbox(Folder(tmp_path / "runs/a"))

    def sleep(seconds: float) -> None:
        waited.append(1)
        if len(waited) == 3:
            mailbox.put(Command(resume=True))

    monkeypatch.setattr("thalweg.experiments.steering.time.sleep", sleep)
    folder, _ = start(spec(table, tmp_path, name="a"), Person({15: Command(pause=True)}, tmp_path / "runs/a"))
    assert len(waited) == 3
    assert [one.act for one in read_record(folder.path / "interventions.jsonl")] == ["pause", "resume"]
    plain, _ = start(spec(table, tmp_path, name="b"), Silent())
    assert same(folder, plain)


def test_a_pass_that_is_not_kept_is_said_with_those_that_are(table, tmp_path, always_kept) -> None:
    folder, _ = start(spec(table, tmp_path, name="a"), Person({26: Command(back_to=7)}, tmp_path / "runs/a"))
    assert answers(folder) == [
        {"said": "", "error": "there is no checkpoint of epoch 7 to go back to: those kept are 1, 2, 3, 4"}
    ]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"epochs": 1}, "pass 4 has begun already"),
        ({"dropout": [0.1, 0.2]}, "2 probabilities for 1 layers"),
        ({"seed": 4}, '"seed" cannot be changed while the run goes: lr, epochs'),
        ({"lr": -1}, '"lr" cannot be -1'),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(settings, sentence, table, tmp_path) -> None:
    folder, _ = start(spec(table, tmp_path, name="a"), Person({20: Command(settings=settings)}, tmp_path / "runs/a"))
    (answer,) = answers(folder)
    assert sentence in answer["error"]
    assert not (folder.path / "interventions.jsonl").exists()


def test_momentum_and_decay_may_come_in_the_middle(table, tmp_path) -> None:
    """A rule's form changes with them: another kernel takes over, with states that begin anew."""
    asked = spec(table, tmp_path, rule="sgd", name="a")
    says = {14: Command(settings={"momentum": 0.9, "weight_decay": 0.1}), 31: Command(settings={"momentum": 0.0})}
    folder, _ = start(asked, Person(says, tmp_path / "runs/a"))
    assert [answer["error"] for answer in answers(folder)] == ["", ""]
    repeated, _ = start(Spec.read(folder.path / "steered.toml", name="b"), Silent())
    assert same(folder, repeated)


def test_what_can_be_set_is_the_rules_own() -> None:
    assert {"momentum", "dampening"} < set(settable(Spec(data="digits", rule="sgd", lr=0.1)))
    assert {"betas", "eps", "weight_decay"} < set(settable(Spec(data="digits", lr=0.1)))
    assert validated(Spec(data="digits", rule="sgd"), {"momentum": 0.5}).options == {"momentum": 0.5}
    for settings, sentence in (
        ({"momentum": 0.5}, '"momentum" is nothing that can be set: lr'),
        ({"betas": [0.9, 1.5]}, "beta"),
        ({"epochs": 2.5}, '"epochs" cannot be 2.5'),
        ({"dropout": 1.0}, "a probability is at least 0 and below 1"),
        ({"lr": None}, '"lr" cannot be none'),
    ):
        with pytest.raises(InputError, match=sentence):
            validated(Spec(data="digits"), settings)


def test_commands_get_numbers_of_their_own_and_damage_is_answered(tmp_path) -> None:
    folder = Folder(tmp_path)
    mailbox = Mailbox(folder)
    assert [mailbox.put(Command(stop=True)), Mailbox(folder).put(Command(settings={"lr": 0.1}))] == [1, 2]
    (tmp_path / "steer/0003.json").write_text("{")
    assert [(command.number, command.stop) for command in mailbox.new()] == [(1, True), (2, False)]
    assert mailbox.new() == []
    answer = mailbox.answered(3)
    assert answer is not None and "no command" in answer["error"] and mailbox.answered(1) is None


def test_who_steers_gets_an_answer_or_a_sentence(tmp_path) -> None:
    folder = Folder(tmp_path)
    folder.write(folder.spec, Spec(data="digits", lr=0.1).to_toml())
    with folder.alone():
        with pytest.raises(InputError, match="say what to do: --set"):
            send(folder, Command())
        assert send(folder, Command(pause=True), patience=0.1) is None
        Mailbox(folder).answer(2, said="paused after step 3")
        assert send(folder, Command(pause=True), patience=5) == "paused after step 3"
        Mailbox(folder).answer(3, error="it has ended")
        with pytest.raises(InputError, match="it has ended"):
            send(folder, Command(stop=True), patience=5)
        folder.write_json(folder.result, {"status": "finished"})
    with pytest.raises(InputError, match="has finished: it cannot be steered"):
        send(folder, Command(stop=True), patience=60)
    folder.result.unlink()
    folder.write(folder.spec, Spec(data="digits", folds=3).to_toml())
    with pytest.raises(InputError, match="is a cross-validation"):
        check_steerable(folder)


def test_half_a_line_of_a_record_is_none_and_nonsense_is_named(tmp_path) -> None:
    path = tmp_path / "interventions.jsonl"
    path.write_text('{"act": "stop", "step": 3, "epoch": 0}\n{"act": "st')
    assert read_record(path) == [Intervention("stop", 3, 0)]
    path.write_text('{"act": "dance", "step": 3, "epoch": 0}\n')
    with pytest.raises(InputError, match=r"line 1 is no intervention: there is no act"):
        read_record(path)


def test_a_record_that_is_not_there_is_said_before_anything_is_trained(table, tmp_path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.jsonl cannot be read: No such file"):
        start(spec(table, tmp_path, name="a", interventions=str(tmp_path / "nowhere.jsonl")), Silent())
    assert not (tmp_path / "runs").exists()


def test_a_stop_while_paused_leaves_a_run_to_resume(table, tmp_path, monkeypatch) -> None:
    stop: list[bool] = []
    monkeypatch.setattr("thalweg.experiments.steering.time.sleep", lambda seconds: stop.append(True))
    monkeypatch.setattr("thalweg.experiments.run.interruptible", _told(lambda: bool(stop)))
    with pytest.raises(Interrupted):
        start(spec(table, tmp_path, name="a"), Person({15: Command(pause=True)}, tmp_path / "runs/a"))
    monkeypatch.undo()
    folder, result = resume("a", Silent(), runs=str(tmp_path / "runs"))
    plain, _ = start(spec(table, tmp_path, name="b"), Silent())
    assert same(folder, plain) and result["status"] == "finished"


def _told(asked: Callable[[], bool]) -> Any:
    from contextlib import contextmanager

    @contextmanager
    def interruptible():
        yield asked

    return interruptible
