"""Mean and sample deviation over seeds, by numbers known by hand."""

import json
from math import isnan

from cnnlab.evaluation import seeds
from cnnlab.evaluation.intervals import Interval
from cnnlab.evaluation.records import Evaluation, IntervalBasis


def evaluation(accuracy, log_loss):
    scores = {
        "accuracy": Interval(accuracy, 0.1, 0.9),
        "log_loss": Interval(log_loss, 0.1, 0.9),
    }
    return Evaluation(10, ("a", "b"), IntervalBasis(0.95), scores)


IDS = {0: "m", 7: "n", 1: "o"}
TEST = {0: evaluation(0.8, 1.0), 7: evaluation(0.9, 1.0), 1: evaluation(1.0, 1.0)}
VALIDATION = {seed: evaluation(0.5, 2.0) for seed in IDS}


def test_mean_and_sample_deviation_by_hand():
    found = seeds.summary(IDS, VALIDATION, TEST)
    assert found.several
    accuracy = found.test["accuracy"]
    assert (round(accuracy.mean, 12), round(accuracy.deviation, 12)) == (0.9, 0.1)  # n - 1
    assert (found.test["log_loss"].mean, found.test["log_loss"].deviation) == (1.0, 0.0)
    assert (found.validation["accuracy"].mean, found.validation["accuracy"].deviation) == (0.5, 0)
    assert found.spread("accuracy") == "0.900 ± 0.100"
    assert found.single("accuracy") == ["0.800", "0.900", "1.000"]
    assert [(run.seed, run.model_id) for run in found.runs] == [(0, "m"), (7, "n"), (1, "o")]


def test_the_table_has_the_single_runs_and_then_their_spread():
    table = seeds.summary(IDS, VALIDATION, TEST).table("test", ["accuracy", "log_loss"])
    assert list(table.index) == ["seed 0", "seed 7", "seed 1", "mean ± deviation"]
    assert list(table.columns) == ["accuracy", "log loss"]
    assert list(table["accuracy"]) == ["0.800", "0.900", "1.000", "0.900 ± 0.100"]


def test_before_the_opening_there_is_no_test_figure():
    found = seeds.summary(IDS, VALIDATION)
    assert found.test == {}
    assert [run.test for run in found.runs] == [{}, {}, {}]
    assert found.spread("accuracy", "validation") == "0.500 ± 0.000"


def test_one_training_has_no_deviation():
    found = seeds.summary({0: "m"}, VALIDATION, TEST)
    assert not found.several
    assert found.test["accuracy"].mean == 0.8
    assert isnan(found.test["accuracy"].deviation)
    assert list(found.table("test", ["accuracy"]).index) == ["seed 0"]
    assert found.to_json()["test"]["accuracy"] == {"mean": 0.8, "deviation": None}


def test_json_round_trip():
    found = seeds.summary(IDS, VALIDATION, TEST)
    assert seeds.SeedResults.from_json(json.loads(json.dumps(found.to_json()))) == found
