"""thalweg as scikit-learn knows estimators: in pipelines, grid searches and cross-validation.

>>> ThalwegClassifier().fit(X, y).predict_proba(X_new)
>>> GridSearchCV(ThalwegRegressor(epochs=20), {"hidden": [(32,), (64, 64)], "lr": [0.003, 0.01]}).fit(X, y)
>>> ThalwegClassifier(hidden=(), class_weight="balanced").fit(frame, y)         # logistic regression on mixed columns

``X`` is an array of numbers ``(n, features)``, in which NaN is a missing value, or a frame (pandas, polars, Arrow). A frame of
numbers alone is an array; otherwise categories, dates and gaps are encoded as ``thalweg train`` does it. A share of the rows is
held out to stop early by.

Rows that are the same are one row with the sum of their weights, and their order does not matter. So a weight of 2 is, to the
bit, the same as a row given twice, a weight of 0 the same as a row left out, and no row stands on both sides of the split.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import polars as pl
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, _check_y, check_is_fitted, validate_data

from thalweg.data import Preprocessor
from thalweg.data.sources.table import as_frame
from thalweg.data.tabular import TableEncoder
from thalweg.errors import InputError
from thalweg.experiments.fitting import fit
from thalweg.experiments.predict import ROWS_AT_ONCE, probabilities_of

FEWEST_ROWS = 10
"""Rows that training asks for; of fewer, each is taken several times, which leaves their mean as it is."""
NUMBERS: Any = {"dtype": [np.float64, np.float32], "ensure_all_finite": "allow-nan"}
"""What an array holds; NaN is a missing value."""
SETTINGS = (
    "hidden", "activation", "norm", "residual", "dropout", "scale", "rule", "lr", "schedule", "weight_decay",
    "l2", "l1", "max_norm", "epochs", "batch_size", "patience", "device", "threads",
)  # fmt: skip


@dataclass(kw_only=True, eq=False, repr=False)
class _Estimator(BaseEstimator):
    """The settings that both estimators share, and all that they do alike. Settings are those of ``thalweg train``."""

    hidden: tuple[int, ...] | None = None
    """Units of each hidden layer, () for a linear model; chosen from the data when None."""
    activation: str = "relu"
    norm: str | None = None
    residual: bool = False
    dropout: float | tuple[float, ...] | None = None
    scale: str = "standard"
    rule: str = "adamw"
    options: dict[str, Any] | None = None
    """Further hyperparameters of the rule."""
    lr: float | None = None
    """The learning rate, found when None."""
    schedule: str = "cosine"
    weight_decay: float | None = None
    l2: float | None = None
    l1: float | None = None
    max_norm: float | None = None
    epochs: int = 50
    batch_size: int | None = None
    patience: int = 30
    dev_fraction: float = 0.2
    """Rows held out to stop early and find the rate by; with 0 all are learned from, and nothing stops early."""
    random_state: int | np.random.RandomState | None = 1
    device: str = "auto"
    threads: int | None = None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _train(self, X: Any, y: np.ndarray, weights: np.ndarray | None, task: Any, **own: Any) -> None:
        """Trains on checked ``X`` and ``y`` ``(n,)`` or ``(n, k)``; ``own`` are the settings of one of the two alone."""
        if not 0 <= self.dev_fraction < 1:
            raise InputError(f"dev_fraction is {self.dev_fraction}: give a share of at least 0 and below 1")
        X, y, weights = _distinct(X, y, weights)
        settings: Any = {name: _plain(getattr(self, name)) for name in SETTINGS} | own
        settings["options"] = self.options or {}
        share = self.dev_fraction or 0.5  # where dev is given, it says no more than that there is no test part
        settings["split"] = [1 - share, share, 0]
        if not self.dev_fraction:
            settings |= {"dev": (X, y), "patience": 0}
            weights = None if weights is None else np.concatenate([weights, weights])
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31 - 1)
        fitted = fit("mlp", (X, y), weights=weights, task=task, seed=int(seed), **settings)
        self.model_ = fitted.model.cpu()
        assert fitted.preprocessor is not None
        self.preprocessor_: Preprocessor = fitted.preprocessor
        self.metrics_ = fitted.metrics
        self._names = X.columns if isinstance(X, pl.DataFrame) else []
        self.best_epoch_ = fitted.best_epoch

    def _outputs(self, X: Any) -> torch.Tensor:
        """The network's outputs in float64, ``(n, …)``: the same for a row whatever rows stand beside it."""
        check_is_fitted(self)
        named = isinstance(self.preprocessor_.encoder, TableEncoder)
        if named:
            validate_data(self, X, reset=False, skip_check_array=True)
            X = X if _is_frame(X) else pl.DataFrame(np.asarray(X), schema=list(self._names))
        else:
            X = validate_data(self, X, reset=False, **NUMBERS)
        inputs = torch.from_numpy(self.preprocessor_.inputs(X))
        model = copy.deepcopy(self.model_).double()
        with torch.no_grad():
            return torch.cat([model(block.double()) for block in inputs.split(ROWS_AT_ONCE)])


@dataclass(kw_only=True, eq=False, repr=False)
class ThalwegClassifier(ClassifierMixin, _Estimator):
    """A classifier; ``classes_`` are the labels in order, ``model_`` the network, ``metrics_`` those of train and dev part."""

    class_weight: str | dict[Any, float] | None = None
    """``balanced``, or the weight of each label."""
    label_smoothing: float = 0.0

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ThalwegClassifier:
        """Trains on ``X`` ``(n, features)`` and labels ``y`` ``(n,)``. Raises ``ValueError`` for what cannot be learned."""
        X, y, weights = _checked(self, X, y, sample_weight, amounts=False)
        check_classification_targets(y)
        labels = LabelEncoder()
        codes = labels.fit_transform(y)
        self.classes_ = labels.classes_
        count = len(self.classes_)
        if count < 2:
            raise InputError(f"y has one class, {self.classes_[0]!r}: at least two classes are needed")
        counts = np.bincount(codes, weights, minlength=count)
        if not counts.all():
            weightless = self.classes_[np.flatnonzero(counts == 0)[0]]
            raise InputError(
                f"the class {weightless!r} has weight 0 in every row: leave its rows out, or weigh some of them"
            )
        self._train(
            X,
            codes,
            weights,
            "binary" if count == 2 else "multiclass",
            label_smoothing=self.label_smoothing,
            class_weights=self._class_weights(counts),
            watch=None if self.class_weight is None else "loss",
        )
        return self

    def _class_weights(self, counts: np.ndarray) -> list[float] | None:
        if self.class_weight is None:
            return None
        if isinstance(self.class_weight, Mapping):
            unknown = set(self.class_weight) - set(self.classes_.tolist())
            if unknown:
                raise InputError(f"class_weight names {min(map(repr, unknown))}, which is no class of y: leave it out")
            return [float(self.class_weight.get(label, 1.0)) for label in self.classes_.tolist()]
        if self.class_weight != "balanced":
            raise InputError(f'class_weight is {self.class_weight!r}: give "balanced" or a weight for each label')
        return (counts.sum() / (len(counts) * counts)).tolist()

    def predict_proba(self, X: Any) -> np.ndarray:
        """float64 ``(n, classes)``, in the order of ``classes_``."""
        outputs = self._outputs(X)
        return probabilities_of(outputs, len(self.classes_)).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest label of each row, ``(n,)``."""
        chances = self.predict_proba(X)
        return self.classes_[chances.argmax(axis=1)]


@dataclass(kw_only=True, eq=False, repr=False)
class ThalwegRegressor(RegressorMixin, _Estimator):
    """A regressor of one amount or several; ``model_`` is the network, ``metrics_`` those of train and dev part."""

    scale_target: str = "standard"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ThalwegRegressor:
        """Trains on ``X`` ``(n, features)`` and amounts ``y`` ``(n,)`` or ``(n, k)``. Raises ``ValueError``."""
        X, y, weights = _checked(self, X, y, sample_weight, amounts=True)
        self._train(X, y.astype(np.float64), weights, "regression", scale_target=self.scale_target)
        self._shape = y.shape[1:]
        return self

    def predict(self, X: Any) -> np.ndarray:
        """float64 ``(n,)``, or ``(n, k)`` as ``y`` was."""
        amounts = self._outputs(X).numpy()
        amounts = self.preprocessor_.restore_targets(amounts[:, 0] if amounts.shape[1] == 1 else amounts)
        return amounts.reshape(-1, *self._shape)


def _plain(value: Any) -> Any:
    """A setting as ``thalweg.fit`` takes it; what a search draws are tuples, arrays and NumPy's numbers."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def _is_frame(X: Any) -> bool:
    return getattr(X, "columns", None) is not None


def _checked(
    estimator: _Estimator, X: Any, y: Any, sample_weight: Any, *, amounts: bool
) -> tuple[Any, np.ndarray, np.ndarray | None]:
    """X, y and weights as scikit-learn checks them; what the columns of a frame hold is for the preprocessing to judge."""
    frame = as_frame(X) if _is_frame(X) else None
    if frame is None or all(dtype.is_numeric() or dtype == pl.Boolean for dtype in frame.dtypes):
        X, y = validate_data(estimator, X, y, ensure_min_samples=2, multi_output=amounts, y_numeric=amounts, **NUMBERS)
    else:
        validate_data(estimator, X, y, skip_check_array=True)
        y = _check_y(y, multi_output=amounts, y_numeric=amounts, estimator=estimator)
        check_consistent_length(X, y)
        X = frame
    if sample_weight is None:
        return X, y, None
    return X, y, _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)


def _keys(X: np.ndarray | pl.DataFrame, y: np.ndarray) -> np.ndarray:
    """``(n,)``, the same for rows that are the same, and in an order that is theirs."""
    if isinstance(X, np.ndarray):
        digests = []
        for start in range(0, len(X), ROWS_AT_ONCE):
            stop = start + ROWS_AT_ONCE
            block = np.column_stack([X[start:stop], y[start:stop]]).astype(np.float64, order="C") + 0.0  # -0 is 0
            digests += [blake2b(row, digest_size=16).digest() for row in block]  # comparing whole rows takes far longer
        return np.frombuffer(b"".join(digests), "V16")
    targets = [pl.Series(f"{number} of y", column) for number, column in enumerate(np.atleast_2d(y.T))]
    return X.with_columns(targets).select(pl.struct(pl.all()).rank("dense")).to_series().to_numpy()


def _distinct(
    X: np.ndarray | pl.DataFrame, y: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray | pl.DataFrame, np.ndarray, np.ndarray | None]:
    """The rows that are different, in an order of their own, with the sums of their weights: None where all weigh the same."""
    given = np.ones(len(y)) if weights is None else weights
    keys = _keys(X, y)
    kept = np.flatnonzero(given > 0)
    if not len(kept):
        raise InputError("every row has weight 0: there is nothing to learn from")
    _, first, which = np.unique(keys[kept], return_index=True, return_inverse=True)
    summed = np.bincount(which.reshape(-1), given[kept])
    chosen = np.tile(kept[first], -(-FEWEST_ROWS // len(first)) if len(first) < FEWEST_ROWS else 1)
    summed = np.resize(summed, len(chosen))
    return X[chosen], y[chosen], None if (summed == summed[0]).all() else summed
