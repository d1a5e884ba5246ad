"""The figures that stand at the head of every page of a run."""

from dataclasses import dataclass
from typing import Any

from cnnlab.runs import steps
from cnnlab.runs.findings import optional
from cnnlab.runs.folder import Run

SCORES = {"accuracy": "accuracy", "macro_f1": "macro-F1", "macro_auc": "macro-AUC"}


@dataclass(frozen=True)
class Row:
    """One line of the summary; ``low`` and ``high`` are set where the value is a fraction."""

    label: str
    value: str
    note: str = ""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    missing: bool = False


def headlines(run: Run) -> dict[str, Row]:
    """Return the headline figures of a run; what was not measured says how to measure it.

    Returns:
        Rows by name: test_accuracy, test_macro_f1, test_macro_auc, kfold_accuracy,
        kfold_macro_f1, model.
    """
    test = optional(run, "metrics/test.json")
    kfold = optional(run, "metrics/kfold.json")
    model = optional(run, "model/contract.json")
    rows = {
        f"test_{key}": interval_row(f"Test {label}", test, key) for key, label in SCORES.items()
    }
    for key in ("accuracy", "macro_f1"):
        rows[f"kfold_{key}"] = _fold_row(f"k-fold {SCORES[key]}", kfold, key)
    return rows | {"model": _model_row(model)}


def interval_row(label: str, report: dict[str, Any] | None, key: str) -> Row:
    """Return one figure of ``metrics/test.json`` with its interval."""
    if report is None:
        return Row(label, "not measured", steps.hint("metrics/test.json"), missing=True)
    found = report[key]
    if found["estimate"] is None:
        return Row(label, "undefined", f"{report['n']} images")
    percent = round(report["interval"]["level"] * 100)
    note = f"n\u00a0=\u00a0{report['n']}"
    if found["low"] is not None and found["high"] is not None:
        note = f"{percent} % interval {found['low']:.3f} – {found['high']:.3f}, {note}"
    return Row(label, f"{found['estimate']:.3f}", note, **found)


def _fold_row(label: str, report: dict[str, Any] | None, key: str) -> Row:
    if report is None:
        return Row(label, "not measured", steps.hint("metrics/kfold.json"), missing=True)
    mean, deviation = report[key]["mean"], report[key]["deviation"]
    return Row(
        label,
        f"{mean:.3f} ± {deviation:.3f}",
        f"mean ± deviation of {report['k']} folds",
        estimate=mean,
        low=mean - deviation,
        high=mean + deviation,
    )


def _model_row(contract: dict[str, Any] | None) -> Row:
    if contract is None:
        return Row("Model size", "no model", steps.hint("model/contract.json"), missing=True)
    note = f"{contract['parameters']:,} parameters, {contract['image_size']} pixels a side"
    return Row("Model size", f"{contract['bytes'] / 1e6:.1f} MB", note)
