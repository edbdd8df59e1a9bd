"""Which passes are kept to go back to: few, the newest dense, the older ones ever further apart."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import InputError
from thalweg.train.hooks import State
from thalweg.train.passes import MOST, Passes, thinned


def kept_after(passes: int, wanted: frozenset[int] = frozenset()) -> list[int]:
    kept: list[int] = []
    for epoch in range(1, passes + 1):
        kept.append(epoch)
        kept = [one for one in kept if one not in thinned(kept, most=MOST, wanted=wanted)]
    return kept


@given(st.integers(1, 400), st.frozensets(st.integers(1, 400), max_size=3))
def test_few_are_kept_first_and_last_among_them(passes: int, wanted: frozenset[int]) -> None:
    kept = kept_after(passes, wanted)
    assert len(kept) <= MOST + len(wanted)
    assert kept[0] == 1 and kept[-1] == passes
    assert {one for one in wanted if one <= passes} <= set(kept)


def test_distances_grow_with_age() -> None:
    kept = kept_after(1000)
    gaps = [later - earlier for earlier, later in pairwise(kept)]
    assert len(kept) == MOST and gaps[-1] <= 2 and gaps == sorted(gaps, reverse=True)


def test_weights_of_a_pass_come_back_and_later_passes_go(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    passes = Passes(tmp_path / "checkpoint.pt", remember={"model": model, "optimizer": optimizer})
    state, weights = State(model, optimizer), []
    for epoch in range(1, 5):
        with torch.no_grad():
            model.weight.fill_(epoch)
        state.epoch, state.step = epoch, 10 * epoch
        passes.save(state)
        weights.append(model.weight.detach().clone())
    state.position, state.epoch = 3, 4  # in the middle of a pass: the run's own checkpoint, and none of a pass
    state.model.weight.data.fill_(-1.0)
    passes.save(state)
    assert passes.epochs() == (1, 2, 3, 4)
    back, _ = passes.go_back(2, model, optimizer)
    assert (back.epoch, back.step, back.position) == (2, 20, 0)
    assert torch.equal(model.weight, weights[1])
    assert passes.epochs() == (1, 2)
    with pytest.raises(InputError, match="no checkpoint of epoch 3 to go back to: those kept are 1, 2"):
        passes.go_back(3, model, optimizer)
    passes.clear()
    with pytest.raises(InputError, match="none is kept yet"):
        passes.check(1)


class Counts:
    """Something that checkpoints remember."""

    def __init__(self) -> None:
        self.found: list[dict] = []

    def state_dict(self) -> dict:
        return {"n": 1}

    def load_state_dict(self, saved: dict) -> None:
        self.found.append(saved)


def test_checkpoints_from_before_runs_could_be_steered_are_resumed(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    remember: dict = {"model": model, "optimizer": optimizer}
    Passes(tmp_path / "checkpoint.pt", remember=remember).save(State(model, optimizer, step=4))
    steering, other = Counts(), Counts()
    state, _ = Passes(tmp_path / "checkpoint.pt", remember=remember | {"steering": steering}).load(model, optimizer)
    assert state.step == 4 and steering.found == []
    with pytest.raises(InputError, match="cannot be resumed from"):
        Passes(tmp_path / "checkpoint.pt", remember=remember | {"other": other}).load(model, optimizer)
