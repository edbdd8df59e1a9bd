"""Monitors that a spec asks for: what they write, and that they change nothing."""

from __future__ import annotations

import pytest
import torch

import thalweg
from thalweg.errors import InputError
from thalweg.experiments.spec import Spec

SETTINGS = {"hidden": [16], "epochs": 3, "lr": 0.01, "batch_size": 64, "seed": 1}


def test_all_of_them_write_and_the_run_has_the_same_bits() -> None:
    plain = thalweg.fit("mlp", "digits", **SETTINGS)
    watched = thalweg.fit("mlp", "digits", monitors=["activations", "cosine", "noise", "curvature"], **SETTINGS)
    for name, value in plain.model.state_dict().items():
        assert torch.equal(value, watched.model.state_dict()[name]), name
    columns = set(watched.history.columns) - set(plain.history.columns)
    assert {"grad_cosine", "noise_scale/noise", "curvature/sharpness", "curvature/negative"} <= columns
    zeros = [name for name in columns if name.startswith("activation/") and name.endswith("/zeros")]
    assert zeros and all(0 <= watched.history.last(name) <= 1 for name in zeros)


def test_activations_are_those_of_training_rows() -> None:
    fitted = thalweg.fit("mlp", "digits", monitors="activations", dropout=0.5, **SETTINGS)
    column = fitted.history.under("activation")
    steps = next(iter(column.values())).steps
    assert list(steps[:5]) == [1, 2, 3, 4, 5]
    assert not any(module._forward_hooks for module in fitted.model.modules())


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"monitors": ["noises"]}, "monitors"), ({"monitors": ["noise"], "shard": True}, "shard divides")],
)
def test_what_cannot_be_monitored_is_said(settings, said) -> None:
    with pytest.raises(InputError, match=said):
        Spec(data="digits", **settings)
