"""Signals that vanish or explode on their way through the layers, judged by the gradient of each layer's weights.

>>> vanishing_gradient(history, facts).sentence
'The gradient vanishes: 2.7e-07 at the first layer (0.weight), 0.37 at the last (16.weight).'

A small gradient in a layer that learns anyway (Adam divides by its size, a residual path goes round it) is no fault: both
symptoms ask first whether learning suffered. And a gradient that died during training did not vanish on its way; that
is the learning rate's doing, see ``rate``.
"""

from __future__ import annotations

import numpy as np

from thalweg.diagnose.finding import Chart, Facts, Finding, Series
from thalweg.diagnose.measures import final_skill, finite, layers
from thalweg.history import History

LEARNED = 0.5
"""A network that explains half of what there is to explain is not held up by its gradients."""
FIRST = 3
"""Steps in which the network is still nearly as it was made, whatever the rate."""
RATIO_VANISHED, NORM_VANISHED = 1e-3, 1e-4
"""First to last layer, and first layer by itself: AutoTrainer's β₁ and β₂ (Zhang et al., ICSE 2021)."""
NOTHING = 1e-7
"""Below this a gradient has vanished whatever the others do (SageMaker Debugger, VanishingGradient)."""
RATIO_EXPLODED = 70.0
"""First to last layer: AutoTrainer's β₃."""
GREW = 100.0


def vanishing_gradient(history: History, facts: Facts) -> Finding | None:
    """Hardly any gradient reaches the first layers from the start on, and the network does not learn."""
    norms = layers(history, "grad_norm", until=FIRST)
    if len(norms) < 2 or final_skill(history, facts) > LEARNED:
        return None
    names = list(norms)
    first, last = norms[names[0]], norms[names[-1]]
    weakest = min(norms, key=norms.__getitem__)
    if first < RATIO_VANISHED * last and first < NORM_VANISHED:
        where, weak = names[0], first
        sentence = (
            f"The gradient vanishes: {first:.2g} at the first layer ({where}), {last:.2g} at the last ({names[-1]})."
        )
    elif norms[weakest] < NOTHING:
        where, weak = weakest, norms[weakest]
        sentence = f"The gradient of {where} is {weak:.2g} from the start: no signal reaches it."
    else:
        return None
    return Finding(
        "vanishing_gradient",
        sentence,
        where,
        {"weakest layer": weak, "last layer": last, "share learned": final_skill(history, facts)},
        0.9,
        "Use ReLU or GELU instead of sigmoid or tanh, initialise for the activation (init = auto: He or Xavier), and give "
        "deep networks batch normalisation or residual connections.",
        "Glorot & Bengio, AISTATS 2010; Zhang et al., AutoTrainer, ICSE 2021",
        "critical",
        _chart(history, (names[0], names[-1])),
    )


def exploding_gradient(history: History, facts: Facts) -> Finding | None:
    """The gradient is far larger in the first layers than in the last, or grows out of bounds, and learning suffers."""
    skill = final_skill(history, facts)
    if skill > LEARNED:
        return None
    norms = layers(history, "grad_norm", until=FIRST)
    total = finite(history.column("grad_norm")).values
    names = list(norms)
    evidence: dict[str, float] = {"gradient at the start": float(total[0])} if len(total) else {}
    if len(norms) > 1 and norms[names[0]] > RATIO_EXPLODED * norms[names[-1]] > 0:
        first, last = norms[names[0]], norms[names[-1]]
        sentence = (
            f"The gradient explodes: {first:.3g} at the first layer ({names[0]}), {last:.3g} at the last ({names[-1]})."
        )
        where, evidence = names[0], evidence | {"first layer": first, "last layer": last}
    elif len(total) >= 20 and np.median(total[-len(total) // 10 :]) > GREW * np.median(total[:10]) > 0:
        late, early = float(np.median(total[-len(total) // 10 :])), float(np.median(total[:10]))
        sentence = f"The gradient explodes: its norm grew from {early:.3g} to {late:.3g}."
        where, evidence = "grad_norm", evidence | {"first steps": early, "last steps": late}
    else:
        return None
    return Finding(
        "exploding_gradient",
        sentence,
        where,
        evidence,
        0.8,
        "Initialise for the activation (init = auto: He or Xavier), scale the inputs, clip the gradient (clip_norm = 1), "
        "and add normalisation to deep networks.",
        "Pascanu, Mikolov & Bengio, ICML 2013; Zhang et al., AutoTrainer, ICSE 2021",
        "critical",
        _chart(history, (names[0], names[-1]) if len(names) > 1 else ()),
    )


def _chart(history: History, names: tuple[str, ...]) -> Chart | None:
    found = history.under("grad_norm")
    series = tuple(Series(name, *finite(found[name])) for name in dict.fromkeys(names))
    return Chart(series, y="gradient norm", log=True) if series else None
