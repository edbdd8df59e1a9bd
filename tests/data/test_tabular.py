"""Categories of many values: one code each, exact, whatever the scale of the numbers beside it."""

from __future__ import annotations

import json

import numpy as np
from tests.data.fitted import fitted, repeated

from thalweg.data import Embedded, Preprocessor

GENERATOR = np.random.default_rng(0)


def test_categories_of_many_values_become_codes() -> None:
    towns = [None, "rare", *[f"t{n:02}" for n in range(14) for _ in range(2)]]
    columns = {"x": GENERATOR.normal(size=30), "town": towns, "few": repeated("abc"), "z": GENERATOR.normal(size=30)}
    preprocessor = fitted(columns)
    assert preprocessor.embedded == (Embedded("town", 1, 16),)
    assert preprocessor.feature_names == ("x", "town", "few=a", "few=b", "few=c", "z")
    found = preprocessor.inputs(columns)
    assert found.dtype == np.float32
    assert found[:, 1].tolist() == [1, 0, *[2 + n for n in range(14) for _ in range(2)]]
    new = preprocessor.inputs(
        {**{name: [columns[name][0]] * 3 for name in columns}, "town": ["t13", "never seen", None]}
    )
    assert new[:, 1].tolist() == [15, 0, 1]
    again = Preprocessor.from_dict(json.loads(json.dumps(preprocessor.to_dict())))
    assert again.embedded == preprocessor.embedded
    assert np.array_equal(again.inputs(columns), found)
    for scale in ("robust", "quantile", "none"):
        assert np.array_equal(fitted(columns, scale=scale).inputs(columns)[:, 1], found[:, 1])


def test_a_missing_code_where_training_had_none_is_like_one_never_seen() -> None:
    preprocessor = fitted({"town": repeated([f"t{n:02}" for n in range(15)])})
    assert preprocessor.embedded == (Embedded("town", 0, 16),)
    assert preprocessor.inputs({"town": [None, "t00", "t14", "new"]}).tolist() == [[0], [1], [15], [0]]


def test_codes_and_features_of_their_own_meet_at_ten_values() -> None:
    assert fitted({"c": repeated([f"c{n}" for n in range(10)])}).embedded == ()
    assert len(fitted({"c": repeated([f"c{n}" for n in range(11)])}).embedded) == 1
    assert fitted({"c": repeated([f"c{n}" for n in range(11)])}, embed=False).input_shape == (11,)
    assert fitted(GENERATOR.normal(size=(30, 3))).embedded == ()


def test_at_most_ten_thousand_values_have_a_code() -> None:
    values = np.repeat([f"v{n:05}" for n in range(11_000)], np.where(np.arange(11_000) % 11 == 5, 2, 3))
    preprocessor = fitted({"c": values}, len(values))
    assert preprocessor.embedded[0].size == 10_001
    codes = preprocessor.inputs({"c": values})[:, 0]
    assert (len(np.unique(codes)), codes.max(), (codes == 0).sum()) == (10_001, 10_000, 2000)
