"""The figures that stand at the head of every page of a run."""

from dataclasses import dataclass
from math import isnan

from cnnlab.config.data import fitting
from cnnlab.evaluation import registry
from cnnlab.evaluation.records import CrossValidation, TestResult
from cnnlab.evaluation.registry import METRICS, Metric
from cnnlab.evaluation.seeds import SeedResults
from cnnlab.runs import results, steps
from cnnlab.runs.folder import Run


@dataclass(frozen=True)
class Row:
    """One line of the summary.

    Attributes:
        label: What it is about.
        value: What was found, as it is shown.
        note: What else there is to say.
        estimate: The value, None where there is none.
        low: The lower limit of its interval, None where there is none.
        high: The upper one.
        missing: Whether it was not measured; the note then says how to.
        metric: What was measured, if it is an entry of ``registry.METRICS``.
    """

    label: str
    value: str
    note: str = ""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    missing: bool = False
    metric: Metric | None = None


def headlines(run: Run) -> dict[str, Row]:
    """Return the headline figures of a run; what was not measured says how to measure it.

    Returns:
        Rows by name: test_accuracy, …, kfold_accuracy, …, model; seeds_accuracy, … where there are
        several trainings.
    """
    found, seeds = test_rows(results.test(run), registry.HEADLINE), results.seeds(run)
    found |= seed_rows(seeds) if seeds and seeds.several else {}
    return found | fold_rows(results.kfold(run)) | {"model": model_row(results.model(run))}


def test_rows(test: TestResult | None, place: str) -> dict[str, Row]:
    """Return what the test images gave by the metrics of a place, test_accuracy and so on."""
    return {f"test_{name}": _test_row(name, test) for name in registry.shown(place)}


def seed_rows(seeds: SeedResults | None) -> dict[str, Row]:
    """Return mean and deviation over the trainings with each seed, seeds_accuracy and so on."""
    return {f"seeds_{name}": _seed_row(name, seeds) for name in registry.shown(registry.FOLDS)}


def fold_rows(kfold: CrossValidation | None) -> dict[str, Row]:
    """Return mean and deviation over the folds, kfold_accuracy and so on."""
    return {f"kfold_{name}": _fold_row(name, kfold) for name in registry.shown(registry.FOLDS)}


def _test_row(name: str, test: TestResult | None) -> Row:
    metric = METRICS[name]
    label = f"Test {metric.label}{' (lower is better)' if metric.lower_is_better else ''}"
    if test is None:
        return Row(label, "not measured", steps.hint("metrics/test.json"), missing=True)
    scores = test.scores
    found = scores.score(name)
    if isnan(found.estimate):
        return Row(label, "undefined", f"{scores.n} images")
    note = f"n\u00a0=\u00a0{scores.n}"
    low, high = (None if isnan(limit) else limit for limit in (found.low, found.high))
    if low is not None and high is not None:
        percent = round(scores.interval.level * 100)
        limits = f"{metric.text(low)} – {metric.text(high)}{scores.interval.over}"
        note = f"{percent} % interval {limits}, {note}"
    return Row(label, metric.text(found.estimate), note, found.estimate, low, high, metric=metric)


def _fold_row(name: str, kfold: CrossValidation | None) -> Row:
    metric = METRICS[name]
    label = f"k-fold {metric.label}"
    if kfold is None or name not in kfold.over_folds:
        return Row(label, "not measured", steps.hint("metrics/kfold.json"), missing=True)
    spread = kfold.over_folds[name]
    return Row(
        label,
        f"{metric.text(spread.mean)} ± {metric.text(spread.deviation)}",
        f"mean ± deviation of {kfold.k} folds",
        estimate=spread.mean,
        low=spread.mean - spread.deviation,
        high=spread.mean + spread.deviation,
        metric=metric,
    )


def _seed_row(name: str, seeds: SeedResults | None) -> Row:
    metric = METRICS[name]
    label = f"Test {metric.label} over seeds"
    if seeds is None or name not in seeds.test:
        return Row(label, "not measured", steps.hint("metrics/seeds.json"), missing=True)
    if not seeds.several:
        return Row(label, "one training")
    spread = seeds.test[name]
    single = zip(seeds.runs, seeds.single(name), strict=True)
    return Row(
        label,
        seeds.spread(name),
        f"mean ± deviation of {len(seeds.runs)} trainings, "
        + ", ".join(f"seed\u00a0{run.seed}:\u00a0{value}" for run, value in single),
        estimate=spread.mean,
        low=spread.mean - spread.deviation,
        high=spread.mean + spread.deviation,
        metric=metric,
    )


def model_row(model: results.ModelFacts | None) -> Row:
    """Return how large the model is."""
    if model is None:
        return Row("Model size", "no model", steps.hint("model/contract.json"), missing=True)
    note = f"{model.parameters:,} parameters, {model.image_size} pixels a side"
    stated = model.preprocessing
    if stated and (how := fitting(stated["fit"], stated["background"])):
        note += f", {how}"
    return Row("Model size", f"{model.bytes / 1e6:.1f} MB", note)
