"""A model that its loop calls with keywords, as one that takes a dict: so Hugging Face's models can be asked like any other.

>>> asked = Keywords(model)
>>> asked({"input_ids": ids, "attention_mask": mask}).shape         # the outputs, not the loss beside them
torch.Size([32, 2])
>>> asked.given((), {"input_ids": ids, "labels": y})                # what the loop gave, without the targets
({"input_ids": ids},)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from thalweg.doctor.tape import first_float

TARGETS = frozenset({"labels", "label", "label_ids", "num_items_in_batch", "return_loss"})


class Keywords(torch.nn.Module):
    """``Keywords(model)(X)`` is the first float output of ``model(**X)``."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = model.training  # of the wrapper alone: the model's own parts keep their modes

    def forward(self, inputs: Mapping[str, Any]) -> torch.Tensor | None:
        return first_float(self.model(**inputs))

    def given(self, args: tuple, kwargs: Mapping[str, Any]) -> tuple:
        """The arguments of the loop's call, as this is called."""
        names = dict(zip(("input_ids",), args, strict=False))
        return ({name: value for name, value in {**names, **kwargs}.items() if name not in TARGETS},)
