"""The one list of steps says what the notebooks do, and every other list follows from it."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import nbformat
import pytest
from matplotlib.figure import Figure as Drawing

from cnnlab import runs
from cnnlab.config import InputError
from cnnlab.config.settings import SECTIONS
from cnnlab.report import front_page, gallery
from cnnlab.runs import drift, steps

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
each_step = pytest.mark.parametrize("step", steps.STEPS, ids=lambda step: step.name)

# What these functions write into the run folder, or read from it, themselves.
WRITES = {
    "seal_manifest": "manifest.csv",
    "seal_split": "splits.csv",
    "write_card": "model/card.md",
}
READS = {
    "dataset": ["manifest.csv", "splits.csv"],
    "open_test_set": ["manifest.csv", "splits.csv", "model/contract.json"],
}


def _notebook(step):
    return nbformat.read(NOTEBOOKS / f"{step.name}.ipynb", as_version=4)


def _calls(step):
    """Yield (name of the function, its arguments) of every call in a notebook's cells."""
    for cell in _notebook(step).cells:
        if cell.cell_type == "code":
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.Call):
                    yield ast.unparse(node.func), node.args


def _written(step):
    """Return the paths and the figures that a notebook's cells save."""
    paths, figures = [], []
    for name, arguments in _calls(step):
        function = name.rpartition(".")[2]
        if function == "save_figure":
            figures.append(ast.literal_eval(arguments[1]))
        elif function in ("save_table", "save_json", "save_text"):
            paths.append(ast.literal_eval(arguments[0]))
        elif function in WRITES:
            paths.append(WRITES[function])
        elif name == "classifier.save" and ast.unparse(arguments[0]).startswith("lab.path("):
            paths.append(ast.literal_eval(arguments[0].args[0]) + "/")
    return paths, figures


def _read(step):
    """Return the paths that a notebook's cells read from the run folder."""
    paths = []
    for name, arguments in _calls(step):
        function = name.removeprefix("lab.")
        if function in ("require", "load_table", "load_json"):
            paths.append(ast.literal_eval(arguments[0]))
        paths += READS.get(function, [])
    return paths


def test_every_notebook_has_its_step_and_every_step_its_notebook():
    found = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
    assert [step.name for step in steps.STEPS] == found


@each_step
def test_a_step_needs_only_earlier_ones_so_there_is_no_circle(step):
    names = [each.name for each in steps.STEPS]
    assert {*step.needs} <= {*names[: names.index(step.name)]}


@each_step
def test_a_step_writes_and_draws_exactly_what_its_cells_save(step):
    paths, figures = _written(step)
    assert sorted(step.writes) == sorted(paths)
    assert sorted(figure.name for figure in step.figures) == sorted(figures)
    assert not step.reproducible or steps.writer(step.reproducible) == step


@each_step
def test_what_a_step_reads_is_written_by_what_it_needs(step):
    known = [*steps.upstream(step.name), step]
    assert [path for path in _read(step) if steps.writer(path) not in known] == []


@each_step
def test_a_step_names_the_settings_of_evaluation_and_report_that_its_cells_read(step):
    watched = {each.name for part in ("evaluation", "report") for each in fields(SECTIONS[part])}
    source = "\n".join(cell.source for cell in _notebook(step).cells if cell.cell_type == "code")
    attributes = {
        node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)
    }
    assert attributes & watched <= {*step.settings} <= watched
    assert ("figure_dpi" in step.settings) == bool(step.figures)


@each_step
def test_the_first_cell_names_the_same_needs_and_writes(step):
    text = _notebook(step).cells[0].source
    needs, _, writes = text.partition("**Needs**")[2].partition("**Writes**")
    assert re.findall(r"`(\d\d_\w+)`", needs) == [*step.needs]
    assert re.findall(r"`([^`]+)`", writes.partition("\n\n")[0]) == [*step.writes]
    assert "**Takes**" not in text  # every run measures it


def test_the_start_page_and_the_readme_list_every_notebook():
    start = (NOTEBOOKS / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| (\d+) \| \[(.*?)\]\((.*?)\.ipynb\) \| (.*?) \|", start)
    expected = [
        (
            str(int(step.number)),
            _notebook(step).cells[0].source.partition(" · ")[2].partition("\n")[0],
            step.name,
            ", ".join(str(int(steps.named(name).number)) for name in step.needs) or "nothing",
        )
        for step in steps.STEPS
    ]
    assert rows == expected
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"\| \[(\d\d)\]\(notebooks/(\w+)\.ipynb\)", readme)
    assert linked == [(step.number, step.name) for step in steps.STEPS]
    *first, last = [step.number for step in steps.reproducible()]
    assert f"`cnnlab reproduce` executes notebooks {', '.join(first)} and {last}" in readme


@pytest.mark.slow
def test_no_other_module_names_a_notebook():
    """Docstrings may; what a program does or says must follow from the list."""
    found = []
    for path in sorted((ROOT / "cnnlab").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        told = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        found += [
            (path.name, node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            if id(node) not in told and re.search(r"\b\d\d_[a-z]", node.value)
        ]
    templates = (ROOT / "cnnlab" / "report" / "templates").iterdir()
    texts = {path.name: path.read_text(encoding="utf-8") for path in templates}
    found += [(name, text) for name, text in texts.items() if re.search(r"\b\d\d_[a-z]", text)]
    assert {name for name, _ in found} == {"steps.py"}


def test_the_front_page_has_an_order_without_ties():
    places = [figure.place for figure in steps.front_page()]
    assert places == sorted(set(places))
    names = [figure.name for step in steps.STEPS for figure in step.figures]
    assert len(names) == len(set(names))
    assert {steps.drawn_by("sample"), steps.drawn_by("cam_wrong")} == {
        "01_explore_data",
        "05_interpretability",
    }


def test_a_folder_is_written_with_all_in_it_and_nothing_beside():
    assert steps.writer("model").name == steps.writer("model/a/b.txt").name == "03_training"
    assert steps.writer("models") is None
    assert steps.writer("splits.csv.old") is None


def test_upstream_goes_through_others():
    assert [step.number for step in steps.upstream("06_inference_demo")] == ["01", "03"]
    assert steps.upstream("somebody_elses") == []


def test_a_setting_affects_the_steps_that_read_it():
    assert [step.number for step in steps.affected_by(["folds", "epochs"])] == ["04"]
    assert [step.number for step in steps.affected_by(["bootstrap_samples"])] == ["03", "04"]
    assert steps.affected_by(["epochs"]) == []


@pytest.fixture
def planted(monkeypatch):
    """A notebook more: one step."""
    figure = steps.Figure("gain", "What it gained", 15, ("run",))
    more = steps.Step(
        "08_more", ("04_kfold_evaluation",), ("metrics/gain.json",), (figure,), "metrics/gain.json"
    )
    monkeypatch.setattr(steps, "STEPS", (*steps.STEPS, more))
    return runs.open_run("demo", profile="smoke")


def test_one_step_more_is_known_everywhere(planted):
    with pytest.raises(InputError, match=r"no metrics/gain\.json yet: run notebook 08_more first"):
        planted.require("metrics/gain.json")
    planted.save_json("metrics/gain.json", {"gain": 1})
    planted.save_figure(Drawing(figsize=(1, 1)), "gain")
    (shown,), _ = gallery.figures(planted)
    assert (shown.caption, shown.printed) == ("What it gained", ("run",))
    entries = {"03_training": "2026-01-02", "04_kfold_evaluation": "2026-01-03"}
    entries |= {"08_more": "2026-01-01"}
    planted.record("notebooks", {name: {"finished": at} for name, at in entries.items()})
    pages = {page.name: page for page in front_page.notebooks(planted)}
    assert pages["08_more"].status == "out of date"
    assert pages["08_more"].detail == "older than the last 03_training"
    assert drift.compared(planted.folder, planted.folder) == ["metrics/gain.json"]
    assert 'href="metrics/gain.json"' in front_page.build(planted).read_text(encoding="utf-8")
    assert [step.number for step in steps.reproducible()] == ["01", "03", "04", "08"]


def test_what_is_built_on_stale_results_is_stale_itself(planted):
    entries = {"01_explore_data": 2, "03_training": 1, "04_kfold_evaluation": 3, "08_more": 4}
    planted.record(
        "notebooks", {name: {"finished": f"2026-01-0{day}"} for name, day in entries.items()}
    )
    pages = {page.name: (page.status, page.detail) for page in front_page.notebooks(planted)}
    assert pages["03_training"] == ("out of date", "older than the last 01_explore_data")
    stale = "built on 03_training, which is out of date itself"
    assert pages["04_kfold_evaluation"] == pages["08_more"] == ("out of date", stale)


def test_a_path_that_no_step_writes_is_missed_without_a_notebook(planted):
    with pytest.raises(InputError, match=r"no notes\.txt and no notebook writes it\."):
        planted.require("notes.txt")
