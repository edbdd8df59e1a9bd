"""Predictors without a run: real preprocessing, and a network of random weights (or one of the test's own)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from thalweg.data import Data, Preprocessor
from thalweg.experiments import Spec
from thalweg.experiments.build import build_model
from thalweg.experiments.predict import Predictor


def predictor_of(
    inputs: Any,
    targets: Any,
    task: str,
    classes: Sequence[str] | None = None,
    model: nn.Module | None = None,
    *,
    target_names: tuple[str, ...] = (),
    scale: str = "standard",
    scale_target: str = "standard",
) -> Predictor:
    named = None if classes is None else tuple(classes)
    data = Data("data", task, inputs, np.asarray(targets), "y", named, target_names)
    preprocessor = Preprocessor.fit(data, np.arange(len(data)), scale=scale, scale_target=scale_target)
    spec = Spec(data="data", hidden=[8], scale=scale, scale_target=scale_target)
    return Predictor(Path("runs/data-1"), spec, preprocessor, (model or build_model(spec, preprocessor)).eval())
