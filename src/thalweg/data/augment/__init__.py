"""Random changes of training examples: images shifted, turned, cut; tables with noise; two examples mixed.

>>> steps = augment.parse(["crop(4)", "rotate(15)", "mixup(0.2)"])
>>> batches = augment.Augmented(batches, steps, seed=0, classes=10)

Bottom up: ``draws`` (what a step is, and where its random numbers come from), ``geometry`` (what moves pixels) and ``values``
(what changes them), ``augmented`` (words to steps, steps to mini-batches).
"""

from thalweg.data.augment.augmented import STEPS, Augmented, check, outline, parse

__all__ = ["STEPS", "Augmented", "check", "outline", "parse"]
