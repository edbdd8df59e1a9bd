"""The callback beside Hugging Face's trainer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from thalweg.errors import InputError

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")
pytestmark = pytest.mark.filterwarnings("ignore")


def words(n: int = 160, seed: int = 0) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Eight tokens; the class is which of the tokens 1 and 2 stands among the first three."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (n,), generator=g)
    ids = torch.randint(3, 12, (n, 8), generator=g)
    ids[torch.arange(n), torch.randint(0, 3, (n,), generator=g)] = 1 + y
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, y


def model() -> nn.Module:
    torch.manual_seed(0)
    shape = transformers.BertConfig(
        vocab_size=12, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=2,
        max_position_embeddings=8,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(shape)


def fit(network: nn.Module, folder, *callbacks, rate: float = 5e-3) -> None:
    X, y = words()
    rows = [{name: column[i] for name, column in X.items()} | {"labels": y[i]} for i in range(len(y))]
    arguments = transformers.TrainingArguments(
        str(folder), num_train_epochs=8, per_device_train_batch_size=16, learning_rate=rate, report_to=[], seed=1,
        save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    transformers.Trainer(network, arguments, train_dataset=rows, callbacks=list(callbacks)).train()


def callback(**given):
    from thalweg.doctor.huggingface import DoctorCallback

    made = DoctorCallback(**given)
    assert isinstance(made, transformers.TrainerCallback)
    return made


def test_the_same_bits_and_no_findings_with_it(tmp_path):
    watched, plain = model(), model()
    given = {"loss": nn.functional.cross_entropy, "train": words(), "dev": words(80, 1)}
    doctor = callback(**given)
    fit(watched, tmp_path, doctor)
    after = torch.rand(1)
    fit(plain, tmp_path)
    assert torch.equal(after, torch.rand(1))
    for a, b in zip(watched.state_dict().values(), plain.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    tape = doctor.doctor._tape
    assert tape.steps == tape.forwards["training"] == 80 and not tape.faults
    assert doctor.doctor.history.last("train/error") < 0.1
    assert [finding.kind for finding in doctor.doctor.findings()] == []
    assert not watched._forward_hooks


def test_without_data_the_loop_itself_is_judged(tmp_path):
    doctor = callback()
    fit(model(), tmp_path, doctor, rate=1e6)
    assert doctor.doctor._tape.steps == 80
    assert {finding.kind for finding in doctor.doctor.findings()} & {"lr_too_high", "nan", "exploding_gradient"}


def test_where_transformers_is_missing_a_sentence_says_so(monkeypatch):
    import thalweg.doctor.huggingface as module

    monkeypatch.setattr(module, "find_spec", lambda name: None)
    module.callback_class.cache_clear()
    with pytest.raises(InputError, match="pip install"):
        module.DoctorCallback  # noqa: B018
    module.callback_class.cache_clear()
