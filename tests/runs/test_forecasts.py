"""A forecast stands in run.json, and what the run took beside it."""

import pytest

from cnnlab import runs
from cnnlab.experiment import doctor
from cnnlab.runs import forecasts


@pytest.fixture
def run(home):
    return runs.open_run("mine", profile="smoke")


def test_nothing_foretold_compares_nothing(run):
    assert forecasts.compared(run) is None


def test_what_was_executed_is_compared(run):
    foretold = doctor.Forecast({"03": 60.0, "04": 9.0}, 2e9, 4e6, 0.0, 0.0)
    checks = forecasts.record(run, foretold)
    assert [each.name for each in checks] == ["time", "memory", "disk"]
    done = {"03_training": {"seconds": 30.0, "peak_bytes": 1e9}, "04_kfold_evaluation": {}}
    run.update(lambda state: state["notebooks"].update(done))
    before = forecasts.actual(run).disk
    run.save_text("notes.txt", "x" * 2_000_000)
    assert forecasts.actual(run).disk - before == 2_000_000
    table = forecasts.compared(run)
    assert table.values.tolist() == [
        ["time", "60 s", "30 s", "2.00"],
        ["memory", "2.0 GB", "1.0 GB", "2.00"],
    ]
    run.update(lambda state: state["notebooks"]["04_kfold_evaluation"].update(seconds=3.0))
    assert [*forecasts.compared(run)[""]] == ["time", "memory", "disk"]  # all is done
