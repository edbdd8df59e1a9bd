"""Networks that are built in.

>>> model = mlp(64, 10, hidden=(128, 128), activation="relu")       # logistic and softmax regression: hidden=()
"""

from thalweg.models.mlp import ACTIVATIONS, mlp

__all__ = ["ACTIVATIONS", "mlp"]
