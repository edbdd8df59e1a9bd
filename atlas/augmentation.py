"""Digits that lie anywhere in their frame: shifted copies stand in for images that are not there; mirrored ones mislead.

>>> fit("mlp", (X, y), augment=["crop(1)"])                     # X: (n, 1, 10, 10); a shift by one pixel, drawn anew each time
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import thalweg
from claim import Entry, Shown, tell
from draw import curve, picture
from thalweg.data import load

LEARNED = 10_000  # images that each net learns from, repeats counted, however few there are
KINDS = {"none": None, "shifts": ["crop(1)"], "mirrored": ["flip"]}


def placed(seed: int, room: int) -> tuple[np.ndarray, np.ndarray]:
    """The bundled digits, 8 × 8, each somewhere in a frame larger by ``room`` pixels; and what they are."""
    data = load("digits")
    images = np.zeros((len(data), 1, 8 + room, 8 + room), np.uint8)
    for image, digit, (top, left) in zip(
        images,
        data.inputs.reshape(-1, 8, 8),
        np.random.default_rng(seed).integers(0, room + 1, (len(data), 2)),
        strict=True,
    ):
        image[0, top : top + 8, left : left + 8] = digit
    return images, data.targets


def accuracy(seed: int, few: int, augment: list[str] | None, learned: int, room: int = 2) -> float:
    """On the test part, after training with so many images."""
    images, digits = placed(seed, room)
    train = few / len(images)
    fitted = thalweg.fit(
        "mlp", (images, digits), split=[train, 0.2, 0.8 - train], hidden=[128], dropout=[0.0], rule="adam", lr=2e-3,
        augment=augment, epochs=learned // few, patience=0, seed=seed,
    )  # fmt: skip
    return fitted.metrics["test"]["accuracy"]


def show(seeds: Sequence[int], small: bool) -> Shown:
    sizes, learned = ((200, 1000), LEARNED // 2) if small else ((100, 200, 500, 1000), LEARNED)
    found = {
        name: np.array([[accuracy(seed, few, kind, learned) for few in sizes] for seed in seeds])
        for name, kind in KINDS.items()
    }
    at, gain = sizes.index(200), found["shifts"] - found["none"]
    figure = picture(
        "Test accuracy by the number of training images. Shifts, which the test images have too, help most where there are "
        "few; mirrored digits are no digits, and cost accuracy. Median and the middle 80 % of seeds.",
        *(curve(name, sizes, found[name], colour) for name, colour in zip(KINDS, ("--train", "--good", "--bad"), strict=True)),
        x={"title": {"text": "training images"}, "type": "log", "tickvals": sizes, "ticktext": [*map(str, sizes)]},
        y="test accuracy",
    )  # fmt: skip
    centred = [[accuracy(seed, 200, KINDS[kind], learned, room=0) for kind in ("none", "shifts")] for seed in seeds]
    return Shown(
        ((gain[:, at] > 0) & (gain[:, at] > gain[:, -1])).tolist(),
        {f"test accuracy, 200 images, {name}": values[:, at] for name, values in found.items()}
        | {f"test accuracy, 1,000 images, {name}": values[:, -1] for name, values in found.items()},
        figure,
        f"Only changes that the test images have too: where the digits are centred, shifts move the accuracy at 200 images by "
        f"{np.diff(centred).mean():+.3f}; here mirroring does by {(found['mirrored'] - found['none'])[:, at].mean():+.3f}, and "
        f"with 1,000 images shifts do by {gain[:, -1].mean():+.3f}.",
    )  # fmt: skip


ENTRY = Entry(
    "Augmentation", "Against overfitting",
    "Random changes of a kind that the test images show too raise the test accuracy, the more the fewer images there are.",
    "Simard, Steinkraus & Platt 2003, ICDAR", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
