import threading
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cnnlab import runs
from cnnlab.config import InputError
from cnnlab.data import ledger
from cnnlab.runs import Run, amendments, request


@pytest.fixture
def run():
    return runs.open_run("demo", profile="smoke")


def test_path_makes_the_folders_above_it(run):
    path = run.path("a", "b", "c.txt")
    assert path == run.folder / "a" / "b" / "c.txt"
    assert path.parent.is_dir()
    assert not path.exists()


@pytest.mark.parametrize(
    ("relative", "notebook"),
    [
        ("manifest.csv", "01_explore_data"),
        ("splits.csv", "01_explore_data"),
        ("metrics/audit.json", "01_explore_data"),
        ("training/history.csv", "03_training"),
        ("model", "03_training"),
        ("model/contract.json", "03_training"),
        ("predictions/validation.csv", "03_training"),
        ("metrics/validation.json", "03_training"),
        ("metrics/kfold.json", "04_kfold_evaluation"),
        ("metrics/suspected_labels.json", "04_kfold_evaluation"),
        ("predictions/test.csv", "04_kfold_evaluation"),
        ("metrics/explanations.json", "05_interpretability"),
    ],
)
def test_what_is_missing_names_the_notebook_to_run(run, relative, notebook):
    with pytest.raises(InputError) as caught:
        run.require(relative)
    assert str(caught.value) == f"Run 'demo' has no {relative} yet: run notebook {notebook} first."
    run.path(relative).touch()
    assert run.require(relative) == run.folder / relative


def test_the_caller_may_name_the_notebook(run):
    with pytest.raises(InputError, match="run notebook 09_mine first"):
        run.load_json("metrics/mine.json", "09_mine")


def test_a_table_reads_back_exactly(run):
    table = pd.DataFrame(
        {
            "path": ["a/1.jpg", 'b/ü, "x".jpg', "c/3.jpg"],
            "label": ["001", "None", "NA"],
            "group": ["7", "08", "9"],
            "reason": ["", "copy", ""],
            "probability": [0.1, 1 / 3, np.nextafter(1, 0)],
            "correct": [True, False, True],
        }
    )
    run.save_table("predictions/test.csv", table)
    read = run.load_table("predictions/test.csv")
    assert list(read["label"]) == ["001", "None", "NA"]
    assert list(read["group"]) == ["7", "08", "9"]
    assert list(read["path"]) == list(table["path"])
    assert read["probability"].tolist() == table["probability"].tolist()
    assert read["correct"].dtype == bool
    assert read["reason"].isna().tolist() == [True, False, True]


def test_text_reads_back(run):
    path = run.save_text("notes/card.md", "# ±\n")
    assert path == run.folder / "notes" / "card.md"
    assert path.read_text(encoding="utf-8") == "# ±\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["card.md"]


def test_json_reads_back(run):
    run.save_json("metrics/x.json", {"a": np.float64(0.25), "labels": ["ä"]})
    assert run.load_json("metrics/x.json") == {"a": 0.25, "labels": ["ä"]}


def test_a_figure_is_saved_as_png_with_equal_bytes_and_returned(run):
    def draw():
        figure = Figure(figsize=(2, 1))
        figure.subplots().plot([0, 1])
        return figure

    figure = draw()
    assert run.save_figure(figure, "line") is figure
    path = run.folder / "figures" / "line.png"
    first = path.read_bytes()
    with Image.open(path) as image:
        assert image.format == "PNG"
    run.save_figure(draw(), "line")
    assert path.read_bytes() == first


def test_record_keeps_everything_written_at_once(run):
    threads = [
        threading.Thread(target=Run(run.folder, run.settings).record, args=(f"key{n}", n))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = run.state()
    assert [state[f"key{n}"] for n in range(12)] == list(range(12))


def test_the_settings_of_a_run_cannot_be_recorded_over(run):
    with pytest.raises(InputError, match="not recorded like results"):
        run.record("settings", {})


def test_the_id_is_name_and_hour(run):
    run.record("created", "2026-01-02T03:04:05.678+00:00")
    assert run.id == "demo-20260102T030405Z"


@dataclass(frozen=True)
class _Sealed:
    test_open: bool = False


@pytest.fixture
def split(run):
    """The run after notebook 01: one test image."""
    run.save_text("splits.csv", "path,split\na.png,test\n")
    run.save_text("manifest.csv", f"path,sha256\na.png,{'0' * 64}\n")


def test_opening_the_test_set_is_recorded_with_the_model(run, split, monkeypatch):
    monkeypatch.setattr(Run, "dataset", lambda self: _Sealed())
    with pytest.raises(InputError, match="run notebook 03_training first"):
        run.open_test_set(by="04_kfold_evaluation")
    assert run.state()["test_set_opened"] == []
    run.save_json("model/contract.json", {"model_id": "abc"})
    for _ in range(2):
        assert run.open_test_set(by="04_kfold_evaluation") == replace(_Sealed(), test_open=True)
    entries = run.state()["test_set_opened"]
    assert [(entry["by"], entry["model_id"]) for entry in entries] == [
        ("04_kfold_evaluation", "abc")
    ] * 2


def test_the_test_set_is_not_opened_for_a_second_model(run, split, monkeypatch):
    monkeypatch.setattr(Run, "dataset", lambda self: _Sealed())
    run.save_json("model/contract.json", {"model_id": "a" * 64})
    run.open_test_set(by="04_kfold_evaluation")
    at = run.state()["test_set_opened"][0]["at"]
    run.save_json("model/contract.json", {"model_id": "b" * 64})
    with pytest.raises(InputError) as caught:
        run.open_test_set(by="04_kfold_evaluation")
    assert f"opened at {at} for model {'a' * 12};" in str(caught.value)
    assert f"this is model {'b' * 12}, trained after" in str(caught.value)
    assert "choose another run name" in str(caught.value)
    assert len(run.state()["test_set_opened"]) == 1
    run.save_json("model/contract.json", {"model_id": "a" * 64})
    run.open_test_set(by="04_kfold_evaluation")
    assert len(run.state()["test_set_opened"]) == 2


def test_the_models_of_declared_seeds_are_recorded_each_and_no_others(monkeypatch):
    monkeypatch.setattr(Run, "dataset", lambda self: _Sealed())
    declared = runs.open_run("seeded", profile="smoke", overrides="more_seeds=1,2")
    declared.save_text("splits.csv", "path,split\na.png,test\n")
    declared.save_text("manifest.csv", f"path,sha256\na.png,{'0' * 64}\n")
    declared.save_json("model/contract.json", {"model_id": "ships"})
    with pytest.raises(InputError, match="has not declared seed 3: expected one of more_seeds, 1,"):
        declared.open_test_set(by="04", seeds={1: "one", 3: "three"})
    assert (declared.state()["test_set_opened"], ledger.openings()[0]) == ([], [])
    assert declared.open_test_set(by="04", seeds={1: "one", 2: "two"}).test_open
    entries = declared.state()["test_set_opened"]
    assert [(entry.get("seed"), entry["model_id"]) for entry in entries] == [
        (None, "ships"), (1, "one"), (2, "two"),
    ]  # fmt: skip
    assert sorted(each.model_id for each in ledger.openings()[0]) == ["one", "ships", "two"]
    assert declared.tested() == {"one", "ships", "two"}
    with pytest.raises(InputError, match="for model two of seed 2; this is model other, trained"):
        declared.open_test_set(by="04", seeds={2: "other"})
    declared.save_json("model/contract.json", {"model_id": "one"})  # it was tested as a seed's
    with pytest.raises(InputError, match="for model ships; this is model one"):
        declared.open_test_set(by="04")
    assert len(declared.state()["test_set_opened"]) == 3


def test_a_seed_that_was_tested_stays_declared(monkeypatch):
    """Else the worst of several could be left out of mean ± deviation once it is known."""
    monkeypatch.setattr(Run, "dataset", lambda self: _Sealed())
    declared = runs.open_run("seeded", profile="smoke", overrides="more_seeds=1,2,3")
    declared.save_text("splits.csv", "path,split\na.png,test\n")
    declared.save_text("manifest.csv", f"path,sha256\na.png,{'0' * 64}\n")
    declared.save_json("model/contract.json", {"model_id": "ships"})
    declared = runs.open_run("seeded", profile="smoke", overrides="more_seeds=1,2")  # not yet
    declared.open_test_set(by="04", seeds={1: "one", 2: "two"})
    before = declared.state()
    for fewer in ("more_seeds=2", "more_seeds= "):
        with pytest.raises(InputError, match=r"leaves out 1.* has seen the test set"):
            amendments.record(declared.folder, {"more_seeds": fewer.partition("=")[2]})
    with pytest.raises(InputError, match=r"more_seeds='2,4' leaves out 1, whose model has seen"):
        request.refuse("seeded", "", "", "more_seeds=2,4")
    assert declared.state() == before
    assert runs.open_run("seeded", overrides="folds=3").settings.seeds == (0, 1, 2)
    assert runs.open_run("seeded", overrides="more_seeds=2,1,4").settings.seeds == (0, 2, 1, 4)


def test_the_dataset_asks_for_notebook_01_first(run):
    with pytest.raises(InputError, match=r"manifest\.csv yet: run notebook 01_explore_data"):
        run.dataset()
