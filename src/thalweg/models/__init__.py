"""Networks that are built in, and the fast way to their gradients.

>>> model = mlp(64, 10, hidden=(128, 128), activation="relu")       # logistic and softmax regression: hidden=()
>>> resnet((1, 28, 28), 10, depth=8)                                # for images
>>> Tabular(12, [(3, 900)], build=lambda width: mlp(width, 2))      # for tables: column 3 holds 900 codes
>>> pretrain(model, passes, epochs=10, make_optimizer=make, seed=0)   # denoising autoencoders, layer by layer
>>> gradients = Backprop(model, nn.CrossEntropyLoss())              # autograd's numbers, from preallocated buffers
>>> Backprop.refuses(nn.LSTM(8, 8), nn.MSELoss())
'the model is LSTM: explicit back-propagation knows nn.Sequential alone'
"""

from thalweg.models.backprop import Backprop
from thalweg.models.linear_path import LinearPath
from thalweg.models.losses import HasTorchCriterion
from thalweg.models.mlp import ACTIVATIONS, mlp
from thalweg.models.pretrain import Pretrained, pretrain
from thalweg.models.residual import Residual
from thalweg.models.resnet import resnet
from thalweg.models.tabular import Tabular, dimension

__all__ = [
    "ACTIVATIONS",
    "Backprop",
    "HasTorchCriterion",
    "LinearPath",
    "Pretrained",
    "Residual",
    "Tabular",
    "dimension",
    "mlp",
    "pretrain",
    "resnet",
]
