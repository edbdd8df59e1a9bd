"""Mismatch: do the rows that are measured on come from where the training rows come from?

>>> found = mismatch(data, split(data, seed=0), seed=0)
>>> found.differs, found.sentence
(True, 'Training and test differ: a classifier tells them apart with an AUC of 0.83 (95 % interval 0.78 to 0.88).')
>>> found.columns[0].text                                # where they differ: what gives it away
'"age": mean 31 in training, 54 in test'

A domain classifier (gradient-boosted trees) learns to tell training rows from held-out ones, inputs and targets together, and
judges only rows that it has not learned from (five folds). Its AUC is 0.5 where the two are alike. They differ if the interval
(DeLong 1988; Obuchowski 1997 where rows belong to groups, which then also stay whole in a fold; widened for cross-fitting,
without which one random split in six of a small table gave an alarm) lies above 0.5 and the AUC above 0.55. Then every column
is judged alone the same way, by the share of the parts in each of 16 bins, so that a change of spread, of a category or of
what is missing counts as much as one of the mean (Holm 1979 for the number of columns).

A split by time compares earlier rows with later ones, so it differs as soon as anything drifts; the time itself is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.data.dataset import Data
from thalweg.data.profile.ranking import Auc, auc
from thalweg.data.profile.telling import difference
from thalweg.data.profile.views import View, views
from thalweg.data.split import Split

MOST_ROWS = 20_000
"""Of each part; more rows are sampled down to these."""
MOST_FEATURES = 100
"""Wider inputs are taken to their first principal components before the classifier sees them."""
COMPONENTS = 32
FEWEST_ROWS, FEWEST_GROUPS = 20, 5
FOLDS = 5
NOTICEABLE = 0.55
LEVEL = 0.95
BINS = 16


@dataclass(frozen=True)
class Telling:
    """A column that gives the difference away."""

    name: str
    auc: float
    """Of this column alone."""
    text: str


@dataclass(frozen=True)
class Mismatch:
    """What came of comparing the training rows with those of one held-out part."""

    part: str
    """``dev`` or ``test``; empty where nothing is held out."""
    auc: float
    """Of the domain classifier, on rows it has not seen; 0.5 where there are too few rows to tell."""
    low: float
    high: float
    differs: bool
    columns: tuple[Telling, ...]
    """What gives it away, the clearest first; empty unless the parts differ."""
    sentence: str


def mismatch(data: Data, split: Split, *, seed: int) -> Mismatch:
    """The clearer of the differences between training and dev and between training and test."""
    found = mismatches(data, split, seed=seed)
    if not found:
        return Mismatch("", 0.5, 0.0, 1.0, False, (), "No rows are held out: there is nothing to compare.")
    return max(found, key=lambda one: (one.differs, one.low))


def mismatches(data: Data, split: Split, *, seed: int) -> tuple[Mismatch, ...]:
    """One for each held-out part; their intervals hold together with a chance of 95 %."""
    parts = {"dev": split.dev, "test": split.test}
    there = [name for name, rows in parts.items() if len(rows)]
    level = 1 - (1 - LEVEL) / max(len(there), 1)
    return tuple(
        _compare(data, split.train, parts[name], name, np.random.default_rng([seed, 0xD1FF, number]), level)
        for number, name in enumerate(there)
    )


def _compare(
    data: Data, train: np.ndarray, held: np.ndarray, part: str, generator: np.random.Generator, level: float
) -> Mismatch:
    train, held = (_sampled(rows, generator) for rows in (train, held))
    rows, positive = np.concatenate([train, held]), np.arange(len(train) + len(held)) >= len(train)
    groups = None if data.groups is None else _codes(data.groups[rows])
    fewest = min(int(side.sum()) if groups is None else len(np.unique(groups[side])) for side in _sides(positive))
    if fewest < (FEWEST_ROWS if groups is None else FEWEST_GROUPS):
        units = "rows" if groups is None else "groups"
        return Mismatch(
            part, 0.5, 0.0, 1.0, False, (), f"Too few {units} to say whether training and {part} differ: {fewest}."
        )
    looks, targets = _inputs(data, rows, positive), _targets(data, rows)
    folds = _folds(positive, groups, generator)
    features, categories = _features(data, rows, looks, generator)
    features = np.column_stack([features, *(_codes(target.values) for target in targets)])
    categories = np.append(categories, [target.category for target in targets])
    scores = _classifier_scores(features, categories, positive, folds, generator)
    found = auc(scores, positive, groups=groups, folds=FOLDS, level=level)
    differs = found.low > 0.5 and found.value > NOTICEABLE
    telling = _telling([*looks, *targets], positive, folds, groups, part) if differs else ()
    return Mismatch(
        part, found.value, found.low, found.high, differs, telling, _sentence(data, part, found, differs, level)
    )


def _sides(positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return ~positive, positive


def _sampled(rows: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return rows if len(rows) <= MOST_ROWS else np.sort(generator.choice(rows, MOST_ROWS, replace=False))


def _inputs(data: Data, rows: np.ndarray, positive: np.ndarray) -> list[View]:
    """Without what the split was made by, which of course differs, and without columns that number the rows."""
    made_by = [values[rows] for values in (data.time, data.groups) if values is not None]
    looks = views(data.inputs, rows)
    return [
        look
        for look in looks
        if not (look.name == data.time_name or _numbers_rows(look, positive) or _same(look, made_by))
    ]


def _numbers_rows(look: View, positive: np.ndarray) -> bool:
    """Whole numbers that rise from row to row in both parts."""
    if look.category or look.days or len(positive) < 3 or not (look.values % 1 == 0).all():
        return False
    return all(bool((np.diff(look.values[side]) > 0).all()) for side in _sides(positive))


def _same(look: View, made_by: Sequence[np.ndarray]) -> bool:
    """Whether a view holds what the split was made by, under whatever coding."""
    own = _codes(look.values)
    for values in made_by:
        codes = _codes(values)
        pairs = len(np.unique(codes * (own.max() + 1) + own))
        if pairs == codes.max() + 1 == own.max() + 1 > 1:
            return True
    return False


def _codes(values: np.ndarray) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1].ravel().astype(np.int64)


def _targets(data: Data, rows: np.ndarray) -> list[View]:
    targets = data.targets[rows]
    if data.classes is not None:
        return [View(data.target_name, targets.astype(np.float64), tuple(data.classes))]
    columns = targets.reshape(len(targets), -1).astype(np.float64)
    names = data.target_names or (data.target_name,)
    return [View(name, columns[:, number]) for number, name in enumerate(names)]


def _folds(positive: np.ndarray, groups: np.ndarray | None, generator: np.random.Generator) -> np.ndarray:
    """int64 ``(n,)``: the fold of each row, each with its share of both parts; a group is in one fold."""
    if groups is None:
        folds = np.empty(len(positive), np.int64)
        for side in _sides(positive):
            folds[side] = generator.permutation(int(side.sum())) % FOLDS
        return folds
    sizes = np.bincount(groups)
    held = np.bincount(groups, positive, len(sizes)) * 2 > sizes
    fold = np.empty(len(sizes), np.int64)
    for side in (held, ~held):
        order = generator.permutation(np.flatnonzero(side))
        filled = np.zeros(FOLDS)
        for group in order[np.argsort(-sizes[order], kind="stable")]:
            fold[group] = filled.argmin()
            filled[fold[group]] += sizes[group]
    return fold[groups]


def _features(
    data: Data, rows: np.ndarray, looks: list[View], generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """What the classifier sees of the inputs, ``(n, features)``, and which of it are categories."""
    found = [np.column_stack([_codes(look.values) for look in looks])] if looks else []  # trees see the order alone
    categories = [look.category for look in looks]
    if isinstance(data.inputs, np.ndarray) and (data.inputs.ndim > 2 or len(looks) > MOST_FEATURES):
        components = _components(data.inputs[rows], int(generator.integers(2**31)))
        found = [components, *(found if data.inputs.ndim > 2 else [])]
        categories = [False] * (components.shape[1] + (len(looks) if data.inputs.ndim > 2 else 0))
    return np.concatenate(found, axis=1) if found else np.empty((len(rows), 0)), np.array(categories, bool)


def _classifier_scores(
    features: np.ndarray,
    categories: np.ndarray,
    positive: np.ndarray,
    folds: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """How much each row looks held out, ``(n,)``, by classifiers that have not learned from it."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    state = int(generator.integers(2**31))
    scores = np.empty(len(positive))
    for fold in np.unique(folds):
        learn, judge = folds != fold, folds == fold
        fewer = min(positive[learn].sum(), (~positive[learn]).sum())
        trees = HistGradientBoostingClassifier(
            max_iter=25,
            learning_rate=0.2,
            max_leaf_nodes=8,
            min_samples_leaf=int(np.clip(fewer // 10, 3, 50)),
            early_stopping=False,
            categorical_features=categories,
            random_state=state,
        )
        trees.fit(features[learn], positive[learn])
        scores[judge] = trees.decision_function(features[judge])
    return scores


def _components(inputs: np.ndarray, state: int) -> np.ndarray:
    """The first principal components ``(n, ≤ 32)``; images are pooled to 8 × 8 before."""
    from sklearn.decomposition import PCA

    flat = _pooled(inputs).reshape(len(inputs), -1).astype(np.float32)
    flat = np.nan_to_num(flat - np.nanmean(flat, 0))
    wanted = min(COMPONENTS, *flat.shape)
    return PCA(wanted, svd_solver="randomized", random_state=state).fit_transform(flat)


def _pooled(inputs: np.ndarray) -> np.ndarray:
    if inputs.ndim != 4:
        return inputs
    height, width = (max(side // 8, 1) for side in inputs.shape[2:])
    high, wide = (side // step for side, step in zip(inputs.shape[2:], (height, width), strict=True))
    cut = inputs[:, :, : high * height, : wide * width]
    return cut.reshape(*inputs.shape[:2], high, height, wide, width).mean((3, 5), dtype=np.float32)


def _telling(
    looks: list[View], positive: np.ndarray, folds: np.ndarray, groups: np.ndarray | None, part: str
) -> tuple[Telling, ...]:
    judged = [
        (auc(_column_scores(look, positive, folds), positive, groups=groups, folds=FOLDS), look) for look in looks
    ]
    judged.sort(key=lambda pair: pair[0].chance)
    found = []
    for number, (alone, look) in enumerate(judged):
        if alone.chance > (1 - LEVEL) / (len(judged) - number):
            break
        if alone.value > NOTICEABLE:
            found.append(Telling(look.name, alone.value, difference(look, positive, part)))
    return tuple(sorted(found, key=lambda one: -one.auc))


def _column_scores(look: View, positive: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """The log ratio of the parts in each row's bin, counted in the other folds."""
    bins = look.bins(BINS)
    scores = np.empty(len(positive))
    many = int(bins.max()) + 1
    for fold in np.unique(folds):
        learn, judge = folds != fold, folds == fold
        held = np.bincount(bins[learn & positive], minlength=many) + 0.5
        trained = np.bincount(bins[learn & ~positive], minlength=many) + 0.5
        scores[judge] = np.log(held / held.sum() * trained.sum() / trained)[bins[judge]]
    return scores


def _sentence(data: Data, part: str, found: Auc, differs: bool, level: float) -> str:
    how = f"with an AUC of {found.value:.2f} ({100 * level:g} % interval {found.low:.2f} to {found.high:.2f})"
    if not differs:
        return f"Training and {part} do not differ noticeably: a classifier tells them apart {how}."
    why = ", as the later rows are not like the earlier ones" if data.time is not None else ""
    return f"Training and {part} differ{why}: a classifier tells them apart {how}."
