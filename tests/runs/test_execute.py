import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from cnnlab import runs
from cnnlab.config import InputError
from cnnlab.runs import execute
from cnnlab.runs.progress import Progress

PARAMETERS = new_code_cell('run = "lab"', metadata={"tags": ["parameters"]})


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "notebooks"
    path.mkdir()
    return path


@pytest.fixture
def run():
    return runs.open_run("demo", profile="smoke")


def _write(folder, name, *sources):
    cells = [new_markdown_cell("# Title"), PARAMETERS, *map(new_code_cell, sources)]
    nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")


def test_notebooks_are_found_in_order(folder):
    for name in ("10_last", "02_b", "01_a", "draft"):
        _write(folder, name)
    assert execute.available(folder) == ["01_a", "02_b", "10_last"]


def test_a_folder_without_notebooks_is_an_input_error(folder):
    with pytest.raises(InputError, match="no notebooks"):
        execute.available(folder)


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ("", ["01_a", "02_b", "03_c"]),
        ("02", ["02_b"]),
        ("3, 1", ["01_a", "03_c"]),
    ],
)
def test_only_selects_by_number_and_keeps_the_order(only, expected):
    assert execute.selected(["01_a", "02_b", "03_c"], only) == expected


@pytest.mark.parametrize("only", ["04", "x", ",", "01,"])
def test_an_unknown_number_names_the_known_ones(only):
    with pytest.raises(InputError, match="expected some of 01, 02"):
        execute.selected(["01_a", "02_b"], only)


@pytest.mark.slow
def test_a_notebook_is_executed_with_the_runs_name_in_its_own_folder(folder, run, capfd):
    _write(folder, "01_a", "run", "import pathlib\nprint(pathlib.Path().resolve())", "")
    (done,) = execute.execute(run, ["01_a"], folder)
    cells = nbformat.read(run.folder / "notebooks" / "01_a.ipynb", as_version=4).cells
    outputs = [cell.outputs for cell in cells if cell.get("outputs")]
    assert outputs[0][0].data["text/plain"] == "'demo'"
    assert outputs[1][0].text.strip() == str(folder)
    assert done.red_lines == ()
    entry = run.state()["notebooks"]["01_a"]
    assert entry["seconds"] == round(done.seconds, 1)
    assert entry["started"] < entry["finished"]
    assert capfd.readouterr().err.splitlines()[-1].startswith("01_a                      cell 6/6")


@pytest.mark.slow
def test_jobs_reach_only_the_notebooks_that_ask_for_them(folder, run):
    _write(folder, "01_a", "'jobs' in globals()")
    _write(folder, "02_b", "jobs")
    node = nbformat.read(folder / "02_b.ipynb", as_version=4)
    node.cells[1].source += "\njobs = 1"
    nbformat.write(node, folder / "02_b.ipynb")
    execute.execute(run, ["01_a", "02_b"], folder, jobs=3)
    shown = []
    for name in ("01_a", "02_b"):
        cells = nbformat.read(run.folder / "notebooks" / f"{name}.ipynb", as_version=4).cells
        shown.append(cells[-1].outputs[0].data["text/plain"])
    assert shown == ["False", "3"]


@pytest.mark.slow
def test_red_text_is_reported_and_does_not_stop_the_run(folder, run):
    _write(folder, "01_a", "import sys\nprint('careful', file=sys.stderr)")
    _write(folder, "02_b", "1")
    first, second = execute.execute(run, ["01_a", "02_b"], folder)
    assert first.red_lines == ("careful",)
    assert second.red_lines == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sources", "cell", "title", "error"),
    [
        (["1", "x = [\n]\nx[0]", "2"], 4, "x = [", "IndexError: list index out of range"),
        (["raise ValueError"], 3, "raise ValueError", "ValueError: (no message)"),
        (["import sys; sys.exit(0)", "late = 1"], 4, "late = 1", "the cell was never executed."),
        (
            ["1", "import os; os.kill(os.getpid(), 9)", "2"],
            4,
            "import os; os.kill(os.getpid(), 9)",
            "the kernel died, which most often means that the memory was full.",
        ),
    ],
)
def test_a_failure_names_notebook_cell_and_error_and_keeps_the_notebook(
    folder, run, sources, cell, title, error
):
    _write(folder, "01_a", *sources)
    _write(folder, "02_b", "1")
    with pytest.raises(execute.NotebookFailed) as caught:
        execute.execute(run, ["01_a", "02_b"], folder)
    failure = caught.value
    assert (failure.notebook, failure.cell, failure.title) == ("01_a", cell, title)
    assert failure.error == error
    assert f"notebook 01_a, cell {cell} ({title}): " in str(failure)
    assert failure.path.is_file()
    assert str(failure.path) in str(failure)
    state = run.state()["notebooks"]
    assert state["01_a"]["failed"] == f"cell {cell}: {error}"
    assert "finished" not in state["01_a"]
    assert "02_b" not in state


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "refused"),
    [
        ("from cnnlab.config import InputError; raise InputError('two lines\\nof it')", True),
        ("from cnnlab.data.batches import SealedTestSet; raise SealedTestSet('no')", True),
        ("raise ValueError('no')", False),
    ],
)
def test_bad_input_is_told_from_a_fault(folder, run, source, refused):
    _write(folder, "01_a", source)
    with pytest.raises(execute.NotebookFailed) as caught:
        execute.execute(run, ["01_a"], folder)
    assert caught.value.refused == refused


@pytest.mark.slow
def test_running_again_forgets_the_failure(folder, run):
    _write(folder, "01_a", "1/0")
    with pytest.raises(execute.NotebookFailed):
        execute.execute(run, ["01_a"], folder)
    _write(folder, "01_a", "1")
    execute.execute(run, ["01_a"], folder)
    assert "failed" not in run.state()["notebooks"]["01_a"]


@pytest.mark.slow
def test_what_a_cell_prints_or_rewrites_reaches_the_progress(folder, run):
    said = []

    class Watched(Progress):
        def say(self, text):
            said.append(text.strip())

    source = (
        "from cnnlab import runs\nshow = runs.live_line()\nshow('half')\nshow('all')\nprint('done')"
    )
    _write(folder, "01_a", source)
    execute.execute(run, ["01_a"], folder, begin=Watched)
    assert [text for text in said if text] == ["half", "all", "done"]
    outputs = nbformat.read(run.folder / "notebooks" / "01_a.ipynb", as_version=4).cells[-1].outputs
    assert [output.get("data", {}).get("text/plain", output.get("text")) for output in outputs] == [
        "all", "done\n",
    ]  # fmt: skip
