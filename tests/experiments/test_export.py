"""Exported files say what the run says: ONNX graphs in onnxruntime, single files in ``thalweg.load``."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors import safe_open
from torch import nn

import thalweg
from predictors import predictor_of
from thalweg.data import Preprocessor
from thalweg.errors import InputError, MissingDependency
from thalweg.experiments import Spec, start
from thalweg.experiments.export import export_onnx, export_safetensors, written_whole
from thalweg.experiments.predict import Predictor
from thalweg.experiments.watcher import Silent
from thalweg.models import mlp

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def served(path: Path, inputs: np.ndarray) -> tuple[list[np.ndarray], dict]:
    """Outputs and metadata as a stranger gets them."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    metadata = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    return session.run(None, {"inputs": inputs.astype(np.float32)}), metadata


def settle(model: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Running means and variances that are not 0 and 1."""
    generator = torch.Generator().manual_seed(3)
    model.train()
    for _ in range(20):
        model(torch.randn(16, *shape, generator=generator) * 3 + 1)
    return model.eval()


class Conv(nn.Module):
    """A user's module, with a shape read from its input."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.out = nn.Linear(4 * 4 * 5, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(self.norm(self.conv(x)).relu(), 2)
        return self.out(nn.functional.dropout(x.reshape(x.shape[0], -1), 0.5, self.training))


class TestOnnx:
    @pytest.mark.parametrize("norm", [None, "batch", "layer"])
    def test_classes_of_an_array(self, tmp_path, norm) -> None:
        x = np.random.default_rng(0).normal(5, 2, (60, 7))
        torch.manual_seed(1)
        model = settle(mlp(7, 3, hidden=(16, 16), norm=norm, dropout=0.3, activation="gelu"), (7,))
        predictor = predictor_of(x, np.arange(60) % 3, "multiclass", ("a", "b", "c"), model)
        export_onnx(predictor, tmp_path / "m.onnx")
        for rows in (1, 2, 33):
            (logits, chances), metadata = served(tmp_path / "m.onnx", x[:rows])
            assert np.allclose(logits, predictor.outputs(x[:rows].astype(np.float32)), atol=1e-5)
            assert np.allclose(chances, predictor.probabilities(x[:rows]), atol=1e-5) and chances.shape == (rows, 3)
        assert metadata["inputs"] == "raw" and metadata["classes"] == ["a", "b", "c"]
        assert metadata["features"] == [f"x{column}" for column in range(7)]

    def test_regression_in_the_user_s_units_and_missing_numbers(self, tmp_path) -> None:
        x = np.random.default_rng(0).normal([1e6, 0, -3], [1, 100, 0.01], (60, 3))
        x[::7, 1] = np.nan
        predictor = predictor_of(x, np.nan_to_num(x).sum(1) * 50, "regression")
        export_onnx(predictor, tmp_path / "m.onnx")
        x = x.astype(np.float32)
        (amounts,), _metadata = served(tmp_path / "m.onnx", x)
        expected = predictor.predict(x)["prediction"].to_numpy()
        assert amounts.shape == (60,) and np.allclose(amounts, expected, rtol=1e-5)
        assert np.std(expected) > 1

    @pytest.mark.parametrize("task", ["binary", "regression"])
    def test_images_by_a_module_of_the_user_s(self, tmp_path, task) -> None:
        images = np.random.default_rng(0).integers(0, 256, (24, 3, 8, 10), dtype=np.uint8)
        torch.manual_seed(1)
        model = settle(Conv(1), (3, 8, 10))
        classes = ("cat", "dog") if task == "binary" else None
        targets = np.arange(24) % 2 if classes else np.arange(24.0) ** 2
        predictor = predictor_of(images, targets, task, classes, model)
        export_onnx(predictor, tmp_path / "m.onnx")
        found, _metadata = served(tmp_path / "m.onnx", images[:5])
        if classes:
            assert found[0].shape == (5, 1) and found[1].shape == (5, 2)
            assert np.allclose(found[1], predictor.probabilities(images[:5]), atol=1e-5)
        else:
            assert np.allclose(found[0], predictor.predict(images[:5])["prediction"], rtol=1e-4)

    def test_sequences(self, tmp_path) -> None:
        x = np.random.default_rng(0).normal([3, 50], [1, 9], (30, 6, 2))
        predictor = predictor_of(x, np.arange(30) % 3, "multiclass", ("a", "b", "c"))
        export_onnx(predictor, tmp_path / "m.onnx")
        (_, chances), _metadata = served(tmp_path / "m.onnx", x[:4])
        assert np.allclose(chances, predictor.probabilities(x[:4]), atol=1e-5)

    def test_a_table_travels_as_encoded_features_with_the_rules_beside_them(self, tmp_path) -> None:
        frame = pl.DataFrame({
            "size": [1.5, 2.5, None, 4.0] * 60, "kind": ["a", "b", "b", "ä"] * 60, "town": [f"t{n}" for n in range(80)] * 3,
        })  # fmt: skip
        predictor = predictor_of(frame, np.arange(240) % 2, "binary", ("no", "yes"))
        assert predictor.preprocessor.embedded
        export_onnx(predictor, tmp_path / "m.onnx")
        preprocessor = predictor.preprocessor
        (_, chances), metadata = served(tmp_path / "m.onnx", preprocessor.inputs(frame))
        assert np.allclose(chances, predictor.probabilities(frame), atol=1e-6)
        assert metadata["inputs"] == "encoded" and metadata["features"] == list(preprocessor.feature_names)
        again = Preprocessor.from_dict(metadata["preprocessing"])
        assert np.array_equal(again.inputs(frame), preprocessor.inputs(frame))

    @pytest.mark.parametrize("scale", ["robust", "none", "quantile"])
    def test_every_scale_of_inputs(self, tmp_path, scale) -> None:
        x = np.random.default_rng(0).normal([10, 0, -3], [1, 10, 0.1], (60, 3))
        x[::7, 1] = np.nan
        predictor = predictor_of(x, np.arange(60) % 2, "binary", ("a", "b"), scale=scale)
        export_onnx(predictor, tmp_path / "m.onnx")
        x = x.astype(np.float32)
        (_, chances), metadata = served(
            tmp_path / "m.onnx", x if scale != "quantile" else predictor.preprocessor.inputs(x)
        )
        assert metadata["inputs"] == ("encoded" if scale == "quantile" else "raw")
        assert np.allclose(chances, predictor.probabilities(x), atol=1e-5)

    @pytest.mark.parametrize("scale_target", ["standard", "robust", "quantile", "none"])
    def test_several_amounts_on_every_scale(self, tmp_path, scale_target) -> None:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(80, 3))
        y = np.stack([np.exp(3 * x[:, 0]), 100 + x[:, 1]], axis=1)
        predictor = predictor_of(x, y, "regression", target_names=("income", "height"), scale_target=scale_target)
        with torch.no_grad():
            predictor.model[-1].weight *= 8  # also beyond the ends of the training targets
        export_onnx(predictor, tmp_path / "m.onnx")
        frame = predictor.predict(x.astype(np.float32))
        (amounts,), metadata = served(tmp_path / "m.onnx", x)
        assert frame.columns == metadata["targets"] == ["income", "height"]
        assert np.allclose(
            amounts, frame.to_numpy(), rtol=1e-4, atol=1e-4 * np.ptp(y[:, 0]) if scale_target == "quantile" else 1e-4
        )

    def test_the_file_says_nothing_of_the_author_s_folders(self, tmp_path) -> None:
        predictor = predictor_of(np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 2, "binary", ("0", "1"))
        export_onnx(predictor, tmp_path / "m.onnx")
        content = (tmp_path / "m.onnx").read_bytes()
        assert str(Path(__file__).parent).encode() not in content and b".py" not in content

    def test_what_onnx_cannot_say_is_one_sentence(self, tmp_path) -> None:
        class Inverse(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x[:, :1] * math.exp(float(x.sum()))  # a number that is known only once it runs

        predictor = predictor_of(
            np.random.default_rng(0).normal(size=(30, 2)), np.arange(30.0), "regression", None, Inverse()
        )
        with pytest.raises(InputError, match="the model mlp cannot be written as ONNX: "):
            export_onnx(predictor, tmp_path / "m.onnx")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("package", ["onnx", "onnxscript"])
    def test_a_missing_package_is_named(self, tmp_path, monkeypatch, package) -> None:
        find = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
        predictor = predictor_of(np.random.default_rng(0).normal(size=(30, 2)), np.arange(30.0), "regression")
        with pytest.raises(MissingDependency, match=rf"package {package}, .* pip install 'thalweg\[onnx\]'"):
            export_onnx(predictor, tmp_path / "m.onnx")


OWN = """
from torch import nn

def build(n_inputs, n_outputs):
    return nn.Sequential(nn.Linear(n_inputs, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, n_outputs))
"""


class TestSafetensors:
    def test_predicts_without_the_run_s_folder(self, tmp_path) -> None:
        wine = thalweg.data.load("wine").inputs
        folder, _ = start(Spec(data="wine", epochs=2, lr=0.01, runs=str(tmp_path / "runs")), Silent())
        run = thalweg.load(folder.path)
        export_safetensors(run, tmp_path / "wine.safetensors")
        alone = thalweg.load(tmp_path / "wine.safetensors")
        assert alone.name == "wine" and alone.predict(wine).equals(run.predict(wine))
        (tmp_path / "copy.safetensors").write_bytes((tmp_path / "wine.safetensors").read_bytes())
        export_safetensors(run, tmp_path / "copy.safetensors", overwrite=True)
        assert (tmp_path / "copy.safetensors").read_bytes() == (tmp_path / "wine.safetensors").read_bytes()

    def test_a_module_of_the_user_s_needs_its_code(self, tmp_path) -> None:
        code = tmp_path / "own.py"
        code.write_text(OWN)
        x = np.random.default_rng(0).normal(size=(30, 4))
        like = predictor_of(x, np.arange(30) % 3, "multiclass", ("a", "b", "c"))
        spec = Spec(data="data", model=f"{code}:build")
        torch.manual_seed(0)
        from thalweg.experiments.build import build_model

        model = build_model(spec, like.preprocessor).eval()
        run = Predictor(Path("runs/own-1"), spec, like.preprocessor, model)
        export_safetensors(run, tmp_path / "own.safetensors")
        assert thalweg.load(tmp_path / "own.safetensors").predict(x).equals(run.predict(x))
        moved = code.rename(tmp_path / "moved.py")
        with pytest.raises(
            InputError, match=r"own\.safetensors holds weights, not code: the model file .*own\.py does not"
        ):
            thalweg.load(tmp_path / "own.safetensors")
        assert thalweg.load(tmp_path / "own.safetensors", model=f"{moved}:build").predict(x).equals(run.predict(x))
        with pytest.raises(InputError, match="does not fit the model mlp"):
            thalweg.load(tmp_path / "own.safetensors", model="mlp")

    @pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\x08\0\0\0\0\0\0\0{}      "])
    def test_a_file_of_another_making(self, tmp_path, content) -> None:
        (tmp_path / "m.safetensors").write_bytes(content)
        with pytest.raises(InputError, match=r"m\.safetensors (cannot be read as safetensors|was not made by thalweg)"):
            thalweg.load(tmp_path / "m.safetensors")

    def test_metadata_that_were_changed(self, tmp_path) -> None:
        predictor = predictor_of(np.random.default_rng(0).normal(size=(30, 2)), np.arange(30.0), "regression")
        export_safetensors(predictor, tmp_path / "m.safetensors")
        with safe_open(tmp_path / "m.safetensors", framework="np") as file:
            assert list(file.metadata()) == ["thalweg"]
            assert set(json.loads(file.metadata()["thalweg"])) == {"spec", "preprocessing"}
        content = (tmp_path / "m.safetensors").read_bytes()
        (tmp_path / "m.safetensors").write_bytes(content.replace(b"seed = ", b"seeed= "))
        with pytest.raises(InputError, match=r'changed since: there is no setting "seeed"'):
            thalweg.load(tmp_path / "m.safetensors")

    def test_no_file_at_all(self, tmp_path) -> None:
        with pytest.raises(InputError, match="does not exist"):
            thalweg.load(tmp_path / "m.safetensors")


class TestWrittenWhole:
    def test_replaces_only_what_it_may(self, tmp_path) -> None:
        path = tmp_path / "a.csv"
        with written_whole(path) as beside:
            beside.write_text("one")
            assert not path.exists()
        with pytest.raises(InputError, match="exists already"), written_whole(path) as beside:
            beside.write_text("two")
        assert path.read_text() == "one"
        with written_whole(path, overwrite=True) as beside:
            beside.write_text("three")
        assert path.read_text() == "three"

    def test_a_failure_leaves_what_was_there(self, tmp_path) -> None:
        path = tmp_path / "a.csv"
        path.write_text("one")
        with pytest.raises(KeyError), written_whole(path, overwrite=True) as beside:
            beside.write_text("tw")
            raise KeyError
        assert path.read_text() == "one" and list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize(
        ("name", "sentence"), [("", "is a folder"), ("no/a.csv", "the folder .*no does not exist")]
    )
    def test_places_that_cannot_be_written(self, tmp_path, name, sentence) -> None:
        with pytest.raises(InputError, match=sentence), written_whole(tmp_path / name) as beside:
            beside.write_text("one")
