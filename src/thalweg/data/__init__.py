"""Data of any kind, ready to be learned from: read, split, scaled, in batches.

>>> data = load("houses.csv", target="price")
>>> rows = split(data, seed=0)
>>> preprocessor = Preprocessor.fit(data, rows.train)                 # learns from the training rows alone
>>> inputs = preprocessor.inputs(data.inputs[rows.dev])               # float32 (n, features)
>>> batches = TensorBatches(inputs, targets, batch_size=64, seed=0)
"""

from thalweg.data.batches import TensorBatches, auto_batch_size
from thalweg.data.preprocess import Preprocessor
from thalweg.data.source import Data, load, load_inputs
from thalweg.data.splits import Split, shares, split
from thalweg.data.task import infer_task

__all__ = [
    "Data",
    "Preprocessor",
    "Split",
    "TensorBatches",
    "auto_batch_size",
    "infer_task",
    "load",
    "load_inputs",
    "shares",
    "split",
]
