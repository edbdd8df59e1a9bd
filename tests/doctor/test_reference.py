"""Kernel ridge regression against leaving each row out by hand and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge

from thalweg.doctor import reference
from thalweg.doctor.reference import Reference


def rows(n: int, d: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=g, dtype=torch.float64)
    return x, x[:, 0] - x[:, 1].square() + 0.1 * torch.randn(n, generator=g, dtype=torch.float64)


def test_left_out_answers_are_those_of_fits_without_the_row(monkeypatch):
    monkeypatch.setattr(reference, "WIDTHS", (0.4, 0.4, 0.4))
    monkeypatch.setattr(reference, "STRENGTHS", (0.1,))
    x, y = rows(25, 3)
    fitted = Reference.fit(x, y, classes=0)
    z = (x - fitted.mean) / fitted.scale
    kernel = reference._kernel(z, z, fitted.width)
    strength = 0.1 * float(torch.linalg.eigvalsh(kernel).clamp(min=0).mean())
    for i in (0, 7, 24):
        keep = [k for k in range(25) if k != i]
        n = len(keep)
        bordered = np.zeros((n + 1, n + 1))
        bordered[:n, :n] = kernel[keep][:, keep].numpy() + strength * np.eye(n)
        bordered[:n, n] = bordered[n, :n] = 1
        solved = np.linalg.solve(bordered, np.append(y[keep].numpy(), 0))
        assert np.isclose(kernel[i, keep].numpy() @ solved[:n] + solved[n], float(fitted.left_out[i, 0]), atol=1e-8)


def test_rows_of_noise_are_not_betrayed_by_their_mean():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(60, 200, generator=g, dtype=torch.float64)
    assert Reference.fit(x, torch.randint(0, 3, (60,), generator=g), classes=3).left_out_error > 0.45


def test_it_does_about_as_well_as_scikit_learn_on_new_rows():
    (x, y), (new, wanted) = rows(200, 3), rows(200, 3, seed=1)
    ours = Reference.fit(x, y, classes=0).error(new, wanted)
    theirs = KernelRidge(alpha=0.1, kernel="rbf", gamma=0.2).fit(x, y).predict(new)
    assert ours < 1.2 * np.mean((theirs - wanted.numpy()) ** 2) / wanted.numpy().var()


def test_swapped_labels_are_contradicted_and_overlapping_classes_are_not():
    g = torch.Generator().manual_seed(0)
    y = torch.randint(0, 2, (300,), generator=g)
    x = torch.randn(300, 2, generator=g, dtype=torch.float64) + 1.2 * y[:, None]
    overlapping = Reference.fit(x, y, classes=2)
    assert overlapping.clear_disagreement() < 0.5 * overlapping.left_out_error
    apart = x + 4 * y[:, None]
    swapped = torch.where(torch.rand(300, generator=g) < 0.25, 1 - y, y)
    noisy = Reference.fit(apart, swapped, classes=2)
    assert noisy.clear_disagreement() > 0.7 * noisy.left_out_error


@pytest.mark.parametrize("columns", [1, 3])
def test_amounts_far_off_are_counted_and_honest_noise_is_not(columns):
    x, y = rows(300, 3)
    g = torch.Generator().manual_seed(7)
    y = y[:, None] + 0.5 * torch.randn(300, columns, generator=g, dtype=torch.float64)
    assert Reference.fit(x, y, classes=0).far_off() < 0.01
    wild = torch.rand(300, generator=g) < 0.1
    y[wild] += 20 * torch.randn(int(wild.sum()), columns, generator=g, dtype=torch.float64)
    assert 0.05 < Reference.fit(x, y, classes=0).far_off() < 0.12


def test_a_column_of_targets_that_never_changes_is_left_out():
    x, y = rows(100, 2)
    both = torch.stack([y, torch.ones_like(y)], 1)
    alone = Reference.fit(x, y, classes=0).far_off()
    assert Reference.fit(x, both, classes=0).far_off() == pytest.approx(alone, abs=0.02)
    assert Reference.fit(x, torch.ones(100, 1, dtype=torch.float64), classes=0).far_off() == 0


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    "steep", [lambda x: 2 * x[:, 0] + x[:, 1].square(), lambda x: x[:, 0].exp(), lambda x: x.prod(1)]
)
def test_steep_edges_of_exact_targets_are_not_far_off_and_swapped_targets_are(seed, steep):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(400, 3, generator=g, dtype=torch.float64)
    y = steep(x)
    assert Reference.fit(x, y, classes=0).far_off() < 0.02
    wild = torch.rand(400, generator=g) < 0.1
    y[wild] = -y[wild] + 2 * y.std()
    assert Reference.fit(x, y, classes=0).far_off() > 0.04
