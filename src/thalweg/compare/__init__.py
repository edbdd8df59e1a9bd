"""What a fair comparison of optimizers is made of: spaces, shared points, times to a target, paired statistics, a verdict.

>>> for rule in ("momentum", "adam"):                        # equal budgets, the same points, each rule's own published space
...     trials[rule] = [train(rule, **values) for values in points_of(space_of(rule), 8, seed=0)]
>>> judge({"momentum": [0.141, …], "adam": [0.131, …]}, what="dev loss").sentence       # ten fresh seeds, pair by pair
'adam was best, it beat momentum; dev loss: 0.1307 [0.1284, 0.1329] over 10 seeds. momentum: 0.1412 [0.139, 0.1431]; …'

>>> time_to(Curve(steps=(10, 20, 30, 40), scores=(0.5, 0.2, 0.3, 0.1)), target=0.3)
20.0

Numbers alone: nothing here trains, draws or knows a framework. The protocol is that of AlgoPerf (Dahl et al. 2023), Sivaprasad
et al. (2020) and Bouthillier et al. (2021): tune all over shared points, confirm on fresh seeds, compare within seeds.
"""

from thalweg.compare.curves import Curve, Unit, time_to
from thalweg.compare.paired import Estimate, better, holm, mean_difference, mean_of, sign_flip, sign_test, wilcoxon
from thalweg.compare.points import points_of, shared_points
from thalweg.compare.profiles import Profiles, RuleProfile, profiles
from thalweg.compare.sensitivity import GoodRange, best_after, good_range, win_probability
from thalweg.compare.spaces import TABLE, Published, Side, beyond, extended, is_at_edge, published, space_of
from thalweg.compare.survival import Arrivals, kaplan_meier
from thalweg.compare.verdict import Duel, Standing, Verdict, fewest_seeds, judge

__all__ = [
    "TABLE",
    "Arrivals",
    "Curve",
    "Duel",
    "Estimate",
    "GoodRange",
    "Profiles",
    "Published",
    "RuleProfile",
    "Side",
    "Standing",
    "Unit",
    "Verdict",
    "best_after",
    "better",
    "beyond",
    "extended",
    "fewest_seeds",
    "good_range",
    "holm",
    "is_at_edge",
    "judge",
    "kaplan_meier",
    "mean_difference",
    "mean_of",
    "points_of",
    "profiles",
    "published",
    "shared_points",
    "sign_flip",
    "sign_test",
    "space_of",
    "time_to",
    "wilcoxon",
    "win_probability",
]
