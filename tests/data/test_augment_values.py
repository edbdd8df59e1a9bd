"""Noise, light, patches and mixing against their formulas."""

from __future__ import annotations

import pytest
import scipy.stats
import torch
import torch.nn.functional as F

from thalweg.data.augment import Augmented, parse
from thalweg.data.augment.draws import Draws
from thalweg.data.augment.values import Brightness, Contrast, Cutout, Mixup, Noise
from thalweg.data.batches import TensorBatches
from thalweg.errors import InputError

ROWS = 2000


def test_cutout_is_one_square_of_the_mean() -> None:
    side, images = 4, torch.ones(ROWS, 2, 10, 12)
    found = Cutout(side).changed(images, Draws(0, ROWS))
    assert torch.equal(found[:, 0], found[:, 1])
    cut = found[:, 0] == 0
    rows, columns = cut.any(2).sum(1), cut.any(1).sum(1)
    assert torch.equal(rows * columns, cut.sum((1, 2)))  # a rectangle
    assert {*rows.tolist()} == {*columns.tolist()} == {2, 3, 4}  # cut by the border where its centre is near it
    # A pixel is cut with probability area / places: inside the border 16 / 120.
    share = cut[:, 4:7, 4:7].float().mean()
    assert float(share) == pytest.approx(16 / 120, abs=0.02)


def test_light() -> None:
    images = torch.randn(ROWS, 3, 4, 4)
    added = Brightness(0.5).changed(images, Draws(0, ROWS)) - images
    torch.testing.assert_close(added, added[:, :1, :1, :1].expand_as(added), rtol=0, atol=1e-5)
    assert scipy.stats.kstest(added[:, 0, 0, 0].numpy(), "uniform", (-0.5, 1.0)).pvalue > 1e-3
    found = Contrast(0.5).changed(images, Draws(0, ROWS))
    torch.testing.assert_close(found.mean((2, 3)), images.mean((2, 3)), rtol=0, atol=1e-5)
    factors = found.std((2, 3)) / images.std((2, 3))
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors))
    assert scipy.stats.kstest(factors[:, 0].numpy(), "uniform", (0.5, 1.0)).pvalue > 1e-3


def test_noise_is_normal_and_leaves_codes_alone() -> None:
    table = torch.randn(ROWS, 5)
    table[:, 2] = torch.randint(0, 9, (ROWS,)).float()
    found = Noise(0.3).changed(table, Draws(0, ROWS), protected=(2,))
    assert torch.equal(found[:, 2], table[:, 2])
    added = (found - table)[:, [0, 1, 3, 4]]
    assert scipy.stats.kstest(added.flatten().numpy(), "norm", (0, 0.3)).pvalue > 1e-3
    assert float(torch.corrcoef(added.t()).triu(1).abs().max()) < 0.1


def mix(inputs, targets, *, alpha=0.4, seed=0, **options):
    given = {"classes": None, "weighted": False, "protected": (), **options}
    return Mixup(alpha).mixed(inputs, targets, Draws(seed, len(inputs)), **given)


def folded(share: torch.Tensor) -> torch.Tensor:
    return torch.maximum(share, 1 - share)


class TestMixup:
    def test_the_share_is_the_larger_of_beta(self) -> None:
        """P(max(λ, 1 − λ) ≤ t) = F(t) − F(1 − t)."""
        ones = torch.zeros(ROWS, 1)
        for alpha in (0.2, 1.0, 4.0):
            _, wanted = mix(ones, torch.arange(ROWS), alpha=alpha, classes=ROWS)
            shares = wanted.diagonal()
            fixed = shares == 1.0  # paired with itself, or a share that rounds to one
            beta = scipy.stats.beta(alpha, alpha)
            assert float(fixed.float().mean()) < 0.2
            drawn = folded(Draws(0, ROWS).beta(alpha))
            assert scipy.stats.kstest(beta.cdf(drawn) - beta.cdf(1 - drawn), "uniform").pvalue > 1e-3
            torch.testing.assert_close(shares[~fixed], drawn[~fixed])

    def test_inputs_and_targets_are_mixed_alike(self) -> None:
        labels = torch.arange(60) % 4
        inputs = F.one_hot(labels, 4).float()
        found, wanted = mix(inputs, labels, classes=4)
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(wanted.sum(1), torch.ones(60))
        assert torch.equal(wanted.argmax(1)[wanted.amax(1) > 0.5], labels[wanted.amax(1) > 0.5])
        assert ((wanted > 0).sum(1) == 2).any()

    @pytest.mark.parametrize("targets", [torch.randn(40), torch.randn(40, 3), (torch.arange(40) % 2).float()])
    def test_numbers_are_mixed_linearly(self, targets) -> None:
        inputs = targets.reshape(40, -1).repeat(1, 2)
        found, wanted = mix(inputs, targets)
        torch.testing.assert_close(found, wanted.reshape(40, -1).repeat(1, 2))
        assert wanted.shape == targets.shape and not torch.equal(wanted, targets)

    def test_codes_stay_a_rows_own(self) -> None:
        table = torch.cat([torch.randn(40, 2), torch.arange(40.0)[:, None]], 1)
        found, _ = mix(table, torch.randn(40), protected=(2,))
        assert torch.equal(found[:, 2], table[:, 2]) and not torch.equal(found[:, :2], table[:, :2])

    def test_weights_make_the_loss_that_of_the_weighted_pair(self) -> None:
        labels, weights, logits = torch.arange(30) % 3, torch.rand(30) * 3, torch.randn(30, 3)
        packed = torch.stack([labels.float(), weights], 1)
        packed[:2, 1] = 0.0
        _, wanted = mix(torch.zeros(30, 1), packed, classes=3, weighted=True)
        draws = Draws(0, 30)
        share = folded(draws.beta(0.4))
        other = draws.order(30)
        losses = (
            F.cross_entropy(logits, labels, reduction="none"),
            F.cross_entropy(logits, labels[other], reduction="none"),
        )
        w = packed[:, 1]
        expected = share * w * losses[0] + (1 - share) * w[other] * losses[1]
        torch.testing.assert_close(wanted[:, -1] * F.cross_entropy(logits, wanted[:, :-1], reduction="none"), expected)
        torch.testing.assert_close(wanted[:, :-1].sum(1), torch.ones(30))

    def test_class_numbers_need_the_number_of_classes(self) -> None:
        with pytest.raises(InputError, match="say how many classes there are"):
            mix(torch.zeros(4, 2), torch.arange(4))

    def test_the_mean_over_passes_is_kept(self) -> None:
        """Mixing moves no average: neither of inputs nor of classes."""
        inputs, labels = torch.randn(200, 1) + 3.0, (torch.arange(200) % 4 == 0).long()
        batches = TensorBatches(inputs, labels, batch_size=200, seed=0)
        found = [next(Augmented(batches, parse(["mixup(1)"]), seed=0, classes=2).epoch(e)) for e in range(50)]
        assert float(torch.stack([x.mean() for x, _ in found]).mean()) == pytest.approx(float(inputs.mean()), abs=0.02)
        assert float(torch.stack([y[:, 1].mean() for _, y in found]).mean()) == pytest.approx(0.25, abs=0.01)
