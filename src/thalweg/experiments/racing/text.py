"""A character-level transformer on a bundled text, as a problem: what rules do where attention is trained.

>>> text_problem().run([Candidate("adam", {"lr": 0.003}, seed=1)])[0].dev[-1]              # nats a character
2.21

The text is the beginning of tinyshakespeare (Karpathy's char-rnn, ``data/tinyshakespeare/input.txt``): plays by William
Shakespeare, in the public domain. The net is the smallest that deserves the name: a pre-norm block of causal attention and a
hidden layer (Vaswani et al. 2017), learned positions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from importlib.resources import files

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thalweg.data import TensorBatches
from thalweg.errors import InputError
from thalweg.experiments.experiment import Experiment
from thalweg.experiments.parts import Parts
from thalweg.experiments.racing.networks import NetworkProblem
from thalweg.experiments.spec import Spec
from thalweg.train.parallel import Ranks

SHAKESPEARE = "shakespeare"
CONTEXT, BATCH, TRAINING, HELD_OUT = 32, 32, 512, 64
"""Characters that a prediction may look back on; windows of a mini-batch, of the training part, of each of dev and test."""


def bundled_text() -> str:
    """About 100,000 characters of Shakespeare."""
    return files("thalweg.experiments.racing").joinpath("shakespeare.txt").read_text(encoding="utf-8")


@dataclass(frozen=True)
class NextCharacter:
    """Mean cross-entropy over all places of all windows: outputs ``(n, T, C)``, targets int64 ``(n, T)``."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs.flatten(0, 1), targets.flatten())

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        return {"accuracy": float((outputs.argmax(2) == targets).double().mean())}

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        if outputs.ndim != 3 or outputs.shape[:2] != targets.shape:
            raise InputError(f"the model gives outputs of shape {tuple(outputs.shape)}: it must be (n, T, characters)")


class Block(nn.Module):
    """``x + attention(norm(x))``, then ``x + hidden(norm(x))``; ``(n, T, width)`` to the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask, self.answer = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.hidden = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        asked = self.ask(self.before(x)).reshape(n, length, 3, self.heads, width // self.heads)
        query, key, value = asked.permute(2, 0, 3, 1, 4)
        later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        scores = (query @ key.transpose(2, 3) / math.sqrt(width // self.heads)).masked_fill(later, -math.inf)
        mixed = (scores.softmax(3) @ value).transpose(1, 2).reshape(n, length, width)
        x = x + self.answer(mixed)
        return x + self.hidden(self.between(x))


class Transformer(nn.Module):
    """Characters int64 ``(n, T)`` to logits of the next one at each place, ``(n, T, characters)``."""

    def __init__(self, characters: int, *, width: int = 32, heads: int = 4, depth: int = 1) -> None:
        super().__init__()
        self.characters = nn.Embedding(characters, width)
        self.places = nn.Parameter(torch.zeros(CONTEXT, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm, self.last = nn.LayerNorm(width), nn.Linear(width, characters)
        nn.init.normal_(self.characters.weight, std=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.norm(self.blocks(self.characters(x) + self.places[: x.shape[1]])))


def text_problem(text: str | None = None, *, epochs: int = 16, seed: int = 1) -> NetworkProblem:
    """The problem of learning ``text`` (the bundled one if not given) by heart as little as possible: windows that do not
    overlap are divided at random into training, dev and test. Raises ``InputError`` for a text that is too short."""
    text = bundled_text() if text is None else text
    wanted = TRAINING + 2 * HELD_OUT
    known = sorted(set(text))
    codes = torch.tensor([known.index(one) for one in text])
    count = (len(codes) - 1) // CONTEXT
    if count < wanted:
        raise InputError(f"the text has {len(text):,} characters: give at least {wanted * CONTEXT + 1:,}")
    chosen = torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:wanted]
    starts = chosen[:, None] * CONTEXT + torch.arange(CONTEXT)
    pairs = codes[starts], codes[starts + 1]
    train, dev, test = zip(*(part.split([TRAINING, HELD_OUT, HELD_OUT]) for part in pairs), strict=True)
    parts = Parts(train, dev, test, train)
    settled = Spec(
        data=SHAKESPEARE,
        model="transformer",
        epochs=epochs,
        batch_size=BATCH,
        watch="loss",
        patience=0,
        threads=1,
        clip_norm=None,
    )

    def build(spec: Spec) -> Experiment:
        torch.manual_seed(spec.seed)
        return Experiment(
            spec, Transformer(len(known)), parts, partial(_batches, parts, spec), NextCharacter(), rows=TRAINING
        )

    return NetworkProblem("transformer", settled, build, math.ceil(TRAINING / BATCH))


def _batches(parts: Parts, spec: Spec, ranks: Ranks) -> TensorBatches:
    return TensorBatches(*parts.train, batch_size=BATCH, seed=spec.seed, rank=ranks.rank, world=ranks.world)
