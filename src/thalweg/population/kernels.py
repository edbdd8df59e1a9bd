"""Whole passes over the data for a population of small nets, as one native call; and the updates of a population alone.

Each thread takes the next member from a common counter and trains it through all its mini-batches: gather, forward, back,
update. Members share nothing, so there is no barrier between them, and a member's weights stay in the core's cache for a
whole pass. The gradients are those of ``models.kernels.step``; the update is a native function of the member's own rule (see
``updates``), called by its address.

>>> native = machine_code("population", text)["passes"]
>>> native(job, threads=2)

The text of this file is compiled by ``engines.native``, which reads ``KERNELS``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types

from thalweg.engines.elementary import intrinsic, job_address, mixed, pointer, random_bits, take
from thalweg.models.compiled import kernels
from thalweg.population.layout import (
    ANSWERS,
    BATCH,
    BROKEN,
    CLASSES,
    COUNTER,
    DESK,
    DESK_WIDTH,
    DESKS,
    DROPPED,
    DROPS,
    END,
    EXAMPLES,
    FACTORS,
    GRADIENTS,
    INPUTS,
    JOB_WIDTH,
    KIND,
    LAYERS,
    LINE_WIDTH,
    LOSSES,
    MADE,
    MEMBERS,
    ORDER,
    PLACES,
    ROWS,
    SEED,
    TABLE,
    TARGETS,
    TENSORS,
    UPDATE,
    UPDATE_ADDRESSES,
    UPDATE_JOB,
    UPDATE_OFFSETS,
    UPDATE_STEP,
    WANTED,
    WIDEST,
    WIDTH,
    WORK,
)  # fmt: skip

net = kernels()
step: Any = net.step
N_OUT, WEIGHT, BIAS, WEIGHT_GRAD, BIAS_GRAD, MASK = 1, 2, 3, 4, 5, 9
COLUMNS = 13
KERNELS: dict[str, dict[str, bool]] = {"passes": {}, "updates": {}}


@intrinsic
def call(typing_context: Any, address: Any, job: Any) -> Any:
    """Calls the native function at an address with a job."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(8).as_pointer()])
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        builder.call(function, [builder.inttoptr(arguments[1], ir.IntType(8).as_pointer())])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@njit(error_model="numpy", nogil=True)
def gather(order, x_at, width, into_x, y_at, outputs, of_classes, into_y):
    """Copies the rows ``order`` of inputs (float32) and targets (int64 classes, else float32 (outputs))."""
    rows = len(order)
    x = carray(pointer(into_x), (rows, width), np.float32)
    for i in range(rows):
        source = carray(pointer(x_at + order[i] * width * 4), width, np.float32)
        for j in range(width):
            x[i, j] = source[j]
    if of_classes:
        y = carray(pointer(into_y), rows, np.int64)
        for i in range(rows):
            y[i] = carray(pointer(y_at + order[i] * 8), 1, np.int64)[0]
    else:
        z = carray(pointer(into_y), (rows, outputs), np.float32)
        for i in range(rows):
            answer = carray(pointer(y_at + order[i] * outputs * 4), outputs, np.float32)
            for j in range(outputs):
                z[i, j] = answer[j]


@njit(error_model="numpy", nogil=True)
def roll(mask_at, count, key, keep):
    """Counted dice: 1 with probability ``keep``, else 0; the same for the same key."""
    mask = carray(pointer(mask_at), count, np.float32)
    most = np.uint32(min(keep * 4294967296.0, 4294967295.0))
    for i in range(count):
        mask[i] = np.float32(1) if random_bits(key, np.uint32(i)) < most else np.float32(0)


@njit(error_model="numpy", nogil=True)
def take_seat(layers, factors, line, depth, gradients, mask_at, most):
    """Puts a member's addresses into the table of a desk."""
    places = carray(pointer(line[PLACES]), (depth, 4), np.int64)
    drops = carray(pointer(line[DROPS]), depth, np.float64)
    for l in range(depth):
        layers[l, WEIGHT], layers[l, WEIGHT_GRAD] = places[l, 0], gradients + places[l, 2]
        if places[l, 3] >= 0:
            layers[l, BIAS], layers[l, BIAS_GRAD] = places[l, 1], gradients + places[l, 3]
        layers[l, MASK] = mask_at + l * most * 4 if drops[l] > 0 else 0
        factors[l, 1] = np.float32(1.0 / (1.0 - drops[l]))


def passes():
    job = carray(pointer(job_address()), JOB_WIDTH, np.int64)
    depth, width, outputs = job[LAYERS], job[WIDTH], job[CLASSES]
    at = job[DESK] + take(job[DESKS]) * 8 * DESK_WIDTH
    desk = carray(pointer(at), DESK_WIDTH, np.int64)
    layers = carray(pointer(desk[TABLE]), (depth, COLUMNS), np.int64)
    factors = carray(pointer(desk[FACTORS]), (depth, 2), np.float32)
    while True:
        member = take(job[COUNTER])
        if member >= job[END]:
            break
        line = carray(pointer(job[MEMBERS] + member * 8 * LINE_WIDTH), LINE_WIDTH, np.int64)
        rows, batch, tensors = line[ROWS], line[BATCH], line[TENSORS]
        order = carray(pointer(line[ORDER]), rows, np.int64)
        losses = carray(pointer(line[LOSSES]), (rows + batch - 1) // batch, np.float32)
        drops = carray(pointer(line[DROPS]), depth, np.float64)
        wanted = carray(pointer(line[WANTED]), (outputs, outputs + 1), np.float32)
        work = carray(pointer(desk[WORK]), (3, batch), np.float32)
        gradients = desk[GRADIENTS]
        most = job[WIDEST]
        take_seat(layers, factors, line, depth, gradients, desk[DROPPED], most)
        update = carray(pointer(line[UPDATE_JOB]), 4, np.int64)
        addresses = carray(pointer(update[UPDATE_ADDRESSES]), (3, tensors), np.int64)
        offsets = carray(pointer(update[UPDATE_OFFSETS]), tensors, np.int64)
        for tensor in range(tensors):
            addresses[1, tensor] = gradients + offsets[tensor]
        line[BROKEN] = -1
        for number in range(len(losses)):
            first = number * batch
            count = min(batch, rows - first)
            gather(order[first : first + count], line[INPUTS], width, desk[EXAMPLES], line[TARGETS], outputs, job[KIND] == 0,
                   desk[ANSWERS])  # fmt: skip
            for l in range(depth):
                if drops[l] > 0:
                    dice = mixed(np.uint32(line[SEED] + (line[MADE] + number) * 64 + l))
                    roll(layers[l, MASK], count * layers[l, N_OUT], dice, 1.0 - drops[l])
            loss_at = line[LOSSES] + number * 4
            step(layers, factors, count, desk[EXAMPLES], desk[ANSWERS], loss_at, job[KIND], wanted, work)
            if not np.isfinite(losses[number]):
                line[BROKEN] = number
                break
            update[UPDATE_STEP] = number
            call(line[UPDATE], line[UPDATE_JOB])


def updates():
    """One update of each member whose gradients are there: lines of (address of the update, of its job)."""
    job = carray(pointer(job_address()), 4, np.int64)
    while True:
        member = take(job[COUNTER])
        if member >= job[END]:
            break
        line = carray(pointer(job[MEMBERS] + member * 16), 2, np.int64)
        call(line[0], line[1])
