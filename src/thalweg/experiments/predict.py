"""A trained network put to use: with all that was learned about its inputs, ready for new rows.

>>> predictor = thalweg.load("runs/wine-1")
>>> predictor.predict(frame)                    # a Polars frame: prediction, and p(CLASS) for each class
>>> predictor.probabilities(frame)              # float64 (n, classes)
>>> thalweg.load("wine-1.safetensors", model="mymodel.py:build").predict("new.parquet")

Rows go through the network in blocks, so that what is held beside inputs and predictions stays small; ``stream`` holds one
block of either.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.errors import InputError
from thalweg.experiments.build import build_model
from thalweg.experiments.folder import Folder
from thalweg.experiments.spec import Spec
from thalweg.train.objectives import predict as outputs_of

if TYPE_CHECKING:
    import polars

    from thalweg.data import Preprocessor

ROWS_AT_ONCE = 16_384
NUMBERS_AT_ONCE = 1 << 24
"""Raw numbers encoded together: 64 MB as float32; images make blocks of fewer rows."""
SINGLE_FILE = "thalweg"
"""The one entry in the metadata of an exported file, JSON: ``spec`` (TOML) and ``preprocessing``."""


class Predictor:
    """A model in evaluation mode with its preprocessing; ``source`` is where it was read."""

    def __init__(self, source: Path, spec: Spec, preprocessor: Preprocessor, model: torch.nn.Module) -> None:
        self.source = source
        self.spec = spec
        self.preprocessor = preprocessor
        self.model = model

    @property
    def name(self) -> str:
        """The run's name, or that of the file without its ending."""
        return self.source.name.removesuffix(".safetensors")

    def outputs(self, inputs: Any) -> torch.Tensor:
        """The network's raw outputs ``(n, …)`` for raw inputs: logits, or standardised amounts."""
        return torch.cat([self._outputs(block, start) for start, block, _ in self._blocks(inputs, None)])

    def predict(self, inputs: Any, *, probabilities: bool = True, delimiter: str | None = None) -> polars.DataFrame:
        """Predictions for raw inputs, a row for each.

        ``inputs`` is a frame (polars, pandas, Arrow, a dictionary of columns), an array or tensor like those trained on, or
        the path of a file or folder; it need not hold the target. Columns: ``prediction``, or the targets' names where
        there are several; for classes ``p(CLASS)`` unless ``probabilities`` is False; ``file`` first for a folder of images.

        Raises ``InputError`` naming a column that is missing or cannot be read as it was in training.
        """
        import polars as pl

        return pl.concat(list(self.stream(inputs, probabilities=probabilities, delimiter=delimiter)))

    def stream(
        self, inputs: Any, *, probabilities: bool = True, delimiter: str | None = None
    ) -> Iterator[polars.DataFrame]:
        """What ``predict`` gives, block by block: Parquet and ``.npy`` files and images are read as it goes."""
        for start, block, files in self._blocks(inputs, delimiter):
            frame = self._frame(self._outputs(block, start), probabilities)
            if files is not None:
                import polars as pl

                frame.insert_column(0, pl.Series("file", files, dtype=pl.String))
            yield frame

    def probabilities(self, inputs: Any) -> np.ndarray:
        """float64 ``(n, classes)``, in the order of ``preprocessor.classes``; ``InputError`` for a regression."""
        classes = self.preprocessor.classes
        if classes is None:
            raise InputError(f"{self.name} predicts amounts, which have no probabilities: use predict")
        return probabilities_of(self.outputs(inputs).double(), len(classes)).numpy()

    def _outputs(self, block: Any, start: int) -> torch.Tensor:
        try:
            encoded = self.preprocessor.inputs(block)
        except InputError as error:
            raise (InputError(f"counted from row {start + 1:,} on, {error}") if start else error) from None
        device = next(self.model.parameters()).device
        return outputs_of(self.model, torch.from_numpy(encoded).to(device)).cpu()

    def _frame(self, outputs: torch.Tensor, probabilities: bool) -> polars.DataFrame:
        import polars as pl

        classes = self.preprocessor.classes
        if classes is None:
            amounts = outputs.double().numpy().reshape(len(outputs), -1)
            if amounts.shape[1] == 1:
                return pl.DataFrame({"prediction": self.preprocessor.restore_targets(amounts[:, 0])})
            return pl.DataFrame(self.preprocessor.restore_targets(amounts), schema=list(self.preprocessor.target_names))
        chances = probabilities_of(outputs.double(), len(classes)).numpy()
        names = pl.Series(classes, dtype=pl.String)
        columns: dict[str, Any] = {"prediction": names.gather(chances.argmax(1))}
        if probabilities:
            columns |= {f"p({name})": chances[:, index] for index, name in enumerate(classes)}
        return pl.DataFrame(columns)

    def _blocks(self, source: Any, delimiter: str | None) -> Iterator[tuple[int, Any, list[str] | None]]:
        """(first row, raw inputs, names of their files or None) of one block after another."""
        from thalweg.data import load_inputs
        from thalweg.data.sources.arrays import as_array
        from thalweg.data.sources.images import SUFFIXES, image_files, read_images
        from thalweg.data.sources.several import npy_pair, parquet_named
        from thalweg.data.sources.table import as_frame
        from thalweg.data.tabular import TableEncoder

        shape = self.preprocessor.input_shape
        encoder = self.preprocessor.encoder
        if isinstance(source, str | Path):
            path = next(iter(npy_pair(str(source)) or ()), Path(source).expanduser())
            files = image_files(path) if path.is_dir() else [path] if path.suffix.lower() in SUFFIXES else []
            if files and len(shape) == 3 and shape[0] in (1, 3):
                root = path if path.is_dir() else path.parent
                rows = _rows_at_once(shape)
                for start in range(0, len(files), rows):
                    some = files[start : start + rows]
                    images = read_images(some, shape=shape)
                    yield start, images, [file.relative_to(root).as_posix() for file in some]
                return
            if isinstance(encoder, TableEncoder) and (tables := parquet_named(str(source))):
                yield from ((start, block, None) for start, block in _parquet(tables))
                return
            if path.suffix == ".npy" and path.is_file() and not isinstance(encoder, TableEncoder):
                yield from ((start, block, None) for start, block in _npy(path, _rows_at_once(shape)))
                return
            source = load_inputs(str(path), like=self.preprocessor, delimiter=delimiter)
        elif isinstance(encoder, TableEncoder):
            source = source if isinstance(source, np.ndarray) else as_frame(source, texts=encoder.texts)
        elif not isinstance(source, np.ndarray | torch.Tensor) or source.ndim < 2:
            source = as_array(source, "the inputs")
        if not len(source):
            raise InputError("there are no rows to predict on: give at least one")
        rows = _rows_at_once(shape)
        for start in range(0, len(source), rows):
            yield start, source[start : start + rows], None


def probabilities_of(outputs: torch.Tensor, classes: int) -> torch.Tensor:
    """``(n, classes)`` from logits: softmax, or the logistic function where one logit stands for two classes."""
    if outputs.ndim == 2 and outputs.shape[1] == classes and classes > 1:
        return outputs.softmax(1)
    positive = outputs.reshape(-1).sigmoid()
    return torch.stack([1 - positive, positive], dim=1)


def load(run: str | Path, *, runs: str = "runs", model: str | None = None) -> Predictor:
    """Opens a finished run, or a ``.safetensors`` file that ``thalweg export`` made of one.

    Weights, settings and preprocessing are data; nothing in them is executed. A network of the user's own is built by its
    Python file, which must be where the run had it, or where ``model`` (``FILE.py:FUNCTION``) says.

    Raises ``InputError`` where it is no run, or its parts do not fit each other.
    """
    from thalweg.data import Preprocessor

    if Path(run).suffix == ".safetensors":
        source = path = Path(run)
        spec, preprocessing = _read_single_file(path)
    else:
        folder = Folder.open(run, runs)
        source, path, spec = folder.path, folder.model, Spec.read(folder.spec)
        if spec.folds is not None:
            raise InputError(
                f"the run {folder.path} is a cross-validation, which leaves no model: train without folds to predict"
            )
        preprocessing = folder.read_json(folder.preprocessing)
        if not path.exists():
            raise InputError(
                f"the run {folder.path} has no model yet: let it finish, with  thalweg resume {folder.path}"
            )
    spec = spec if model is None else spec.replace(model=model)
    preprocessor = Preprocessor.from_dict(preprocessing)
    try:
        network = build_model(spec, preprocessor)
    except InputError as error:
        raise InputError(f"{path} holds weights, not code: {error}") from None
    _fill(network, path, spec.model)
    return Predictor(source, spec, preprocessor, network.eval())


def _fill(network: torch.nn.Module, path: Path, model: str) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        network.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError, OSError) as error:
        raise InputError(
            f"{path} does not fit the model {model}: {str(error).splitlines()[0]}; was its code changed?"
        ) from None


def _read_single_file(path: Path) -> tuple[Spec, dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: give a run, or a file that thalweg export made") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read as safetensors: {str(error).splitlines()[0]}") from None
    try:
        plain = json.loads(metadata[SINGLE_FILE])
        return Spec(**tomllib.loads(plain["spec"])), plain["preprocessing"]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        said = error if isinstance(error, InputError) else "its metadata hold no spec and no preprocessing"
        raise InputError(f"{path} was not made by thalweg export, or was changed since: {said}") from None


def _parquet(paths: list[Path]) -> Iterator[tuple[int, polars.DataFrame]]:
    """Blocks of Parquet files, of which no more than one is held."""
    import polars as pl

    before = 0
    for path in paths:
        try:
            table = pl.scan_parquet(path, glob=False, hive_partitioning=False)
            count = table.select(pl.len()).collect().item()
            for start in range(0, max(count, 1), ROWS_AT_ONCE):
                yield before + start, table.slice(start, ROWS_AT_ONCE).collect()
        except pl.exceptions.PolarsError as error:
            raise InputError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from None
        before += count


def _npy(path: Path, rows: int) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of an array on disk, of which no more than one is held."""
    from thalweg.data.streaming.arrays import npy_file

    numbers = npy_file(path)
    count = numbers.shape[0] if numbers.shape else 0
    if not count:
        raise InputError(f"{path} has no rows to predict on: give at least one")
    for start in range(0, count, rows):
        yield start, numbers.read(start, min(rows, count - start))


def _rows_at_once(shape: tuple[int, ...]) -> int:
    return max(1, min(ROWS_AT_ONCE, NUMBERS_AT_ONCE // max(int(np.prod(shape)), 1)))
