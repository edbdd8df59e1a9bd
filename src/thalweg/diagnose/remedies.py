"""From a finding to changes of the spec that may help: pure, from names and numbers to settings.

>>> remedies("lr_too_high", spec)                           # spec: all settings by name, {"lr": 0.3, "rule": "adamw", …}
[{'lr': 0.03}, {'lr': 0.003}, {'lr': None}]
>>> words({"lr": 0.03})
'lr = 0.03'

The first is the likeliest to help. Each is valid for that spec and differs from it; ``None`` gives a setting back to thalweg's
own choice. Where the cause lies outside the spec (labels, leaks, another distribution in the dev part, the user's own code) the
list is empty or holds what makes a model bear it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

Settings = Mapping[str, Any]
Change = dict[str, Any]
MLP = ("hidden", "activation", "residual", "skip", "norm", "dropout", "input_dropout")
BELONGS = {"mlp": MLP, "linear": ("input_dropout",), "resnet": ("depth", "width", "dropout")}
"""Settings of a built-in net that other models refuse."""
LONGEST = 1000
"""Epochs that a remedy asks for at most."""
WITH_DECAY = ("adamw", "nadamw", "lion", "adan", "lamb", "lars", "muon", "schedule_free_adamw", "swats")


def remedies(
    kind: str, spec: Settings, *, evidence: Mapping[str, float | str] | None = None, chosen: Collection[str] = ()
) -> list[Change]:
    """Changes of ``spec`` (every setting by its name) to try against a finding of ``kind``, likeliest first.

    ``evidence`` is the finding's: which test decided tells by how much. ``chosen`` names the settings that are thalweg's own
    choice by now: to give them back changes nothing. An unknown kind has no remedy.
    """
    make = TABLE.get(kind)
    if make is None:
        return []
    found: list[Change] = []
    last: list[Change] = []
    for whole in make(spec, evidence or {}):
        change = {
            name: value
            for name, value in whole.items()
            if _fits(name, spec) and spec.get(name) != value and not (value is None and name in chosen)
        }
        if change and change not in found:
            # Of "another net, and the rate for it" the rate alone is no remedy for the net: others come first.
            (last if change == {"lr": None} != whole else found).append(change)
    return found + [change for change in last[:1] if change not in found]


def words(change: Settings) -> str:
    """A change as people write it: "lr = 0.03, epochs = 150", "hidden and lr left to thalweg"."""
    kept = [name for name, value in change.items() if value is None and name != "clip_norm"]
    said = [f"{name} = {_said(value)}" for name, value in change.items() if name not in kept]
    left = f"{', '.join(kept[:-1])} and {kept[-1]}" if len(kept) > 1 else "".join(kept)
    return ", ".join([*said, *([f"{left} left to thalweg"] if left else [])])


def _said(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(_said, value))
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _fits(name: str, spec: Settings) -> bool:
    """Whether this spec may have the setting: nets by name have theirs, a module of the user's none of them."""
    owners = [model for model, settings in BELONGS.items() if name in settings]
    return not owners or spec.get("model", "mlp") in owners


def _lr_too_high(spec: Settings, evidence: Mapping[str, float | str]) -> list[Change]:
    if not spec.get("lr"):
        return [{"lr": None}]
    first, second = (0.01, 0.1) if "trial/slower/error" in evidence else (0.1, 0.01)
    return [{"lr": _rate(spec, first)}, {"lr": None}, {"lr": _rate(spec, second)}, {"lr": _rate(spec, 1 / 3)}]


def _lr_too_low(spec: Settings, evidence: Mapping[str, float | str]) -> list[Change]:
    if not spec.get("lr"):
        return [{"lr": None}]
    first, second = (100.0, 10.0) if _better("trial/faster/error", "trial/fast/error", evidence) else (10.0, 100.0)
    return [{"lr": _rate(spec, first)}, {"lr": None}, {"lr": _rate(spec, second)}]


def _better(one: str, other: str, evidence: Mapping[str, float | str]) -> bool:
    a, b = evidence.get(one, math.nan), evidence.get(other, math.nan)
    return isinstance(a, float) and isinstance(b, float) and a < b


def _rate(spec: Settings, factor: float) -> float:
    return float(f"{spec['lr'] * factor:.3g}")


def _undertrained(spec: Settings, _evidence: Mapping[str, float | str]) -> list[Change]:
    epochs: int = spec.get("epochs", 50)
    long = {"epochs": _longer(epochs, 10)}
    return [{"epochs": _longer(epochs, 3)}, {**long, "lr": None}, {"lr": None}, long]


def _longer(epochs: int, times: int) -> int:
    return max(min(epochs * times, LONGEST), epochs)


def _drawn(spec: Settings) -> str | None:
    """The initialisation that fits the layers: of a net by name its own, of the user's module only where it is asked for."""
    return None if spec.get("model", "mlp") in BELONGS else "auto"


def _vanishing(spec: Settings, _evidence: Mapping[str, float | str]) -> list[Change]:
    smooth = {"activation": "relu"} if spec.get("activation") in ("sigmoid", "tanh") else {"activation": "gelu"}
    fresh: Change = {"init": _drawn(spec), **smooth}
    return [
        {**fresh, "norm": "batch", "lr": None},
        {**fresh, "hidden": None, "skip": None, "dropout": None, "lr": None},
        {**fresh, "lr": None},
        {**fresh, "residual": True, "lr": None},
        {"norm": "batch"},
    ]


def _exploding(spec: Settings, _evidence: Mapping[str, float | str]) -> list[Change]:
    return [
        {"init": _drawn(spec), "clip_norm": 1.0},
        {"init": _drawn(spec), "clip_norm": 1.0, "norm": "batch"},
        {"init": _drawn(spec), "lr": None},
    ]


def _dead(spec: Settings, _evidence: Mapping[str, float | str]) -> list[Change]:
    lower = {"lr": _rate(spec, 0.1)} if spec.get("lr") else {}
    return [
        {"init": _drawn(spec), "lr": None},
        {"init": _drawn(spec), "activation": "leaky_relu", **lower},
        {"activation": "gelu", "norm": "batch"},
    ]


def _saturated(spec: Settings, _evidence: Mapping[str, float | str]) -> list[Change]:
    return [
        {"init": _drawn(spec), "scale": "standard", "lr": None},
        {"init": _drawn(spec), "activation": "relu", "lr": None},
        {"norm": "batch"},
    ]


def _bad_init(spec: Settings, _evidence: Mapping[str, float | str]) -> list[Change]:
    return [{"init": _drawn(spec)}, {"init": _drawn(spec), "lr": None}, {"init": "lsuv"}]


def _unnormalised(spec: Settings, _evidence: Mapping[str, float | str]) -> list[Change]:
    change: Change = {"scale": "standard"} if spec.get("scale") != "standard" else {"scale": "quantile"}
    return [{**change, "lr": None}, change, {"scale": "quantile", "lr": None}]


def _high_bias(spec: Settings, _evidence: Mapping[str, float | str]) -> list[Change]:
    if spec.get("model") == "linear":
        return [{"model": "mlp", "lr": None}]
    if spec.get("model") == "resnet":
        return [
            {"width": 2 * (spec.get("width") or 16), "lr": None},
            {"depth": (spec.get("depth") or 8) + 6, "lr": None},
        ]
    hidden = spec.get("hidden") or [64]
    wider, own = [max(4 * units, 64) for units in hidden], {"hidden": None, "skip": None, "dropout": None}
    free = {"dropout": [0.0], "weight_decay": 0.0}
    return [
        {**own, "lr": None},
        {"hidden": wider, "lr": None, **({"dropout": [0.0]} if spec.get("dropout") else {})},
        {"hidden": [*wider, wider[-1]], "lr": None, **_one_dropout(spec)},
        {**free, "lr": None},
        {"epochs": _longer(spec.get("epochs", 50), 3), "lr": None},
    ]


def _one_dropout(spec: Settings) -> Change:
    """Another number of layers needs one probability for all."""
    return {"dropout": [max(spec["dropout"])]} if len(spec.get("dropout") or ()) > 1 else {}


def _over_regularised(spec: Settings, _evidence: Mapping[str, float | str]) -> list[Change]:
    ours = ("weight_decay", "l2", "l1", "max_norm", "label_smoothing", "input_dropout")
    off: Change = {
        "weight_decay": 0.0,
        "l2": None,
        "l1": None,
        "max_norm": None,
        "label_smoothing": 0.0,
        "input_dropout": 0.0,
    }
    strong = {name: off[name] for name in ours if spec.get(name)}
    if "l2" in strong:
        strong["weight_decay"] = 0.0  # or it would be chosen anew in its place
    drop: Change = {"dropout": [0.0]} if any(spec.get("dropout") or ()) else {}
    weaker = {"weight_decay": spec["weight_decay"] / 10} if spec.get("weight_decay") else {}
    own: Change = {**strong, "dropout": None, "weight_decay": None}
    return [{**strong, **drop}, own, strong, drop, {**weaker, "dropout": [0.1]}, {**strong, **drop, "lr": None}]


def _high_variance(spec: Settings, _evidence: Mapping[str, float | str]) -> list[Change]:
    decay = max(10 * (spec.get("weight_decay") or 0.01), 0.1) if spec.get("rule", "adamw") in WITH_DECAY else None
    stronger: Change = {"weight_decay": decay} if decay else {"l2": 10.0}
    dropout = min(max([*(spec.get("dropout") or ()), 0.1]) + 0.2, 0.5)
    patience = {"patience": max(spec.get("epochs", 50) // 4, 5)}
    return [
        {"dropout": [dropout], **stronger},
        {"dropout": None, "weight_decay": None, "l2": None, "hidden": None, "skip": None, **patience},
        {"dropout": [dropout]},
        stronger,
        {"augment": ["noise(0.1)"]} if spec.get("model") != "resnet" else {"augment": ["standard"]},
    ]


def _imbalance(spec: Settings, _evidence: Mapping[str, float | str]) -> list[Change]:
    return [
        {"class_weights": "balanced"},
        {"class_weights": "balanced", "watch": "balanced_accuracy"},
        {"watch": "balanced_accuracy"},
    ]


def _plateau(spec: Settings, _evidence: Mapping[str, float | str]) -> list[Change]:
    rule: list[Change] = [{"rule": "adamw", "options": {}, "lr": None}] if spec.get("rule") == "sgd" else []
    return [
        {"schedule": "cosine", "warmup": 0.05},
        {"schedule": "constant"},
        {"schedule": "cosine", "lr": None},
        *rule,
        {"init": _drawn(spec), "lr": None},
    ]


def _wrong_optimizer(spec: Settings, _evidence: Mapping[str, float | str]) -> list[Change]:
    fresh: Change = {"options": {}, "weight_decay": None, "lr": None}
    return [{"rule": "adamw", **fresh}, {"rule": "momentum", **fresh}]


def _label_noise(spec: Settings, _evidence: Mapping[str, float | str]) -> list[Change]:
    smoothed: Change = {"label_smoothing": 0.1} if spec.get("task") != "regression" else {}
    patience = {"patience": max(spec.get("epochs", 50) // 5, 5)}
    return [{**smoothed, **patience}, {**smoothed, "dropout": [0.3]}, patience]


def _nan(spec: Settings, evidence: Mapping[str, float | str]) -> list[Change]:
    return [{"lr": None}, *_lr_too_high(spec, evidence), {"clip_norm": 1.0, "init": _drawn(spec), "lr": None}]


TABLE: dict[str, Callable[[Settings, Mapping[str, float | str]], Sequence[Change]]] = {
    "nan": _nan,
    "lr_too_high": _lr_too_high,
    "lr_too_low": _lr_too_low,
    "undertrained": _undertrained,
    "vanishing_gradient": _vanishing,
    "exploding_gradient": _exploding,
    "dead_relu": _dead,
    "saturated_activation": _saturated,
    "bad_init": _bad_init,
    "unnormalised_input": _unnormalised,
    "high_bias": _high_bias,
    "over_regularised": _over_regularised,
    "high_variance": _high_variance,
    "class_imbalance": _imbalance,
    "plateau": _plateau,
    "wrong_optimizer": _wrong_optimizer,
    "label_noise": _label_noise,
}
