"""Many candidates as one program: K members of one architecture train together.

A search trains a hundred small nets, cross-validation five; one after another they spend their time between the operations.
Here each member keeps its own rate, rule, schedule, dropout, loss, rows and order, and ends as it would alone, and all of
them go through the data together: small fully connected nets in native code, others as stacked tensors, the rest one by one.

>>> members = [Member(mlp(64, 10), lambda p, lr=lr: AdamW(p, lr=lr), CrossEntropy(), Part(x, y), dev) for lr in rates]
>>> trained = train_population(members, batch_size=64, epochs=30)
>>> trained.way, trained.outcomes[0].weights                 # an ordinary state_dict of the user's module

>>> probe(make, (1, 8, 64), batch_size=64)                   # how many together pay, here and now
"""

from thalweg.population.loop import Trained, train_population
from thalweg.population.members import Member, Outcome, Part
from thalweg.population.probe import Choice, probe
from thalweg.population.ways import WAYS

__all__ = ["WAYS", "Choice", "Member", "Outcome", "Part", "Trained", "probe", "train_population"]
