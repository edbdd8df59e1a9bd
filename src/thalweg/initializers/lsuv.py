"""Layer-sequential unit variance: weights divided, layer by layer, by the standard deviation of the outputs they give.

Mishkin & Matas (2016, algorithm 1) begin with orthogonal weights, run a batch, and divide a layer's weights until its
outputs have variance 1, then go on to the next. Biases are 0, so outputs are linear in the weights: one division is
exact, and a single pass serves all layers, because each hands on outputs that are already scaled.

>>> scale_to_unit_variance(model, inputs[:256])
{"1.weight": 0.089, "3.weight": 0.125}                # standard deviation of the weights afterwards
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.initializers.places import WEIGHTED


@torch.no_grad()
def scale_to_unit_variance(model: nn.Module, batch: Tensor) -> dict[str, float]:
    """Scales the weights of linear and convolutional layers, whose biases are 0, in the order in which they run on ``batch``.

    A layer that runs twice is scaled by its first outputs. Runs in evaluation mode, each module's mode is put back. Returns the
    weights' standard deviation by name, for the layers that ran. Raises ``InputError`` where a layer's outputs do not vary.
    """
    scaled: dict[str, float] = {}
    seen: set[int] = set()
    modes = {module: module.training for module in model.modules()}

    def watch(name: str, layer: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def scale(_: nn.Module, inputs: object, output: Tensor) -> Tensor:
            weight = layer.get_parameter("weight")
            if id(weight) in seen:
                return output
            seen.add(id(weight))
            spread = float(output.std(correction=0)) if output.numel() else 0.0
            if not 0 < spread < float("inf"):
                raise InputError(
                    f"layer {name or 'of the model'} gives outputs of standard deviation {spread:g} for the batch, which lsuv "
                    f"cannot scale to 1: give a batch of different, finite examples"
                )
            weight.div_(spread)
            scaled[f"{name}.weight" if name else "weight"] = float(weight.square().mean().sqrt())
            return output / spread

        return layer.register_forward_hook(scale)

    handles = [watch(name, module) for name, module in model.named_modules() if isinstance(module, WEIGHTED)]
    try:
        model.eval()
        with torch.random.fork_rng(devices=[]):  # the model's own code may draw
            model(batch)
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes.items():
            module.training = training
    return scaled
