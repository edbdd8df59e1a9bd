"""How native code sees a population: the columns of its tables, all int64.

``kernels`` reads what ``compiled`` and ``updating`` write. A *desk* is a thread's own buffers, a *line* a member.

>>> line[layout.ORDER], line[layout.ROWS] = order.data_ptr(), len(order)
>>> job = job_of(len(lines), counter, lines.ctypes.data, ...)           # in the order of END, COUNTER, MEMBERS, …
"""

from __future__ import annotations

END, COUNTER, MEMBERS, DESKS, DESK, LAYERS, WIDTH, KIND, CLASSES, WIDEST = range(1, 11)
"""The job, int64: members in all; addresses of the counter of members, of the members' lines, of the counter of desks (a
thread's own buffers) and of the desks' lines; layers in the net; numbers in an example; the kind of loss; outputs; numbers in
the largest layer's output for a mini-batch."""
TABLE, FACTORS, EXAMPLES, ANSWERS, WORK, GRADIENTS, DROPPED = range(7)
"""A desk: its layers (layers, 11) with free places for what is the member's; factors (layers, 2); a mini-batch's inputs and
targets; work (3, B); gradients of all parameters; dropout masks (layers, B × widest)."""
(PLACES, ORDER, ROWS, BATCH, UPDATE, UPDATE_JOB, TENSORS, WANTED, DROPS, SEED, MADE, LOSSES, BROKEN, INPUTS,
 TARGETS) = range(15)  # fmt: skip
"""A member: addresses of its (layers, 4) places (W, b, offsets of their gradients in bytes; −1: no bias); of its rows of the
data in order, and how many; the batch size; its update and the job of it; tensors of the update; its (C, C + 1) wanted
distributions; the dropout of each layer (float64); the seed of its dice; updates made; its losses (float32, one a mini-batch);
and, written, the mini-batch whose loss was not finite, −1 for none; its inputs (n, WIDTH) and targets."""
DESK_WIDTH, LINE_WIDTH, JOB_WIDTH = 7, 15, 11
UPDATE_ADDRESSES, UPDATE_STEP, UPDATE_OFFSETS = 1, 2, 3
"""Of a job of ``updates``: the (3, tensors) addresses; the number of the step; offsets of the tensors' gradients in bytes."""
