"""Remedies: each is a change of the spec that the spec accepts and that changes something."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.diagnose.kinds import KINDS
from thalweg.diagnose.remedies import TABLE, remedies, words
from thalweg.experiments import Spec
from thalweg.experiments.build import check_belongs

OUTSIDE_THE_SPEC = {
    "train_dev_mismatch", "data_order", "wrong_loss", "wrong_activation", "wrong_gradient", "no_zero_grad", "frozen_params",
    "leakage", "wrong_mode",
}  # fmt: skip

specs = st.fixed_dictionaries(
    {
        "lr": st.none() | st.floats(1e-9, 1e6),
        "epochs": st.integers(1, 2000),
        "rule": st.sampled_from(["adamw", "adam", "sgd", "momentum", "lion"]),
        "weight_decay": st.none() | st.floats(0, 1e4),
        "l2": st.none() | st.floats(0, 1e4),
        "l1": st.none() | st.floats(0, 1e4),
        "clip_norm": st.none() | st.floats(0.01, 100),
        "init": st.sampled_from([None, "auto", "he", "normal(3)"]),
        "scale": st.sampled_from(["standard", "robust", "quantile", "none"]),
        "schedule": st.sampled_from(["cosine", "constant", "staircase((9,), (1.0, 0.01))"]),
        "class_weights": st.sampled_from([None, "balanced"]),
        "patience": st.integers(0, 100),
        "label_smoothing": st.floats(0, 0.5),
    }
)
mlps = st.fixed_dictionaries(
    {
        "model": st.just("mlp"),
        "hidden": st.none() | st.lists(st.integers(1, 300), max_size=4),
        "dropout": st.none() | st.lists(st.floats(0, 0.95), min_size=1, max_size=1),
        "activation": st.sampled_from(["relu", "sigmoid", "tanh", "gelu"]),
        "norm": st.sampled_from([None, "batch", "layer"]),
        "residual": st.booleans(),
        "skip": st.sampled_from([None, True, False]),
    }
)
resnets = st.fixed_dictionaries(
    {"model": st.just("resnet"), "depth": st.sampled_from([None, 8, 20]), "width": st.sampled_from([None, 8])}
)
models = mlps | resnets | st.sampled_from([{"model": "linear"}, {"model": "mine.py:build"}])


@given(
    kind=st.sampled_from(sorted(TABLE)),
    settings=specs,
    model=models,
    chosen=st.sets(st.sampled_from(["lr", "hidden", "dropout"])),
)
def test_each_is_valid_and_changes_something(
    kind: str, settings: dict[str, Any], model: dict[str, Any], chosen: set[str]
) -> None:
    spec = Spec(data="digits", **settings, **model)
    found = remedies(kind, spec.model_dump(), chosen=chosen)
    for change in found:
        changed = spec.replace(**change)
        check_belongs(changed)
        assert all(getattr(changed, name) != getattr(spec, name) for name in change)
        assert change and found.count(change) == 1
        assert not any(value is None and name in chosen for name, value in change.items())
        assert words(change)


def test_every_kind_has_a_remedy_or_lies_outside_the_spec() -> None:
    assert set(TABLE) | OUTSIDE_THE_SPEC == set(KINDS)
    assert not set(TABLE) & OUTSIDE_THE_SPEC
    assert remedies("leakage", {}) == []


@pytest.mark.parametrize(
    ("kind", "evidence", "first"),
    [
        ("lr_too_high", {}, {"lr": 0.1}),
        ("lr_too_high", {"trial/slower/error": 0.1}, {"lr": 0.01}),
        ("lr_too_low", {"trial/fast/error": 0.2, "trial/faster/error": 0.3}, {"lr": 10.0}),
        ("lr_too_low", {"trial/fast/error": 0.2, "trial/faster/error": 0.1}, {"lr": 100.0}),
        ("undertrained", {}, {"epochs": 150}),
        ("class_imbalance", {}, {"class_weights": "balanced"}),
        ("bad_init", {}, {"init": None}),
        ("over_regularised", {}, {"weight_decay": 0.0, "dropout": [0.0]}),
    ],
)
def test_the_evidence_says_by_how_much(kind: str, evidence: dict[str, float], first: dict[str, Any]) -> None:
    spec = Spec(data="digits", lr=1.0, init="zeros", weight_decay=100.0, dropout=[0.9])
    assert remedies(kind, spec.model_dump(), evidence=evidence)[0] == first


def test_a_module_of_the_users_is_drawn_anew_only_by_name() -> None:
    spec = Spec(data="digits", model="mine.py:build", lr=0.1).model_dump()
    assert remedies("bad_init", spec)[0] == {"init": "auto"}
    assert all("hidden" not in change for change in remedies("high_bias", spec))


def test_a_rate_alone_is_no_wider_net() -> None:
    """Where the net was thalweg's own choice, giving it back changes nothing, and the rate that came with it is no answer."""
    spec = Spec(data="digits", lr=0.1, hidden=[64], skip=True, dropout=[0.2]).model_dump()
    found = remedies("high_bias", spec, chosen={"hidden", "skip", "dropout"})
    assert found[0]["hidden"] == [256] and found[-1] == {"lr": None}
    assert remedies("lr_too_high", spec)[1] == {"lr": None}


def test_words() -> None:
    assert words({"lr": 0.03}) == "lr = 0.03"
    assert words({"hidden": None, "lr": None, "dropout": [0.5]}) == "dropout = 0.5, hidden and lr left to thalweg"
    assert (
        words({"clip_norm": None, "residual": True, "hidden": [64, 32]})
        == "clip_norm = none, residual = yes, hidden = 64,32"
    )
