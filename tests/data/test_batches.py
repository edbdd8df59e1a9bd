"""Every row once a pass, in an order that seed and pass alone decide."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from thalweg.data import TensorBatches, auto_batch_size, batches
from thalweg.errors import InputError


def made(rows: int, batch_size: int, seed: int = 0) -> TensorBatches:
    numbers = torch.arange(rows)
    return TensorBatches(torch.stack([numbers, -numbers], 1).float(), numbers, batch_size=batch_size, seed=seed)


def order_of(loader: TensorBatches, epoch: int) -> tuple[int, ...]:
    return tuple(chain.from_iterable(rows_of(loader.epoch(epoch))))


def rows_of(epoch) -> list[list[int]]:
    return [targets.tolist() for _, targets in epoch]


@given(st.integers(1, 200), st.integers(1, 250), st.integers(0, 2**40), st.integers(0, 10**6))
def test_every_row_once_in_batches_of_the_size(rows, batch_size, seed, epoch) -> None:
    loader = made(rows, batch_size, seed)
    found = rows_of(loader.epoch(epoch))
    assert sorted(chain.from_iterable(found)) == list(range(rows))
    assert len(found) == len(loader)
    assert all(len(batch) == batch_size for batch in found[:-1])
    assert 1 <= len(found[-1]) <= batch_size


@given(st.integers(2, 100), st.integers(1, 30), st.integers(0, 40))
def test_a_resumed_pass_goes_on_where_it_was(rows, batch_size, start) -> None:
    loader = made(rows, batch_size)
    assert rows_of(loader.epoch(5, start)) == rows_of(loader.epoch(5))[start:]


@given(st.integers(1, 120), st.integers(1, 40), st.integers(1, 6), st.integers(0, 5), st.integers(0, 9))
def test_processes_share_the_batches_of_one(rows, batch_size, world, epoch, start) -> None:
    world = min(world, rows, batch_size)
    inputs, targets = torch.arange(2.0 * rows).view(rows, 2), torch.arange(rows)
    ranks = [
        TensorBatches(inputs, targets, batch_size=batch_size, seed=3, rank=rank, world=world) for rank in range(world)
    ]
    shares = [list(rank.epoch(epoch)) for rank in ranks]
    assert {len(share) for share in shares} == {len(rank) for rank in ranks} == {len(ranks[0])}
    whole = list(chain.from_iterable(rows_of(made(rows, batch_size, 3).epoch(epoch))))
    at = 0
    for index, parts in enumerate(zip(*shares, strict=True)):
        size = ranks[0].global_size(index)
        batch, at = whole[at : at + size], at + size
        for rank, (x, y) in enumerate(parts):
            assert y.tolist() == batch[rank::world] != []
            assert torch.equal(x, inputs[y])
    assert at == rows and all(ranks[0].global_size(i) == batch_size for i in range(len(ranks[0]) - 1))
    for rank, share in zip(ranks, shares, strict=True):
        assert rows_of(rank.epoch(epoch, start)) == [y.tolist() for _, y in share[start:]]


def test_inputs_stay_with_their_targets() -> None:
    for inputs, targets in made(100, 7).epoch(2):
        assert torch.equal(inputs, torch.stack([targets, -targets], 1).float())


def test_order_comes_from_seed_and_pass_alone() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    orders = {(seed, epoch): order_of(made(50, 8, seed), epoch) for seed in range(5) for epoch in range(5)}
    assert torch.equal(torch.random.get_rng_state(), before)
    assert len(set(orders.values())) == 25
    torch.manual_seed(2)
    assert order_of(made(50, 8, 3), 4) == orders[3, 4]


def test_places_in_the_order_are_uniform() -> None:
    """First rows of 2,000 passes over 10 rows: chi-square with 9 degrees of freedom, 99.9 % below 27.9."""
    firsts = torch.tensor([next(iter(made(10, 1).epoch(epoch)))[1].item() for epoch in range(2000)])
    counts = torch.bincount(firsts, minlength=10)
    assert ((counts - 200.0) ** 2 / 200).sum() < 27.9


def test_gathering_in_pieces_changes_nothing(monkeypatch) -> None:
    whole = rows_of(made(100, 7).epoch(1))
    for size in (1, 200, 1000):
        monkeypatch.setattr(batches, "GATHERED", size)
        assert rows_of(made(100, 7).epoch(1)) == whole


def test_batches_of_an_earlier_pass_are_not_overwritten() -> None:
    loader = made(20, 6)
    first = list(loader.epoch(0))
    kept = [inputs.clone() for inputs, _ in first]
    list(loader.epoch(1))
    assert all(torch.equal(inputs, copy) for (inputs, _), copy in zip(first, kept, strict=True))


@given(st.integers(1, 10**8))
def test_automatic_size_is_a_power_of_two_and_never_falls(rows) -> None:
    size = auto_batch_size(rows)
    assert size & (size - 1) == 0
    assert 32 <= size <= auto_batch_size(rows + 1000) <= 256


def test_wrong_arguments() -> None:
    x, y = torch.zeros(4, 2), torch.zeros(4)
    with pytest.raises(InputError, match="4 inputs and 3 targets"):
        TensorBatches(x, y[:3], batch_size=2, seed=0)
    with pytest.raises(InputError, match="batch size is 0"):
        TensorBatches(x, y, batch_size=0, seed=0)
    with pytest.raises(InputError, match="no rows"):
        TensorBatches(x[:0], y[:0], batch_size=2, seed=0)
    with pytest.raises(InputError, match="the rank is 2 of 2 processes"):
        TensorBatches(x, y, batch_size=2, seed=0, rank=2, world=2)
    with pytest.raises(InputError, match="3 processes cannot share mini-batches of 2 rows"):
        TensorBatches(x, y, batch_size=2, seed=0, rank=0, world=3)
