"""A bundled table as members of a population take it: divided by a seed, scaled by its training rows.

>>> train, dev, _ = rows("digits", seed=0)
>>> Member(mlp(64, 10), lambda p: SGD(p, lr=0.1), OBJECTIVES["multiclass"], train, dev)
"""

from __future__ import annotations

import torch

from thalweg.data import Preprocessor, load, split
from thalweg.population import Part


def rows(
    name: str, *, seed: int, scale: str = "standard", fractions: tuple[float, float, float] | None = None
) -> list[Part]:
    """The training, the dev and the test part."""
    data = load(name)
    divided = split(data, seed=seed, fractions=fractions)
    prepared = Preprocessor.fit(data, divided.train, scale=scale)
    inputs, targets = torch.from_numpy(prepared.inputs(data.inputs)), torch.from_numpy(prepared.targets(data.targets))
    return [Part(inputs, targets, torch.from_numpy(part)) for part in divided]
