"""Recorded changes of settings, and which notebooks they put out of date."""

import pytest

from cnnlab import runs
from cnnlab.config import InputError
from cnnlab.report import front_page
from cnnlab.runs import amendments, steps

FOURTH, FIFTH = "04_kfold_evaluation", "05_interpretability"


def state(*changes, **finished):
    """A run.json: changes as (hour, setting, old, new), notebooks by the hour they started."""
    return {
        "notebooks": {
            name: {"started": f"2026-01-01T{hour:02}", "finished": f"2026-01-01T{hour:02}:59"}
            for name, hour in finished.items()
        },
        "settings_changed": [
            {"at": f"2026-01-01T{hour:02}:30", "setting": setting, "old": old, "new": new}
            for hour, setting, old, new in changes
        ],
    }


def test_a_change_concerns_the_notebooks_that_started_before_it():
    entries = {"01_explore_data": 1, FOURTH: 4, FIFTH: 5}
    found = amendments.outdated(state((6, "folds", 2, 3), **entries))
    assert found == {FOURTH: amendments.Outdated("older than folds=3 (it used 2)", True)}
    assert amendments.outdated(state((3, "folds", 2, 3), **entries)) == {}
    # It had started, so it may have read the old value.
    assert list(amendments.outdated(state((4, "folds", 2, 3), **entries))) == [FOURTH]


def test_what_was_taken_back_is_no_change():
    there_and_back = (5, "folds", 2, 3), (6, "folds", 3, 2)
    assert amendments.outdated(state(*there_and_back, **{FOURTH: 4})) == {}
    (found,) = amendments.outdated(
        state(*there_and_back, (7, "strangers", 300, 50), **{FOURTH: 4})
    ).values()
    assert found.words == "older than strangers=50 (it used 300)"
    (found,) = amendments.outdated(
        state((5, "folds", 2, 3), (6, "folds", 3, 4), **{FOURTH: 4})
    ).values()
    assert found.words == "older than folds=4 (it used 2)"


def test_settings_of_the_report_concern_figures_only():
    found = amendments.outdated(
        state((9, "figure_dpi", 144, 90), **{"02_augmentation": 2, FOURTH: 4})
    )
    assert {name: each.results for name, each in found.items()} == {
        "02_augmentation": False, FOURTH: False,
    }  # fmt: skip
    assert list(
        amendments.outdated(state((9, "example_images", 6, 3), **{FOURTH: 4, FIFTH: 5}))
    ) == [FIFTH]


def test_a_run_that_nothing_changed_has_nothing_out_of_date():
    entries = {"notebooks": {FOURTH: {"finished": "2026"}, FIFTH: {"opened": "2026"}}}
    assert amendments.outdated(entries) == {}
    assert amendments.due(entries, [FOURTH, FIFTH]) == []


def test_due_are_those_out_of_date_and_those_that_never_ended():
    names = ["03_training", FOURTH, FIFTH]
    changed = state((6, "folds", 2, 3), **{"03_training": 3, FOURTH: 4})
    assert amendments.due(changed, names) == [FOURTH, FIFTH]


def test_a_setting_that_may_not_change_is_not_recorded():
    run = runs.open_run("demo", profile="smoke")
    before = (run.folder / "run.json").read_bytes()
    with pytest.raises(InputError, match="epochs cannot change"):
        amendments.record(run.folder, {"folds": 3, "epochs": 3})
    with pytest.raises(InputError, match="folds=1 is out of range"):
        amendments.record(run.folder, {"folds": 1})
    assert (run.folder / "run.json").read_bytes() == before


def test_more_resamples_never_train_again():
    assert "bootstrap_samples" in steps.named("03_training").settings
    assert not amendments.concerns("bootstrap_samples", "03_training")
    assert amendments.concerns("bootstrap_samples", FOURTH)


def test_the_front_page_says_what_is_older_than_which_change():
    run = runs.open_run("demo", profile="smoke")
    entry = {"started": run.state()["created"], "finished": run.state()["created"], "seconds": 1.0}
    run.record("notebooks", {"02_augmentation": entry, FOURTH: entry})
    runs.open_run("demo", overrides="bootstrap_samples=99 figure_dpi=90")
    pages = {page.name: page for page in front_page.notebooks(run)}
    assert pages[FOURTH].status == "out of date"
    assert pages[FOURTH].detail == (
        "older than bootstrap_samples=99 (it used 50), figure_dpi=90 (it used 144)"
    )
    assert pages["02_augmentation"].status == "older figures"
    assert pages["01_explore_data"].status == "not run"
    page = front_page.build(runs.open_run("demo")).read_text()
    assert "<strong>04_kfold_evaluation</strong> is older than bootstrap_samples=99" in page
    assert "The figures of 02_augmentation are older than figure_dpi=90 (it used 144)." in page
    assert "from 50 to 99" in page
