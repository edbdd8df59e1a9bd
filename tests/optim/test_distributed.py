"""Two processes train one net: copies of it, or shards; against ``torch.optim`` in the same place and against one process."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from optim.ranks import CROSSED, CROSSINGS, FOR_FEW, HANDLINGS, OWN, found, narrow, play
from optim.stories import assert_close, build, learn, loss_of, net, rules, weights
from thalweg import optim

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="torch is built without torch.distributed")
JOINED = 1e-5
"""Gradients of two halves of a batch, averaged, are those of the batch to rounding; Adam divides small ones by small ones."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("ranks")
    play(place)
    return place


def assert_alike(folder: Path, scene: str, name: str) -> list[torch.Tensor]:
    """Both processes, with both libraries, end at the same weights."""
    theirs, ours = found(folder, scene, "torch", name), found(folder, scene, "ours", name)
    assert all(map(torch.equal, ours[0]["weights"], ours[1]["weights"]))
    assert_close(ours[0]["weights"], theirs[0]["weights"])
    for mine, their in zip(ours, theirs, strict=True):
        assert mine.get("norms", []) == pytest.approx(their.get("norms", []), rel=1e-6)
    return ours[0]["weights"]


@rules
class TestCopies:
    def test_as_torch_and_as_one_process(self, folder, name, options) -> None:
        model = net()
        optimizer = build(torch.optim, name, options, model)
        learn(model, optimizer, range(6))
        optimizer.zero_grad()
        (loss_of(model, 6) + loss_of(model, 7)).backward()
        optimizer.step()
        assert_close(assert_alike(folder, "replicated", name), weights(model), JOINED)

    def test_a_state_divided_among_the_processes(self, folder, name, options) -> None:
        model = net()
        learn(model, build(torch.optim, name, options, model), range(6))
        assert_close(assert_alike(folder, "divided_state", name), weights(model), JOINED)
        assert (
            found(folder, "divided_state", "ours", name)[0]["states"]
            == found(folder, "divided_state", "torch", name)[0]["states"]
        )


@rules
class TestShards:
    def test_as_torch_and_as_one_process(self, folder, name, options) -> None:
        model = narrow()
        learn(model, build(torch.optim, name, options, model), range(6))
        assert_close(assert_alike(folder, "full_shards", name), weights(model), JOINED)

    def test_the_norm_is_over_all_shards(self, folder, name, options) -> None:
        assert_alike(folder, "clipped_shards", name)

    def test_states_are_sharded_as_their_weights(self, folder, name, options) -> None:
        for mine, their in zip(
            found(folder, "full_shards", "ours", name), found(folder, "full_shards", "torch", name), strict=True
        ):
            for state, expected in zip(mine["states"], their["states"], strict=True):
                assert {key: state[key] for key in expected} == expected
                assert set(state) - set(expected) <= {"step"}


@pytest.mark.parametrize("name", OWN)
def test_sums_over_a_tensor_are_over_its_shards(folder, name) -> None:
    """Where shards are not enough, a sentence says so."""
    if name == "Muon":
        with pytest.raises(AssertionError, match=r"InputError: Muon: .* is sharded over processes"):
            found(folder, "own", "ours", name)
        return
    model = narrow()
    learn(model, build(optim, name, OWN[name], model), range(6))
    for process in found(folder, "own", "ours", name):
        assert_close(process["weights"], weights(model), JOINED)


@pytest.mark.parametrize("name", CROSSED)
@pytest.mark.parametrize("scene", FOR_FEW)
def test_gradients_in_the_buckets_and_nets_in_bfloat16(folder, name, scene) -> None:
    assert_alike(folder, scene, name)


@pytest.mark.parametrize("name", CROSSED)
@pytest.mark.parametrize("crossing", CROSSINGS)
@pytest.mark.parametrize("handling", HANDLINGS)
def test_states_cross_over(folder, name, crossing, handling) -> None:
    """Shard by shard, gathered in the first process, and through the files of ``torch.distributed.checkpoint``."""
    ours = found(folder, handling, crossing, name)
    assert_close(ours[0]["weights"], found(folder, "straight", "torch", name)[0]["weights"])
