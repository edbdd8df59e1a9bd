"""One study, several processes: on a PostgreSQL server and in one folder; and what going on with another's study says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.search.servers import postgres

from thalweg.errors import InputError
from thalweg.experiments import Spec
from thalweg.experiments.tuning import Plan, start_study
from thalweg.experiments.tuning.folder import StudyFolder, Trials
from thalweg.experiments.watcher import Silent
from thalweg.search import Space

RATES = Space.parse({"lr": "1e-3..0.1:log"})
WORDS = (
    "tune", "wine", "--vary", "lr=1e-3..0.1:log", "--hidden", "8", "--batch-size", "32", "--epochs", "3", "--members", "2",
    "--workers", "1", "--confirm", "1", "--name", "shared", "--json",
)  # fmt: skip


def spec_in(where: Path, **more: object) -> Spec:
    return Spec(**{"data": "wine", "hidden": [8], "epochs": 3, "runs": str(where), "name": "s", **more})


class Remembers(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, sentence: str) -> None:
        self.said.append(sentence)


def shared(count: int, trials: int, folders: list[Path], *more: str) -> list[dict]:
    """So many commands at once; the JSON object of each."""
    commands = [
        subprocess.Popen(
            [
                sys.executable,
                "-W",
                "error",
                "-m",
                "thalweg",
                *WORDS,
                "--trials",
                str(trials),
                "--runs",
                str(where),
                *more,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=where.parent,
        )
        for where in folders[:count]
    ]
    found = []
    for command in commands:
        out, said = command.communicate(timeout=240)
        assert command.returncode == 0, said
        found.append(json.loads(out.splitlines()[-1]))
    return found


def test_two_commands_at_once_share_a_study(tmp_path: Path) -> None:
    folders = [tmp_path / "runs"] * 2
    first, second = shared(2, 10, folders)
    assert first["trials"] == second["trials"] == 10
    assert first["best"] == second["best"]
    assert first["confirmed"] == second["confirmed"]
    records = Trials(StudyFolder(tmp_path / "runs/shared")).read()
    assert [one["number"] for one in records] == list(range(10))


def test_four_commands_on_a_server_record_no_trial_twice(tmp_path: Path) -> None:
    import optuna

    folders = [tmp_path / f"machine{at}" / "runs" for at in range(4)]  # they share no disk
    for where in folders:
        where.parent.mkdir()
    with postgres() as url:
        found = shared(4, 24, folders, "--storage", url)
        storage = optuna.storages.RDBStorage(url.replace("postgresql://", "postgresql+psycopg://"))
        trials = optuna.load_study(study_name="shared", storage=storage).trials
        storage.engine.dispose()
    assert [one["trials"] for one in found] == [24] * 4
    assert len({json.dumps(one["best"]["values"]) for one in found}) == 1
    assert [trial.number for trial in trials] == list(range(24))
    assert all(trial.state.is_finished() for trial in trials)
    assert len({trial.params["lr"] for trial in trials}) == 24
    trained = Counter(path.parent.name for where in folders for path in where.glob("shared/trials/*/result.json"))
    assert sorted(trained) == [f"{number:04}" for number in range(24)]
    assert set(trained.values()) == {1}


def test_what_another_study_has_is_said_and_left_as_it_is(tmp_path: Path) -> None:
    start_study(spec_in(tmp_path), Plan(RATES, trials=2, confirm=0), Silent())
    before = (tmp_path / "s/study.toml").read_text()
    for spec, plan, sentence in (
        (spec_in(tmp_path, epochs=4), Plan(RATES, trials=3), "another epochs"),
        (spec_in(tmp_path), Plan(Space.parse({"lr": "1e-4..0.1:log"}), trials=3), "searches another space"),
        (spec_in(tmp_path), Plan(RATES, trials=3, storage=str(tmp_path / "x.db")), "in its own folder: leave out"),
    ):
        with pytest.raises(InputError, match=sentence):
            start_study(spec, plan, Silent())
        assert (tmp_path / "s/study.toml").read_text() == before


def test_what_could_not_begin_leaves_nothing(tmp_path: Path) -> None:
    for spec, plan in (
        (spec_in(tmp_path, watch="beauty"), Plan(RATES, trials=2)),
        (spec_in(tmp_path, model="resnet", hidden=None), Plan(RATES, trials=2)),
        (spec_in(tmp_path), Plan(RATES, trials=2, storage="notes://x")),
        (spec_in(tmp_path), Plan(RATES, trials=2, engine="ray", address="127.0.0.1:1")),
    ):
        with pytest.raises(InputError):
            start_study(spec, plan, Silent())
        assert not (tmp_path / "s").exists()


def test_a_setting_that_is_searched_and_given_is_said(tmp_path: Path) -> None:
    watcher = Remembers()
    start_study(spec_in(tmp_path, lr=0.5), Plan(RATES, trials=1, confirm=0), watcher)
    assert "lr is searched: the 0.5 that is given for it is not used." in watcher.said
    assert any(said.startswith("1 trial of at most 3 passes") for said in watcher.said)


def test_what_is_asked_for_is_said(tmp_path: Path) -> None:
    watcher = Remembers()
    plan = Plan(RATES, trials=2, confirm=0, members=1, sampler="grid", points=20_000)
    _, result = start_study(spec_in(tmp_path), plan, watcher)
    assert any("the first 2 are tried: too many, so fewer --points" in said for said in watcher.said)
    sentence = result["decision"]["sentence"]
    assert sentence.startswith("one candidate at a time")
    assert "1 candidates" not in sentence


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        ({"hiden": "[64, 128]"}, 'no hyperparameter "hiden" of mlp and adamw: did you mean "hidden"'),
        ({"rule": ["adam", "sgd", "adamm", "lion"]}, 'there is no rule "adamm"'),
        ({"width": "16..64:power2"}, "width does not belong to mlp"),
        ({"dropout": "0.0..1.0"}, 'the setting "dropout" cannot be 1'),
    ],
)
def test_a_space_that_cannot_be(tmp_path: Path, space: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        start_study(spec_in(tmp_path, hidden=None), Plan(Space.parse(space), trials=2), Silent())
    assert list(tmp_path.iterdir()) == []


def test_a_lost_store_is_told_what_the_folders_have(tmp_path: Path) -> None:
    _, before = start_study(spec_in(tmp_path), Plan(RATES, trials=4, confirm=0), Silent())
    for path in (tmp_path / "s").glob("study.log*"):
        path.unlink()
    texts = {path: path.read_text() for path in tmp_path.glob("s/trials/*/result.json")}
    _, after = start_study(spec_in(tmp_path), Plan(RATES, trials=5, confirm=0), Silent())
    assert after["trials"] == 5
    assert all(path.read_text() == text for path, text in texts.items())
    assert before["best"]["score"] >= after["best"]["score"]
