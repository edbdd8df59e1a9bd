"""What a search says before it starts: what is searched, and what it may cost.

>>> stated(Spec(data="digits", epochs=9), Plan(trials=64), Space.parse({"lr": "1e-4..1:log"}), new=False)
['Searching lr in 0.0001..1.0:log.', '64 trials of at most 9 passes: about 182 passes, for after passes 1 and 3 …']
"""

from __future__ import annotations

from thalweg.experiments.spec import Spec
from thalweg.experiments.tuning.plan import Plan
from thalweg.experiments.tuning.rungs import Rungs
from thalweg.search.samplers import Grid, Random
from thalweg.search.space import Space
from thalweg.wording import counted, listed

MANY = 10_000
"""Points of a grid that nobody tries."""


def stated(spec: Spec, plan: Plan, space: Space, *, new: bool) -> list[str]:
    """What is going to be searched and what it costs, before it starts."""
    ranges = "; ".join(f"{name} in {shown(space[name].text)}" for name in space.searched)
    said = [f"Searching {ranges}" + (": the default space, the most important first." if new else ".")]
    said += [
        f"{name} is searched: the {value} that is given for it is not used." for name, value in given_too(spec, space)
    ]
    sampler = plan.proposer(space, spec.seed)
    trials = plan.trials
    if isinstance(sampler, Grid):
        sizes = " × ".join(str(len(space[name].grid(plan.points))) for name in space.searched)
        all_of_them = f"--trials {sampler.size} tries all"
        if sampler.size > MANY:
            all_of_them = "too many, so fewer --points or a random search would say more"
        more = f", of which the first {trials:,} are tried: {all_of_them}" if sampler.size > trials else ""
        said.append(f"The grid has {sizes} = {sampler.size:,} points{more}.")
        trials = min(trials, sampler.size)
    if isinstance(sampler, Random) and sampler.block > 1:
        said.append(
            f"Every {sampler.block} trials in a row share {listed(sampler.shared)}, drawn evenly, and train as one program."
        )
    if len(plan.objectives) > 1:
        said.append(_aims(spec, plan))
    rungs = Rungs.of(plan.pruner, epochs=spec.epochs)
    cost = f"{counted(trials * spec.epochs, 'pass', 'passes')} over the training part"
    if plan.pruner == "halving" and rungs.passes:
        after = "pass" if len(rungs.passes) == 1 else "passes"
        cost = f"about {rungs.cost(trials):,} passes, for after {after} {listed(rungs.passes)} the best third goes on"
    if plan.pruner == "median":
        cost += " at most, for the worse half ends early"
    said.append(f"{counted(trials, 'trial')} of at most {counted(spec.epochs, 'pass', 'passes')}: {cost}.")
    return said


def _aims(spec: Spec, plan: Plan) -> str:
    means = {
        "size": "size (numbers that are trained)",
        "time": "time (milliseconds to predict 1,000 rows on one thread)",
    }
    names = [means.get(name, f"dev {name}") for name in plan.objectives]
    if plan.pruner == "none":
        early = "None ends early, for of several objectives none says alone who is bad."
    else:
        early = (
            f"Candidates end early by {plan.objectives[0]} alone: small nets, which err more, may go before their turn."
        )
    return f"Objectives: {', '.join(names)}; {plan.objectives[0]} names the best pass and the best trial. {early}"


def shown(text: object) -> str:
    """A range or choices as the user would write them."""
    return f"[{', '.join(map(str, text))}]" if isinstance(text, list) else str(text)


def given_too(spec: Spec, space: Space) -> list[tuple[str, object]]:
    """Settings that are given although they are searched: the space wins, and that is said."""
    found = []
    for name in space.searched:
        if name in Spec.model_fields:
            value, usual = getattr(spec, name), Spec.model_fields[name].get_default(call_default_factory=True)
            found += [(name, value)] if value != usual else []
        elif name in spec.options:
            found.append((name, spec.options[name]))
    return found
