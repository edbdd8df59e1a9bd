"""A model divided over two processes trains as in one; a run goes on in any number of processes.

Both processes play all scenes in one start and leave their runs in a folder; what one process makes of the same is made here.
"""

from __future__ import annotations

import datetime
import itertools
import json
import math
import os
import shutil
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import multiprocessing, nn

from thalweg.errors import InputError
from thalweg.experiments import Silent, run, start
from thalweg.experiments.predict import load
from thalweg.experiments.run import Interrupted, resume
from thalweg.experiments.spec import Spec
from thalweg.models.residual import Residual
from thalweg.train import Autograd, checkpoint
from thalweg.train.objectives import predict
from thalweg.train.parallel import DataParallel, Ranks, is_sharded, local, shard, whole
from thalweg.train.stopping import first_bad_layer, weights_are_finite

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="torch is built without torch.distributed")
WORLD = 2
PATIENCE = 200.0
"""Seconds until the processes are ended."""
SEVERAL: dict[str, Any] = {
    "data": "wine", "epochs": 12, "patience": 2, "watch": "loss", "lr": 0.03, "batch_size": 32, "hidden": [9, 5],
    "skip": False, "threads": 1, "clip_norm": 0.5,
}  # fmt: skip
SHARDED: dict[str, Any] = {**SEVERAL, "dropout": [0.0], "shard": True}
COPIES: dict[str, Any] = {**SEVERAL, "dropout": [0.3]}
HALFWAY = 18
"""Steps until a run is interrupted: in the middle of its fifth pass of four steps each."""


def spec(settings: dict[str, Any], folder: Path, name: str, **changes: Any) -> Spec:
    return Spec(**{**settings, "runs": str(folder), "name": name, **changes})


@contextmanager
def stopping(steps: int) -> Iterator[None]:
    """Runs within it are interrupted after so many steps."""

    @contextmanager
    def counted() -> Iterator[Callable[[], bool]]:
        asked = 0

        def request() -> bool:
            nonlocal asked
            asked += 1
            return asked >= steps

        yield request

    before, run.interruptible = run.interruptible, counted  # type: ignore[assignment]
    try:
        yield
    finally:
        run.interruptible = before


def stopped(begin: Callable[[], Any]) -> None:
    with stopping(HALFWAY), pytest.raises(Interrupted):
        begin()


@contextmanager
def clocks_apart(ranks: Ranks) -> Iterator[None]:
    """It is always time to write for the first process, and never for the other: it is not for each to say."""
    ticks, written = itertools.count(1000, 1000), []
    clock, replacing = checkpoint.time, checkpoint.replacing

    def counted(path: Path, *, sure: bool) -> AbstractContextManager[Path]:
        written.append(path)
        return replacing(path, sure=sure)

    checkpoint.time = SimpleNamespace(monotonic=lambda: float(next(ticks)) if ranks.first else 0.0)  # type: ignore[assignment]
    checkpoint.replacing = counted
    try:
        yield
    finally:
        checkpoint.time, checkpoint.replacing = clock, replacing
    assert len(written) >= HALFWAY if ranks.first else not written


class Net(nn.Module):
    """Blocks in a list, a weight that two layers share, one that is frozen and one that is not used."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.tied, self.unused = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)
        self.tied.weight = self.first.weight
        self.blocks = nn.ModuleList(
            [nn.Sequential(nn.Linear(6, 5), nn.Tanh()), nn.Linear(5, 6), Residual(nn.Linear(6, 6))]
        )
        self.blocks[1].weight.requires_grad_(False)
        self.last = nn.Sequential(nn.Tanh(), nn.Linear(6, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(self.tied(x))


def gradients_of_a_net_of_ones_own(ranks: Ranks) -> None:
    """Shares of three and of two rows, of one and of none; the gradient is that of the mean over all, in one process."""
    generator = torch.Generator().manual_seed(5)
    x, y = torch.randn(5, 6, generator=generator), torch.randn(5, 1, generator=generator)
    reference, model, loss = Net(), Net(), nn.functional.mse_loss
    shard(model, torch.device("cpu"))
    assert all(map(is_sharded, model.parameters()))
    for rows in (5, 1):
        share = slice(ranks.rank, rows, WORLD)
        expected = Autograd(reference, loss)(x[:rows], y[:rows])
        found = DataParallel(model, loss, ranks, sharded=True)(x[share], y[share])
        torch.testing.assert_close(found, expected)
        for (name, one), two in zip(reference.named_parameters(), model.parameters(), strict=True):
            if one.grad is None:
                assert two.grad is None, name
            else:
                torch.testing.assert_close(whole(two.grad), one.grad, msg=name)
        predict(model, x)  # leaves nothing whole behind
        assert all(map(is_sharded, model.parameters()))

    assert weights_are_finite(model)
    assert first_bad_layer(model) is None
    with torch.no_grad():
        local(model.tied.bias)[-1] = math.nan if not ranks.first else 0.0
    assert not weights_are_finite(model), "in both, though it is in the shard of one"
    assert first_bad_layer(model) == "the values of tied.bias"

    model.temperature = nn.Parameter(torch.tensor(1.0))
    with pytest.raises(InputError, match="the parameter temperature has no dimension to divide"):
        shard(model, torch.device("cpu"))


def play(ranks: Ranks, folder: Path) -> None:
    """All scenes, in the same order in both processes."""
    gradients_of_a_net_of_ones_own(ranks)
    start(spec(SHARDED, folder, "sharded"), Silent(), ranks=ranks)

    with clocks_apart(ranks):
        stopped(lambda: start(spec(SHARDED, folder, "halfway"), Silent(), ranks=ranks))
    ranks.meet()
    if ranks.first:
        for name in ("twice", "once"):
            shutil.copytree(folder / "halfway", folder / name)
    ranks.meet()
    resume(folder / "twice", Silent(), ranks=ranks)

    start(spec(COPIES, folder, "copies"), Silent(), ranks=ranks)
    stopped(lambda: start(spec(COPIES, folder, "copies-twice"), Silent(), ranks=ranks))
    ranks.meet()
    resume(folder / "copies-twice", Silent(), ranks=ranks)

    start(spec(SHARDED, folder, "batch-norm", norm="batch", max_norm=0.7, l1=300.0), Silent(), ranks=ranks)

    if ranks.first:  # one process begins, two go on
        alone = spec(SHARDED, folder, "widened", shard=False)
        stopped(lambda: start(alone, Silent()))
        (folder / "widened" / "spec.toml").write_text(alone.replace(shard=True).to_toml())
    ranks.meet()
    resume(folder / "widened", Silent(), ranks=ranks)

    with pytest.raises(InputError, match=r"Muon: .* is sharded over processes"):
        start(spec(SHARDED, folder, "muon", rule="muon"), Silent(), ranks=ranks)


def _play(rank: int, place: str) -> None:
    folder = Path(place)
    warnings.simplefilter("ignore")  # torch warns of its own calls
    os.environ["OMP_NUM_THREADS"] = "1"
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=WORLD,
        timeout=datetime.timedelta(seconds=60),
    )  # fmt: skip
    try:
        play(Ranks(rank, WORLD, rank), folder / "runs")
    except BaseException:
        (folder / f"failed-{rank}").write_text(traceback.format_exc(), encoding="utf-8")
        raise
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sharded")
    processes = multiprocessing.spawn(_play, (str(folder),), nprocs=WORLD, join=False)
    end = time.monotonic() + PATIENCE
    try:
        while not processes.join(timeout=1.0):
            assert time.monotonic() < end, f"the processes did not end within {PATIENCE:g} s"
    except Exception as error:
        said = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("failed-*")))
        pytest.fail(said or str(error))
    finally:
        for process in processes.processes:
            if process.is_alive():
                process.kill()
            process.join()
    start(spec(SHARDED, folder / "runs", "one", shard=False), Silent())
    return folder / "runs"


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def column(run: Path, name: str) -> np.ndarray:
    records = map(json.loads, (run / "history.jsonl").read_text().splitlines())
    return np.array([record[name] for record in records if name in record])


def at(state: torch.Tensor) -> torch.Generator:
    generator = torch.Generator()
    generator.set_state(state)
    return generator


def assert_same_bits(first: Path, second: Path) -> None:
    """The best weights, and the last ones: those come after whatever the runs went through."""
    last = [torch.load(run / "checkpoint.pt", weights_only=True)["model"] for run in (first, second)]
    for one, two in ((weights(first), weights(second)), last):
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one)


def assert_same(first: Path, second: Path) -> None:
    """Up to the rounding of sums in another order, which Adam's division of small numbers makes larger."""
    one, two = weights(first), weights(second)
    assert one.keys() == two.keys()
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=1e-4, atol=1e-5)


def test_as_in_one_process(runs: Path) -> None:
    assert_same(runs / "one", runs / "sharded")
    assert json.loads((runs / "one" / "result.json").read_text())["stopped"].startswith("dev loss has not improved")
    one, two = (json.loads((runs / name / "result.json").read_text()) for name in ("one", "sharded"))
    for key in ("best_epoch", "epochs", "steps", "stopped", "layers"):
        assert one[key] == two[key], key
    for part, values in one["metrics"].items():
        assert two["metrics"][part] == pytest.approx(values, rel=1e-4), part


def test_monitors_see_whole_tensors(runs: Path) -> None:
    names = {
        name
        for line in (runs / "one" / "history.jsonl").read_text().splitlines()
        for name in json.loads(line)
        if name.startswith(("grad_norm", "update_ratio", "batch/loss", "dev/", "train/"))
    }
    assert {"grad_norm", "grad_norm/1.weight", "update_ratio/1.weight", "dev/loss"} <= names
    for name in names:
        np.testing.assert_allclose(
            column(runs / "sharded", name), column(runs / "one", name), rtol=1e-3, atol=1e-6, err_msg=name
        )
    assert max(column(runs / "one", "grad_norm")) > SHARDED["clip_norm"], "there was something to clip"


def test_a_checkpoint_is_that_of_one_process(runs: Path) -> None:
    one, two = (
        torch.load(runs / name / "checkpoint.pt", weights_only=True, map_location="cpu") for name in ("one", "sharded")
    )
    assert one.keys() == two.keys()
    assert len(one["random"]) == 1
    assert len(two["random"]) == WORLD
    draws = [torch.rand(4, generator=at(state["torch"])).tolist() for state in two["random"]]
    assert draws[0] != draws[1], "each process drops other units"
    assert one["optimizer"]["param_groups"] == two["optimizer"]["param_groups"]
    for mine, theirs in ((one["model"], two["model"]), (one["early"]["best_weights"], two["early"]["best_weights"])):
        assert {name: (type(t), t.shape) for name, t in mine.items()} == {
            name: (type(t), t.shape) for name, t in theirs.items()
        }
    for number, state in one["optimizer"]["state"].items():
        for key, value in state.items():
            torch.testing.assert_close(two["optimizer"]["state"][number][key], value, rtol=1e-3, atol=1e-6)


def test_goes_on_in_two_processes(runs: Path) -> None:
    assert_same_bits(runs / "sharded", runs / "twice")


def test_goes_on_in_one_process(runs: Path) -> None:
    resume(runs / "once", Silent())
    assert_same(runs / "sharded", runs / "once")


def test_begins_in_one_process_and_goes_on_in_two(runs: Path) -> None:
    assert_same(runs / "one", runs / "widened")


def test_dropout_of_each_process_goes_on_where_it_was(runs: Path) -> None:
    assert_same_bits(runs / "copies", runs / "copies-twice")


def test_batch_norm_a_limit_on_units_and_zeros(runs: Path) -> None:
    """The model that is kept is the one that was measured; its numbers are those of whole weights."""
    found = weights(runs / "batch-norm")
    result = json.loads((runs / "batch-norm" / "result.json").read_text())
    matrices = {name: weight for name, weight in found.items() if weight.ndim == 2}
    assert max(float(weight.norm(dim=1).max()) for weight in matrices.values()) <= 0.7 * (1 + 1e-5)
    zeros = sum(int((weight == 0).sum()) for weight in matrices.values())
    assert result["sparsity"]["total"] == pytest.approx(zeros / sum(w.numel() for w in matrices.values()))
    assert zeros > 0
    x, y = sklearn.datasets.load_wine(return_X_y=True, as_frame=True)
    right = load(runs / "batch-norm").probabilities(x).argmax(1) == y.to_numpy()
    parts = result["parts"]
    assert right.sum() == pytest.approx(sum(parts[part] * result["metrics"][part]["accuracy"] for part in parts))


def test_alone_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"shard divides the model among processes, and this is the only one: .*torchrun"
    ):
        start(spec(SHARDED, tmp_path, "none"), Silent())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("also", [{"pretrain": True}, {"folds": 3}])
def test_what_trains_whole_models_is_refused(also: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"shard does not go with {next(iter(also))}"):
        Spec(**{**SHARDED, **also})
