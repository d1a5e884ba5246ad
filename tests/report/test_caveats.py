import pandas as pd
import pytest

from cnnlab import runs
from cnnlab.evaluation.seeds import SeedResult, SeedResults
from cnnlab.report import caveats, findings
from cnnlab.text import markdown

GRADE = {
    **{"images": 1200, "planted": 24, "suspected": 60, "found": 20, "recall": 20 / 24},
    **{"precision": 1 / 3, "first_precision": 0.5, "chance": 0.02, "named": None},
    **{"accuracy": 0.905, "true_accuracy": 0.9205},
}


@pytest.fixture
def run():
    return runs.open_run("demo", profile="smoke")


def test_without_folds_nothing_is_said_of_them():
    assert "folds" not in caveats.trainings(None, folds=False)
    assert caveats.trainings(None, folds=True).startswith(caveats.ONE_TRAINING)
    assert "deviation over the folds" in caveats.trainings(None, folds=True)


def test_several_seeds_take_the_place_of_the_caveat_of_one_training(run):
    one, two = SeedResult(4, "m"), SeedResult(5, "n")
    assert caveats.trainings(SeedResults((one,)), folds=False) == caveats.ONE_TRAINING
    said = caveats.trainings(SeedResults((one, two)), folds=True)
    assert caveats.ONE_TRAINING not in said
    for part in ("the model that ships, seed 4.", "the deviation over 2 seeds"):
        assert part in said


def test_one_seed_says_how_to_get_more(run):
    said = caveats.seeds(run.settings.replace(seed=3), "demo")
    assert said.startswith("One training says nothing of the luck of its seed.")
    assert said.endswith("cnnlab run --run demo --seeds 3,4,5")
    more = run.settings.replace(seed=3, more_seeds="1,2")
    assert caveats.seeds(more, "demo") == "3 trainings; the model of seed 3 ships."


def test_nothing_is_said_before_there_are_figures(run):
    assert caveats.beside_test(run) == ""
    assert caveats.wrong_labels(run) == ""


ROW = {"rule": "names", "groups": 8, "images": 48, "divided": 7, "pattern": r"(p\d+)"}
AUDIT = {"files": {"accepted": 9, "quarantined": 0, "skipped": 0, "found": 9}, "reasons": {}}


def test_cards_say_whether_groups_were_declared_dismissed_or_suspected(run):
    table = pd.DataFrame({"path": ["a", "b", "c"], "group": ""})
    assert caveats.groups(run, table) == (
        "No groups were declared: two pictures count as independent."
    )
    run.save_json("metrics/audit.json", AUDIT)  # of an earlier version
    assert "suspected" not in caveats.groups(run, table)
    run.save_json("metrics/audit.json", AUDIT | {"suspected_groups": []})
    assert "and none are suspected" in caveats.groups(run, table)
    assert "Groups" not in [each.about for each in findings.findings(run)]
    row = ROW | {"example": "patient<b>"}
    run.save_json("metrics/audit.json", AUDIT | {"suspected_groups": [row]})
    said = caveats.groups(run, table)
    assert said.startswith(
        "No groups were declared, but some are suspected: 8 by the names of their files, such as "
        "'patient<b>', 7 of them divided by the split. "
    )
    assert [each.text for each in findings.findings(run) if each.about == "Groups"] == [said]
    assert "'patient&lt;b&gt;'" in markdown.paragraphs(said, said)
    declared = table.assign(group=["x", "y", ""])
    assert caveats.groups(run, declared).startswith("2 groups were declared")


def test_cards_say_that_groups_were_dismissed():
    run = runs.open_run("alone", profile="smoke", overrides="group_by=none")
    said = caveats.groups(run, pd.DataFrame({"group": ["", ""]}))
    assert said.startswith("No groups: the settings say that no images belong together")


def test_wrong_labels_are_told_with_what_they_do_to_the_figures(run):
    run.save_json("metrics/suspected_labels.json", GRADE)
    said = caveats.wrong_labels(run)
    for expected in ("24 of the 1,200 labels", "found by it: 20, among 60", "0.905", "0.920"):
        assert expected in said
    assert [found.text for found in findings.findings(run)] == [said]


def test_a_plain_folder_has_no_known_wrong_labels(run):
    run.save_json("metrics/suspected_labels.json", {})  # what notebook 04 leaves then
    assert runs.results.suspected_labels(run).planted == 0
    assert caveats.wrong_labels(run) == ""
