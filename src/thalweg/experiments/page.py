"""From what lies in a run's folder to its page: gathers, lets the doctor look, hands all to the report.

The page is made from files alone, so ``thalweg report RUN`` can make it anew at any time, of a run that still goes too.
"""

from __future__ import annotations

import platform
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from thalweg.experiments.build import build_optimizer
from thalweg.experiments.experiment import Experiment
from thalweg.experiments.findings import read_findings, what_helped
from thalweg.experiments.folder import Folder
from thalweg.experiments.interventions import read_record
from thalweg.experiments.parts import Prepared
from thalweg.experiments.spec import Spec
from thalweg.history import History
from thalweg.train import sparsity
from thalweg.train.objectives import predict
from thalweg.train.parallel import plain_type

MOST_POINTS = 2000


def evidence_of(experiment: Experiment, prepared: Prepared) -> dict[str, Any]:
    """What the page shows beyond the history, as plain data: layers, formula, errors by class or predictions, versions."""
    parts, preprocessor = prepared.parts, prepared.preprocessor
    assert preprocessor is not None
    part, (inputs, targets) = ("dev", parts.dev) if parts.test is None else ("test", parts.test)
    outputs = predict(experiment.model, inputs).cpu()
    truth = experiment.truth(targets).cpu().numpy()
    evidence: dict[str, Any] = {
        "part": part,
        "layers": describe(experiment.model),
        "rule": formula(experiment),
        "environment": environment(experiment),
        "notes": [*prepared.notes, *preprocessor.notes],
    }
    if experiment.spec.l1:
        evidence["sparsity"] = sparsity(experiment.model)
    if preprocessor.classes is None:
        guess = preprocessor.restore_targets(outputs.double().reshape(truth.shape).numpy())
        columns = [values.reshape(len(values), -1).T for values in (preprocessor.restore_targets(truth), guess)]
        evidence["predictions"] = [
            {"name": name, "true": true[:MOST_POINTS].tolist(), "predicted": said[:MOST_POINTS].tolist()}
            for name, true, said in zip(preprocessor.target_names, *columns, strict=True)
        ]
        return evidence
    classes = len(preprocessor.classes)
    single = outputs.ndim == 1 or outputs.shape[1] == 1
    guess = (outputs.reshape(-1) > 0).long().numpy() if single else outputs.argmax(1).numpy()
    matrix = np.zeros((classes, classes), dtype=int)
    np.add.at(matrix, (truth.reshape(-1).astype(int), guess), 1)
    evidence["confusion"] = {"classes": list(preprocessor.classes), "matrix": matrix.tolist()}
    return evidence


def describe(model: torch.nn.Module) -> list[dict[str, Any]]:
    """One record for each module that holds parameters of its own or acts on them: name, type, shape, parameters."""
    layers = []
    for name, module in model.named_modules():
        if next(module.children(), None) is None:
            own = list(module.parameters(recurse=False))
            shape = "×".join(str(size) for size in own[0].shape) if own else ""
            layers.append(
                {
                    "name": name or "model",
                    "type": plain_type(module).__name__,
                    "shape": shape,
                    "parameters": sum(parameter.numel() for parameter in own),
                }
            )
    return layers


def formula(experiment: Experiment) -> str:
    """The update rule as its equations, with its decay and clipping."""
    from thalweg import optim

    optimizer = build_optimizer(experiment.spec, [torch.nn.Parameter(torch.zeros(1))], lr=experiment.spec.lr or 1.0)
    assert isinstance(optimizer, optim.Optimizer)
    return optim.formula(optimizer)


def environment(experiment: Experiment) -> dict[str, str]:
    """Versions and place, for the reader who wants the same numbers."""
    import numba

    import thalweg

    device = next(experiment.model.parameters()).device
    return {
        "thalweg": thalweg.__version__,
        "torch": torch.__version__,
        "numba": numba.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "threads": str(experiment.spec.threads),
    }


def write_page(folder: Folder) -> None:
    """Makes ``page.html`` from the folder's files and puts the doctor's findings into ``result.json``."""
    page, result = rendered(folder)
    if folder.result.exists():
        folder.write_json(folder.result, result)
    folder.write(folder.page, page)


def rendered(folder: Folder, *, status: str = "") -> tuple[str, dict[str, Any]]:
    """The page of a run as its files stand, and its result with the doctor's findings; writes nothing.

    A ``status`` takes the place of the one in the files, which a killed run could not bring up to date.
    """
    from thalweg import diagnose, report

    spec = Spec.read(folder.spec)
    result: dict[str, Any] = folder.read_json(folder.result) if folder.result.exists() else {"status": "running"}
    history = History.read(folder.history) if folder.history.exists() else History()
    verdict = diagnose.examine(history, facts_of(spec, result)) if spec.folds is None else diagnose.Verdict()
    verdict = read_findings(folder, history) or verdict
    result["findings"] = [{"kind": f.kind, "title": f.title, "sentence": f.sentence} for f in verdict.findings]
    record = folder.path / "interventions.jsonl"
    rate = report.RateReport.from_dict(folder.read_json(folder.rate)) if folder.rate.exists() else None
    run = report.RunReport(
        name=folder.name,
        created=result.get("created", ""),
        status=status or _status(result),
        task=result.get("task", ""),
        data=result.get("data", {"name": spec.data}) | {"parts": result.get("parts", {})},
        spec=spec.model_dump(exclude_none=True),
        layers=result.get("layers", []),
        rule=result.get("rule", ""),
        metrics=result.get("metrics", {}),
        part=result.get("part", "test"),
        best_epoch=result.get("best_epoch"),
        rate=rate,
        confusion=result.get("confusion"),
        predictions=result.get("predictions", ()),
        choices=[(choice["what"], choice["value"], choice["why"]) for choice in result.get("choices", [])],
        environment=result.get("environment", {}),
        folds=result.get("folds", ()),
        interventions=[asdict(one) for one in read_record(record)] if record.exists() else (),
        notes=[*what_helped(folder), *result.get("notes", []), *_on_zeros(result.get("sparsity"))],
    )
    return report.render(run, history, verdict), result


def _on_zeros(sparsity: dict[str, float] | None) -> list[str]:
    if sparsity is None:
        return []
    layers = ", ".join(f"{name} {share:.1%}" for name, share in sparsity.items() if name != "total")
    return [f"Weights that L1 has set to exactly 0: {sparsity['total']:.1%} ({layers})."]


def _status(result: dict[str, Any]) -> str:
    stopped = result.get("stopped")
    return f"{result['status']}: {stopped}" if stopped else str(result["status"])


def facts_of(spec: Spec, result: dict[str, Any]) -> Any:
    from thalweg import diagnose

    parts, counts = result.get("parts", {}), result.get("data", {}).get("classes") or {}
    rows = sum(counts.values())
    return diagnose.Facts(
        task=result.get("task", "multiclass"),
        classes=len(counts) or 1,
        class_shares=tuple(count / rows for count in counts.values()),
        stopped=result.get("stopped", ""),
        n_train=parts.get("train", 0),
        n_dev=parts.get("dev", 0),
        epochs=spec.epochs,
        batch_size=spec.batch_size or 0,
        rule=spec.rule,
        schedule=spec.schedule,
        stable_product=_stable_product(spec),
    )


def _stable_product(spec: Spec) -> float:
    """The largest stable rate times curvature on a quadratic (``rules.Stability``); 0 for rules that have none."""
    beta = spec.options.get("momentum", 0.0) if spec.rule == "sgd" else spec.options.get("beta", 0.9)
    if not isinstance(beta, int | float) or spec.options.get("nesterov") or spec.options.get("dampening"):
        return 0.0
    by_rule = {
        "sgd": 2 * (1 + beta),
        "heavy_ball": 2 * (1 + beta),
        "momentum": 2 * (1 + beta) / (1 - beta) if beta < 1 else 0.0,
        "nesterov": 2 * (1 + beta) / (1 + 2 * beta),
    }
    return by_rule.get(spec.rule, 0.0)
