import re
from html.parser import HTMLParser

import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from cnnlab import runs
from cnnlab.evaluation import scoring
from cnnlab.report import caveats, front_page
from cnnlab.runs import execute

CLASSES = ["<b>one</b>", "two"]


@pytest.fixture
def notebook_folder(tmp_path, monkeypatch):
    """Two notebooks of a checkout, instead of the six."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("01_explore_data", "03_training"):
        cells = [new_markdown_cell(f"# About *{name}*\n\nText."), new_code_cell("1")]
        nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")
    monkeypatch.setattr(execute, "NOTEBOOKS", folder)
    return folder


@pytest.fixture
def run(notebook_folder):
    return runs.open_run("demo", profile="smoke", overrides="epochs=3")


@pytest.fixture
def full(run, notebook_folder):
    """A run in which everything was measured."""
    labels = np.repeat([0, 1], 10)
    probabilities = np.where(labels[:, None] == [0, 1], 0.9, 0.1)
    probabilities[0] = [0.2, 0.8]  # one of twenty is wrong
    scores = scoring.evaluate(labels, probabilities, CLASSES, samples=50, seed=0)
    run.save_json("metrics/test.json", scores)
    folds = {"mean": 0.9, "deviation": 0.05}
    kfold = {"k": 5, "folds": [], "accuracy": folds, "macro_f1": folds}
    run.save_json("metrics/kfold.json", kfold)
    contract = {"bytes": 7_812_345, "parameters": 1_234_567, "image_size": 32, "model_id": "f" * 64}
    run.save_json("model/contract.json", contract)
    run.record("dataset", {"name": "shapes", "sha256": "d" * 64})
    opened = {"at": "2026-01-02T03:04:05+00:00", "by": "04_kfold_evaluation", "model_id": "f" * 64}
    run.record("test_set_opened", [opened])
    times = {"01_explore_data": (1, 61.0), "03_training": (2, 3723.0)}
    for name, (hour, seconds) in times.items():
        run.path("notebooks", "x").parent.joinpath(f"{name}.ipynb").write_bytes(
            (notebook_folder / f"{name}.ipynb").read_bytes()
        )
        entry = {"finished": f"2026-01-02T0{hour}:00:00", "seconds": seconds, "devices": ["CPU"]}
        run.update(lambda state, n=name, e=entry: state["notebooks"].__setitem__(n, e))
    figure = Figure(figsize=(2, 2))
    run.save_figure(figure, "confusion_test")
    run.save_figure(figure, "extra_one")
    return run


class Page(HTMLParser):
    """The links, sources and visible text of a page."""

    def __init__(self, html):
        super().__init__()
        self.links, self.sources, self.words = [], [], []
        self._hidden = False
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attrs):
        self._hidden = tag in ("style", "script")
        values = dict(attrs)
        if tag == "a":
            self.links.append(values["href"])
        elif "src" in values or tag == "link":
            self.sources.append(values.get("src") or values.get("href"))

    def handle_data(self, data):
        if not self._hidden:
            self.words.append(data)


def _page(run):
    return Page(front_page.build(run).read_text(encoding="utf-8"))


def test_the_summary_of_a_full_run(full):
    rows = {row.label: row for row in front_page.summary(full)}
    assert rows["Test accuracy"].value == "0.950"
    assert rows["Test accuracy"].note.startswith("95 % interval 0.")
    assert rows["k-fold accuracy"].value == "0.900 ± 0.050"
    assert rows["k-fold accuracy"].note == "mean ± deviation of 5 folds"
    assert rows["Model size"].value == "7.8 MB"
    assert rows["01_explore_data"].value == "1:01"
    assert rows["03_training"].value == "1:02:03"
    assert rows["All notebooks"].value == "1:03:04"
    assert not any(row.missing for row in rows.values())


def test_the_size_of_the_model_names_fit_and_background_where_they_were_chosen(full):
    note = "1,234,567 parameters, 32 pixels a side"
    for words, added in (
        (("stretch", "white"), ""),
        (("pad", "grey"), ", padded to a square, on grey"),
    ):
        stated = dict(zip(("fit", "background"), words, strict=True))
        contract = full.load_json("model/contract.json") | {
            "preprocessing": {"version": 1} | stated
        }
        full.save_json("model/contract.json", contract)
        rows = {row.label: row for row in front_page.summary(full)}
        assert rows["Model size"].note == note + added


def test_what_was_not_measured_says_which_notebook_measures_it(run):
    rows = {row.label: row for row in front_page.summary(run)}
    for label in ("Test accuracy", "Test macro F1", "Test macro AUC", "k-fold accuracy"):
        assert rows[label].value == "not measured"
        assert rows[label].note == "run notebook 04_kfold_evaluation"
    assert rows["Model size"].note == "run notebook 03_training"
    assert "All notebooks" not in rows


def test_a_figure_without_a_value_is_undefined(full):
    scores = full.load_json("metrics/test.json")
    scores["macro_auc"] = {"estimate": None, "low": None, "high": None}
    full.save_json("metrics/test.json", scores)
    rows = {row.label: row for row in front_page.summary(full)}
    assert rows["Test macro AUC"].value == "undefined"
    assert "undefined" in _page(full).text


def test_the_text_is_aligned(full):
    lines = front_page.as_text(front_page.summary(full)).splitlines()
    starts = {re.match(r"\S.*?  +(?=\S)", line).end() for line in lines}
    assert len(starts) == 1
    assert not any(line.endswith(" ") for line in lines)


def test_the_page_shows_the_run_and_asks_no_network(full):
    page = _page(full)
    assert page.sources
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert not [link for link in page.links if "//" in link]
    for expected in ("0.950", "0.900 ± 0.050", "About 03_training", "1:02:03", "CPU", "d" * 64):
        assert expected in page.text
    assert caveats.trainings(None, folds=True) in page.text
    assert "2026-01-02 03:04 UTC by 04_kfold_evaluation" in page.text
    assert "<b>one</b>" in page.text  # escaped: seen as text, not as bold


def test_every_link_leads_to_a_file(full):
    page = _page(full)
    assert "html/03_training.html" in page.links
    assert "notebooks/03_training.ipynb" in page.links
    assert "figures/extra_one.png" in page.links
    assert [link for link in page.links if not (full.folder / link).is_file()] == []


def test_the_findings_and_the_verdicts_on_the_heatmaps_are_there(full):
    gap = {"images": 24, "gap": 0.1, "gap_low": 0.05, "gap_high": 0.2, "beats_both": True}
    lost = gap | {"gap": -0.3, "gap_low": -0.4, "gap_high": -0.2, "beats_both": False}
    tables = {"deletion": [{"method": "<i>A</i>"} | gap, {"method": "B"} | lost]}
    full.save_json("metrics/explanations.json", {"faithfulness": tables})
    text = _page(full).text
    assert "19 of 20 are classified right." in text
    assert re.search(r"<i>A</i> ✓ beats both, \+0\.100 1 of 1", text)
    assert re.search(r"B does not beat both, −0\.300 0 of 1", text)
    assert "On 24 images, <i>A</i> beats both a random map and a centre prior" in text


def test_an_empty_run_has_a_page_that_says_what_is_missing(run):
    page = _page(run)
    assert "Not run yet: 01_explore_data, 03_training." in page.text
    assert "never" in page.text
    assert [link for link in page.links if not (run.folder / link).is_file()] == []


def test_a_failure_stands_on_the_page(run):
    entry = {"failed": "cell 4: ValueError: <no>"}
    run.update(lambda state: state["notebooks"].__setitem__("03_training", entry))
    assert "03_training failed: cell 4: ValueError: <no>" in _page(run).text


def test_results_older_than_what_they_rest_on_are_marked(full):
    assert "out of date" not in _page(full).text
    later = {"finished": "2026-01-02T09:00:00", "seconds": 1.0}
    full.update(lambda state: state["notebooks"].__setitem__("01_explore_data", later))
    text = _page(full).text
    assert "03_training is older than the last 01_explore_data" in text


def test_settings_that_differ_from_the_profile_are_marked(run):
    html = front_page.build(run).read_text(encoding="utf-8")
    assert re.findall(r'<td class="set">(.*?)</td>', html) == ["3"]
