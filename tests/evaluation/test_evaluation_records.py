"""Files of earlier versions stay readable; what was not measured then is undefined."""

import json
from math import isnan

import pytest

from cnnlab.config import InputError
from cnnlab.evaluation import records
from cnnlab.evaluation.intervals import Interval

# As version 0.1.0 wrote them, with fewer classes, bins and folds.
INTERVAL = {"estimate": 0.5, "low": 0.25, "high": 0.75}
EVALUATION = {
    "n": 4,
    "class_names": ["<b>", "two"],
    "interval": {"level": 0.95, "samples": 50, "seed": 7, "methods": {"accuracy": "wilson"}},
    "accuracy": INTERVAL,
    "macro_auc": {"estimate": None, "low": None, "high": None},
    "ece_if_calibrated": 0.125,
    "per_class": [
        {
            **{"class": "<b>", "support": 4, "precision": 0.5, "recall": 1.0, "f1": 0.75},
            **{"auc": None, "average_precision": 1.0, "f1_low": 0.25, "f1_high": 0.875},
            **{"average_precision_low": 0.5, "average_precision_high": 1.0},
        }
    ],
    "confusion": [[3, 1], [0, 0]],
    "reliability": [
        {
            **{"low": 0.5, "high": 0.75, "count": 4, "confidence": 0.625, "accuracy": 0.75},
            **{"accuracy_low": 0.25, "accuracy_high": 1.0},
        }
    ],
}
RULES = {
    "temperature": 1.5,
    "sets": {"coverage": 0.9, "threshold": 0.25, "calibrated_on": 4},
    "none_of_these": {
        **{"accepted": 0.95, "threshold": 0.125, "calibrated_on": 4, "score": "max_softmax"}
    },
}
TEST = EVALUATION | {
    "sets": {"promised": 0.9, "coverage": 0.75, "size": 1.5},
    "none_of_these": {"known": 0.25, "strangers": 0.5, "auroc": 0.875, "fpr95": 0.5},
}
SPREAD = {"mean": 0.5, "deviation": 0.125}
KFOLD = {
    "k": 2,
    "folds": [
        {
            **{"fold": fold, "n_train": 2, "n_test": 2, "accuracy": 0.5, "macro_f1": 0.25},
            **{"seconds": 1.5},
        }
        for fold in (1, 2)
    ],
    "accuracy": SPREAD,
    "macro_f1": SPREAD,
    "pooled": EVALUATION,
    "comparison": {
        "rival": "the linear classifier",
        "folds": {
            **{"folds": 2, "first": 0.5, "second": 0.25, "difference": 0.25},
            **{"low": 0.0, "high": 0.5, "t": None, "p": None},
        },
        "images": {"n": 4, "only_first": 1, "only_second": 0, "p": 1.0},
        "verdict": "Nothing.",
    },
}


def _kept(written, stored):
    """Return what is written today without the keys that version 0.1.0 did not write."""
    if isinstance(stored, dict):
        return {key: _kept(written[key], value) for key, value in stored.items()}
    if isinstance(stored, list):
        return [_kept(*pair) for pair in zip(written, stored, strict=True)]
    return written


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        (records.Evaluation, EVALUATION),
        (records.ValidationResult, EVALUATION | {"calibration": RULES}),
        (records.TestResult, TEST),
        (records.CrossValidation, KFOLD),
    ],
)
def test_files_of_version_0_1_0_are_read_and_lose_nothing(kind, stored):
    written = kind.from_json(stored).to_json()
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert _kept(written, stored) == stored


def test_an_evaluation_is_asked_by_name():
    read = records.Evaluation.from_json(EVALUATION)
    assert read.score("accuracy") == Interval(0.5, 0.25, 0.75)
    assert isnan(read.score("macro_auc").estimate)
    assert isnan(read.score("brier").high)  # never measured
    assert read.correct == 3
    assert isnan(read.per_class[0].auc)


def test_an_older_evaluation_lacks_what_came_later():
    older = {key: EVALUATION[key] for key in ("n", "class_names", "accuracy")}
    older |= {"interval": {"level": 0.9}, "per_class": [{"class": "two", "f1": 0.5}]}
    read = records.TestResult.from_json(older)
    assert isnan(read.scores.per_class[0].f1_low)
    assert read.scores.interval.unit == "image"
    assert (read.sets, read.none_of_these) == (None, None)


def test_a_cross_validation_is_a_table_again():
    table = records.CrossValidation.from_json(KFOLD).table()
    assert list(table) == ["fold", "n_train", "n_test", "accuracy", "macro_f1", "seconds"]
    assert table["accuracy"].tolist() == [0.5, 0.5]


def test_a_damaged_figure_is_named():
    damaged = TEST | {"accuracy": INTERVAL | {"low": "x"}}
    with pytest.raises(InputError, match=r"test\.json is damaged: accuracy\.low is \"x\""):
        records.TestResult.from_json(damaged, "test.json")
    with pytest.raises(InputError, match=r"it has no interval\.level"):
        records.TestResult.from_json(TEST | {"interval": {}})
    rules = RULES | {"sets": RULES["sets"] | {"coverage": 2}}
    with pytest.raises(InputError, match=r"calibration\.sets: A rule of share 2"):
        records.ValidationResult.from_json(EVALUATION | {"calibration": rules})
