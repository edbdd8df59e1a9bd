"""The compiled way: small fully connected nets, whole passes of all members in one native call.

It takes what ``models.compiled`` takes (float32 on the CPU; Linear layers with ReLU, tanh, GELU … or nothing between them;
dropout; the three losses) and optimizers of thalweg whose update can be made natively (``updates.why``). Members may differ in
all else: rates, rules, dropout, smoothing, rows, order, even in how many rows they have. Nothing is stacked: weights and
states stay where they are, so a member leaves by being called no more.

>>> Compiled.refuses(seats)
''
>>> losses = Compiled(seats, batch_size=64).train(orders)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.engines.native import NativeKernel, job_of, machine_code
from thalweg.models import Backprop
from thalweg.models.backprop import flattened
from thalweg.models.compiled import Block, blocks, readable
from thalweg.models.losses import criterion_of, wanted_distributions
from thalweg.optim import Optimizer
from thalweg.population import layout
from thalweg.population.members import Seat
from thalweg.population.updates import Update, why

KINDS = {nn.CrossEntropyLoss: 0, nn.BCEWithLogitsLoss: 1, nn.MSELoss: 2}


@cache
def native(name: str) -> NativeKernel:
    """The machine code of a function of ``kernels``, made anew when any of the files it is compiled from changes."""
    here = Path(__file__).parent
    files = [here / "layout.py", *(here.parent / "models" / name for name in ("kernels.py", "tiles.py", "smooth.py"))]
    digest = sha256("".join(path.read_text(encoding="utf-8") for path in files).encode()).hexdigest()
    text = (here / "kernels.py").read_text(encoding="utf-8")
    return machine_code("population", f"{text}\n# with {digest}\n")[name]


def _blocks(module: nn.Module) -> list[Block] | None:
    assert isinstance(module, nn.Sequential)
    layers = [layer for _, layer in flattened(module) if not isinstance(layer, nn.Flatten | nn.Identity)]
    return blocks(layers)


def _shape(module: nn.Module) -> list[tuple[int, int, bool, tuple[int, float]]]:
    found = _blocks(module) or []
    return [(b.linear.in_features, b.linear.out_features, b.linear.bias is None, b.kind) for b in found]


def _refuses_one(seat: Seat) -> str:
    module, part = seat.module, seat.member.train
    reason = Backprop.refuses(module, seat.member.objective) or why(seat.optimizer)
    if reason:
        return reason
    found = _blocks(module)
    if found is None or not readable(found):
        return "a layer is not of those that the kernel knows (Linear, an activation, dropout; float32, on the CPU)"
    parameters = [p for block in found for p in block.linear.parameters()]
    listed = [p for group in seat.optimizer.param_groups for p in group["params"]]
    if not all(p.requires_grad for p in parameters) or {id(p) for p in parameters} != {id(p) for p in listed}:
        return "the optimizer does not train every parameter"
    if not part.inputs.is_cpu or part.inputs.dtype != torch.float32:
        return f"the inputs are {part.inputs.dtype} on {part.inputs.device}, not torch.float32 on cpu"
    if part.inputs[0].numel() != found[0].linear.in_features:
        return "the inputs do not fit the first layer"
    outputs = found[-1].linear.out_features
    if isinstance(criterion_of(seat.member.objective), nn.CrossEntropyLoss):
        if part.targets.ndim != 1 or part.targets.dtype != torch.int64:
            return "the targets are no class numbers, int64 (n,)"
        if int(part.targets.min()) < 0 or int(part.targets.max()) >= outputs:
            return f"the targets are not all classes 0 … {outputs - 1}"
    elif part.targets.numel() != len(part.targets) * outputs:
        return "the targets do not fit the last layer"
    return ""


class _Desk:
    """A thread's buffers: activations, gradients, a mini-batch."""

    def __init__(self, found: list[Block], batch: int, gradient: int) -> None:
        widest = max(block.linear.out_features for block in found)
        n_in, n_out = found[0].linear.in_features, found[-1].linear.out_features
        self.layers = np.zeros((len(found), 13), dtype=np.int64)
        self.factors = np.ones((len(found), 2), dtype=np.float32)
        self.kept: list[np.ndarray] = []
        for index, block in enumerate(found):
            width = block.linear.out_features
            addresses = [self._floats(width), self._floats(width)]  # of a bias that is not there, and of its gradient
            outputs = [self._floats(width * batch) for _ in range(2)]
            turned = self._floats(block.linear.in_features * batch)
            kind, told = block.kind
            derivative = self._floats(width * batch) if kind else 0
            self.layers[index] = [
                block.linear.in_features, width, 0, addresses[0], 0, addresses[1], *outputs, turned, 0, 1, kind, derivative,
            ]  # fmt: skip
            self.factors[index, 0] = told
        examples, answers = (
            self._floats(batch * n_in),
            self._floats(2 * batch * n_out),
        )  # a class is as long as two numbers
        places = [examples, answers, self._floats(3 * batch), self._floats(gradient)]
        masks = self._floats(len(found) * batch * widest)
        self.line = np.array([self.layers.ctypes.data, self.factors.ctypes.data, *places, masks], dtype=np.int64)

    def _floats(self, count: int) -> int:
        self.kept.append(np.zeros(count + 16, dtype=np.float32))
        address = int(self.kept[-1].ctypes.data)
        return address + -address % 64


class _Line:
    """A member as the kernel sees it, and all that its addresses point to."""

    def __init__(self, seat: Seat, batch: int) -> None:
        self.seat = seat
        found = _blocks(seat.module)
        assert found is not None and isinstance(seat.optimizer, Optimizer)
        offsets: dict[int, int] = {}
        self.size = 0
        places = []
        for block in found:
            weight, bias = block.linear.weight, block.linear.bias
            for parameter in block.linear.parameters():
                offsets[id(parameter)] = 4 * self.size
                self.size += -(-parameter.numel() // 16) * 16
            own = [0, -1] if bias is None else [bias.data_ptr(), offsets[id(bias)]]
            places.append([weight.data_ptr(), own[0], offsets[id(weight)], own[1]])
        self.places = np.array(places, dtype=np.int64)
        self.drops = np.array([block.dropout.p if block.dropout is not None else 0.0 for block in found])
        self.update = Update(seat.optimizer, offsets)
        criterion = criterion_of(seat.member.objective)
        n_out = found[-1].linear.out_features
        self.wanted = np.zeros((n_out, n_out + 1), dtype=np.float32)
        targets = seat.member.train.targets
        if isinstance(criterion, nn.CrossEntropyLoss):
            self.wanted = wanted_distributions(criterion, torch.empty(1, n_out)).numpy()
        else:
            targets = targets.to(torch.float32)
        self.inputs, self.targets = seat.member.train.inputs.contiguous(), targets.contiguous()
        line = np.zeros(layout.LINE_WIDTH, dtype=np.int64)
        for column, array in (
            (layout.PLACES, self.places), (layout.UPDATE_JOB, self.update.job), (layout.WANTED, self.wanted),
            (layout.DROPS, self.drops),
        ):  # fmt: skip
            line[column] = array.ctypes.data
        line[layout.BATCH], line[layout.UPDATE] = batch, self.update.address
        line[layout.TENSORS] = len(self.update.offsets)
        line[layout.SEED] = seat.member.seed & 0x7FFFFFFF
        line[layout.INPUTS], line[layout.TARGETS] = self.inputs.data_ptr(), self.targets.data_ptr()
        self.line, self.batch = line, batch

    def begin(self, order: Tensor) -> np.ndarray:
        """Makes the line ready for a pass."""
        self.rows = order
        steps = -(-len(order) // self.batch)
        self.losses = np.full(steps, np.nan, dtype=np.float32)
        self.update.prepare(steps, self.seat.rates(steps))
        self.line[layout.ORDER], self.line[layout.ROWS] = order.data_ptr(), len(order)
        self.line[layout.MADE] = self.seat.steps
        self.line[layout.LOSSES] = self.losses.ctypes.data
        return self.line

    def end(self, broken: int) -> np.ndarray:
        """Counts the updates of a pass."""
        steps = len(self.losses) if broken < 0 else broken
        self.update.made(steps)
        self.seat.steps += steps
        torch.autograd.graph.increment_version(self.update.batch.parameters)
        return self.losses


class Compiled:
    """All members' passes as one native call. Raises nothing of its own where ``refuses`` gave no reason."""

    name = "compiled"

    def __init__(self, seats: Sequence[Seat], *, batch_size: int) -> None:
        found = _blocks(seats[0].module)
        assert found is not None
        self.lines = [_Line(seat, batch_size) for seat in seats]
        threads = max(1, min(torch.get_num_threads(), len(seats)))
        self.desks = [_Desk(found, batch_size, self.lines[0].size) for _ in range(threads)]
        self.desk_lines = np.stack([desk.line for desk in self.desks])
        self.counters = np.zeros(2, dtype=np.int64)
        n_in, n_out = found[0].linear.in_features, found[-1].linear.out_features
        widest = max(block.linear.out_features for block in found)
        kind = KINDS[type(criterion_of(seats[0].member.objective))]
        self.kernel = native("passes")
        self.numbers = [self.desk_lines.ctypes.data, len(found), n_in, kind, n_out, widest * batch_size]

    @staticmethod
    def refuses(seats: Sequence[Seat]) -> str:
        """Why these members can't go this way, in a sentence; empty where they can."""
        reason = next(filter(None, (_refuses_one(seat) for seat in seats)), "")
        if reason:
            return reason
        if any(_shape(seat.module) != _shape(seats[0].module) for seat in seats):
            return "the members are not of one architecture"
        if len({type(criterion_of(seat.member.objective)) for seat in seats}) > 1:
            return "the members have losses of different kinds"
        return ""

    def train(self, orders: Sequence[Tensor]) -> list[np.ndarray]:
        """One pass of each member over its rows in the order given; the loss of each mini-batch, NaN from a break on."""
        lines = np.stack([line.begin(order) for line, order in zip(self.lines, orders, strict=True)])
        self.counters[:] = 0
        at = self.counters.ctypes.data
        job = job_of(len(lines), at, lines.ctypes.data, at + 8, *self.numbers)
        self.kernel(job.ctypes.data, len(self.desks))
        broken = lines[:, layout.BROKEN].tolist()
        return [line.end(at) for line, at in zip(self.lines, broken, strict=True)]

    def keep(self, places: Sequence[int]) -> None:
        """Goes on with these members alone."""
        self.lines = [self.lines[place] for place in places]

    @torch.no_grad()
    def outputs(self, inputs: Tensor) -> Tensor:
        """Each member's outputs in evaluation mode, for inputs ``(K, n, …)``."""
        z = inputs.flatten(2)
        for layer in zip(*(_blocks(line.seat.module) or [] for line in self.lines), strict=True):
            weight = torch.stack([block.linear.weight for block in layer]).transpose(1, 2)
            biases = [block.linear.bias for block in layer]
            z = torch.bmm(z, weight) if biases[0] is None else torch.baddbmm(torch.stack(biases)[:, None], z, weight)
            if layer[0].activation is not None:
                z = layer[0].activation(z)
        return z

    def release(self) -> None:
        """Nothing is shared."""
