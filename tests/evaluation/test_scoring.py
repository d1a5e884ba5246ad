import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cnnlab.config import InputError, child_seed
from cnnlab.evaluation import intervals, metrics, scoring
from cnnlab.evaluation.records import Evaluation
from cnnlab.evaluation.registry import METRICS

NAMES = ["cup", "hat", "shoe"]
LABELS = np.array([0, 0, 1, 1, 1, 0])
PROBABILITIES = np.array(
    [
        [0.7, 0.2, 0.1],
        [0.3, 0.6, 0.1],
        [0.1, 0.8, 0.1],
        [0.2, 0.5, 0.3],
        [0.5, 0.3, 0.2],
        [0.6, 0.3, 0.1],
    ],
    np.float32,
)


@pytest.fixture(scope="module")
def found():
    return scoring.evaluate(LABELS, PROBABILITIES, NAMES, samples=200, seed=3)


def test_evaluation_survives_strict_json(found):
    plain = found.to_json()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert Evaluation.from_json(plain).to_json() == plain


def test_evaluation_holds_the_metrics(found):
    assert found.n == 6
    assert found.class_names == tuple(NAMES)
    assert found.interval.seed == child_seed(3, "bootstrap")
    assert (found.interval.unit, found.interval.groups) == ("image", 6)
    assert list(found.scores) == list(METRICS) == list(found.interval.methods)
    for name, interval in found.scores.items():
        assert interval.low <= interval.estimate <= interval.high, name
        assert interval.low < interval.high, name
    assert sum(each.count for each in found.reliability) == 6
    assert found.confusion == ((2, 1, 0), (1, 2, 0), (0, 0, 0))
    assert found.correct == 4
    assert [each.name for each in found.per_class] == NAMES
    assert [each.support for each in found.per_class] == [3, 3, 0]
    assert found.per_class[0].recall == pytest.approx(2 / 3)
    assert found.per_class[0].f1_low <= 2 / 3 <= found.per_class[0].f1_high


def test_what_is_undefined_is_null(found):
    assert found.per_class[2].to_json() == {
        "class": "shoe",
        "support": 0,
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
        "auc": None,
        "average_precision": None,
        "f1_low": 0.0,
        "f1_high": 1.0,  # nothing is known
        "average_precision_low": None,
        "average_precision_high": None,
    }


def test_predictions_have_a_row_per_image():
    rows = pd.DataFrame({"path": [f"{i}.jpg" for i in range(6)]}, index=range(10, 16))
    table = scoring.predictions(rows, LABELS, PROBABILITIES, NAMES)
    assert list(table.columns) == [
        *("path", "label", "predicted", "probability", "correct"),
        *("p_cup", "p_hat", "p_shoe"),
    ]
    assert table.loc[1].to_dict() == {
        "path": "1.jpg",
        "label": "cup",
        "predicted": "hat",
        "probability": np.float32(0.6),
        "correct": False,
        "p_cup": np.float32(0.3),
        "p_hat": np.float32(0.6),
        "p_shoe": np.float32(0.1),
    }
    assert table["correct"].tolist() == [True, False, True, True, False, True]


def test_roc_curves_of_the_classes_that_have_one_and_their_averages():
    names = ["macro average", *NAMES[1:]]  # a class may be called so, too
    classes, averages = scoring.roc_curves(LABELS, PROBABILITIES, names)
    assert list(classes) == ["macro average", "hat"]
    assert list(averages) == ["macro average", "micro average"]
    expected = [
        *metrics.auc_per_class(LABELS, PROBABILITIES)[:2],
        metrics.macro_auc(LABELS, PROBABILITIES),
        metrics.micro_auc(LABELS, PROBABILITIES),
    ]
    curves = (*classes.values(), *averages.values())
    for (false, true, area), auc in zip(curves, expected, strict=True):
        assert (np.diff(false) >= 0).all()
        assert (np.diff(true) >= 0).all()
        assert np.trapezoid(true, false) == pytest.approx(area) == pytest.approx(auc)


def test_precision_recall_curves_of_the_classes_with_labels():
    curves = scoring.precision_recall_curves(LABELS, PROBABILITIES, NAMES)
    assert list(curves) == ["cup", "hat"]
    for recall, precision, area in curves.values():
        assert np.diff(recall) @ precision[1:] == pytest.approx(area)


def test_reliability_has_the_limits_of_each_accuracy():
    table = scoring.reliability(LABELS, PROBABILITIES)
    assert (table["accuracy_low"] <= table["accuracy"]).all()
    assert (table["accuracy"] <= table["accuracy_high"]).all()
    assert (table["accuracy_low"] < table["accuracy_high"]).all()


@pytest.mark.parametrize("names", [["cup", "hat"], ["cup", "cup", "hat"]])
def test_names_that_do_not_fit_are_refused(names):
    with pytest.raises(InputError, match="one distinct name per column"):
        scoring.evaluate(LABELS, PROBABILITIES, names, samples=10, seed=0)


def test_table_rows_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="1 table rows for 6 labels"):
        scoring.predictions(pd.DataFrame({"path": ["a.jpg"]}), LABELS, PROBABILITIES, NAMES)


def test_headlines_as_a_table(found):
    part = intervals.Interval(0.12345, 0.1, float("nan"))
    scores = dict.fromkeys(("accuracy", "macro_f1", "micro_auc"), part)
    table = scoring.headlines(replace(found, scores=scores))
    assert list(table.index) == ["accuracy", "macro F1", "micro AUC"]
    assert table.loc["macro F1", "estimate"] == 0.123
    assert table["high"].isna().all()


def test_groups_widen_the_intervals_and_are_said():
    generator = np.random.default_rng(0)
    single = generator.integers(3, size=40)
    answers = generator.dirichlet([1, 1, 1], 40) + 0.3 * np.eye(3)[single]
    rows = np.repeat(np.arange(40), 10)
    labels, probabilities = single[rows], (answers / answers.sum(axis=1, keepdims=True))[rows]
    arguments = {"samples": 300, "seed": 3}
    plain = scoring.evaluate(labels, probabilities, NAMES, **arguments)
    found = scoring.evaluate(labels, probabilities, NAMES, **arguments, groups=rows)
    assert type(found).from_json(found.to_json()) == found
    assert (found.interval.unit, found.interval.groups, found.interval.warning) == (
        "group",
        40,
        None,
    )
    assert all(method.endswith(", over groups") for method in found.interval.methods.values())
    for name, score in found.scores.items():
        alone = plain.scores[name]
        assert score.estimate == alone.estimate
        assert score.high - score.low > 1.5 * (alone.high - alone.low), name
    for bin_plain, bin_found in zip(plain.reliability, found.reliability, strict=True):
        widths = [each.accuracy_high - each.accuracy_low for each in (bin_plain, bin_found)]
        assert widths[1] > 1.5 * widths[0]
    assert found.per_class[0].f1_low < plain.per_class[0].f1_low
    few = scoring.evaluate(labels, probabilities, NAMES, **arguments, groups=rows // 8)
    assert "5 groups" in few.interval.warning
