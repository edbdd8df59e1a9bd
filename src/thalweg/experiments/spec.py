"""What a run is asked to do: one validated, frozen table of settings.

The same keys are options of ``thalweg train``, keys of a TOML file and keywords of ``thalweg.fit``; their meaning stands
here once. What the user leaves out is ``None`` or the default below; what thalweg then chooses is written into the
run's own ``spec.toml``, so that a run can be repeated from it to the same bits.

>>> Spec(data="digits", epochs=10).rule
'adamw'
>>> Spec.read("spec.toml")
>>> Spec(data="digits", epoch=10)
InputError: there is no setting "epoch": did you mean "epochs"?
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from thalweg.errors import InputError
from thalweg.wording import meant

Number = int | float | bool | str | list[float]


class Spec(BaseModel):
    """All settings of a training run. Raises ``InputError`` (one sentence naming the key) for a value that makes no sense."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    data: str = Field(
        description="A file (CSV, TSV, Parquet, NPZ, NPY, IDX), a folder of class folders with images, or a bundled set: "
        "digits, breast-cancer, wine, diabetes, fashion-mnist."
    )
    target: str | None = Field(None, description="The column to predict (tables); several amounts as in 'price,area'.")
    task: Literal["binary", "multiclass", "regression"] | None = Field(
        None, description="What to predict; inferred from the target when not given."
    )
    delimiter: str | None = Field(
        None, min_length=1, max_length=2, description="The separator of a text table, as in ';'."
    )
    drop: list[str] | None = Field(None, description="Columns to leave out, as in id,name.")
    dev: str | None = Field(None, description="A separate file for the dev part, like the data.")
    test: str | None = Field(None, description="A separate file for the test part, like the data.")
    split: list[float] | None = Field(
        None, min_length=3, max_length=3, description="Shares of training, dev and test part, as in 0.6,0.2,0.2."
    )
    split_column: str | None = Field(None, description="The column that says train, dev or test of each row.")
    groups: str | None = Field(None, description="The column of groups (patients, shops) that must not be divided.")
    time: str | None = Field(
        None, description="The column that orders the rows: train on the past, test on the future."
    )
    weights: str | None = Field(None, description="The column that holds the weight of each row.")
    class_weights: Literal["balanced"] | list[float] | None = Field(
        None, description="Weight of each class in the loss: balanced, or numbers in the order of the classes."
    )
    folds: int | None = Field(None, ge=2, description="Cross-validate with this many folds instead of one split.")
    stream: bool | None = Field(
        None, description="Read the data from disk as it trains; chosen by the size of data and memory when not given."
    )
    scale: Literal["standard", "robust", "quantile", "none"] = Field(
        "standard", description="How inputs are scaled: standard, robust, quantile or none."
    )
    scale_target: Literal["standard", "robust", "quantile", "none"] = Field(
        "standard", description="How amounts to predict are scaled: standard, robust, quantile or none."
    )
    augment: list[str] | None = Field(
        None,
        description="Random changes of training examples, as in 'flip,crop(4),rotate(15),mixup(0.2)' or standard; noise(0.1) "
        "and mixup for tables.",
    )
    model: str = Field("mlp", description="mlp, linear, resnet, or your own module as FILE.py:FUNCTION.")
    model_options: dict[str, Number] = Field(
        default_factory=dict, description="Arguments of your own module's function, as in width=64 (repeatable)."
    )
    hidden: list[int] | None = Field(
        None, description="Units of each hidden layer, as in 256,128; chosen when not given."
    )
    activation: str = Field(
        "relu", description="Activation of the hidden layers: relu, leaky_relu, tanh, sigmoid, gelu, silu."
    )
    depth: int | None = Field(None, ge=8, description="Layers of a resnet: 8, 14, 20, 26, …; chosen when not given.")
    width: int | None = Field(None, ge=1, description="Channels of a resnet's first stage; chosen when not given.")
    residual: bool = Field(False, description="Residual blocks: each hidden layer adds to what came in.")
    skip: bool | None = Field(None, description="A linear path beside the hidden layers; chosen when not given.")
    norm: Literal["batch", "layer"] | None = Field(None, description="Normalisation before each activation.")
    init: str | None = Field(
        None,
        description="Initialisation by name: he, xavier, glorot, orthogonal, lsuv, …; fits what follows (auto) when not given; "
        "your own module stays as it is unless one is given.",
    )
    pretrain: bool = Field(
        False, description="Train the hidden layers one by one as denoising autoencoders first, then all together."
    )
    pretrain_epochs: int = Field(10, ge=1, description="Passes of pre-training for each layer.")
    dropout: list[float] | None = Field(
        None,
        description="Probability of dropping a hidden unit in training, one or one for each layer; chosen when not given.",
    )
    input_dropout: float = Field(0.0, ge=0, lt=1, description="Probability of dropping an input in training.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of each label spread over all classes.")
    l2: float | None = Field(
        None, ge=0, description="λ of the cost's λ/2m·Σ‖W‖², m training examples; in place of the rule's own decay."
    )
    l1: float | None = Field(None, ge=0, description="λ of λ/2m·Σ|w|, as a proximal step: weights become exactly 0.")
    max_norm: float | None = Field(None, gt=0, description="Largest norm of the weights into a unit.")
    rule: str = Field("adamw", description="The update rule: adamw, adam, sgd, nadam, rmsprop, adagrad, … .")
    options: dict[str, Number] = Field(
        default_factory=dict, description="Further hyperparameters of the rule, as in momentum=0.9 (repeatable)."
    )
    lr: float | None = Field(
        None, gt=0, description="Learning rate; found by a range test and confirming runs when not given."
    )
    weight_decay: float | None = Field(None, ge=0, description="Weight decay; the rule's own default when not given.")
    clip_norm: float | None = Field(1.0, gt=0, description="Largest norm of the gradient; 'none' to leave it alone.")
    schedule: str = Field(
        "cosine",
        description="How the rate falls after warm-up: cosine, linear, constant, or a whole schedule as an expression, as in "
        "'warmup(100) >> plateau(0.5, patience=3)'; see thalweg schedule.",
    )
    warmup: float = Field(0.05, ge=0, le=1, description="Share of all steps in which the rate rises to its value.")
    epochs: int = Field(50, ge=1, description="Passes over the training part at most.")
    batch_size: int | None = Field(
        None, ge=1, description="Examples in a mini-batch; chosen from the data when not given."
    )
    patience: int = Field(
        30, ge=0, description="Epochs without improvement on the dev part before stopping; 0 never stops."
    )
    watch: str | None = Field(
        None,
        description="The dev metric that decides which weights are best: loss, accuracy, balanced_accuracy, f1, auc, r2, rmse, "
        "mae; accuracy for classes, loss for numbers by default.",
    )
    min_gain: float = Field(0.0, ge=0, description="The least improvement of that metric that patience counts as one.")
    seed: int = Field(
        1,
        ge=0,
        lt=2**63,
        description="Fixes the split, the initialisation, the order and everything else that is random.",
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16 runs the forward pass in mixed precision."
    )
    threads: int | None = Field(
        None, ge=1, le=1024, description="Processor threads; chosen from the size of the net when not given."
    )
    shard: bool = Field(
        False,
        description="Split the model itself over the processes of torchrun (FSDP2), where it does not fit one.",
    )
    monitors: list[Literal["activations", "cosine", "noise", "curvature"]] | None = Field(
        None,
        description="Recorded beside the usual numbers: activations (by layer), cosine (of consecutive gradients), "
        "noise (the gradient noise scale), curvature (sharpness, and the share that is negative).",
    )
    interventions: str | None = Field(
        None,
        description="A run's record of what was done to it by hand (interventions.jsonl): done again at the same steps.",
    )
    name: str | None = Field(
        None, pattern=r"^[\w.-]+$", description="Name of the run; made from the data when not given."
    )
    runs: str = Field("runs", description="The folder that holds all runs.")

    def __init__(self, **settings: Any) -> None:
        try:
            super().__init__(**settings)
        except ValidationError as error:
            raise InputError(_sentence(error)) from None

    @model_validator(mode="after")
    def _check(self) -> Spec:
        if self.split is not None and (min(self.split) < 0 or abs(sum(self.split) - 1) > 1e-6 or self.split[0] == 0):
            raise ValueError("split: the three shares must be at least 0 and add up to 1, as in 0.6,0.2,0.2")
        if self.split is not None and self.split[1] == 0:
            raise ValueError("split: the dev part must not be empty; early stopping and the choice of the rate need it")
        if self.hidden is not None and any(units < 1 for units in self.hidden):
            raise ValueError("hidden: every layer needs at least 1 unit")
        if self.shard and (self.pretrain or self.folds is not None):
            found = "pretrain" if self.pretrain else "folds"
            raise ValueError(
                f"shard does not go with {found}, which trains whole models in one process: leave out one of the two"
            )
        if self.monitors and self.shard:
            raise ValueError("monitors look at a whole model, and shard divides it: leave out one of the two")
        if self.interventions is not None and self.folds is not None:
            raise ValueError("interventions are of one run, and folds are several: leave out one of the two")
        if self.dropout is not None and not (self.dropout and all(0 <= share < 1 for share in self.dropout)):
            said = ", ".join(map(str, self.dropout)) or "nothing"
            raise ValueError(f'the setting "dropout" cannot be {said}: a probability is at least 0 and below 1')
        return self

    @classmethod
    def read(cls, path: str | Path, **overrides: Any) -> Spec:
        """A spec from a TOML file; ``overrides`` win over its keys."""
        path = Path(path)
        if path.is_fifo():
            raise InputError(f"{path} is a pipe: give a file, which can be read again")
        try:
            settings = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{path} does not exist: give the TOML file of a run") from None
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is no valid TOML file: {error}") from None
        except RecursionError:
            raise InputError(f"{path} is no valid TOML file: its values are nested too deep") from None
        try:
            return cls(**{**settings, **overrides})
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    def replace(self, **changes: Any) -> Spec:
        """The same spec with some settings changed, validated again."""
        return Spec(**{**self.model_dump(), **changes})

    def to_toml(self) -> str:
        """The spec as TOML. A setting that is ``None`` is left out, for so is its default; no clipping is 'none'."""
        import tomli_w

        settings = {key: value for key, value in self.model_dump().items() if value is not None and value != {}}
        if self.clip_norm is None:
            settings["clip_norm"] = "none"
        return tomli_w.dumps(settings)

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, settings: Any) -> Any:
        """TOML has no null: 'none' switches clipping off. One number or word stands for a list of one."""
        if not isinstance(settings, Mapping):
            return settings
        changed = dict(settings)
        if changed.get("clip_norm") in ("none", "None"):
            changed["clip_norm"] = None
        for name in ("dropout", "augment", "drop", "monitors"):
            if isinstance(changed.get(name), int | float | str):
                changed[name] = [changed[name]]
        return changed


def _sentence(error: ValidationError) -> str:
    """The first fault of a spec as one sentence that names the key."""
    fault = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in fault["loc"] if part not in ("int", "float", "str", "bool"))
    if fault["type"] == "extra_forbidden":
        return f'there is no setting "{key}": {meant(key, Spec.model_fields, otherwise="see thalweg train --help")}'
    if fault["type"] == "missing":
        return f'the setting "{key}" is missing: {Spec.model_fields[key].description}'
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    message = fault["msg"][0].lower() + fault["msg"][1:]
    return f'the setting "{key}" cannot be {fault["input"]!r}: {message}'
