"""A new metric is a function and an entry: interval, table, card and comparison follow."""

import numpy as np
import pandas as pd
import pytest

from cnnlab import report
from cnnlab.evaluation import crossval, records, registry, resampling, scoring
from cnnlab.evaluation.conformal import SetRule
from cnnlab.evaluation.ood_detection import NoveltyRule
from cnnlab.report import comparison_page, front_page
from cnnlab.runs import results

ALL = np.ones(20, bool)


def error_percent(labels, probabilities):
    """Return the share of wrong answers, 0…100."""
    return 100 * float(np.mean(probabilities.argmax(axis=1) != labels))


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    places = (registry.CARD, registry.HEADLINE, registry.FOLDS, registry.COMPARISON)
    metric = registry.Metric(
        *("error rate (%)", "share of wrong answers", error_percent, places),
        lower_is_better=True,
        format=".1f",
    )
    monkeypatch.setitem(registry.METRICS, "error_percent", metric)


def test_it_is_evaluated_with_an_interval(measured):
    run = measured("a", np.arange(20) > 4, ALL)
    stored = run.load_json("metrics/test.json")
    assert stored["error_percent"]["estimate"] == 25
    assert 0 <= stored["error_percent"]["low"] < 25 < stored["error_percent"]["high"] < 100
    assert stored["interval"]["methods"]["error_percent"] == resampling.METHOD
    scores = results.test(run).scores
    assert scores.score("error_percent").estimate == 25
    assert scoring.headlines(scores).loc["error rate (%)", "estimate"] == 25


def test_headline_card_and_comparison_show_it(measured):
    first, second = measured("a", np.arange(20) > 4, ALL), measured("b", ALL, ALL)
    rows = {row.label: row for row in front_page.summary(first)}
    assert rows["Test error rate (%) (lower is better)"].value == "25.0"

    first.save_table("training/history.csv", pd.DataFrame({"epoch": [1], "validation_loss": [0.5]}))
    splits = first.load_table("splits.csv").assign(split="test")
    first.save_table("splits.csv", splits)
    test = results.test(first)
    rules = records.Calibration(1.0, SetRule(0.9, 0.1, 20), NoveltyRule(0.95, 0.4, 20))
    validation = records.ValidationResult(test.scores, calibration=rules)
    card = report.model_card(first, validation=validation, test=test)
    assert "| error rate (%) | 25.0 [" in card

    lines = {
        line.label: line for line in comparison_page.compare(first.folder, second.folder).lines
    }
    line = lines["Test error rate (%) (lower is better)"]
    assert (line.first.value, line.second.value, line.difference) == ("25.0", "0.0", "+25.0")
    assert line.limits.startswith("+")
    # Both cross-validations were made before the metric was there.
    assert lines["k-fold error rate (%)"].first.value == "not measured"


def test_a_cross_validation_has_it_fold_by_fold():
    labels = np.arange(20) % 2

    def run_folds(pairs):
        return [(np.tile([0.9, 0.1], (len(held_out), 1)), 1.0) for _, held_out in pairs]

    table, _ = crossval.cross_validate(labels, np.arange(20), 2, 0, run_folds, num_classes=2)
    found = crossval.summary(table)
    assert [fold.scores["error_percent"] for fold in found.folds] == [50, 50]
    assert found.to_json()["error_percent"] == {"mean": 50, "deviation": 0}
