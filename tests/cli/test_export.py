"""``thalweg export`` and ``thalweg predict`` as a user runs them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import sklearn.datasets

from commandline import CommandLine


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> CommandLine:
    command = CommandLine(tmp_path_factory.mktemp("export"))
    finished = command("train", "wine", "--epochs", "3", "--lr", "0.01", "--threads", "1")
    assert finished.status == 0, finished.err
    wine = sklearn.datasets.load_wine()
    pl.DataFrame(wine.data, schema=wine.feature_names).write_csv(command.folder / "new.csv")
    return command


def test_safetensors_predicts_like_the_run(run) -> None:
    finished = run("export", "wine-1", "--safetensors", "--json")
    assert finished.status == 0, finished.err
    assert finished.json == {"run": "runs/wine-1", "model": "wine-1.safetensors", "format": "safetensors"}
    assert run("predict", "wine-1", "new.csv", "--out", "a.csv").status == 0
    finished = run("predict", "wine-1.safetensors", "new.csv", "--out", "b.csv", "--json")
    assert finished.status == 0 and finished.json["rows"] == 178
    assert (run.folder / "a.csv").read_bytes() == (run.folder / "b.csv").read_bytes()


def test_onnx(run) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    finished = run("export", "wine-1", "--onnx", "--out", "wine.onnx")
    assert finished.status == 0, finished.err
    assert finished.out == "model  wine.onnx\n" and not finished.err
    session = onnxruntime.InferenceSession(run.folder / "wine.onnx", providers=["CPUExecutionProvider"])
    (shape,) = (node.shape for node in session.get_inputs())
    assert shape == ["rows", 13]
    assert session.run(["probabilities"], {"inputs": np.zeros((4, 13), np.float32)})[0].shape == (4, 3)


def test_faults(run) -> None:
    assert "--onnx or --safetensors" in run.refuses("export", "wine-1")
    assert "--onnx or --safetensors" in run.refuses("export", "wine-1", "--onnx", "--safetensors")
    assert "is not a run" in run.refuses("export", "wine-9", "--onnx")
    assert "cannot be written" in run.refuses("export", "wine-1", "--safetensors", "--out", "no/a.safetensors")


def test_an_existing_file_is_replaced_only_when_asked(run) -> None:
    (run.folder / "mine.csv").write_text("dear")
    for words in (["predict", "wine-1", "new.csv"], ["export", "wine-1", "--safetensors"]):
        assert "mine.csv exists already" in run.fails(*words, "--out", "mine.csv")
        assert (run.folder / "mine.csv").read_text() == "dear"
    assert run("predict", "wine-1", "new.csv", "--out", "mine.csv", "--overwrite").status == 0
    assert pl.read_csv(run.folder / "mine.csv").height == 178
