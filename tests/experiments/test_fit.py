"""``thalweg.fit`` on modules, data and optimizers of the user's own."""

from __future__ import annotations

import copy

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import thalweg
from thalweg.errors import Diverged, InputError
from thalweg.train import Hook


def blobs(rows: int = 300, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, rows)
    return rng.normal(size=(rows, 4)) + 2.5 * rng.normal(size=(classes, 4))[labels], labels


def net(outputs: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, outputs))


class Residual(nn.Module):
    """Something explicit back-propagation does not know."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.middle, self.last = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x).relu()
        return self.last(h + self.middle(h).tanh())


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("make", [net, Residual])
def test_any_module_on_arrays_with_a_rate_found(make) -> None:
    fitted = thalweg.fit(make(), blobs(), epochs=10)
    assert fitted.metrics["test"]["accuracy"] > 0.85
    assert fitted.spec.lr is not None and "lr" in {choice.what for choice in fitted.choices}
    assert not fitted.model.training
    assert len(fitted.history.column("dev/loss").values) >= 10


def test_a_warm_up_that_waits_for_a_measurement_does_not_raise_the_rate_found() -> None:
    waiting = "until('train/accuracy', 0.5, constant(0.1)) >> constant()"
    plain, waited = (thalweg.fit(net(), blobs(), epochs=4, schedule=text) for text in ("constant()", waiting))
    assert waited.spec.lr == plain.spec.lr
    rates = waited.history.column("lr").values / waited.spec.lr
    assert rates[0] == pytest.approx(0.1) and rates[-1] == pytest.approx(1.0)


def test_the_same_seed_gives_the_same_bits() -> None:
    first, second = (thalweg.fit(Residual(), blobs(), epochs=3).model for _ in range(2))
    assert torch.equal(weights(first), weights(second))


@pytest.mark.parametrize(
    "make", [lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9), lambda p: torch.optim.Adam(p, lr=0.01)]
)
def test_a_plain_torch_optimizer(make) -> None:
    model = Residual()
    optimizer = make(model.parameters())
    before = optimizer.param_groups[0]["lr"]
    fitted = thalweg.fit(model, blobs(), optimizer=optimizer, epochs=15)
    assert fitted.metrics["test"]["accuracy"] > 0.85
    assert optimizer.param_groups[0]["lr"] == before
    assert "lr" not in {choice.what for choice in fitted.choices}


def test_explicit_back_propagation_is_only_a_faster_way() -> None:
    plain, other = net(), net()
    thalweg.fit(plain, blobs(), epochs=2, lr=0.01)
    hooked = other.register_forward_hook(lambda *_: None)  # a hook sends it to autograd
    thalweg.fit(other, blobs(), epochs=2, lr=0.01)
    hooked.remove()
    torch.testing.assert_close(weights(plain), weights(other), rtol=1e-4, atol=1e-5)


def test_loaders_are_taken_as_they_are() -> None:
    inputs, labels = blobs()
    data = TensorDataset(torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels))
    train, dev = torch.utils.data.random_split(data, [200, 100], generator=torch.Generator().manual_seed(0))
    fitted = thalweg.fit(
        Residual(),
        DataLoader(train, batch_size=20, shuffle=True),
        dev=DataLoader(dev, batch_size=50),
        epochs=10,
        lr=0.01,
    )
    assert fitted.metrics["dev"]["accuracy"] > 0.85 and "test" not in fitted.metrics
    with pytest.raises(InputError, match="needs a dev part beside it"):
        thalweg.fit(Residual(), DataLoader(train, batch_size=20), epochs=1)


def test_a_frame_with_a_target_column_and_a_regression() -> None:
    inputs, _ = blobs()
    frame = pl.DataFrame(inputs, schema=list("abcd")).with_columns(y=pl.col("a") * 3 - pl.col("b") + 100)
    fitted = thalweg.fit(net(1), frame, target="y", epochs=40)
    assert fitted.metrics["test"]["r2"] > 0.9
    assert fitted.preprocessor is not None


def test_a_loss_of_the_users_own() -> None:
    inputs, _ = blobs()
    targets = inputs @ np.array([1.0, -2.0, 0.5, 0.0])
    huber = nn.HuberLoss()
    fitted = thalweg.fit(
        net(1),
        (inputs, targets),
        task="regression",
        loss=lambda outputs, y: huber(outputs.squeeze(1), y),
        epochs=20,
        lr=0.02,
    )
    assert set(fitted.metrics["test"]) == {"loss"} and fitted.metrics["test"]["loss"] < 0.05


def test_hooks_and_history_of_the_users_own(tmp_path) -> None:
    class Count(Hook):
        steps = 0

        def on_step(self, state):
            self.steps += 1

    count = Count()
    fitted = thalweg.fit(net(), blobs(), epochs=3, lr=0.01, batch_size=32, hooks=(count,), history=tmp_path / "h.jsonl")
    assert count.steps == 3 * -(-len(fitted.history.column("batch/loss").values) // 3) or count.steps > 0
    assert thalweg.History.read(tmp_path / "h.jsonl").columns == fitted.history.columns


def test_faults_are_sentences() -> None:
    with pytest.raises(InputError, match=r"outputs of shape \(2, 2\) for 2 examples"):
        thalweg.fit(net(2), blobs(), epochs=1)
    with pytest.raises(InputError, match='there is no rule "adamm"'):
        thalweg.fit(net(), blobs(), rule="adamm", epochs=1)
    with pytest.raises(InputError, match='the setting "epochs" cannot be 0'):
        thalweg.fit(net(), blobs(), epochs=0)
    with pytest.raises(InputError, match=r"300.*299"):
        thalweg.fit(net(), (blobs()[0], blobs()[1][:-1]), epochs=1)
    with pytest.raises(Diverged, match=r"at step \d+ .*first in"):
        thalweg.fit(net(1), (blobs()[0], blobs()[0][:, 0]), rule="sgd", lr=1e9, clip_norm=None, epochs=5)


@pytest.mark.parametrize(
    ("model", "optimizer", "sentence"),
    [
        (lambda x: x, None, "the model is function, not a"),
        (net().double(), None, r"the model holds torch\.float64"),
        (nn.LazyLinear(3), None, "lazy layers"),
        (net().requires_grad_(False), None, "no parameter to train"),
        (net(), "adam", "is no torch.optim optimizer"),
        (net(), torch.optim.SGD, "is no torch.optim optimizer"),
        (net(), torch.optim.SGD(net().parameters(), lr=0.1), "holds none of the model's parameters"),
    ],
)
def test_what_would_train_nothing_is_said_at_once(model, optimizer, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        thalweg.fit(model, blobs(), optimizer=optimizer, epochs=1)


def test_the_callers_threads_and_random_state_of_numpy_are_left_alone() -> None:
    threads, state = torch.get_num_threads(), np.random.get_state()[1].copy()  # noqa: NPY002
    thalweg.fit(copy.deepcopy(net()), blobs(), epochs=1, lr=0.01)
    assert torch.get_num_threads() == threads
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"weights": np.ones(120), "loss": nn.functional.cross_entropy}, "weights belongs to the task's own loss"),
        ({"class_weights": "balanced", "loss": nn.functional.cross_entropy}, "class_weights belongs to the task's"),
        ({"hidden": [8]}, "hidden does not belong to your own module"),
        ({"dropout": 0.5}, "dropout does not belong to your own module"),
    ],
)
def test_what_would_be_ignored_is_said(given, sentence) -> None:
    inputs = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)
    with pytest.raises(InputError, match=sentence):
        thalweg.fit(net(), (inputs, np.arange(120) % 3), epochs=1, lr=0.01, **given)


@pytest.mark.parametrize(
    "given", [{"weights": [1.0] * 60}, {"groups": [0] * 60}, {"scale": "robust"}, {"batch_size": 8}]
)
def test_loaders_take_nothing_that_is_for_arrays(given) -> None:
    loader = DataLoader(TensorDataset(torch.randn(60, 4), torch.arange(60) % 3), batch_size=20)
    with pytest.raises(InputError, match=f"{next(iter(given))} does not belong to a DataLoader"):
        thalweg.fit(net(), loader, dev=loader, epochs=1, lr=0.01, **given)


def test_an_optimizer_of_ones_own_has_its_own_rate() -> None:
    model = net()
    with pytest.raises(InputError, match="lr does not belong to an optimizer of your own"):
        thalweg.fit(model, "wine", optimizer=torch.optim.SGD(model.parameters(), 0.1), lr=0.5)


def test_a_part_in_which_nothing_counts_is_said() -> None:
    parts = np.repeat(["train", "dev", "test"], [60, 30, 30])
    inputs = np.random.default_rng(0).normal(size=(120, 4))
    with pytest.raises(InputError, match="every row of the dev part has weight 0"):
        thalweg.fit("linear", (inputs, np.arange(120) % 2), weights=1.0 * (parts != "dev"), split_column=parts, lr=0.1)


def test_a_metric_that_the_dev_part_does_not_have_cannot_be_watched() -> None:
    parts = np.repeat(["train", "dev", "test"], [60, 30, 30])
    inputs = np.random.default_rng(0).normal(size=(120, 4))
    labels = np.where(parts == "dev", 1, np.arange(120) % 2)
    with pytest.raises(InputError, match="auc cannot be measured on the dev part"):
        thalweg.fit("linear", (inputs, labels), split_column=parts, watch="auc", epochs=1, lr=0.1)
