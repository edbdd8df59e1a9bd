"""What the target makes suspicious: answers among the inputs, rows that are there twice, classes that are hardly there.

>>> [suspicion.sentence for suspicion in of_target(data, split=split(data, seed=0))]
['"refund" alone gives away the target "churned" (AUC 1.00 on rows not learned from): is it known before the target is?',
 '31 rows of dev or test are also in training, target and all: they are remembered, not predicted.']

A column is a copy of the target if its values and the classes are one to one, or if amounts lie on a straight line in it. It
gives the target away if a decision tree on it alone, cross-validated, nearly reaches the end of the scale: the strongest
column of an honest set, one cell measure of breast-cancer, has an AUC of 0.97.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from thalweg.data.dataset import Data
from thalweg.data.profile.ranking import auc, midranks
from thalweg.data.profile.suspicions import Suspicion, of_inputs
from thalweg.data.profile.views import View, as_texts, view
from thalweg.data.split import Split
from thalweg.data.wording import rows_in_words

MOST_ROWS = 5_000
"""The target is searched for in a sample of so many rows."""
GIVEN_AWAY = 0.995
"""AUC, R² of the ranks of amounts, or the share of the errors of always guessing the majority that are avoided."""
FOLDS = 5
FEW = 10
RARE = 0.05
NAMING = ("row numbers", "identifier")
"""Columns that differ even where a row is there twice."""


def of_target(data: Data, *, split: Split | None = None, seed: int = 0) -> tuple[Suspicion, ...]:
    """Suspicions of columns against the target, of the target itself, and of rows that are there twice."""
    found: list[Suspicion] = []
    if data.targets.ndim == 1:
        found += _columns(data, np.random.default_rng([seed, 0x1EAC]))
    if data.classes is not None:
        found += _classes(data)
    return (*found, *_twice(data, split))


def _columns(data: Data, generator: np.random.Generator) -> list[Suspicion]:
    rows = np.arange(len(data))
    if len(rows) > MOST_ROWS:
        rows = np.sort(generator.choice(rows, MOST_ROWS, replace=False))
    targets = data.targets[rows]
    if isinstance(data.inputs, np.ndarray):
        if data.inputs.ndim != 2:
            return []
        flat = data.inputs[rows].astype(np.float64)
        looks = [View(f"x{feature}", flat[:, feature]) for feature in range(flat.shape[1])]
    else:
        looks = [view(column) for column in data.inputs[rows].iter_columns()]
    folds = generator.permutation(len(rows)) % FOLDS
    found = []
    for look in looks:
        suspicion = _copy(data, look, targets) or _giving_away(data, look, targets, folds)
        suspicion = suspicion or _missing_by_target(data, look, targets, len(looks))
        found += [suspicion] if suspicion else []
    return found


def _copy(data: Data, look: View, targets: np.ndarray) -> Suspicion | None:
    known = ~np.isnan(look.values)
    values, answers = look.values[known], targets[known]
    if len(values) < FEW or len(np.unique(answers)) < 2:
        return None
    if data.classes is not None:
        pairs = len(np.unique(values + 1j * answers))
        if pairs == len(np.unique(values)) == len(np.unique(answers)):
            return _leak(data, look, f'is the target "{data.target_name}" under other names')
    elif not look.category:
        with np.errstate(all="ignore"):
            slope = float(np.cov(values, answers)[0, 1] / values.var(ddof=1))
            rest = answers - answers.mean() - slope * (values - values.mean())
            straight = np.abs(rest).max() <= 1e-6 * answers.std() and math.isfinite(slope)
        if straight:
            offset = float(answers.mean() - slope * values.mean())
            how = f'{look.name}" × {slope:.4g}' + (
                f" {'+' if offset > 0 else '−'} {abs(offset):.4g}" if abs(offset) > 1e-6 * answers.std() else ""
            )
            what = f'is the target "{data.target_name}" itself'
            if how.endswith("× 1"):
                return _leak(data, look, what)
            return Suspicion(
                "copy of the target",
                (look.name,),
                f'The target "{data.target_name}" is "{how}: that column gives the answer away; leave it out.',
            )
    return None


def _leak(data: Data, look: View, what: str) -> Suspicion:
    return Suspicion(
        "copy of the target", (look.name,), f'"{look.name}" {what}: it gives the answer away; leave it out.'
    )


def _giving_away(data: Data, look: View, targets: np.ndarray, folds: np.ndarray) -> Suspicion | None:
    """First by bins, which is quick, then by a tree, which finds every threshold."""
    if len(targets) < 5 * FEW or len(np.unique(look.values)) < 2:
        return None
    classes = None if data.classes is None else len(data.classes)
    if classes is None:  # a curve through all amounts shows in their ranks, however long their tails
        targets = midranks(targets)
    if _reached(_binned(look, targets, classes, folds), targets, classes) < 0.9:
        return None
    reached = _reached(_by_tree(look, targets, classes, folds), targets, classes)
    if reached < GIVEN_AWAY:
        return None
    measure = "R² of the ranks" if classes is None else "AUC" if classes == 2 else "errors avoided"
    sentence = (
        f'"{look.name}" alone gives away the target "{data.target_name}" ({measure} {math.floor(1000 * reached) / 1000:g} '
        f"on rows not learned from): is it known before the target is?"
    )
    return Suspicion("gives the target away", (look.name,), sentence)


def _binned(look: View, targets: np.ndarray, classes: int | None, folds: np.ndarray) -> np.ndarray:
    """Out of fold, for each row the mean target of its bin, or the share of each class in it ``(n, classes)``."""
    bins = look.bins(200 if look.category else 32)
    many = int(bins.max()) + 1
    answers = (targets - targets.mean())[:, None] if classes is None else np.eye(classes)[targets]
    predicted = np.zeros(answers.shape)
    for fold in range(FOLDS):
        learn = folds != fold
        count = np.bincount(bins[learn], minlength=many)
        for output in range(answers.shape[1]):
            total = np.bincount(bins[learn], answers[learn, output], many)
            predicted[~learn, output] = (total / np.maximum(count, 1))[bins[~learn]]
    return predicted if classes is not None else predicted[:, 0] + targets.mean()


def _by_tree(look: View, targets: np.ndarray, classes: int | None, folds: np.ndarray) -> np.ndarray:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    absent = np.isnan(look.values)
    values = np.column_stack([np.where(absent, 0.0, look.values), absent])
    predicted = np.zeros(len(targets) if classes is None else (len(targets), classes))
    for fold in range(FOLDS):
        learn = folds != fold
        if classes is None:
            tree = DecisionTreeRegressor(min_samples_leaf=2, random_state=0).fit(values[learn], targets[learn])
            predicted[~learn] = tree.predict(values[~learn])
        else:
            tree = DecisionTreeClassifier(min_samples_leaf=2, random_state=0).fit(values[learn], targets[learn])
            predicted[np.ix_(~learn, tree.classes_)] = tree.predict_proba(values[~learn])
    return predicted


def _reached(predicted: np.ndarray, targets: np.ndarray, classes: int | None) -> float:
    """How near a prediction comes to the end of its scale, 1."""
    if classes is None:
        return 1 - float(np.square(predicted - targets).mean() / max(targets.var(), 1e-300))
    if classes == 2:
        positive = targets == 1
        return auc(predicted[:, 1], positive).value if 0 < positive.sum() < len(positive) else 0.0
    guessed = np.bincount(targets).max() / len(targets)
    return 1 - float((predicted.argmax(1) != targets).mean() / max(1 - guessed, 1e-300))


def _missing_by_target(data: Data, look: View, targets: np.ndarray, columns: int) -> Suspicion | None:
    """Whether the missing rows have other targets: by 10 percentage points of a class, or 0.1 of an AUC, beyond luck."""
    absent = np.isnan(look.values)
    if min(absent.sum(), (~absent).sum()) < FEW:
        return None
    if data.classes is None:
        found = auc(midranks(targets), absent)
        differs = abs(found.value - 0.5)
        if differs > 0.1 and differs > 4 * found.se:
            way = "higher" if found.value > 0.5 else "lower"
            middle = [float(np.median(targets[side])) for side in (absent, ~absent)]
            return _missing(
                look, f'where "{data.target_name}" is {way} (median {middle[0]:.4g} there, {middle[1]:.4g} elsewhere)'
            )
        return None
    share = absent.mean()
    counts = np.bincount(targets, minlength=len(data.classes))
    missing = np.bincount(targets[absent], minlength=len(data.classes))
    with np.errstate(all="ignore"):
        gaps = np.abs(missing / counts - share)
        beyond = gaps / np.sqrt(share * (1 - share) * (1 / counts - 1 / len(targets)))
    gaps[(counts < FEW) | ~(beyond > 4 + math.log10(columns * len(counts)) / 2)] = 0
    most = int(np.argmax(gaps))
    if gaps[most] <= 0.1:
        return None
    others = (missing.sum() - missing[most]) / (len(targets) - counts[most])
    return _missing(
        look,
        f'in {100 * missing[most] / counts[most]:.3g} % of the rows of "{data.classes[most]}" '
        f"and {100 * others:.3g} % of the others",
    )


def _missing(look: View, where: str) -> Suspicion:
    return Suspicion(
        "missing by target", (look.name,), f'"{look.name}" is missing {where}: will it be so for new rows, too?'
    )


def _classes(data: Data) -> list[Suspicion]:
    names = data.classes or ()
    counts = np.bincount(data.targets, minlength=len(names))
    found = []
    few = np.flatnonzero(counts < FEW)
    if len(few):
        shown = ", ".join(f'"{names[number]}" ({counts[number]})' for number in few[:5]) + ", …" * (len(few) > 5)
        found.append(
            Suspicion(
                "few rows",
                (data.target_name,),
                f"{len(few)} {'class has' if len(few) == 1 else 'classes have'} fewer than {FEW} rows: {shown}; "
                f"they can hardly be learned or measured.",
            )
        )
    share, even = counts / counts.sum(), 1 / len(names)
    smallest = int(counts.argmin())
    if share[smallest] < RARE and share[smallest] < even / 5:
        found.append(
            Suspicion(
                "imbalance",
                (data.target_name,),
                f'"{names[smallest]}" makes {100 * share[smallest]:.2g} % of the rows and "{names[int(counts.argmax())]}" '
                f"{100 * share.max():.3g} %, which guessing it always would reach: look at more than accuracy.",
            )
        )
    return found


def _twice(data: Data, split: Split | None) -> list[Suspicion]:
    """Rows that are equal in all inputs; where columns have few values, equal rows are no sign of anything."""
    keys = _keys(data)
    if keys is None:
        return []
    _, first, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    inverse = inverse.ravel()
    if len(first) == len(keys):
        return []
    found = []
    differing = np.abs(data.targets - data.targets[first[inverse]]).reshape(len(keys), -1).max(1) > 0
    copies = np.setdiff1d(np.arange(len(keys)), first)
    found.append(
        Suspicion(
            "repeated rows",
            (),
            f"{len(copies):,} of {len(keys):,} rows repeat the inputs of another row ({rows_in_words(copies)}).",
        )
    )
    if differing.any():
        odd = np.flatnonzero(differing)
        what = "another class" if data.classes is not None else "another amount"
        found.append(
            Suspicion(
                "label noise",
                (data.target_name,),
                f"{len(odd):,} of the repeated rows have {what} than the row they repeat ({rows_in_words(odd)}): "
                f"no model can be right about both.",
            )
        )
    if split is not None:
        trained = np.zeros(len(counts), bool)
        trained[inverse[split.train]] = True
        leaked = sum(int(trained[inverse[part]].sum()) for part in (split.dev, split.test))
        if leaked:
            held = len(split.dev) + len(split.test)
            found.append(
                Suspicion(
                    "repeated across parts",
                    (),
                    f"{leaked:,} of {held:,} held-out rows are in training, too: they are remembered, not predicted; "
                    f"remove the copies, or keep them together with --groups.",
                )
            )
    return found


def _keys(data: Data) -> np.ndarray | None:
    """One number for each row, equal where the inputs are; None where chance alone would repeat rows."""
    if isinstance(data.inputs, np.ndarray):
        rows = np.ascontiguousarray(data.inputs.reshape(len(data), -1))
        distinct = (len(np.unique(rows[:, column])) for column in range(min(rows.shape[1], 8)))
        return np.array([hash(row.tobytes()) for row in rows]) if _varied(distinct, len(data)) else None
    import polars as pl

    naming = {name for found in of_inputs(data.inputs) if found.kind in NAMING for name in found.columns}
    plain = [
        as_texts(column) if column.dtype.is_nested() else column
        for column in data.inputs.iter_columns()
        if column.name not in naming
    ]
    if not _varied((column.n_unique() for column in plain), len(data)):
        return None
    return pl.DataFrame(plain).hash_rows().to_numpy()


def _varied(distinct: Iterable[int], rows: int) -> bool:
    """Whether there are so many combinations of values that equal rows are remarkable."""
    combinations = 1
    for values in distinct:
        combinations *= values
        if combinations >= 100 * rows:
            return True
    return False
