"""A run out of the door: one file that another program, or another machine, can use without its folder.

>>> predictor = thalweg.load("runs/wine-1")
>>> export_safetensors(predictor, "wine.safetensors")   # thalweg.load("wine.safetensors").predict(frame)
>>> export_onnx(predictor, "wine.onnx")                 # any ONNX runtime, without Python

The ONNX graph takes ``inputs``, float32 with any number of rows, and gives ``prediction`` in the user's units, or ``logits``
and ``probabilities``. For arrays and images it takes the raw numbers and scales them itself; for tables (and arrays scaled by
quantiles) it takes the encoded features, whose names and rules stand in the file's metadata. These are, each JSON: ``inputs``
(``raw`` or ``encoded``), ``task``, ``features``, ``classes``, ``targets`` and ``preprocessing``. Nothing is pickled in either
format.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.errors import InputError, MissingDependency
from thalweg.experiments.predict import SINGLE_FILE, Predictor, probabilities_of
from thalweg.files import replacing

if TYPE_CHECKING:
    from thalweg.data import Preprocessor
    from thalweg.data.scales import Scale
    from thalweg.data.scaling import ArrayEncoder


@contextmanager
def written_whole(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A path beside ``path`` to write to, which takes its place when all is written: never half a file.

    Raises ``InputError`` where ``path`` exists and ``overwrite`` is False, or cannot be written.
    """
    path = Path(path)
    device = path.exists() and not path.is_file() and not path.is_dir()  # /dev/stdout, a pipe
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file to write to")
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: the folder {path.parent} does not exist")
    if path.exists() and not device and not overwrite:
        raise InputError(f"{path} exists already: name another file with --out, or say --overwrite")
    try:
        with nullcontext(path) if device else replacing(path) as beside:
            yield beside
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


def export_safetensors(predictor: Predictor, path: str | Path, *, overwrite: bool = False) -> None:
    """Weights, settings (TOML) and preprocessing (JSON) in one file, which ``thalweg.load`` opens.

    The code of a network of the user's own is not in it: its Python file must be there when it is opened.

    Raises ``InputError`` where the file exists or cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    state = predictor.model.state_dict()
    weights = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    spec = predictor.spec.replace(
        data=Path(predictor.spec.data).name, dev=None, test=None
    )  # no folders of the author's
    known = {"spec": spec.to_toml(), "preprocessing": predictor.preprocessor.to_dict()}
    metadata = {SINGLE_FILE: json.dumps(known, ensure_ascii=False)}  # one entry: several come in any order
    with written_whole(path, overwrite=overwrite) as file:
        try:
            save_file(weights, file, metadata=metadata)
        except SafetensorError as error:  # the disk is full
            raise InputError(f"{path} cannot be written: {error}") from None


def export_onnx(predictor: Predictor, path: str | Path, *, overwrite: bool = False) -> None:
    """The network with its scaling as an ONNX graph for any number of rows.

    Raises ``MissingDependency`` without the extra ``onnx``, ``InputError`` where the network does something that ONNX has no
    operation for, or the file exists.
    """
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependency(package, "the export to ONNX", extra="onnx")
    preprocessor = predictor.preprocessor
    raw = _scales_in_graph(preprocessor)
    graph = _Graph(predictor.model, preprocessor, raw=raw).eval()
    shape = preprocessor.encoder.shape if raw else preprocessor.input_shape  # type: ignore[union-attr]
    names = ["prediction"] if preprocessor.classes is None else ["logits", "probabilities"]
    with written_whole(path, overwrite=overwrite) as file:
        try:
            with _quiet():
                program = torch.onnx.export(
                    graph,
                    (torch.zeros(2, *shape),),
                    dynamo=True,
                    input_names=["inputs"],
                    output_names=names,
                    dynamic_shapes=({0: torch.export.Dim("rows")},),
                    verbose=False,
                )
        except Exception as error:  # whatever tracing the user's own code raises
            said = " ".join(str(error.__cause__ or error).split())[:200]
            raise InputError(f"the model {predictor.spec.model} cannot be written as ONNX: {said}") from error
        assert program is not None
        _forget_paths(program)
        program.model.metadata_props.update(_metadata(preprocessor, raw=raw))
        program.save(file)


class _Graph(nn.Module):
    """Scaling, network and the way back as one module."""

    def __init__(self, model: nn.Module, preprocessor: Preprocessor, *, raw: bool) -> None:
        super().__init__()
        self.scaling = _Scaling(preprocessor.encoder) if raw else nn.Identity()  # type: ignore[arg-type]
        self.model = model
        self.classes = None if preprocessor.classes is None else len(preprocessor.classes)
        self.restore = nn.ModuleList(_Restored(scale) for scale in preprocessor.target_scales)

    def forward(self, inputs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        outputs = self.model(self.scaling(inputs))
        if self.classes is not None:
            return outputs, probabilities_of(outputs, self.classes)
        columns = outputs.reshape(-1, len(self.restore)).unbind(1)
        amounts = [restore(column) for restore, column in zip(self.restore, columns, strict=True)]
        return torch.stack(amounts, 1) if len(amounts) > 1 else amounts[0]


class _Restored(nn.Module):
    """``Scale.restored`` of one amount, ``(n,)``, in float32."""

    def __init__(self, scale: Scale) -> None:
        from thalweg.data.scales import EDGE

        super().__init__()
        self.center, self.spread = scale.center, scale.spread
        self.edge = float(torch.special.ndtri(torch.tensor(1 - EDGE, dtype=torch.float64))) * (1 - 1e-6)
        self.quantiles = nn.Buffer(torch.tensor(scale.quantiles, dtype=torch.float32)) if scale.quantiles else None

    def forward(self, scaled: Tensor) -> Tensor:
        if self.quantiles is None:
            return scaled * self.spread + self.center
        last = len(self.quantiles) - 1
        place = 0.5 * (1 + torch.erf(scaled * 0.5**0.5)) * last
        place = torch.where(scaled >= self.edge, float(last), torch.where(scaled <= -self.edge, 0.0, place))
        low = place.floor().clamp(0, last - 1)
        index = low.long()
        below, above = self.quantiles[index], self.quantiles[index + 1]
        return below + (above - below) * (place - low)


class _Scaling(nn.Module):
    """``ArrayEncoder.encode`` in float32: the mean is taken off in two parts, lest a large one eat the digits."""

    def __init__(self, encoder: ArrayEncoder) -> None:
        super().__init__()
        trailing = len(encoder.shape) - 1 if len(encoder.shape) > 2 else 0  # channels come first, features last
        dims = (-1, *[1] * trailing)
        high = encoder.mean.astype(np.float32)
        scale = np.divide(1.0, encoder.sd, out=np.zeros_like(encoder.sd), where=encoder.sd != 0)
        fill = np.array([scale.fill for scale in encoder.scales] or [0.0])

        def buffer(values: np.ndarray) -> nn.Buffer:
            return nn.Buffer(torch.from_numpy(values.astype(np.float32).reshape(dims)))

        self.high, self.low = buffer(high), buffer(encoder.mean - high)
        self.scale, self.fill = buffer(scale), buffer(fill)
        self.missing = list(encoder.missing)

    def forward(self, inputs: Tensor) -> Tensor:
        absent = torch.isnan(inputs)
        scaled = torch.where(absent, self.fill, (inputs - self.high - self.low) * self.scale)
        return torch.cat([scaled, absent[:, self.missing].float()], 1) if self.missing else scaled


def _scales_in_graph(preprocessor: Preprocessor) -> bool:
    """ONNX has no inverse of the error function, and so no way to a scale of quantiles."""
    from thalweg.data.scaling import ArrayEncoder

    encoder = preprocessor.encoder
    return isinstance(encoder, ArrayEncoder) and not any(scale.quantiles for scale in encoder.scales)


def _metadata(preprocessor: Preprocessor, *, raw: bool) -> dict[str, str]:
    known = {
        "inputs": "raw" if raw else "encoded",
        "task": preprocessor.task,
        "features": preprocessor.feature_names,
        "classes": preprocessor.classes,
        "targets": preprocessor.target_names,
        "preprocessing": preprocessor.to_dict(),
    }
    return {name: json.dumps(value, ensure_ascii=False) for name, value in known.items()}


def _forget_paths(program: torch.onnx.ONNXProgram) -> None:
    """Each node remembers the line of Python it came from, with the author's folders: none of a stranger's business."""
    for node in program.model.graph:
        node.metadata_props.clear()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of its own insides."""
    log = logging.getLogger("torch.onnx._internal.exporter._registration")  # "torchvision is not installed"
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec.", FutureWarning)
            yield
    finally:
        log.setLevel(level)
