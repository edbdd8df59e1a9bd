"""Data from where people keep them to tensors in batches, with nothing learned from rows that are held out.

>>> data = load("houses.csv", target="price")                    # a file, a folder, a frame, (X, y), a bundled name
>>> parts = split(data, seed=0)                                  # rows to learn from, to choose by, to look at once
>>> preprocessor = Preprocessor.fit(data, parts.train)           # scales and categories, from training rows alone
>>> x = torch.from_numpy(preprocessor.inputs(data.inputs[parts.train]))
>>> y = torch.from_numpy(preprocessor.targets(data.targets[parts.train]))
>>> batches = TensorBatches(x, y, batch_size=auto_batch_size(len(x)), seed=0)

>>> preprocessor.restore_targets(outputs)                        # back to the user's units, or class names
"""

from thalweg.data.batches import TensorBatches, auto_batch_size
from thalweg.data.dataset import Data
from thalweg.data.folds import Fold, folds
from thalweg.data.preprocess import Preprocessor
from thalweg.data.profile import mismatch
from thalweg.data.sources.bundled import BUNDLED
from thalweg.data.sources.load import load, load_inputs
from thalweg.data.split import Split, sizes, split
from thalweg.data.streaming import Stream, is_large, open_stream
from thalweg.data.tabular import Embedded
from thalweg.data.targets import infer_task

__all__ = [
    "BUNDLED",
    "Data",
    "Embedded",
    "Fold",
    "Preprocessor",
    "Split",
    "Stream",
    "TensorBatches",
    "auto_batch_size",
    "folds",
    "infer_task",
    "is_large",
    "load",
    "load_inputs",
    "mismatch",
    "open_stream",
    "sizes",
    "split",
]
