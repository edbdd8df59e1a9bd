"""A finished run put to use: the network and all that was learned about its inputs, ready for new rows.

>>> predictor = thalweg.load("runs/wine-1")
>>> predictor.predict(frame)                    # a Polars frame: prediction, and p(CLASS) for each class
"""

from __future__ import annotations

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


class Predictor:
    """The model of a run with its preprocessing. ``model`` is in evaluation mode, on the processor."""

    def __init__(self, folder: Folder, spec: Spec, preprocessor: Preprocessor, model: torch.nn.Module) -> None:
        self.folder = folder
        self.spec = spec
        self.preprocessor = preprocessor
        self.model = model

    def outputs(self, inputs: Any) -> torch.Tensor:
        """The network's raw outputs ``(n, …)`` for raw inputs: a frame, or an array like those trained on."""
        return outputs_of(self.model, torch.from_numpy(self.preprocessor.inputs(inputs)))

    def predict(self, inputs: Any) -> polars.DataFrame:
        """Predictions for raw inputs: column ``prediction`` and, for classes, their probabilities ``p(CLASS)``.

        Raises ``InputError`` naming a column that is missing or cannot be read as it was in training.
        """
        import polars as pl

        outputs = self.outputs(inputs).double()
        classes = self.preprocessor.classes
        if classes is None:
            return pl.DataFrame({"prediction": self.preprocessor.restore_targets(outputs.reshape(-1).numpy())})
        probabilities = _probabilities(outputs, len(classes))
        columns: dict[str, Any] = {"prediction": np.asarray(classes, dtype=object)[probabilities.argmax(1)].tolist()}
        columns |= {f"p({name})": probabilities[:, index] for index, name in enumerate(classes)}
        return pl.DataFrame(columns)

    def predict_file(self, source: str, *, delimiter: str | None = None) -> polars.DataFrame:
        """Predictions for the rows of a file or folder like the one trained on; it need not hold the target."""
        from thalweg.data import load_inputs

        return self.predict(load_inputs(source, like=self.preprocessor, delimiter=delimiter))


def _probabilities(outputs: torch.Tensor, classes: int) -> np.ndarray:
    """``(n, C)`` from logits: softmax, or the logistic function where one logit stands for two classes."""
    if outputs.ndim == 2 and outputs.shape[1] == classes and classes > 1:
        return outputs.softmax(1).numpy()
    positive = outputs.reshape(-1).sigmoid().numpy()
    return np.stack([1 - positive, positive], axis=1)


def load(run: str | Path, *, runs: str = "runs") -> Predictor:
    """Opens a finished run. Raises ``InputError`` where it is none, or its files do not fit each other."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from thalweg.data import Preprocessor

    folder = Folder.open(run, runs)
    spec = Spec.read(folder.spec)
    preprocessor = Preprocessor.from_dict(folder.read_json(folder.preprocessing))
    if not folder.model.exists():
        raise InputError(f"the run {folder.path} has no model yet: let it finish, with  thalweg resume {folder.path}")
    model = build_model(spec, input_shape=preprocessor.input_shape, n_outputs=preprocessor.n_outputs)
    try:
        model.load_state_dict(load_file(folder.model))
    except (RuntimeError, SafetensorError) as error:
        raise InputError(
            f"{folder.model} does not fit the model {spec.model}: {str(error).splitlines()[0]}; was its code changed?"
        ) from None
    return Predictor(folder, spec, preprocessor, model.eval())
