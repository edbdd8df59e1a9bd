"""The table of settings: every fault is one sentence that names the key, and TOML loses nothing."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import InputError
from thalweg.experiments.spec import Spec


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"epoch": 10}, 'there is no setting "epoch": did you mean "epochs"'),
        ({"epochs": 0}, 'the setting "epochs" cannot be 0: input should be greater than or equal to 1'),
        ({"lr": -1.0}, 'the setting "lr" cannot be -1.0'),
        ({"lr": "fast"}, "the setting \"lr\" cannot be 'fast'"),
        ({"dropout": 1.0}, 'the setting "dropout" cannot be 1.0'),
        ({"task": "clustering"}, "the setting \"task\" cannot be 'clustering'"),
        ({"split": [0.5, 0.5, 0.5]}, "split: the three shares must be at least 0 and add up to 1"),
        ({"split": [0.8, 0.0, 0.2]}, "split: the dev part must not be empty"),
        ({"hidden": [64, 0]}, "hidden: every layer needs at least 1 unit"),
        ({"name": "../elsewhere"}, 'the setting "name" cannot be'),
        ({"folds": 3, "interventions": "a.jsonl"}, "interventions are of one run, and folds are several"),
        ({"seed": 1.5}, 'the setting "seed" cannot be 1.5'),
    ],
)
def test_a_fault_is_one_sentence(settings, sentence) -> None:
    with pytest.raises(InputError) as caught:
        Spec(data="digits", **settings)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_data_are_needed() -> None:
    with pytest.raises(InputError, match='the setting "data" is missing: A file'):
        Spec()


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "target": st.text(min_size=1, max_size=8).filter(lambda text: text.isprintable()),
        "hidden": st.lists(st.integers(1, 999), max_size=4),
        "lr": st.floats(1e-9, 10),
        "weight_decay": st.floats(0, 1),
        "clip_norm": st.none() | st.floats(1e-3, 100),
        "options": st.dictionaries(st.sampled_from(["momentum", "eps"]), st.floats(0, 1)),
        "split": st.sampled_from([None, [0.6, 0.2, 0.2], [0.8, 0.2, 0.0]]),
        "seed": st.integers(0, 2**31),
        "precision": st.sampled_from(["float32", "bfloat16"]),
    },
)


@given(SETTINGS)
def test_toml_loses_nothing(settings) -> None:
    spec = Spec(data="digits", **settings)
    assert Spec(**tomllib.loads(spec.to_toml())) == spec


def test_a_file_and_what_overrides_it(tmp_path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text('data = "digits"\nepochs = 7\nclip_norm = "none"\n')
    spec = Spec.read(path, epochs=9)
    assert (spec.data, spec.epochs, spec.clip_norm) == ("digits", 9, None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('data = "digits"\nepoch = 3', r'spec\.toml: there is no setting "epoch": did you mean "epochs"'),
        ("data = digits", r"spec\.toml is no valid TOML file"),
    ],
)
def test_a_faulty_file_is_named(tmp_path, text, sentence) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence):
        Spec.read(path)
    with pytest.raises(InputError, match="does not exist"):
        Spec.read(tmp_path / "other.toml")


def test_settings_of_functions_are_those_of_the_spec() -> None:
    """``thalweg.fit`` takes by keyword what a TOML file holds, apart from what says where data and results lie."""
    from thalweg.experiments.settings import Settings

    elsewhere = {
        "data", "model", "name", "runs", "dev", "test", "weights", "groups", "time", "split_column", "folds", "stream",
        "shard", "interventions",
    }  # fmt: skip
    assert set(Settings.__annotations__) == set(Spec.model_fields) - elsewhere


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ({"dropout": 0.2}, {"dropout": [0.2]}),
        ({"augment": "flip"}, {"augment": ["flip"]}),
        ({"class_weights": "balanced"}, {"class_weights": "balanced"}),
        ({"class_weights": [1, 5]}, {"class_weights": [1, 5]}),
    ],
)
def test_short_forms_survive_a_file(given, held, tmp_path) -> None:
    spec = Spec(data="digits", **given)
    assert {name: getattr(spec, name) for name in held} == held
    (tmp_path / "spec.toml").write_text(spec.to_toml(), encoding="utf-8")
    assert Spec.read(tmp_path / "spec.toml") == spec
