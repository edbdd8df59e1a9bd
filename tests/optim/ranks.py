"""What each of two processes does in the tests of distributed training, and the bringing together of what they found.

A *scene* trains a net with one library and gives a dictionary. Both processes play all scenes in the same order and write what
each gave, or how it failed, into a folder, so that one start of the processes serves all tests.
"""

from __future__ import annotations

import datetime
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import multiprocessing

from optim.stories import RULES, build, learn, loss_of, net, weights
from thalweg import optim

WORLD = 2
PATIENCE = 240.0
"""Seconds until the processes are ended; they need about ten, more on a machine that does other things."""
LIBRARIES = {"torch": torch.optim, "ours": optim}


def half(rank: int) -> slice:
    return slice(4 * rank, 4 * rank + 4)


def narrow() -> torch.nn.Sequential:
    """A net with a bias of one element, which leaves nothing for the second process, and rows that cannot be halved."""
    torch.manual_seed(6)
    return torch.nn.Sequential(torch.nn.Linear(6, 1), torch.nn.Linear(1, 6), *net())


def sharded(**settings: Any) -> torch.nn.Sequential:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    model, mesh = narrow(), init_device_mesh("cpu", (WORLD,))
    for layer in (model[2], model):
        fully_shard(layer, mesh=mesh, **settings)
    return model


def whole(model: torch.nn.Module) -> list[torch.Tensor]:
    return [weight.full_tensor() for weight in weights(model)]  # type: ignore[attr-defined]


def replicated(library: Any, name: str, options: dict[str, Any], rank: int, folder: Path, **settings: Any) -> dict:
    model = torch.nn.parallel.DistributedDataParallel(net(), **settings)
    optimizer = build(library, name, options, model)
    learn(model, optimizer, range(6), half(rank))
    with model.no_sync():
        optimizer.zero_grad()
        loss_of(model, 6, half(rank)).backward()
    loss_of(model, 7, half(rank)).backward()
    optimizer.step()
    return {"weights": weights(model)}


def bucket_views(library: Any, name: str, options: dict[str, Any], rank: int, folder: Path) -> dict:
    return replicated(library, name, options, rank, folder, gradient_as_bucket_view=True)


def divided_state(library: Any, name: str, options: dict[str, Any], rank: int, folder: Path) -> dict:
    """Each process keeps the state of some weights, and steps only those."""
    from torch.distributed.optim import ZeroRedundancyOptimizer

    model = torch.nn.parallel.DistributedDataParallel(net())
    optimizer = ZeroRedundancyOptimizer(model.parameters(), getattr(library, name), **options)
    learn(model, optimizer, range(6), half(rank))
    optimizer.consolidate_state_dict(to=0)
    state = optimizer.state_dict()["state"] if rank == 0 else {}
    return {"weights": weights(model), "states": {key: sorted(value) for key, value in state.items()}}


def full_shards(library: Any, name: str, options: dict[str, Any], rank: int, folder: Path, **settings: Any) -> dict:
    model = sharded(**settings)
    optimizer = build(library, name, options, model)
    learn(model, optimizer, range(6), half(rank))
    states = [
        {key: (type(value).__name__, value.dtype, tuple(value.shape)) for key, value in optimizer.state[weight].items()}
        for weight in model.parameters()
    ]
    return {"weights": whole(model), "states": states}


def mixed_shards(library: Any, name: str, options: dict[str, Any], rank: int, folder: Path) -> dict:
    from torch.distributed.fsdp import MixedPrecisionPolicy

    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    return full_shards(library, name, options, rank, folder, mp_policy=policy)


def clipped_shards(library: Any, name: str, options: dict[str, Any], rank: int, folder: Path) -> dict:
    model, norms = sharded(), []
    ours = library is optim
    optimizer = build(library, name, {**options, "clip_norm": 0.1} if ours else options, model)
    for step in range(6):
        optimizer.zero_grad()
        loss_of(model, step, half(rank)).backward()
        if not ours:
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            norms.append(float(norm.full_tensor()))  # type: ignore[attr-defined]
        optimizer.step()
        if ours:
            norms.append(optimizer.gradient_norm)
    return {"weights": whole(model), "norms": norms}


def resumed(
    old: Any, new: Any, name: str, options: dict[str, Any], rank: int, folder: Path, full: bool, saved: bool
) -> dict:
    """Four steps with one library, four with another; the state goes through a checkpoint of all processes, or by hand."""
    from torch.distributed import checkpoint
    from torch.distributed.checkpoint import state_dict

    settings = state_dict.StateDictOptions(full_state_dict=full, broadcast_from_rank0=full)
    first, second = sharded(), sharded()
    optimizer, taken = build(old, name, options, first), build(new, name, {**options, "lr": 0.5}, second)
    learn(first, optimizer, range(4), half(rank))
    model_state, optimizer_state = state_dict.get_state_dict(first, optimizer, options=settings)
    if saved:
        place = folder / f"checkpoint-{old.__name__}-{new.__name__}-{name}"
        checkpoint.save({"model": model_state, "optimizer": optimizer_state}, checkpoint_id=place)
        model_state, optimizer_state = state_dict.get_state_dict(second, taken, options=settings)
        checkpoint.load({"model": model_state, "optimizer": optimizer_state}, checkpoint_id=place)
    state_dict.set_state_dict(
        second, taken, model_state_dict=model_state, optim_state_dict=optimizer_state, options=settings
    )
    learn(second, taken, range(4, 8), half(rank))
    return {"weights": whole(second)}


def straight(library: Any, name: str, options: dict[str, Any], rank: int, folder: Path) -> dict:
    model = sharded()
    learn(model, build(library, name, options, model), range(8), half(rank))
    return {"weights": whole(model)}


SCENES: dict[str, Callable[..., dict]] = {
    scene.__name__: scene
    for scene in (replicated, bucket_views, divided_state, full_shards, mixed_shards, clipped_shards, straight)
}
OWN: dict[str, dict[str, Any]] = {
    "LAMB": {"lr": 0.01, "weight_decay": 0.1},
    "LARS": {"lr": 1.0, "trust_coefficient": 0.02, "clip_norm": 0.1},
    "Lion": {"lr": 0.001},
    "Muon": {},
}
"""Optimizers that torch has not, or not for shards: with sums over a tensor, over all, over none, and with whole matrices."""
FOR_FEW = ("bucket_views", "mixed_shards")
CROSSINGS = {"from torch": (torch.optim, optim), "to torch": (optim, torch.optim), "ours": (optim, optim)}
CROSSED = ("SGD", "Adam")
"""A state without a count, and one with: where the rule does not matter, these two are enough."""
HANDLINGS = {"by shard": (False, False), "gathered": (True, False), "in files": (False, True)}


def _play(rank: int, meeting: str) -> None:
    folder = Path(meeting)
    warnings.simplefilter("ignore")  # torch warns of its own calls
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=WORLD,
        timeout=datetime.timedelta(seconds=120),
    )  # fmt: skip
    for name, options in RULES:
        for scene, play in SCENES.items():
            if scene in FOR_FEW and name not in CROSSED:
                continue
            for library, module in LIBRARIES.items():
                _keep(folder / f"{scene}-{library}-{name}-{rank}", play, module, name, options, rank, folder)
        for crossing, (old, new) in CROSSINGS.items() if name in CROSSED else ():
            for handling, how in HANDLINGS.items():
                _keep(
                    folder / f"{handling}-{crossing}-{name}-{rank}",
                    resumed,
                    old,
                    new,
                    name,
                    options,
                    rank,
                    folder,
                    *how,
                )
    for name, options in OWN.items():
        _keep(folder / f"own-ours-{name}-{rank}", full_shards, optim, name, options, rank, folder)
    dist.destroy_process_group()


def _keep(path: Path, play: Callable[..., dict], *arguments: Any) -> None:
    try:
        found = play(*arguments)
    except BaseException:  # torch's CheckpointException is no Exception
        found = {"failed": traceback.format_exc()}
    torch.save(found, path)


def play(folder: Path) -> None:
    """Starts the processes and waits until all scenes are played; ends them where they take too long, and leaves word of it."""
    processes = multiprocessing.spawn(_play, (str(folder),), nprocs=WORLD, join=False)
    end = time.monotonic() + PATIENCE
    try:
        while not processes.join(timeout=1.0):
            if time.monotonic() > end:
                raise TimeoutError(f"the processes did not end within {PATIENCE:g} s")
    except Exception as error:
        (folder / "failed").write_text(str(error), encoding="utf-8")
    finally:
        for process in processes.processes:
            if process.is_alive():
                process.kill()
            process.join()


def found(folder: Path, scene: str, library: str, name: str) -> list[dict[str, Any]]:
    """What a scene gave, process by process; raises ``AssertionError`` with the report of one that failed."""
    both = []
    for rank in range(WORLD):
        path = folder / f"{scene}-{library}-{name}-{rank}"
        assert path.exists(), f"process {rank} did not come here: {(folder / 'failed').read_text(encoding='utf-8')}"
        both.append(torch.load(path, weights_only=False))
        assert "failed" not in both[-1], f"process {rank}: {both[-1]['failed']}"
    return both
