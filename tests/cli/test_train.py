"""``thalweg train`` and what follows it, each in a real process."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import sklearn.datasets
import torch
from safetensors.numpy import load_file

from commandline import CommandLine
from thalweg.cli.show import summaries
from thalweg.experiments.folder import Folder
from thalweg.history import History


def weights(run) -> dict[str, np.ndarray]:
    return load_file(run / "model.safetensors")


def same_bits(first, second) -> bool:
    a, b = weights(first), weights(second)
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    command = CommandLine(tmp_path_factory.mktemp("digits"))
    return command, command("train", "digits", "--json")


class TestDigits:
    def test_is_learned(self, run) -> None:
        _command, finished = run
        assert finished.status == 0, finished.err
        result = finished.json
        assert result["task"] == "multiclass"
        assert result["metrics"]["test"]["accuracy"] >= 0.97
        assert set(result["metrics"]) == {"train", "dev", "test"}
        assert {"accuracy", "loss"} <= set(result["metrics"]["train"])
        assert result["run"] == "runs/digits-1"

    def test_leaves_all_files(self, run) -> None:
        command, _ = run
        names = {path.name for path in (command.folder / "runs/digits-1").iterdir()}
        assert names == {
            "spec.toml", "history.jsonl", "checkpoint.pt", "rate.json", "model.safetensors", "preprocessing.json",
            "result.json", "page.html",
        }  # fmt: skip

    def test_the_history_can_be_read(self, run) -> None:
        command, _ = run
        history = History.read(command.folder / "runs/digits-1/history.jsonl")
        for name in ("batch/loss", "train/loss", "dev/loss", "dev/accuracy", "lr", "grad_norm", "seconds"):
            assert len(history.column(name).values) > 3, name
        assert history.under("grad_norm") and history.under("update_ratio")
        assert history.column("dev/loss").values[0] == pytest.approx(np.log(10), rel=0.5)

    def test_is_repeated_from_its_spec_to_the_same_bits(self, run) -> None:
        command, _ = run
        finished = command("train", "runs/digits-1/spec.toml", "--json")
        assert finished.status == 0, finished.err
        assert finished.json["run"] == "runs/digits-2"
        assert same_bits(command.folder / "runs/digits-1", command.folder / "runs/digits-2")

    def test_runs_are_listed(self, run) -> None:
        command, _ = run
        finished = command("runs", "--json")
        assert finished.json["runs"][0]["run"] == "runs/digits-1"
        assert finished.json["runs"][0]["metrics"]["accuracy"] >= 0.97
        assert "runs/digits-1" in finished.out

    def test_a_run_whose_process_is_gone_is_not_called_running(self, run, tmp_path: Path) -> None:
        command, _ = run
        folder = tmp_path / "digits-1"
        shutil.copytree(command.folder / "runs/digits-1", folder)
        (folder / "result.json").unlink()
        assert summaries(str(tmp_path))[0]["status"] == "interrupted"
        with Folder(folder).alone():
            assert summaries(str(tmp_path))[0]["status"] == "running"

    def test_the_page_can_be_made_anew(self, run) -> None:
        command, _ = run
        page = command.folder / "runs/digits-1/page.html"
        before = page.read_text()
        page.unlink()
        finished = command("report", "digits-1", "--json")
        assert finished.status == 0, finished.err
        assert page.read_text() == before

    def test_a_finished_run_cannot_be_resumed(self, run) -> None:
        command, _ = run
        assert "has finished: there is nothing to resume" in command.fails("resume", "digits-1")

    def test_new_rows_are_predicted(self, run) -> None:
        command, _ = run
        digits = sklearn.datasets.load_digits()
        labels = digits.target
        np.savez(command.folder / "new.npz", X=digits.data[:100])
        finished = command("predict", "digits-1", "new.npz", "--out", "out.csv", "--json")
        assert finished.status == 0, finished.err
        frame = pl.read_csv(command.folder / "out.csv", schema_overrides={"prediction": pl.String})
        assert frame.columns == ["prediction", *(f"p({digit})" for digit in range(10))]
        assert np.allclose(frame.drop("prediction").to_numpy().sum(1), 1)
        assert np.mean(frame["prediction"].to_numpy() == labels[:100].astype(str)) >= 0.95


def mixed_table(rows: int = 400) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    size, kind = rng.normal(100, 30, rows), rng.choice(["flat", "house", "castle"], rows)
    worth = {"flat": 1.0, "house": 1.5, "castle": 4.0}
    price = 1000 * size * np.array([worth[word] for word in kind]) + rng.normal(0, 5000, rows)
    size[rng.random(rows) < 0.05] = np.nan
    return pl.DataFrame({"size": size, "kind": kind, "garden": rng.random(rows) < 0.5, "price": price}).with_columns(
        pl.col("size").fill_nan(None)
    )


class TestTable:
    def test_regression_from_csv_and_predictions_in_its_units(self, thalweg) -> None:
        table = mixed_table()
        table.write_csv(thalweg.folder / "houses.csv")
        finished = thalweg("train", "houses.csv", "--target", "price", "--epochs", "40", "--json")
        assert finished.status == 0, finished.err
        result = finished.json
        assert result["task"] == "regression" and result["metrics"]["test"]["r2"] > 0.85
        assert {"loss", "r2", "rmse"} == set(result["metrics"]["test"])
        table.drop("price").select(pl.all().reverse()).select("kind", "garden", "size").write_csv(
            thalweg.folder / "new.csv"
        )
        finished = thalweg("predict", "runs/houses-1", "new.csv", "--json")
        assert finished.status == 0, finished.err
        guesses = pl.read_csv(thalweg.folder / "new.predictions.csv")["prediction"].to_numpy()
        truth = table["price"].reverse().to_numpy()
        assert 1 - np.sum((guesses - truth) ** 2) / np.sum((truth - truth.mean()) ** 2) > 0.85

    def test_a_column_missing_at_prediction_is_named(self, thalweg) -> None:
        mixed_table(120).write_csv(thalweg.folder / "houses.csv")
        assert thalweg("train", "houses.csv", "--target", "price", "--epochs", "2", "--lr", "0.01").status == 0
        mixed_table(20).drop("kind", "price").write_csv(thalweg.folder / "new.csv")
        assert "kind" in thalweg.fails("predict", "houses-1", "new.csv")

    def test_same_seed_same_bits_other_seed_other_bits(self, thalweg) -> None:
        mixed_table(150).write_csv(thalweg.folder / "houses.csv")
        for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
            words = ["--epochs", "3", "--dropout", "0.2", "--name", name, "--seed", seed]
            finished = thalweg("train", "houses.csv", "--target", "price", *words)
            assert finished.status == 0, finished.err
        runs = thalweg.folder / "runs"
        assert same_bits(runs / "a", runs / "b") and not same_bits(runs / "a", runs / "c")


MODEL = """
import time
from pathlib import Path
from torch import nn

class Slow(nn.Module):
    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(n_inputs, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, n_outputs)
        )

    def forward(self, x):
        time.sleep(0.003)
        return self.net(x)

def wrong(n_inputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, 3))

def recurrent():
    return nn.LSTM(5, 10)

class Overflow(nn.Module):
    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.first = nn.Linear(n_inputs, 8)
        self.last = nn.Linear(8, n_outputs)

    def forward(self, x):
        return self.last((self.first(x.flatten(1)) * 1000).exp())
"""


@pytest.fixture
def mymodel(thalweg):
    (thalweg.folder / "mymodel.py").write_text(MODEL)
    return thalweg


class TestOwnModule:
    def test_trains_and_predicts(self, mymodel) -> None:
        words = ["train", "mymodel.py:Slow", "--data", "wine", "--epochs", "10", "--lr", "0.01", "--json"]
        finished = mymodel(*words)
        assert finished.status == 0, finished.err
        assert finished.json["metrics"]["test"]["accuracy"] > 0.8
        wine = sklearn.datasets.load_wine()
        pl.DataFrame(wine.data[:20], schema=wine.feature_names).write_csv(mymodel.folder / "new.csv")
        assert mymodel("predict", "wine-1", "new.csv").status == 0

    def test_a_wrong_output_shape_is_named(self, mymodel) -> None:
        sentence = mymodel.fails("train", "mymodel.py:wrong", "--data", "digits")
        assert "outputs of shape (2, 3)" in sentence and "last layer" in sentence

    def test_a_model_that_cannot_take_the_inputs_is_named(self, mymodel) -> None:
        assert "cannot take these inputs of shape (batch, 64)" in mymodel.fails(
            "train", "mymodel.py:recurrent", "--data", "digits"
        )

    def test_a_loss_that_becomes_nan_is_located_and_the_checkpoint_kept(self, mymodel) -> None:
        sentence = mymodel.fails("train", "mymodel.py:Overflow", "--data", "wine", "--lr", "0.1", "--name", "over")
        assert "at step " in sentence and "first in the gradient of " in sentence
        path = mymodel.folder / "runs/over/checkpoint.pt"
        if path.exists():
            saved = torch.load(path, weights_only=True)
            assert all(bool(torch.isfinite(tensor).all()) for tensor in saved["model"].values())
        assert json.loads((mymodel.folder / "runs/over/result.json").read_text())["status"].startswith("failed: ")


class TestKillAndResume:
    words = ("train", "mymodel.py:Slow", "--data", "digits", "--epochs", "8", "--lr", "0.01", "--name")
    falling = ("--schedule", "until('train/loss', 1.9, constant(0.1)) >> plateau(0.5, patience=0, threshold=0.1)")

    @pytest.mark.parametrize(
        "number, more",
        [
            (signal.SIGKILL, ()),
            (signal.SIGINT, ()),
            (signal.SIGTERM, ()),
            (signal.SIGKILL, falling),
            (signal.SIGINT, falling),
        ],
        ids=["kill", "ctrl-c", "term", "kill, a schedule that reacts", "ctrl-c, a schedule that reacts"],
    )
    def test_a_killed_run_goes_on_to_the_same_bits(self, mymodel, number, more) -> None:
        whole = mymodel(*self.words, "whole", *more)
        assert whole.status == 0, whole.err
        process = mymodel.start(*self.words, "killed", *more)
        killed = mymodel.folder / "runs/killed"
        deadline = time.monotonic() + 120
        while not (killed / "checkpoint.pt").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        _out, err = process.communicate(timeout=60)
        if number == signal.SIGKILL:
            assert process.returncode == -9
        else:
            assert process.returncode == 130 and "go on with: thalweg resume" in err
        assert not (killed / "model.safetensors").exists(), "the run was over before it was killed"
        before = History.read(killed / "history.jsonl").column("batch/loss")
        finished = mymodel("resume", "killed", "--json")
        assert finished.status == 0, finished.err
        assert same_bits(mymodel.folder / "runs/whole", killed)
        for name in ("batch/loss", "dev/loss", "train/accuracy", "lr"):
            first, second = (
                History.read(mymodel.folder / "runs" / run / "history.jsonl").column(name)
                for run in ("whole", "killed")
            )
            assert np.array_equal(first.steps, second.steps) and np.array_equal(first.values, second.values), name
        if more:
            assert len(set(History.read(killed / "history.jsonl").column("lr").values)) > 2, "nothing was reacted to"
        assert len(before.values) <= len(History.read(killed / "history.jsonl").column("batch/loss").values)
        assert (
            finished.json["metrics"] == json.loads((mymodel.folder / "runs/whole/result.json").read_text())["metrics"]
        )

    def test_a_run_killed_before_its_first_checkpoint_begins_anew(self, mymodel) -> None:
        assert mymodel(*self.words, "whole").status == 0
        runs = mymodel.folder / "runs"
        shutil.copytree(runs / "whole", runs / "early")
        for name in ("checkpoint.pt", "model.safetensors", "result.json", "page.html"):
            (runs / "early" / name).unlink()
        finished = mymodel("resume", "early")
        assert finished.status == 0, finished.err
        assert same_bits(runs / "whole", runs / "early")


class TestFaults:
    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["train", "nothing.csv", "--target", "y"], "nothing.csv"),
            (["train", "digits", "--rule", "adamm"], 'there is no rule "adamm": did you mean "adam'),
            (["train", "digits", "--option", "momentum=0.9"], 'there is no option of adamw "momentum"'),
            (["train", "digits", "--activation", "rely"], "rely"),
            (["train", "digits", "--epochs", "0"], 'the setting "epochs" cannot be 0'),
            (["train", "digits", "--hidden", "64,x"], '--hidden: "x" is not a number'),
            (["train", "digits", "--device", "tpu"], 'there is no device "tpu"'),
            (["train", "digits", "--device", "cuda:99"], "is not there"),
            (["train", "digits", "--schedule", "cosinus"], 'there is no schedule "cosinus": did you mean "cosine"'),
            (["train", "digits", "--schedule", "plateau(metric='dev/auc')"], 'waits for "dev/auc"'),
            (["train", "digits", "--schedule", "plateau(2)"], "factor is 2.0"),
            (["train", "digits", "--init", "hee"], "hee"),
            (["train", "digits", "--watch", "r2"], 'the metric "r2" is for regression'),
            (["train", "digits", "--model", "mpl"], 'there is no model "mpl"'),
            (["train", "mymodel.py:build"], "say what to train it on with --data"),
            (["predict", "nowhere", "x.csv"], "nowhere is not a run"),
            (["resume", "nowhere"], "nowhere is not a run"),
            (["report", "nowhere"], "nowhere is not a run"),
        ],
    )
    def test_one_sentence_and_status_2(self, thalweg, words, sentence) -> None:
        assert sentence in thalweg.refuses(*words)

    def test_the_sentence_is_in_the_json_too(self, thalweg) -> None:
        finished = thalweg("train", "nothing.csv", "--target", "y", "--json")
        assert finished.status == 2 and "nothing.csv" in finished.json["error"]

    def test_an_unknown_option_is_status_2(self, thalweg) -> None:
        assert thalweg("train", "digits", "--epoch", "3").status == 2
