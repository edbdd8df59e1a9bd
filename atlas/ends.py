"""Where two optimizers end that began at one place, and what lies between; where two that began elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from claim import Entry, Shown, tell
from digits import descend, digits, net
from draw import curve, picture
from thalweg import optim
from thalweg.surfaces.landscape import Landscape, Line, line
from thalweg.train import OBJECTIVES

POINTS = 25
Run = tuple[int, int, Callable]
sgd, adam = partial(optim.SGD, lr=0.3), partial(optim.Adam, lr=0.01)

PAIRS: dict[str, tuple[tuple[int, ...], Run, Run]] = {  # hidden layers, then (start, order, rule) of both
    "SGD and Adam, one start": ((64,), (0, 0, sgd), (0, 0, adam)),
    "SGD in two orders, one start": ((64,), (0, 0, sgd), (0, 1, sgd)),
    "SGD from two starts": ((64,), (0, 0, sgd), (1, 0, sgd)),
    "SGD in two orders, one start, four layers": ((64,) * 4, (0, 0, sgd), (0, 1, sgd)),
}


def between(seed: int, hidden: tuple[int, ...], runs: tuple[Run, Run], epochs: int) -> Line:
    """The training loss on the line between two nets."""
    parts, ends = digits(seed), []
    for start, order, make in runs:
        model = net(seed + 1000 * start, hidden=hidden)
        optimizer = make(model.parameters())
        descend(model, optimizer, parts, epochs=epochs, batch_size=32, seed=seed + 1000 * order)
        ends.append(model)
    landscape = Landscape(ends[0], lambda model: OBJECTIVES["multiclass"](model(parts.x), parts.y))
    return line(landscape, *map(landscape.point, ends), points=POINTS)


def show(seeds: Sequence[int], small: bool) -> Shown:
    epochs = 5 if small else 30
    lines = {name: [between(seed, hidden, runs, epochs) for seed in seeds] for name, (hidden, *runs) in PAIRS.items()}
    heights = {name: [one.barrier("loss").height for one in several] for name, several in lines.items()}
    numbers = {f"barrier, {name}": values for name, values in heights.items()}
    distances = {name: np.array([one.distance for one in several]) for name, several in lines.items()}
    numbers |= {f"distance, {name}": values.tolist() for name, values in distances.items()}
    one, order, other, deep = heights.values()
    drawn = picture(
        "Training loss on the straight line between two trained nets. From one start the floor between them is flat, whichever "
        "rule walked; nets from two starts are parted by a ridge, deeper ones from one start, too.",
        *(
            curve(name, np.linspace(0, 1, POINTS), [each.values["loss"] for each in several], colour)
            for (name, several), colour in zip(lines.items(), ("--train", "--good", "--bad", "--layer-6"), strict=True)
        ),
        x="from the first net (0) to the second (1)",
        y="training loss",
    )
    but = f"With four hidden layers even SGD in two orders is parted, by a ridge of {np.mean(deep):.2g} on average."
    away, near, *_ = distances.values()
    holds = (np.maximum(one, order) < np.array(other) / 10) & (away > 3 * near)
    return Shown(holds.tolist(), numbers, drawn, but)


ENTRY = Entry(
    "Where optimizers end",
    "The landscape",
    "From one start SGD and Adam end more than three times as far apart as SGD in two orders, in a net of one hidden layer; "
    "yet the barrier on the line between them is less than a tenth of that between two ends of SGD from two starts.",
    "Goodfellow, Vinyals & Saxe 2015; Frankle et al. 2020",
    show,
)

if __name__ == "__main__":
    tell(ENTRY)
