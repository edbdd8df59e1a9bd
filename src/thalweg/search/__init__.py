"""Which value of a hyperparameter trains best: the learning rate first, which matters most, then any of them.

>>> choice = choose_rate(make, steps_per_epoch=17, epochs=50, rule="adam")
>>> choice.rate, choice.reason
(0.0021, 'lowest dev loss (0.131) of 6 short runs with rates from 0.0007 to 0.019, each 50 of 850 steps …')
>>> space = Space.parse({"lr": "1e-4..1:log", "beta1": "0.9..0.999:one-minus", "hidden": "[64, 128]"})
>>> run_study(objective, Random(space, seed=0), trials=64).best.values
{'lr': 0.0031, 'beta1': 0.93, 'hidden': 128}

For a rate a caller brings ``make(rate, steps, order)``, which builds a fresh model with its optimizer, to be run and
scored; for a study a function from values to a score.
"""

from thalweg.search.brains import CmaEs, Gp, Nsga2
from thalweg.search.choice import Candidate, RateChoice
from thalweg.search.dimensions import Choices, Dimension, Fixed, Range, Value
from thalweg.search.fanova import Importance, Share, importance, parallel
from thalweg.search.finalists import Refit, refit
from thalweg.search.named import SAMPLERS, sampler_named
from thalweg.search.pareto import front
from thalweg.search.pruning import Halving, Median, Pruner
from thalweg.search.rate import MakeTrial, Trial, choose_rate
from thalweg.search.samplers import Asked, Finished, Grid, Random, Sampler, Sobol, ranked
from thalweg.search.space import Point, Space
from thalweg.search.stages import CoarseToFine, Ordered, zoom
from thalweg.search.store import Memory, Store, Ticket, Told, open_store
from thalweg.search.study import Study, run_study
from thalweg.search.tpe import Tpe

__all__ = [
    "SAMPLERS",
    "Asked",
    "Candidate",
    "Choices",
    "CmaEs",
    "CoarseToFine",
    "Dimension",
    "Finished",
    "Fixed",
    "Gp",
    "Grid",
    "Halving",
    "Importance",
    "MakeTrial",
    "Median",
    "Memory",
    "Nsga2",
    "Ordered",
    "Point",
    "Pruner",
    "Random",
    "Range",
    "RateChoice",
    "Refit",
    "Sampler",
    "Share",
    "Sobol",
    "Space",
    "Store",
    "Study",
    "Ticket",
    "Told",
    "Tpe",
    "Trial",
    "Value",
    "choose_rate",
    "front",
    "importance",
    "open_store",
    "parallel",
    "ranked",
    "refit",
    "run_study",
    "sampler_named",
    "zoom",
]
