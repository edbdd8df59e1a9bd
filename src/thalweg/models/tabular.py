"""A front for tables: columns that hold the number of a category become vectors that are learnt.

The inputs stay one flat matrix; some of its columns hold whole numbers, the codes 0 … size − 1 of categories. Each code
is looked up in its column's ``nn.Embedding``; the vectors stand in the place of the column, beside the numbers (Guo &
Berkhahn 2016). Code 0 is for what was not seen before: a code out of range counts as 0.

>>> Tabular(12, [(3, 900), (7, 40)], build=lambda width: mlp(width, 2, hidden=(64,)))
>>> dimension(900)
50
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from thalweg.errors import InputError

WIDEST = 50


def dimension(size: int) -> int:
    """Numbers in the vector of each of ``size`` codes: ``min(50, 1.6 size^0.56)``, a rule found by experience (Howard &
    Gugger 2020, fast.ai, ``emb_sz_rule``, which allows 600: more than 50 gained nothing on tables of ordinary size)."""
    return max(min(WIDEST, round(1.6 * size**0.56)), 1)


class Tabular(nn.Module):
    """Inputs ``(B, n_features)``, outputs ``(B, n_out)`` of ``net``, which reads the numbers, then the vectors, ``(B,
    width)``."""

    numbers: Tensor

    def __init__(
        self, n_features: int, embedded: Sequence[tuple[int, int]], *, build: Callable[[int], nn.Module]
    ) -> None:
        """``embedded`` holds (feature index, number of codes) of each column of codes; ``build(width)`` gives the net.

        Raises ``InputError`` for an index that does not exist or stands twice, and for a column without codes.
        """
        super().__init__()
        columns = [column for column, _ in embedded]
        for column, size in embedded:
            if not 0 <= column < n_features:
                raise InputError(f"feature {column} is embedded, but features are numbered 0 to {n_features - 1}")
            if columns.count(column) > 1:
                raise InputError(f"feature {column} is embedded twice: name it once")
            if size < 1:
                raise InputError(f"feature {column} is embedded with {size} codes: it needs at least 1")
        others = [column for column in range(n_features) if column not in columns]
        self.embedded = tuple(embedded)
        self.register_buffer("numbers", torch.tensor(others, dtype=torch.int64), persistent=False)
        self.embeddings = nn.ModuleList(nn.Embedding(size, dimension(size), padding_idx=0) for _, size in embedded)
        self.net = build(len(others) + sum(dimension(size) for _, size in embedded))

    def concatenated(self, inputs: Tensor) -> Tensor:
        """What the net reads, ``(B, width)``: the numbers in their order, then the vectors in the order of ``embedded``."""
        parts = [inputs.index_select(1, self.numbers)]
        for (column, size), embedding in zip(self.embedded, self.embeddings, strict=True):
            codes = inputs[:, column]
            # Whether a code is in range is asked of the float: one too large for an integer would wrap around.
            known = (codes >= 0) & (codes < size)
            parts.append(embedding(torch.where(known, codes, 0.0).long()))
        return torch.cat(parts, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.net(self.concatenated(inputs))
