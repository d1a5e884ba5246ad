"""Who has seen a run's test images is told wherever they judge a model, and before training."""

import hashlib
import json
import shutil
from dataclasses import dataclass

import pandas as pd
import pytest

from cnnlab import report, runs
from cnnlab.config import InputError
from cnnlab.data import ledger, splits
from cnnlab.evaluation import records
from cnnlab.evaluation.conformal import SetRule
from cnnlab.evaluation.intervals import Interval
from cnnlab.evaluation.ood_detection import NoveltyRule
from cnnlab.report import comparison_page, findings
from cnnlab.runs import Run, execute, exposure, past_openings, reproduce


@dataclass(frozen=True)
class _Sealed:
    test_open: bool = False


@pytest.fixture(autouse=True)
def _no_pixels(monkeypatch):
    monkeypatch.setattr(Run, "dataset", lambda self: _Sealed())


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Every look at the clock is a minute later."""
    minutes = iter(range(10_000))
    monkeypatch.setattr(
        "cnnlab.runs.provenance.now",
        lambda: f"2026-01-02T{(minute := next(minutes)) // 60:02d}:{minute % 60:02d}:00.000+00:00",
    )


def split(name, images):
    """Make a run whose test images show the numbers ``images``, under paths of its own."""
    run = runs.open_run(name, profile="smoke")
    rows = pd.DataFrame({"path": [f"{name}/{number}.png" for number in images]})
    rows["sha256"] = [hashlib.sha256(str(number).encode()).hexdigest() for number in images]
    other = pd.DataFrame({"path": ["t.png"], "sha256": ["f" * 64], "split": ["train"]})
    table = pd.concat([rows.assign(split="test"), other]).assign(label="cup", reason="")
    split = table.assign(picture=table["sha256"], group="")
    run.save_table("splits.csv", split[splits.COLUMNS])
    run.save_table("manifest.csv", table[["path", "sha256"]])
    run.record("dataset", {"name": "cups", "sha256": "d" * 64})
    return run


def opened(name, images, model_id=""):
    """Make a run whose model has opened the test set."""
    run = split(name, images)
    contract = {"model_id": model_id or f"model of {name}", "bytes": 1, "parameters": 1}
    run.save_json("model/contract.json", contract | {"image_size": 8})
    assert run.open_test_set(by="04_kfold_evaluation").test_open
    return run


LUCK = (
    "The best of {} test scores is partly luck: choose between models on validation images or "
    "folds."
)


def said(run):
    return exposure.of(run).text


def test_nothing_is_known_before_the_split(home):
    found = exposure.of(runs.open_run("new", profile="smoke"))
    assert (found.images, found.text, found.heading) == (0, "", "test")


def test_a_first_model_is_told_so_and_a_second_run_is_warned_before_and_after():
    first = split("a", range(40))
    assert said(first) == "No model was measured on these 40 test images yet."
    first = opened("a", range(40))
    assert said(first) == "This model is the only one measured on these 40 test images."
    assert exposure.of(first).heading == "test, no other model before"

    second = split("b", range(40))
    assert said(second) == (
        f"1 model (run a) was measured on these 40 test images. {LUCK.format(2)}"
    )
    second = opened("b", range(40))
    assert said(second) == (
        f"Before this model, 1 model (run a) was measured on these 40 test images. {LUCK.format(2)}"
    )
    assert exposure.of(second).heading == "test, after 1 model"
    assert said(first) == (
        "This model is the first one measured on these 40 test images. After it, 1 model (run b) "
        f"was measured on these 40 test images. {LUCK.format(2)}"
    )
    assert exposure.of(first).heading == "test, no other model before"


def test_the_same_model_is_no_new_opening():
    first = opened("a", range(5), "m")
    first.open_test_set(by="04_kfold_evaluation")
    assert len(first.state()["test_set_opened"]) == 2
    again = opened("again", range(5), "m")
    for run in (first, again):
        assert said(run) == "This model is the only one measured on these 5 test images."
    (entry,) = ledger.openings()[0]
    assert (entry.run, entry.run_id, entry.created) == ("a", first.id, first.state()["created"])
    assert (entry.model_id, entry.by, entry.dataset) == ("m", "04_kfold_evaluation", "cups")
    assert entry.at == first.state()["test_set_opened"][0]["at"]


def test_the_models_of_further_seeds_count():
    run = runs.open_run("a", profile="smoke", overrides="more_seeds=1,2")
    split("a", range(5))
    run.save_json("model/contract.json", {"model_id": "m"})
    run.open_test_set(by="04_kfold_evaluation", seeds={1: "n", 2: "o"})
    subject = "The 3 models of this run, one a seed, are the"
    assert said(run) == f"{subject} only ones measured on these 5 test images. {LUCK.format(3)}"
    assert exposure.of(run).heading == "test, no other model before"
    later = opened("b", range(5))
    assert said(later).startswith("Before this model, 3 models (run a (3 models)) were measured on")
    assert exposure.of(later).heading == "test, after 3 models"
    assert said(run) == (
        f"{subject} first ones measured on these 5 test images. After them, 1 model (run b) was "
        f"measured on these 5 test images. {LUCK.format(4)}"
    )


def test_a_seed_declared_after_another_run_was_tested_is_not_called_the_first():
    opened("a", range(5))
    opened("b", range(5))
    run = runs.open_run("a", profile="smoke", overrides="more_seeds=1")
    run.open_test_set(by="04_kfold_evaluation", seeds={1: "n"})
    assert said(run) == (
        "The first of the 2 models of this run, one a seed, is the first one measured on these 5 "
        "test images. After it, 1 model (run b) was measured on these 5 test images. "
        f"{LUCK.format(3)}"
    )
    assert said(runs.open_run("b", profile="smoke")) == (
        "Before this model, 1 model (run a) was measured on these 5 test images. After it, 1 model "
        f"(run a) was measured on these 5 test images. {LUCK.format(3)}"
    )


def test_a_part_of_the_images_is_counted():
    opened("a", range(10))
    opened("b", range(8, 20))
    opened("far", range(100, 110))
    run = split("c", range(5, 35))
    assert said(run) == (
        "2 models were measured on 15 of these 30 test images (run a on 5, run b on 12). "
        f"{LUCK.format(3)}"
    )
    opened("c", range(5, 35))
    assert exposure.of(run).heading == "test, after 2 models"
    assert said(split("d", range(30, 36))).startswith(
        "1 model (run c) was measured on 5 of these 6 test images."
    )
    assert said(split("e", [0])).startswith("1 model (run a) was measured on this 1 test image.")
    assert said(split("f", [90])) == "No model was measured on this 1 test image yet."


def test_many_models_are_counted_and_few_are_named():
    for name in "abcdefg":
        opened(name, range(3))
    assert "7 models (runs a, b, c, d, e and 2 more) were" in said(split("z", range(3)))


def test_a_deleted_run_still_counts_and_so_does_another_of_its_name():
    for model_id in ("m", "n"):
        shutil.rmtree(opened("a", range(3), model_id).folder)
    assert "2 models (run a (2 models)) were" in said(split("b", range(3)))


def test_card_and_front_page_say_it(clock):
    opened("a", range(20))
    run = opened("b", range(20))
    history = pd.DataFrame({"epoch": [1], "validation_loss": [0.5]})
    run.save_table("training/history.csv", history)
    basis = records.IntervalBasis(0.95)
    scores = records.Evaluation(20, ("cup",), basis, {"accuracy": Interval(0.9, 0.8, 0.95)})
    rules = records.Calibration(1.0, SetRule(0.9, 0.1, 9), NoveltyRule(0.95, 0.4, 19))
    validation = records.ValidationResult(scores, calibration=rules)
    card = report.model_card(run, validation=validation, test=records.TestResult(scores))
    assert "| figure | test, after 1 model, n = 20 |" in card
    assert f"{said(run)} (By the ledger of test openings, 2026-01-02.)" in card
    assert "once" not in card
    (found,) = findings.findings(run)
    assert (found.about, found.text) == ("Models tested on these images", said(run))


def test_a_comparison_says_whether_the_images_are_the_same():
    first, second = opened("a", range(20)), opened("b", range(20))
    opened("c", range(20))

    def compared(*two):
        return comparison_page.compare(*(run.folder for run in two)).words[
            "Models tested on these images"
        ]

    assert compared(first, second) == (
        "Both have the same 20 test images. 3 models altogether were measured on them. "
        f"{LUCK.format(3)}"
    )
    third = opened("d", range(15, 25))
    assert compared(first, third) == (
        "Of the 20 test images of run a, 5 are among the 10 of run d. Measured on the former: "
        f"4 models; on the latter: 4; altogether: 4. {LUCK.format(4)}"
    )
    assert "measured on some of them" in compared(first, second)
    fourth = opened("e", range(50, 52))
    assert compared(first, fourth).startswith("Of the 20 test images of run a, 0 are among the 2")


def _before_the_ledger(home):
    shutil.rmtree(home / "data" / "ledger")
    for path in (home / "reports").glob("*/run.json"):
        state = json.loads(path.read_text())
        for entry in state["test_set_opened"]:
            del entry["images"]
        path.write_text(json.dumps(state))


def test_runs_from_before_the_ledger_count_and_outlive_their_folder(home):
    old = opened("old", range(6))
    at = old.state()["test_set_opened"][0]["at"]
    old.open_test_set(by="04_kfold_evaluation")
    _before_the_ledger(home)
    run = split("new", range(6))
    assert said(run).startswith("1 model (run old) was measured on these 6 test images.")
    assert [(each.run_id, each.at) for each in ledger.openings()[0]] == [(old.id, at)]
    shutil.rmtree(old.folder)
    assert said(run).startswith("1 model (run old) was measured on these 6 test images.")


def test_a_damaged_entry_heals_while_its_run_exists_and_is_told_afterwards(home):
    old = opened("old", range(6))
    opened("other", range(6))
    run = split("new", range(6))
    known = said(run)
    entry = next(each for each in ledger.openings()[0] if each.run == "old")
    for path in (entry.path, ledger.folder() / "images" / f"{entry.images}.u64"):
        path.write_bytes(path.read_bytes()[:9])
        assert said(run) == known
    shutil.rmtree(old.folder)
    entry.path.write_text("{")
    assert said(run).startswith("By the ledger, 1 model (run other) was measured on these 6 test")
    assert f"data/ledger/openings/{entry.path.name} is damaged, so one opening is not" in said(run)
    first = opened("third", range(90, 93))
    assert said(first).startswith("By the ledger, this model is the only one")
    assert exposure.of(first).heading == "test"


def test_a_run_that_cannot_be_read_is_named():
    broken = opened("broken", range(6))
    shutil.rmtree(ledger.folder())
    (broken.folder / "manifest.csv").unlink()
    text = said(split("new", range(6)))
    assert text.startswith("By the ledger, no model was measured on these 6 test images yet.")
    assert "Not every opening by run 'broken' is counted: Cannot read" in text
    (broken.folder / "run.json").write_text("{")
    assert "Not every opening by run 'broken' is counted: " in said(split("new", range(6)))


def test_what_cannot_be_recorded_is_not_opened(home):
    run = split("a", range(6))
    run.save_json("model/contract.json", {"model_id": "m"})
    (home / "data").mkdir(exist_ok=True)
    ledger.folder().write_text("no folder")
    with pytest.raises(InputError, match=r"Cannot record in .*ledger that run 'a' opens its test"):
        run.open_test_set(by="04_kfold_evaluation")
    assert run.state()["test_set_opened"] == []
    assert said(run) == "No model was measured on these 6 test images yet."


@pytest.mark.slow
def test_a_reproduction_of_an_old_run_is_recorded_as_the_run(home, tmp_path, monkeypatch):
    """Also of a run that stands elsewhere, where nothing would look for it."""
    run = opened("old", range(6), "m")
    run.save_text("training/history.csv", "epoch,loss\n1,0.5\n")
    run.save_json("metrics/test.json", {"n": 6})
    _before_the_ledger(home)
    stored = tmp_path / "elsewhere" / "old"
    shutil.copytree(run.folder, stored)
    shutil.rmtree(run.folder)

    def stand_in(fresh, names, jobs=1):
        fresh.update(lambda state: state["notebooks"].setdefault(names[0], {}))
        if names[0].startswith("04"):
            for part in ("splits.csv", "manifest.csv", "model/contract.json"):
                fresh.save_text(part, (stored / part).read_text())
            fresh.open_test_set(by=names[0])

    monkeypatch.setattr(execute, "execute", stand_in)
    monkeypatch.setattr(reproduce.drift, "data", lambda *_: [])
    monkeypatch.setattr(reproduce.drift, "compare", lambda *_: reproduce.pd.DataFrame({"part": []}))
    assert reproduce.reproduce(stored).equal
    assert [each.run for each in ledger.openings()[0]] == ["old"]
    assert past_openings.record() == ledger.openings()
    assert list((home / "reports").iterdir()) == []
