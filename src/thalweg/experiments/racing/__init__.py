"""A fair race of update rules: each tuned with the same budget over its own published space, then trained on fresh seeds.

>>> race = thalweg.race("digits", rules=["sgd", "momentum", "adam"], trials=16, seeds=10, epochs=30)
>>> print(race.verdict)
adam reaches accuracy 0.964 in 153 [136–170] steps vs momentum 187 [170–221]; …
>>> folder, result = start_race(Spec(data="digits"), RacePlan(("sgd", "adam")), Silent())   # what the command line calls

``problem`` says what can be raced on, ``functions``, ``networks`` and ``text`` are such problems and ``suite`` a set of them;
``protocol`` is the order of events, ``folder`` keeps what was trained, ``judging`` makes a result of it.
"""

from thalweg.experiments.racing.raced import Raced, race
from thalweg.experiments.racing.start import RaceStopped, start_race

__all__ = ["RaceStopped", "Raced", "race", "start_race"]
