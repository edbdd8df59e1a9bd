"""The kinds of fault there are a name for: what to do about each, and where the rule is from.

>>> KINDS["lr_too_high"].title
'Learning rate too high'
>>> KINDS["lr_too_high"].remedy
'Lower the learning rate tenfold; …'

The key is the name by which programs know a finding (``Finding.kind``); the title is what people read.
"""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """``title``: its name on a page; ``remedy``: what to change; ``reference``: where the rule is from."""

    title: str
    remedy: str
    reference: str


KINDS: dict[str, Kind] = {
    "vanishing_gradient": Kind(
        "Gradient vanishes",
        "Use ReLU or GELU with He initialisation, normalisation layers or skip connections, or fewer layers.",
        "Glorot & Bengio, AISTATS 2010; He et al., CVPR 2016",
    ),
    "exploding_gradient": Kind(
        "Gradient explodes",
        "Draw the weights with variance 2/fan in (He), clip the gradient's norm at 1, or add normalisation layers.",
        "Pascanu et al., ICML 2013; He et al., ICCV 2015",
    ),
    "nan": Kind(
        "Numbers that are not finite",
        "Clean the rows named; bound what goes into log, sqrt and division: log_softmax, an epsilon inside sqrt.",
        "Goodfellow et al., Deep Learning, 4.1",
    ),
    "dead_relu": Kind(
        "Dead ReLU units",
        "Start the biases at zero with He initialisation, lower the learning rate, or use LeakyReLU or GELU.",
        "Lu et al., Dying ReLU, 2019",
    ),
    "saturated_activation": Kind(
        "Saturated activation",
        "Draw smaller weights (Xavier), standardise what comes in, or use ReLU.",
        "Glorot & Bengio, AISTATS 2010",
    ),
    "bad_init": Kind(
        "Bad initialisation",
        "Draw the weights at random with variance 2/fan in (He, before ReLU) or 2/(fan in + fan out) (Xavier), biases zero.",
        "Glorot & Bengio, AISTATS 2010; He et al., ICCV 2015",
    ),
    "lr_too_high": Kind(
        "Learning rate too high",
        "Lower the learning rate tenfold; warm it up or let it fall.",
        "Cohen et al., ICLR 2021; Bengio 2012",
    ),
    "lr_too_low": Kind(
        "Learning rate too low",
        "Raise the learning rate, tenfold at a time.",
        "Bengio, Practical Recommendations, 2012",
    ),
    "undertrained": Kind(
        "Trained too briefly",
        "Train longer: more epochs at this rate.",
        "Godbole et al., Deep Learning Tuning Playbook, 2023",
    ),
    "unnormalised_input": Kind(
        "Inputs not normalised",
        "Standardise each column with the training rows' mean and spread, and the dev rows with the same numbers.",
        "LeCun et al., Efficient BackProp, 1998",
    ),
    "high_bias": Kind("High bias", "Use a wider or deeper network.", "Ng, Machine Learning Yearning, 2018"),
    "over_regularised": Kind(
        "Regularised too much", "Weaken weight decay, dropout or the penalty.", "Ng, Machine Learning Yearning, 2018"
    ),
    "high_variance": Kind(
        "High variance",
        "Get more examples, regularise (weight decay, dropout, augmentation), stop early, or use a smaller network.",
        "Ng, Machine Learning Yearning, 2018",
    ),
    "label_noise": Kind(
        "Wrong labels", "Check the labels of the rows that their neighbours contradict.", "Northcutt et al., JAIR 2021"
    ),
    "train_dev_mismatch": Kind(
        "Dev rows unlike training rows",
        "Prepare dev rows as training rows are prepared, or train on rows like them.",
        "Ng, Machine Learning Yearning, 2018",
    ),
    "class_imbalance": Kind(
        "Rare classes ignored",
        "Weight the loss by class, or sample the rare classes more often.",
        "He & Garcia, TKDE 2009",
    ),
    "data_order": Kind(
        "Rows not shuffled", "Shuffle the rows anew for each epoch.", "Bottou, Stochastic Gradient Tricks, 2012"
    ),
    "plateau": Kind(
        "Plateau",
        "Keep the learning rate up for longer; start elsewhere if it began on a saddle.",
        "Dauphin et al., NeurIPS 2014",
    ),
    "wrong_loss": Kind(
        "Wrong loss",
        "Use cross-entropy on logits for classes, the squared error for numbers, and give outputs and targets one shape.",
        "Bishop, Pattern Recognition and Machine Learning, 4.3",
    ),
    "wrong_activation": Kind(
        "Wrong activation",
        "Leave the last activation to the loss, or fit it to the targets' range; put one between layers.",
        "Bishop, Pattern Recognition and Machine Learning, 4.3",
    ),
    "wrong_gradient": Kind(
        "Wrong gradient",
        "Correct the backward pass of the layer named; check it with thalweg.gradcheck.",
        "Ng, 2011, UFLDL",
    ),
    "wrong_optimizer": Kind(
        "Wrong optimizer setting",
        "Use Adam or SGD with momentum 0.9, with their default settings.",
        "Schmidt et al., ICML 2021; Choi et al., 2019",
    ),
    "no_zero_grad": Kind(
        "Gradients not cleared", "Call optimizer.zero_grad() before each backward pass.", "PyTorch, torch.optim"
    ),
    "frozen_params": Kind(
        "Parameters that do not learn",
        "Give the optimizer all parameters of this model, with requires_grad=True and nothing detached.",
        "PyTorch, torch.optim",
    ),
    "leakage": Kind(
        "Leakage",
        "Remove the column that knows the target, and the dev rows from training.",
        "Kaufman et al., Leakage in data mining, 2012",
    ),
    "wrong_mode": Kind(
        "Wrong mode",
        "Call model.train() before the training pass of each epoch and model.eval() before measuring.",
        "PyTorch, nn.Module",
    ),
}
