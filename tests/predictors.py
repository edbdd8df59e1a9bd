"""Predictors without a run: real preprocessing, and a network of random weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from thalweg.data import Data, Preprocessor
from thalweg.experiments import Spec
from thalweg.experiments.predict import Predictor


def predictor_of(
    inputs: Any, targets: Any, task: str, classes: Sequence[str] | None = None, model: nn.Module | None = None
) -> Predictor:
    data = Data("data", task, inputs, np.asarray(targets), "y", None if classes is None else tuple(classes))
    preprocessor = Preprocessor.fit(data, np.arange(len(data)))
    torch.manual_seed(0)
    if model is None:
        n_in = math.prod(preprocessor.input_shape)
        model = nn.Sequential(nn.Flatten(), nn.Linear(n_in, 8), nn.ReLU(), nn.Linear(8, preprocessor.n_outputs))
    return Predictor(Path("runs/data-1"), Spec(data="data"), preprocessor, model.eval())
