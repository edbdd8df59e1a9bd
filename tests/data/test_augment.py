"""Words, order, seeds and refusals of augmentation; what each step does is in the two files beside this one."""

from __future__ import annotations

import pytest
import torch

from thalweg.data.augment import STEPS, Augmented, check, outline, parse
from thalweg.data.batches import TensorBatches
from thalweg.errors import InputError

IMAGES, TABLE = (
    ("flip", "vflip", "crop", "zoom", "rotate", "shear", "elastic", "cutout", "brightness", "contrast"),
    (
        "noise",
        "mixup",
    ),
)


def made(words, *, shape=(1, 8, 8), rows=40, seed=0, batch=16, fill=-0.5, **options) -> Augmented:
    generator = torch.Generator().manual_seed(7)
    inputs = torch.randn(rows, *shape, generator=generator)
    targets = torch.randint(0, 3, (rows,), generator=generator)
    batches = TensorBatches(inputs, targets, batch_size=batch, seed=1, **options)
    return Augmented(batches, parse(words), seed=seed, fill=fill, classes=3)


def same(first, second) -> bool:
    return all(torch.equal(a, b) for one, two in zip(first, second, strict=True) for a, b in zip(one, two, strict=True))


def test_the_words_are_all_there() -> None:
    assert set(STEPS) == {*IMAGES, *TABLE}
    assert [name for name, kind in STEPS.items() if not kind.images_only] == list(TABLE)


@pytest.mark.parametrize("name", STEPS)
class TestEveryStep:
    def test_strength_zero_changes_no_bit(self, name) -> None:
        batches = made([f"{name}(0)"])
        assert same(batches.epoch(2), batches.batches.epoch(2))

    def test_comes_from_seed_pass_and_batch_alone(self, name) -> None:
        torch.manual_seed(1)
        state = torch.get_rng_state()
        passes = {(seed, epoch): list(made([name], seed=seed).epoch(epoch)) for seed in (0, 1) for epoch in (0, 1)}
        assert torch.equal(torch.get_rng_state(), state)
        torch.manual_seed(2)
        assert same(made([name], seed=1).epoch(1), passes[1, 1])
        assert same(made([name], seed=1).epoch(1, start=1), passes[1, 1][1:])
        assert not same(passes[0, 0], passes[1, 0]) and not same(passes[0, 0], passes[0, 1])

    def test_does_something_and_writes_to_nothing_that_came_in(self, name) -> None:
        batches = made([f"{name}(1)"] if "flip" in name else [name])
        before = batches.batches.inputs.clone()
        assert not same([next(batches.epoch(0))], [next(batches.batches.epoch(0))])
        assert torch.equal(batches.batches.inputs, before)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
    def test_keeps_shape_type_and_layout(self, name, dtype) -> None:
        inputs = torch.randn(6, 3, 10, 12).to(dtype).to(memory_format=torch.channels_last)
        plain = TensorBatches(inputs, torch.arange(6) % 3, batch_size=6, seed=0)
        fill = (0.0, -1.0, 1.0)
        ((changed, targets),) = Augmented(
            _ChannelsLast(plain), parse([name]), seed=0, fill=fill, classes=3
        ).epoch(0)  # fmt: skip
        assert changed.shape == inputs.shape and changed.dtype == dtype and len(targets) == 6
        assert changed.is_contiguous(memory_format=torch.channels_last) and bool(changed.isfinite().all())

    def test_processes_change_their_rows_as_one_would(self, name) -> None:
        """All but the pairing of mixup; 35 rows, so that the shares of the last mini-batch are one and two rows."""
        if name == "mixup":
            return
        whole = list(made([name], rows=35).epoch(3))
        shares = [list(made([name], rows=35, rank=rank, world=3).epoch(3)) for rank in range(3)]
        for batch, *parts in zip(whole, *shares, strict=True):
            for rank, part in enumerate(parts):
                torch.testing.assert_close(part[0], batch[0][rank::3])
                assert torch.equal(part[1], batch[1][rank::3])


class _ChannelsLast:
    def __init__(self, batches) -> None:
        self.batches = batches

    def epoch(self, number, start=0):
        for inputs, targets in self.batches.epoch(number, start):
            yield inputs.to(memory_format=torch.channels_last), targets

    def __len__(self) -> int:
        return len(self.batches)


@pytest.mark.parametrize("name", [name for name in STEPS if name != "mixup"])
def test_an_image_is_changed_without_regard_to_its_neighbours(name) -> None:
    inputs = torch.randn(12, 2, 9, 9)
    others = inputs.clone()
    others[1:] = torch.randn(11, 2, 9, 9)
    found = []
    for images in (inputs, others):
        batches = TensorBatches(images, torch.arange(12), batch_size=12, seed=0)
        ((changed, rows),) = Augmented(batches, parse([name]), seed=5).epoch(0)
        found.append(changed[rows == 0])
    torch.testing.assert_close(*found)


def test_each_image_gets_numbers_of_its_own() -> None:
    inputs = torch.arange(81.0).view(1, 1, 9, 9).expand(12, 1, 9, 9).contiguous()
    for name in ("crop(4)", "zoom", "rotate", "shear", "elastic", "cutout", "brightness", "contrast", "noise"):
        batches = TensorBatches(inputs, torch.arange(12), batch_size=12, seed=0)
        ((changed, _),) = Augmented(batches, parse([name]), seed=5).epoch(0)
        assert len({tuple(image.flatten().tolist()) for image in changed}) > 8, name


class TestWords:
    def test_strengths(self) -> None:
        steps = parse([" Rotate( 15 )", "zoom(.2)", "flip", "noise(1e-2)"])
        assert [str(step) for step in steps] == ["rotate(15)", "zoom(0.2)", "flip", "noise(0.01)"]
        assert parse([str(step) for step in steps]) == steps
        assert parse([]) == () and outline(()) == "training examples are used as they are"

    def test_standard_has_no_flip_and_gives_way_to_what_is_named(self) -> None:
        assert [step.name for step in parse(["standard"])] == ["crop"]
        steps = parse(["flip", "crop(3)", "standard"])
        assert sorted(map(str, steps)) == ["crop(3)", "flip"]
        assert sorted(map(str, parse(["standard", "rotate"]))) == ["crop", "rotate"]

    def test_pixels_without_a_number_follow_the_image(self) -> None:
        crop, cutout, elastic = parse(["crop", "cutout", "elastic"])
        sizes = [(crop.on((1, n, n)), cutout.on((1, n, n)), elastic.on((1, n, n))) for n in (8, 28, 32)]
        assert sizes == [(1, 2, pytest.approx(8 / 28)), (2, 7, pytest.approx(1.0)), (2, 8, pytest.approx(32 / 28))]

    def test_an_outline_is_a_sentence(self) -> None:
        assert outline(parse(["crop", "rotate(15)", "mixup"]), (1, 28, 28)) == (
            "each training example is shifted by up to 2 pixels, turned by up to 15°, mixed with another, λ ~ Beta(0.2, 0.2)"
        )

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["flop"], 'there is no augmentation "flop": did you mean "flip"'),
            (["standart"], 'did you mean "standard"'),
            (["xyz"], "choose among standard, flip, vflip, crop"),
            (["rotate(a)"], r'"rotate\(a\)" is no augmentation'),
            (["rotate(1e)"], r'"rotate\(1e\)": 1e is no number'),
            (["rotate(400)"], "the strength of rotate is 400: it must be from 0 to 180"),
            (["noise(-1)"], "the strength of noise is -1: it must be 0 or more"),
            (["crop(2.5)"], "whole number of pixels"),
            (["flip", "flip(1)"], "flip is named twice"),
            (["__import__('os')"], "is no augmentation"),
        ],
    )
    def test_wrong_words(self, words, sentence) -> None:
        with pytest.raises(InputError, match=sentence):
            parse(words)


class TestWhereItFits:
    @pytest.mark.parametrize("name", IMAGES)
    def test_image_steps_on_tables(self, name) -> None:
        with pytest.raises(InputError, match=f"{name} is for images, and an example here is 13 numbers: choose among"):
            next(made([name], shape=(13,)).epoch(0))

    def test_steps_of_tables_go_anywhere(self) -> None:
        for shape in ((13,), (5, 4), (1, 8, 8)):
            check(parse(TABLE), shape)

    def test_larger_than_the_image(self) -> None:
        with pytest.raises(InputError, match=r"crop\(9\) is larger than the images, 8 × 8: give fewer pixels than 8"):
            next(made(["crop(9)"]).epoch(0))

    def test_fill_for_other_channels(self) -> None:
        with pytest.raises(InputError, match="2 fill values for images of 1 channels"):
            next(made(["crop"], fill=(0.0, 1.0)).epoch(0))

    def test_protected_features_must_be_there(self) -> None:
        batches = TensorBatches(torch.zeros(4, 3), torch.zeros(4), batch_size=4, seed=0)
        with pytest.raises(InputError, match=r"protected features \[3\] are not among"):
            next(Augmented(batches, parse(["noise"]), seed=0, protected=(3,)).epoch(0))
