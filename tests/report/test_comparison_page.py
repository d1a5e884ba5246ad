import re
import shutil

import numpy as np
import pytest
from matplotlib.figure import Figure

from cnnlab.config import InputError
from cnnlab.report import comparison_page, front_page
from cnnlab.runs import drift

ALL = np.ones(20, bool)
FEWER = np.arange(20) > 4


def _page(*runs):
    return comparison_page.write_page(comparison_page.compare(*(run.folder for run in runs)))


def test_settings_figures_and_words_stand_side_by_side(measured):
    first, second = measured("a", ALL, ALL), measured("b", FEWER, FEWER, overrides="folds=5 l2=0.5")
    found = comparison_page.compare(first.folder, second.folder)
    assert found.names == ("a", "b")
    assert [row for row in found.causes if row[0] == "settings"] == [
        ("settings", "l2", "0.0001", "0.5")
    ]
    lines = {line.label: line for line in found.lines}
    accuracy = lines["Test accuracy"]
    assert (accuracy.first.value, accuracy.second.value) == ("1.000", "0.750")
    assert accuracy.difference == "+0.250"
    assert re.fullmatch(r"\+0\.\d{3} to \+0\.\d{3}", accuracy.limits)
    assert lines["Test log loss (lower is better)"].difference.startswith("−")
    assert lines["k-fold accuracy"].difference == "+0.250"
    assert lines["Model size"].difference == ""
    assert list(found.words) == ["Test images", "Cross-validation"]


def test_a_pretrained_network_at_another_size_is_paired_by_the_images_files(measured):
    """The prepared pixels of the two have nothing in common; the files have."""
    first, second = measured("a", ALL, ALL), measured("b", FEWER, FEWER, overrides="image_size=64")
    second.record(drift.ORIGIN, {"file": "lite.pth", "data": "ImageNet-1k"})
    found = comparison_page.compare(first.folder, second.folder)
    assert ("settings", "image_size", "32", "64") in found.causes
    assert ("pretrained weights", "file", "–", "lite.pth") in found.causes
    assert ("pretrained weights", "data", "–", "ImageNet-1k") in found.causes
    assert {line.limits for line in found.lines if line.label == "Test accuracy"} != {
        "cannot be paired"
    }
    assert "pretrained weights" in _page(first, second).read_text()


def test_seeds_of_either_run_stand_beside_what_the_other_has(measured):
    first, second = measured("a", ALL, ALL), measured("b", FEWER, FEWER)
    assert not [line for line in comparison_page.compare(first.folder, second.folder).lines
                if "seeds" in line.label]  # fmt: skip
    runs = [{"seed": n, "model_id": "m", "test": {"accuracy": n / 10}} for n in (8, 9)]
    spread = {"accuracy": {"mean": 0.85, "deviation": 0.07}}
    first.save_json("metrics/seeds.json", {"runs": runs, "test": spread})
    second.save_json("metrics/seeds.json", {"runs": runs[:1], "test": spread})
    lines = {
        line.label: line for line in comparison_page.compare(first.folder, second.folder).lines
    }
    line = lines["Test accuracy over seeds"]
    assert (line.first.value, line.second.value) == ("0.850 ± 0.070", "one training")
    assert (
        line.first.note
        == "mean ± deviation of 2 trainings, seed\xa08:\xa00.800, seed\xa09:\xa00.900"
    )
    assert line.difference == ""
    shown = [row.label for row in front_page.summary(first)]
    assert "Test accuracy over seeds" in shown
    assert "Test accuracy over seeds" not in [row.label for row in front_page.summary(second)]


def test_where_nothing_can_be_paired_the_difference_has_no_interval(measured):
    first, second = measured("a", ALL, ALL), measured("b", FEWER, FEWER, content="other")
    line = comparison_page.compare(first.folder, second.folder).lines[0]
    assert (line.difference, line.limits) == ("+0.250", "cannot be paired")


def test_what_was_not_measured_says_so_and_has_no_difference(measured):
    first, second = measured("a", ALL, ALL), measured("b", ALL, ALL)
    shutil.rmtree(second.folder / "metrics")
    shutil.rmtree(second.folder / "predictions")
    found = comparison_page.compare(first.folder, second.folder)
    assert found.lines[0].second.note == "run notebook 04_kfold_evaluation"
    assert (found.lines[0].difference, found.lines[0].limits) == ("", "")
    assert all("run notebook 04_kfold_evaluation first" in text for text in found.words.values())


def test_other_data_are_listed_file_by_file(measured, monkeypatch):
    first, second = measured("a", ALL, ALL), measured("b", ALL, ALL)
    second.record("dataset", {"name": "shapes", "sha256": "d" * 64})
    monkeypatch.setattr(drift, "data", lambda *_: [("one.png (changed)", "old", "new")])
    causes = comparison_page.compare(first.folder, second.folder).causes
    assert causes[:2] == [
        ("data", "dataset SHA-256", "not recorded", "d" * 64),
        ("data", "one.png (changed)", "old", "new"),
    ]


def test_results_older_than_what_they_rest_on_are_told(measured):
    first, second = measured("a", ALL, ALL), measured("b", ALL, ALL)
    entries = {
        "03_training": {"finished": "2026-01-02", "seconds": 1.0},
        "04_kfold_evaluation": {"finished": "2026-01-01", "seconds": 1.0},
    }
    second.record("notebooks", entries)
    (caution,) = comparison_page.compare(first.folder, second.folder).cautions
    assert caution == "b: 04_kfold_evaluation is older than the last 03_training."


def test_the_page_holds_both_figures_and_says_who_draws_a_missing_one(measured):
    first, second = measured("a", ALL, ALL), measured("b", ALL, ALL)
    first.save_figure(Figure(figsize=(1, 1)), "cam_correct")
    for run in (first, second):
        run.save_figure(Figure(figsize=(1, 1)), "roc_test")
    (first.folder / "index.html").touch()
    page = _page(first, second)
    assert page == first.folder.parent / "a-vs-b.html"
    html = page.read_text(encoding="utf-8")
    assert html.count('<img src="data:image/png;base64,') == 3
    assert "b has no such figure: run notebook 05_interpretability." in html
    assert re.findall(r'href="(.*?)"', html) == ["a/index.html"]
    assert "Nothing: data, settings, versions, machine and commit are the same." in html


def test_two_runs_of_one_name_are_told_apart_by_their_time(measured, tmp_path):
    first = measured("a", ALL, ALL)
    copy = tmp_path / "elsewhere" / "a"
    shutil.copytree(first.folder, copy)
    text = (copy / "run.json").read_text().replace('"created": "2', '"created": "1', 1)
    (copy / "run.json").write_text(text)
    names = comparison_page.compare(first.folder, copy).names
    assert names[0] != names[1]
    assert all(name.startswith("a-") for name in names)


def test_a_run_is_not_compared_with_itself(measured):
    run = measured("a", ALL, ALL)
    with pytest.raises(InputError, match="two different ones"):
        comparison_page.compare(run.folder, run.folder.parent / "." / "a")
