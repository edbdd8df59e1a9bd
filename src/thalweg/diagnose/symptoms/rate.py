"""How the loss moves: too far, too little, not at all, or still down when the run ended.

>>> learning_rate_too_high(history, facts).sentence
'The learning rate is too high: the loss jumps up and down by 0.21 on average and ends at 2.35 (it began at 2.30).'

They look at the loss of the training part, measured after each pass, which has no mini-batch noise: what moves it is the
optimizer alone. Where a rate decays, the loss is judged against the sum of the rates so far, not against steps: a
schedule that ends at zero flattens every curve.
"""

from __future__ import annotations

import numpy as np

from thalweg.diagnose.finding import Chart, Facts, Finding, Series
from thalweg.diagnose.measures import final_skill, finite, layers, skill, standard_error, start_loss
from thalweg.history import Column, History

FEWEST = 4
"""Measurements below which a curve has no shape."""
SWING = 0.1
"""A rise of the training loss between passes, over the start loss, that noise does not make."""
OFTEN = 0.2
"""Share of passes with such a rise: AutoTrainer's η for an oscillating loss."""
UNLEARNED = 0.3
DEAD = 1e-3
SPIKE = 3.0
STILL_FALLING = 0.3
"""Slope over the last fifth of the way, over the mean slope."""
SMALL_RATIO = 1e-4
"""Update-to-weight ratio below which a network hardly moves (Stanford CS231n: about 1e-3 is healthy)."""
FLAT = 0.01
DIED = 0.01
"""Of the highest rate: below it a rate does nothing more."""
FALLING = (
    "cosine",
    "linear",
    "exponential",
    "polynomial",
    "sine",
    "root",
    "inverse_time",
    "inverse_root",
    "one_cycle",
    "wsd",
)
"""Schedules that never leave the rate where it was."""
MOVED = 0.002
"""Share of the loss that a straight fall must cover to be one."""


def learning_rate_too_high(history: History, facts: Facts) -> Finding | None:
    """The training loss jumps up from pass to pass, or rose and killed the gradient, instead of falling."""
    _, losses = finite(history.column("train/loss"))
    if len(losses) < FEWEST:
        return None
    start, end, learned = start_loss(history), float(losses[-1]), final_skill(history, facts)
    changes = np.diff(losses)
    swing = float(np.abs(changes).mean() / start)
    rising = float(changes[changes > 0].sum() / max(np.abs(changes).sum(), 1e-300))
    often = float((changes > SWING * start).mean())
    batches = finite(history.column("batch/loss"))
    top = float(batches.values.max(initial=0.0) / start)
    norms = finite(history.column("grad_norm")).values
    quiet = len(norms) >= 20 and _weights_died(history)
    said = None
    if often >= OFTEN or (learned < UNLEARNED and rising > 0.3 and swing > FLAT):
        said = f"the loss jumps by {np.abs(changes).mean():.2g} from one pass to the next and ends at {end:.3g}"
    elif learned < UNLEARNED and (end > 1.1 * start or (top > SPIKE and end > 0.9 * start)):
        said = f"the loss rose to {top * start:.3g} and ends at {end:.3g}"
    elif learned < UNLEARNED and quiet:
        said = f"the first steps left the weights without a gradient and the loss at {end:.3g}"
    if said is None:
        return None
    evidence = {
        "start loss": start,
        "final loss": end,
        "mean jump": float(np.abs(changes).mean()),
        "share of large rises": often,
    }
    beyond = False
    if len(edge := product(history).values) and facts.stable_product > 0:
        evidence |= {"rate times sharpness": float(np.median(edge)), "stable up to": facts.stable_product}
        beyond = evidence["rate times sharpness"] > facts.stable_product
    return Finding(
        "lr_too_high",
        f"The learning rate is too high: {said} (it began at {start:.3g}).",
        "train/loss",
        evidence,
        0.95 if beyond else 0.8,
        "Lower the learning rate (lr) by a factor of 3 to 10; leave lr out to have it found; warm it up (warmup = 0.05).",
        "Bengio 2012, Practical recommendations, section 3.1.1; Zhang et al., AutoTrainer, ICSE 2021 (oscillation)",
        "critical" if learned < UNLEARNED else "warning",
        _chart(history, level=start),
    )


def learning_rate_too_low(history: History, facts: Facts) -> Finding | None:
    """The loss falls as steadily at the end as at the start and has hardly come down: the steps are too small."""
    steps, losses = finite(history.column("train/loss"))
    learned = final_skill(history, facts)
    if len(losses) < FEWEST or not learned < UNLEARNED:
        return None
    ratios = layers(history, "update_ratio")
    largest = max(ratios.values(), default=np.nan)
    norms = finite(history.column("grad_norm")).values
    alive = len(norms) < 2 or np.median(norms[-5:]) > 0.3 * np.median(norms[:5])
    down = bool((np.diff(losses) < 0).mean() >= 0.8)
    tiny = 0 < largest < SMALL_RATIO and alive and down
    falling = down and losses[-1] < (1 - MOVED) * losses[0] and late_slope(history) > STILL_FALLING
    if not (tiny or falling):
        return None
    start, end = start_loss(history), float(losses[-1])
    evidence = {"start loss": start, "final loss": end}
    moved = ""
    if np.isfinite(largest):
        evidence["largest update ratio"] = largest
        moved = f", a step moves the weights by {largest:.1g} of their size"
    return Finding(
        "lr_too_low",
        f"The learning rate is too low: after {int(steps[-1]):,} steps the loss is {end:.3g} (it began at {start:.3g}) and "
        f"still falls as it did{moved}.",
        "train/loss",
        evidence,
        0.9 if tiny else 0.6,
        "Raise the learning rate (lr) by a factor of 10, or leave lr out to have it found; if the steps are large enough, "
        "train for more epochs. Targets of large size want scaling.",
        "Stanford CS231n, Neural Networks 3 (ratio of updates to weights); Bengio 2012, section 3.1.1",
        "critical",
        _chart(history, level=start),
    )


def budget_too_small(history: History, facts: Facts) -> Finding | None:
    """The model was still getting better when its epochs ran out."""
    _, losses = finite(history.column("train/loss"))
    metric = finite(history.column(f"dev/{facts.metric}")).values
    learned = final_skill(history, facts)
    if len(losses) < FEWEST or facts.stopped or not learned >= UNLEARNED:
        return None
    fifth = max(len(metric) // 5, 1)
    gain = float(metric[-1] - metric[-1 - fifth]) if len(metric) > fifth else 0.0
    certain = 2 * standard_error(float(metric[-1]), facts.n_dev, facts) if len(metric) else np.inf
    slope = late_slope(history)
    if slope > STILL_FALLING or (gain > certain and slope > STILL_FALLING / 3):
        return Finding(
            "undertrained",
            f"The run ended while the model was still improving: the training loss fell over the last fifth of the way at "
            f"{slope:.0%} of its mean pace, to {losses[-1]:.3g}.",
            "train/loss",
            {"final loss": float(losses[-1]), "late pace": slope, f"late gain in dev {facts.metric}": gain},
            0.8,
            "Train for more epochs, or raise the learning rate.",
            "Godbole et al., Deep Learning Tuning Playbook 2023 (still improving at the end: compute-bound)",
            "warning",
            _chart(history, level=None),
        )
    return None


def plateau(history: History, facts: Facts) -> Finding | None:
    """The training loss stood still for a third of the run or more, at nothing learned, before it fell.

    One that never fell is a network that learned nothing: see ``fit``, and ``signals`` for why.
    """
    steps, losses = finite(history.column("train/loss"))
    learned = skill(history, facts, "train")
    if len(losses) < 2 * FEWEST or len(learned) != len(losses):
        return None
    near = np.abs(losses[1:] - losses[1]) < FLAT * abs(losses[1])
    unlearned = learned[1:] < 0.05
    still = int(np.argmin(np.append(near & unlearned, False)))
    end = int(steps[still])
    share = float((end - steps[0]) / max(steps[-1] - steps[0], 1))
    if not (FEWEST <= still < len(losses) - 1 and share >= 1 / 3):
        return None
    return Finding(
        "plateau",
        f"The loss stood still at {losses[1]:.3g} until step {end:,}, then fell to {losses[-1]:.3g}.",
        "train/loss",
        {"loss": float(losses[1]), "share of the run": share},
        0.7,
        "Break the symmetry or flatness at the start: initialise at random for the activation (init = auto), raise the "
        "learning rate or add momentum, use batch normalisation.",
        "Dauphin et al., NeurIPS 2014 (saddle points); Goodfellow et al. 2016, section 8.2",
        "warning",
        _chart(history, mark=end),
    )


def schedule_died(history: History, facts: Facts) -> Finding | None:
    """The rate fell to nothing early, while the loss still fell; or a schedule that ought to lower it never did."""
    rates = finite(history.column("lr"))
    if len(rates.values) < 2 * FEWEST or not (top := float(rates.values.max())) > 0:
        return None
    every = np.arange(rates.steps[0], rates.steps[-1] + 1)
    alive = float((np.interp(every, *rates) >= DIED * top).mean())
    chart = Chart((Series("learning rate", *rates),), y="learning rate")
    slope = late_slope(history)
    if alive < 0.5 and slope > STILL_FALLING:
        return Finding(
            "plateau",
            f"The learning rate was below a hundredth of its top for {1 - alive:.0%} of the run, and the loss still fell "
            f"when it died.",
            "the schedule",
            {"share of the run with the rate alive": alive, "highest rate": top, "late pace": slope},
            0.85,
            "Let the rate fall over the whole run (schedule = cosine), or more slowly.",
            "Loshchilov & Hutter, SGDR, ICLR 2017; Godbole et al., Deep Learning Tuning Playbook 2023",
            "warning",
            chart,
        )
    falls = facts.schedule.split("(")[0].strip() in FALLING
    if falls and not facts.stopped and rates.values.min() == top and rates.steps[-1] > 1:
        return Finding(
            "plateau",
            f"The schedule ({facts.schedule}) never moved the learning rate: it was {top:.3g} throughout.",
            "the schedule",
            {"highest rate": top, "lowest rate": top},
            0.8,
            "Step the scheduler once for each update, after the optimizer.",
            "PyTorch, torch.optim: how to adjust the learning rate",
            "warning",
            chart,
        )
    return None


def product(history: History) -> Column:
    """Rate times sharpness wherever the sharpness was measured."""
    sharp, rates = finite(history.column("curvature/sharpness")), finite(history.column("lr"))
    if not len(sharp.steps) or not len(rates.steps):
        return Column(sharp.steps[:0], sharp.values[:0])
    return Column(sharp.steps, sharp.values * np.interp(sharp.steps, *rates))


def late_slope(history: History) -> float:
    """Slope of the training loss over the last fifth of the way, over its mean slope; the way is the sum of the rates.

    1 for a loss on a straight line, near 0 for one that has settled, negative for one that rises. NaN where it never fell.
    """
    steps, losses = finite(history.column("train/loss"))
    if len(losses) < FEWEST:
        return np.nan
    way = _way(history, steps)
    whole = way[-1] - way[0]
    turn = way[-1] - whole / 5
    then = float(np.interp(turn, way, losses))
    fall = losses[0] - losses[-1]
    return float((then - losses[-1]) / (0.2 * fall)) if fall > 0 and whole > 0 else np.nan


def _way(history: History, steps: np.ndarray) -> np.ndarray:
    """The sum of the rates up to each step; the steps themselves where no rate was recorded."""
    at, rates = finite(history.column("lr"))
    if len(at) < 2 or not (rates > 0).any():
        return steps.astype(float)
    every = np.arange(1, max(int(steps.max(initial=1)), 1) + 1)
    walked = np.concatenate([[0.0], np.cumsum(np.interp(every, at, rates))])
    return walked[steps]


def _weights_died(history: History) -> bool:
    """Whether each layer's gradient, alive at the start, is nearly gone in most of the second half of the run."""
    columns = [finite(column).values for column in history.under("grad_norm").values()]
    return bool(columns) and all(
        len(values) >= 20
        and np.median(values[:3]) > 0
        and np.median(values[len(values) // 2 :]) < DEAD * values[:3].max()
        for values in columns
    )


def _chart(history: History, *, level: float | None = None, mark: int | None = None) -> Chart:
    columns: dict[str, Column] = {
        "train": finite(history.column("train/loss")),
        "dev": finite(history.column("dev/loss")),
    }
    series = tuple(Series(name, *column) for name, column in columns.items() if len(column.steps))
    return Chart(series, y="loss", level=level, mark=mark)
