"""What a run is asked to do, read from targets and outputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import hamming_loss, r2_score

from thalweg.doctor.task import Task

G = torch.Generator().manual_seed(0)
YES = (torch.rand(50, 4, generator=G) < 0.4).float()
AMOUNTS = torch.randn(50, 3, generator=G)
CLASSES = torch.randint(0, 3, (50,), generator=G)


@pytest.mark.parametrize(
    ("outputs", "targets", "kind"),
    [
        (torch.randn(8, 3), CLASSES, "classes"),
        (torch.randn(8, 3), torch.nn.functional.one_hot(CLASSES, 3).float(), "classes"),
        (torch.randn(8, 1), (CLASSES > 0).float()[:, None], "binary"),
        (torch.randn(8, 4), YES, "labels"),
        (torch.rand(8, 4), 2 * YES - 1, "labels"),
        (torch.randn(8, 3), AMOUNTS, "numbers"),
        (torch.randn(8, 2, 5), torch.randn(50, 2, 5, generator=G), "numbers"),
        (torch.randn(8, 1), CLASSES, "codes"),
        (torch.randn(8, 7), AMOUNTS, "other"),
    ],
)
def test_the_kind_is_read_from_few_outputs_and_all_targets(outputs, targets, kind):
    assert Task.of(outputs, targets).kind == kind


def test_errors_are_those_of_scikit_learn():
    out, yes = torch.randn(50, 4, generator=G), YES.numpy()
    task = Task.of(out[:8], YES)
    assert task.error(out, YES) == pytest.approx(hamming_loss(YES.numpy().astype(int), (out > 0).numpy().astype(int)))
    assert task.error(2 * YES - 1, YES) == 0
    assert task.chance(YES) == pytest.approx(float(np.minimum(yes.mean(0), 1 - yes.mean(0)).mean()))
    close = AMOUNTS + 0.3 * torch.randn(50, 3, generator=G)
    scored = r2_score(AMOUNTS.double(), close.double(), multioutput="variance_weighted")
    assert Task.of(close[:8], AMOUNTS).error(close, AMOUNTS) == pytest.approx(1 - scored)


def test_probabilities_change_their_mind_at_a_half():
    assert Task.of(torch.rand(8, 4), YES).cut == 0.5
    assert Task.of(torch.randn(8, 4), YES).cut == 0.0
