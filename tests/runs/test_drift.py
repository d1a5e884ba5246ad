import json
import shutil

import pandas as pd
import pytest

from cnnlab import runs
from cnnlab.config import InputError
from cnnlab.data import manifest
from cnnlab.runs import drift

HISTORY = "epoch,loss,seconds\n1,0.9,3.0\n2,0.7,3.1\n3,0.6,3.2\n"


def _manifest(**contents):
    """Return a manifest of accepted files, name → the letter its SHA-256 is made of."""
    numbers = dict.fromkeys(("bytes", "width", "height", "orientation"), 1)
    numbers |= dict.fromkeys(("brightness", "contrast", "sharpness"), 0.5)
    rows = [
        {"path": f"cat/{name}.png", "label": "cat", "sha256": letter * 64, "status": "accepted"}
        for name, letter in contents.items()
    ]
    table = pd.DataFrame(rows).assign(**numbers).reindex(columns=manifest.COLUMNS, fill_value="")
    return table.to_csv(index=False)


@pytest.fixture
def stored():
    """A run that notebooks 01, 03 and 04 have filled."""
    run = runs.open_run("demo", profile="smoke")
    run.save_text("manifest.csv", _manifest(a="a", b="b"))
    run.record("dataset", {"name": "cats", "sha256": "d" * 64})
    run.save_text("splits.csv", "path,split\ncat/a.png,train\ncat/b.png,test\n")
    run.save_text("training/history.csv", HISTORY)
    run.save_json("model/contract.json", {"model_id": "m" * 64, "run_id": run.id, "bytes": 9})
    folds = [{"fold": 1, "accuracy": 0.5, "seconds": 8.0}, {"fold": 2, "accuracy": 0.75}]
    run.save_json("metrics/kfold.json", {"k": 2, "folds": folds})
    run.save_json("metrics/explanations.json", {"inside": 0.5})
    run.save_text("metrics/slices.csv", "slice,accuracy\ndark,0.5\n")
    predictions = (
        "path,predicted,probability\ncat/a.png,cat,0.1\ncat/b.png,dog,0.30000000000000004\n"
    )
    run.save_text("predictions/test.csv", predictions)
    notebooks = {"01_explore_data": {}, "03_training": {}, "04_kfold_evaluation": {}}
    run.record("notebooks", notebooks)
    return run


@pytest.fixture
def now(stored, home):
    """The same run once more, made later and called otherwise."""
    folder = home / "reports" / "demo.again"
    shutil.copytree(stored.folder, folder)
    run = runs.Run(folder, stored.settings)
    run.record("created", "2031-01-01T00:00:00.000+00:00")
    run.record("name", "demo.again")
    run.save_json("model/contract.json", {"model_id": "m" * 64, "run_id": run.id, "bytes": 8})
    (folder / "metrics" / "explanations.json").unlink()  # notebook 05 is not executed again
    return run


def _rows(stored, now):
    table = drift.compare(stored.folder, now.folder)
    assert list(table) == drift.COLUMNS
    return table.values.tolist()


def test_a_history_from_before_there_were_stages_has_one(stored, now):
    lines = HISTORY.splitlines()
    staged = [f"{lines[0]},stage", *(f"{line},1" for line in lines[1:])]
    now.save_text("training/history.csv", "\n".join(staged) + "\n")
    assert _rows(stored, now) == []
    now.save_text("training/history.csv", "\n".join([*staged[:-1], f"{lines[-1]},2"]) + "\n")
    ((part, what, before, after),) = _rows(stored, now)
    assert (part, before, after) == ("training", "1", "2")
    assert "stage" in what


def test_groups_that_an_earlier_version_did_not_suspect_are_no_drift(stored, now):
    found = {"files": {"found": 9}}
    stored.save_json("metrics/audit.json", found)
    now.save_json("metrics/audit.json", found | {"suspected_groups": [{"groups": 8}]})
    assert drift.compare(stored.folder, now.folder).empty
    stored.save_json("metrics/audit.json", found | {"suspected_groups": []})
    (row,) = drift.compare(stored.folder, now.folder).itertuples()
    assert (row.part, row.what) == ("metrics", "metrics/audit.json: suspected_groups[0].groups")


def test_equal_runs_do_not_drift_whatever_the_time_and_the_name(stored, now):
    history = HISTORY.replace("3.1", "99.0")
    now.save_text("training/history.csv", history)
    kfold = now.load_json("metrics/kfold.json")
    kfold["folds"][0]["seconds"] = 99.0
    now.save_json("metrics/kfold.json", kfold)
    assert _rows(stored, now) == []
    assert drift.compared(stored.folder, now.folder) == [
        "splits.csv",
        "training/history.csv",
        "model/contract.json",
        "metrics/kfold.json",
        "metrics/slices.csv",
        "predictions/test.csv",
    ]


def test_changed_added_removed_and_moved_files_are_named(stored, now):
    now.save_text("manifest.csv", _manifest(a="c", new="b", more="e"))
    now.record("dataset", {"name": "cats", "sha256": "e" * 64})
    assert _rows(stored, now) == [
        ["data", "cat/more.png (added)", "–", "accepted eeeeeeeeeeee"],
        ["data", "cat/a.png (changed)", "accepted aaaaaaaaaaaa", "accepted cccccccccccc"],
        ["data", "cat/b.png (moved)", "accepted bbbbbbbbbbbb", "cat/new.png"],
    ]


def test_a_thousand_changed_files_are_counted(stored, now):
    now.save_text("manifest.csv", _manifest(**{f"n{n:02}": "e" for n in range(30)}))
    rows = _rows(stored, now)
    assert len(rows) == drift.LISTED + 1
    assert rows[-1][1] == "and 22 more files"


def test_a_dataset_digest_that_was_edited_is_data_drift(stored, now):
    stored.record("dataset", {"name": "cats", "sha256": "f" * 64})
    assert _rows(stored, now) == [["data", "dataset SHA-256", "f" * 64, "d" * 64]]


def test_settings_are_compared_key_by_key(stored, now):
    for name in ("run.json", "settings.json"):
        content = now.load_json(name)
        settings = content.get("settings", content)
        settings |= {"seed": 1, "flip": False}
        now.save_json(name, content)
    assert _rows(stored, now) == [
        ["settings", "seed", "0", "1"],
        ["settings", "flip", "true", "false"],
    ]


def test_an_edited_run_file_is_told_apart_by_the_second_record(stored, now):
    for run in (stored, now):  # the reproduction goes by the edited file
        state = run.state()
        state["settings"]["seed"] = 1
        run.save_json("run.json", state)
    assert _rows(stored, now) == [["settings", "seed (edited in run.json)", "0", "1"]]


def test_other_first_weights_are_a_cause_that_counts(stored, now):
    begun = {"file": "a.pth", "sha256": "a" * 64}
    stored.record(drift.ORIGIN, None)
    now.record(drift.ORIGIN, begun)
    rows = [row for row in _rows(stored, now) if row[0] == "pretrained weights"]
    assert rows == [["pretrained weights", key, "–", value] for key, value in begun.items()]
    assert len(drift.counted(drift.compare(stored.folder, now.folder))) == 2
    stored.record(drift.ORIGIN, begun)
    assert drift.compare(stored.folder, now.folder).empty


def test_versions_machine_and_commit_alone_are_notes(stored, now):
    versions = stored.state()["versions"]
    now.record("versions", versions | {"numpy": "9.9"})
    now.record("commit", {"id": "c" * 40, "dirty": False})
    stored.record("commit", None)
    now.record("machine", stored.state()["machine"] | {"cores": 99})
    rows = _rows(stored, now)
    assert [row[0] for row in rows][:2] == ["versions", "machine"]
    assert rows[0] == ["versions", "numpy", versions["numpy"], "9.9"]
    assert {row[0] for row in rows[2:]} == {"commit"}
    assert drift.counted(drift.compare(stored.folder, now.folder)).empty


def test_the_first_epoch_that_differs_is_named(stored, now):
    now.save_text("training/history.csv", HISTORY.replace("0.7", "0.70001").replace("0.6", "1"))
    assert _rows(stored, now) == [
        [
            "training",
            "training/history.csv: first at epoch 2, loss (2 of 3 rows)",
            "0.7",
            "0.70001",
        ]
    ]


def test_fewer_epochs_are_rows_that_are_missing(stored, now):
    now.save_text("training/history.csv", HISTORY[: HISTORY.index("3,0.6")])
    assert _rows(stored, now) == [["training", "training/history.csv: rows", "3", "2"]]


def test_other_weights_metrics_and_predictions_are_named(stored, now):
    now.save_json("model/contract.json", {"model_id": "n" * 64})
    kfold = now.load_json("metrics/kfold.json")
    kfold["folds"][1]["accuracy"] = 0.7500000000000001  # the last bit
    kfold["k"] = None
    now.save_json("metrics/kfold.json", kfold)
    path = now.folder / "predictions" / "test.csv"
    path.write_text(path.read_text().replace("0.30000000000000004", "0.3"))
    assert _rows(stored, now) == [
        ["weights", "model/contract.json: model_id", "m" * 64, "n" * 64],
        ["metrics", "metrics/kfold.json: k and 1 more", "2", "null"],
        [
            "predictions",
            "predictions/test.csv: first at path cat/b.png, probability (1 of 2 rows)",
            "0.30000000000000004",
            "0.3",
        ],
    ]


def test_results_that_did_not_come_are_absent_unless_nobody_made_them(stored, now):
    shutil.rmtree(now.folder / "predictions")
    assert _rows(stored, now) == [["predictions", "predictions/test.csv", "there", "–"]]
    now.record("notebooks", {"01_explore_data": {}, "03_training": {}})
    assert _rows(stored, now) == []


def test_a_reproduction_that_came_to_nothing_has_no_data(stored, now):
    (now.folder / "manifest.csv").unlink()
    assert _rows(stored, now) == [["data", "manifest.csv", "there", "–"]]


def test_a_folder_that_is_no_run_is_refused(stored, tmp_path):
    with pytest.raises(InputError, match=r"Cannot read .*run\.json"):
        drift.compare(stored.folder, tmp_path)


def test_the_inputs_stay_as_they_are(stored, now):
    before = json.dumps(now.state())
    drift.compare(stored.folder, now.folder)
    assert json.dumps(now.state()) == before
