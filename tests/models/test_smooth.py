"""Smooth activations of compiled kernels against PyTorch's own in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special
from torch import nn

from thalweg.models import smooth

INPUTS = np.concatenate([np.linspace(-14, 14, 5001), np.linspace(-1e-3, 1e-3, 501), [-90, 90, -1e30, 1e30]]).astype(
    np.float32
)
MODULES = [nn.Tanh(), nn.Sigmoid(), nn.SiLU(), nn.GELU(), nn.GELU("tanh"), nn.ELU(), nn.ELU(0.3)]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_value_and_derivative(module: nn.Module) -> None:
    kind, told = smooth.KINDS[type(module)](module)
    bias = np.array([0.0, 0.25, -1.5], dtype=np.float32)
    z = np.stack([INPUTS[:-2]] * 3)
    d = np.empty_like(z)
    x = torch.tensor(z + bias[:, None]).double().requires_grad_()
    wanted = module(x)
    (slopes,) = torch.autograd.grad(wanted.sum(), x)
    smooth.activate(kind, np.float32(told), z, bias, d)
    size = np.maximum(np.abs(wanted.detach().numpy()), 1.0)
    assert (np.abs(z - wanted.detach().numpy()) / size).max() < 1e-6
    assert np.abs(d - slopes.numpy()).max() < 8e-6


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_what_is_no_number_stays_none(module: nn.Module) -> None:
    kind, told = smooth.KINDS[type(module)](module)
    z, d = np.full((1, 20), np.nan, np.float32), np.zeros((1, 20), np.float32)
    smooth.activate(kind, np.float32(told), z, np.zeros(1, np.float32), d)
    assert np.isnan(z).all()


@pytest.mark.parametrize(
    ("ours", "reference"),
    [(smooth.hyperbolic, np.tanh), (smooth.error_function, special.erf), (smooth.logistic, special.expit)],
)
def test_functions_in_units_of_the_last_place(ours, reference) -> None:
    wanted = reference(INPUTS.astype(np.float64))
    found = np.array([ours(x) for x in INPUTS])
    assert np.abs(found - wanted).max() < 6 * np.spacing(np.float32(1.0))


def test_the_exponential_within_its_range() -> None:
    x = np.linspace(-87, 88, 4001).astype(np.float32)
    wanted = np.exp(x.astype(np.float64))
    assert (np.abs(np.array([smooth.exponential(value) for value in x]) / wanted - 1)).max() < 2e-7
