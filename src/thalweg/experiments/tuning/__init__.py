"""A search for good hyperparameters: many candidates as one program where that pays, every trial kept.

>>> tuned = thalweg.tune("mlp", (X, y), space={"lr": "1e-4..1:log", "hidden": "[64, 128]"}, trials=64, epochs=20)
>>> tuned.values, tuned.confirmed
({'lr': 0.0041, 'hidden': 128}, {'mean': 0.978, 'sd': 0.004, …})
>>> folder, result = start_study(Spec(data="digits"), Plan(trials=64), Silent())         # what the command line calls

The data are prepared once. Candidates are points of the space (``candidate``), jobs are candidates of one architecture
(``study``), engines train jobs (``engine``, ``workers``, ``cluster``), ``trainer`` says how a job is trained, ``folder`` where
everything is kept.
"""

from thalweg.experiments.tuning.plan import Plan
from thalweg.experiments.tuning.start import StudyStopped, start_study
from thalweg.experiments.tuning.tuned import Tuned, tune

__all__ = ["Plan", "StudyStopped", "Tuned", "start_study", "tune"]
