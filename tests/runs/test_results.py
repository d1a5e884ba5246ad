from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cnnlab import runs
from cnnlab.config import InputError
from cnnlab.evaluation import scoring
from cnnlab.evaluation.conformal import SetRule
from cnnlab.evaluation.ood_detection import NoveltyRule
from cnnlab.evaluation.records import Calibration, ValidationResult
from cnnlab.runs import results

AUDIT = {
    "files": {"accepted": 3, "quarantined": 1, "skipped": 0, "found": 4},
    "reasons": {"quarantined": {"empty": 1}, "skipped": {}},
    "findings": {"quarantined": 1},
    "balance": [{"label": "a", "split": "", "count": 3}],
    "imbalance": 1.5,
    "warnings": [],
    "score": [{"fault": "empty", "planted": 1, "found": 1, "recall": 1.0, "extra": 0}],
}
ROW = {
    **{"method": "Grad-CAM", "images": 12, "mean": 0.25, "low": 0.125, "high": 0.5},
    **{"gap": 0.25, "gap_low": -0.5, "gap_high": 0.5, "beats_both": False},
}
EXPLANATIONS = {
    "images": 12,
    "verdicts": ["It does not."],
    "faithfulness": {
        "deletion": [ROW, ROW | {"method": "random", "gap": None, "beats_both": None}]
    },
    "scrambled": [{"method": "Grad-CAM", "mean": 0.5}],
    "blocks": [{"layer": "relu", "probe": 0.5}],
    "claims": [{"claim": "parts above", "holds": None}],
}
SERVING = {
    **{"model_id": "m", "served": True, "files": 2, "same": 2, "largest_difference": 0.0},
    **{"hit_ratio": 0.5, "hit_ratio_foretold": 0.25, "seconds": {"cached": [{"clients": 1}]}},
}


@pytest.fixture
def run():
    return runs.open_run("demo", profile="smoke")


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        (results.Audit, AUDIT),
        (results.Explanations, EXPLANATIONS),
        (results.Serving, SERVING),
    ],
)
def test_files_of_version_0_1_0_are_read_and_lose_nothing(kind, stored):
    read = kind.from_json(stored).to_json()
    assert {name: read[name] for name in stored} == stored
    assert all(read[name] is None for name in {*read} - {*stored})  # what it did not measure


def test_a_server_that_was_not_there_measured_nothing():
    """As version 0.1.0 wrote it."""
    found = results.Serving.from_json({"model_id": "m", "served": False})
    assert (found.files, found.seconds) == (0, {})


@pytest.mark.parametrize("read", ["audit", "validation", "kfold", "test", "explanations", "model"])
def test_what_was_not_measured_is_none(run, read):
    assert getattr(results, read)(run) is None


def test_a_damaged_file_is_named_with_the_notebook_that_writes_it(run):
    run.save_json("metrics/audit.json", AUDIT | {"files": 3})
    with pytest.raises(InputError) as caught:
        results.audit(run)
    path = run.folder / "metrics" / "audit.json"
    assert str(caught.value) == (
        f"{path} is damaged: files is 3, expected an object. "
        "To write it again, run notebook 01_explore_data."
    )
    run.save_text("metrics/kfold.json", "{")
    with pytest.raises(InputError, match=r"kfold\.json is damaged, it is no JSON .*04_kfold"):
        results.kfold(run)


def test_validation_scores_are_renewed_from_the_stored_answers_where_resamples_changed(run):
    names, rows = ["a", "b"], pd.DataFrame({"path": [f"{i}.png" for i in range(8)]})
    labels, wins = np.array([0, 1] * 4), np.array([0.9, 0.2, 0.6, 0.4, 0.3, 0.1, 0.8, 0.7])
    probabilities = np.stack([wins, 1 - wins], axis=1).astype(np.float32)
    dataset = SimpleNamespace(
        class_names=names, indices=lambda _: np.arange(8), groups=lambda _: None
    )
    options = {"seed": run.settings.seed}
    older = scoring.evaluate(labels, probabilities, names, samples=40, **options)
    rules = Calibration(1.0, SetRule(0.9, 0.2, 8), NoveltyRule(0.95, 0.3, 8))
    run.save_json("metrics/validation.json", ValidationResult(older, calibration=rules))
    answered = scoring.predictions(rows, labels, probabilities, names)
    run.save_table("predictions/validation.csv", answered)
    samples = run.settings.evaluation.bootstrap_samples
    expected = scoring.evaluate(labels, probabilities, names, samples=samples, **options)
    found = results.renewed_validation(run, dataset)
    assert (found.scores, found.calibration) == (expected, rules)
    assert results.validation(run) == found
    written = run.path("metrics", "validation.json").stat().st_mtime_ns
    assert results.renewed_validation(run, dataset) == found  # as many resamples: nothing to do
    assert run.path("metrics", "validation.json").stat().st_mtime_ns == written
