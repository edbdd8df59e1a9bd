"""What examples hold, changed: noise, light, a patch cut out, two examples mixed.

>>> Cutout(8).changed(images, draws)                                # a patch of 8 × 8 pixels set to the mean
>>> Mixup(0.2).mixed(inputs, targets, draws, classes=10, weighted=False, protected=())

Inputs are standardised: their mean is 0, and a strength of 0.1 is a tenth of a standard deviation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from thalweg.data.augment.draws import Draws, Step
from thalweg.errors import InputError


class Cutout(Step):
    """A square of ``strength`` pixels set to the mean, 0, its centre anywhere (DeVries, Taylor 2017)."""

    name, sentence, share, whole = "cutout", "a square of {} pixels cut out", 1 / 4, True

    def changed(self, inputs: Tensor, draws: Draws, protected: Sequence[int] = ()) -> Tensor:
        side = int(self.on(tuple(inputs.shape[1:])))
        rows, columns = (_span(pixels, side, draws, inputs.device) for pixels in inputs.shape[2:])
        return inputs.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)


def _span(pixels: int, side: int, draws: Draws, device: torch.device) -> Tensor:
    first = draws.whole(0, pixels - 1)[:, None] - side // 2
    place = torch.arange(pixels, device=device)
    return (place >= first) & (place < first + side)


class Brightness(Step):
    """One number from −strength to strength added to all of an image."""

    name, sentence, usual = "brightness", "made brighter or darker by up to {} standard deviations", 0.2

    def changed(self, inputs: Tensor, draws: Draws, protected: Sequence[int] = ()) -> Tensor:
        return inputs + draws.within(self.on(tuple(inputs.shape[1:])), 1, 1, 1).to(inputs.dtype)


class Contrast(Step):
    """Each channel's distance from its mean times a factor from 1 − strength to 1 + strength."""

    name, sentence, usual, most = "contrast", "given up to {} more or less contrast", 0.2, 1.0

    def changed(self, inputs: Tensor, draws: Draws, protected: Sequence[int] = ()) -> Tensor:
        factor = 1.0 + draws.within(self.on(tuple(inputs.shape[1:])), 1, 1, 1).to(inputs.dtype)
        return torch.lerp(inputs.mean((2, 3), keepdim=True), inputs, factor)


class Noise(Step):
    """Normal noise of standard deviation ``strength`` on every number."""

    name, sentence, usual, images_only = "noise", "given noise of {} standard deviations", 0.1, False

    def changed(self, inputs: Tensor, draws: Draws, protected: Sequence[int] = ()) -> Tensor:
        noise = draws.normal(*inputs.shape[1:]).to(inputs.dtype)
        if protected:
            noise[:, list(protected)] = 0.0
        return inputs.add(noise, alpha=self.on(tuple(inputs.shape[1:])))


class Mixup(Step):
    """Each example mixed with another, ``λ x + (1 − λ) x'``, targets alike; λ ~ Beta(α, α) (Zhang et al. 2018).

    Each row has the larger share of itself: pairs are symmetric, so the law of the mixed examples is the paper's, and what
    cannot be mixed (``protected`` features, such as the codes of categories) fits most of the row.
    """

    name, sentence, usual, images_only = "mixup", "mixed with another, λ ~ Beta({0}, {0})", 0.2, False

    def mixed(
        self,
        inputs: Tensor,
        targets: Tensor,
        draws: Draws,
        *,
        classes: int | None,
        weighted: bool,
        protected: Sequence[int],
    ) -> tuple[Tensor, Tensor]:
        """Class numbers become distributions over ``classes``; with ``weighted`` the last column of the targets is a weight.

        The loss of a pair is ``λ w l(y) + (1 − λ) w' l(y')``: the weights are mixed, and targets in proportion to both.
        """
        share = draws.beta(self.on(tuple(inputs.shape[1:])))
        share = torch.maximum(share, 1.0 - share)
        other = draws.order(len(inputs))
        kept = share.to(inputs.dtype).view(-1, *[1] * (inputs.ndim - 1))
        if protected:
            kept = kept.expand_as(inputs).clone()
            kept[:, list(protected)] = 1.0
        values, weights = (targets[:, :-1], targets[:, -1]) if weighted else (targets, None)
        values = _spread(values, classes)
        share = share.to(values.dtype)
        if weights is None:
            share = share.view(-1, *[1] * (values.ndim - 1))
            wanted = share * values + (1.0 - share) * values[other]
        else:
            own, others = share * weights, (1.0 - share) * weights[other]
            total = own + others
            part = (own / total).where(total > 0, share)[:, None]
            wanted = torch.cat([part * values + (1.0 - part) * values[other], total[:, None]], dim=1)
        return kept * inputs + (1.0 - kept) * inputs[other], wanted


def _spread(values: Tensor, classes: int | None) -> Tensor:
    """Class numbers ``(n,)`` or ``(n, 1)`` as distributions; targets that are numbers already as they are."""
    if classes is not None and (values.ndim == 1 or values.shape[1] == 1):
        return F.one_hot(values.reshape(-1).long(), classes).float()
    if not values.is_floating_point():
        raise InputError(
            "mixup mixes targets, and these are class numbers: say how many classes there are (classes=10)"
        )
    return values
