"""Initialisation that fits what follows each layer, so that signals neither vanish nor explode.

For a layer with ``n_in`` inputs and ``n_out`` outputs, weights have mean 0 and variance

* ``xavier`` or ``glorot``: ``2/(n_in + n_out)`` (Glorot & Bengio 2010), ``xavier_in`` or ``lecun``: ``1/n_in`` (LeCun
  et al. 1998): for tanh, sigmoid or nothing after it
* ``he``: ``2/n_in`` (He et al. 2015): for ReLU and its relatives, which lose about half of what goes through them
* ``orthogonal``: orthonormal rows or columns (Saxe et al. 2014)
* ``lsuv``: orthogonal, then scaled so that each layer's outputs for a batch have variance 1 (Mishkin & Matas 2016)

and biases are 0. ``auto`` looks at the activation that follows each layer, in the order of a ``Sequential`` or in the traced
graph of any other module, and makes the output layer small and what ends a residual branch 0. ``zeros``,
``constant(0.5)`` and ``normal(1)`` are there to show why they fail.

>>> initialize(mlp(64, 10), generator=torch.Generator().manual_seed(0))
[("1.weight", "he", 0.177), ("3.weight", "he", 0.125), ("5.weight", "a tenth of xavier", 0.012)]
>>> initialize(model, scheme="lsuv", generator=generator, batch=inputs[:256])
"""

from thalweg.initializers.initialize import Initialised, initialize, not_known
from thalweg.initializers.places import Place, places
from thalweg.initializers.schemes import SCHEMES, fans, gain

__all__ = ["SCHEMES", "Initialised", "Place", "fans", "gain", "initialize", "not_known", "places"]
