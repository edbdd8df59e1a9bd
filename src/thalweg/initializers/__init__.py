"""Initialisation that fits what follows each layer, so that signals neither vanish nor explode.

For a layer with ``n_in`` inputs and ``n_out`` outputs, weights have mean 0 and variance

* ``xavier``: ``2/(n_in + n_out)``, ``xavier_in``: ``1/n_in`` (Glorot & Bengio 2010): for tanh, sigmoid or nothing after it
* ``he``: ``2/n_in`` (He et al. 2015): for ReLU and its relatives, which lose about half of what goes through them
* ``orthogonal``: orthonormal rows or columns (Saxe et al. 2014)

and biases are 0. ``auto`` looks at the activation that follows each layer, in the order of a ``Sequential`` or in the traced
graph of any other module, and makes the output layer small. ``zeros``, ``constant(0.5)`` and ``normal(1)`` are there to show
why they fail.

>>> initialize(mlp(64, 10), generator=torch.Generator().manual_seed(0))
[("1.weight", "he", 0.177), ("3.weight", "he", 0.125), ("5.weight", "a tenth of xavier", 0.012)]
>>> initialize(model, scheme="normal(0.01)", generator=generator)
"""

from thalweg.initializers.initialize import Initialised, initialize
from thalweg.initializers.places import Place, places
from thalweg.initializers.schemes import SCHEMES, fans, gain

__all__ = ["SCHEMES", "Initialised", "Place", "fans", "gain", "initialize", "places"]
