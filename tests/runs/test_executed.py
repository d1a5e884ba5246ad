import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from cnnlab.runs import executed


@pytest.fixture
def path(tmp_path):
    """A notebook that papermill stopped in: its third cell raised, its fourth never ran."""
    red = new_output("stream", name="stderr", text="careful\n\nagain\n")
    error = new_output("error", ename="E", evalue="x", traceback=[])
    started = {"papermill": {"start_time": "2026-01-01"}}
    listed = [
        new_markdown_cell("# Title"),
        new_code_cell('run = "lab"\njobs = 1  # folds', metadata={"tags": ["parameters"]}),
        new_code_cell('run = "x"', metadata={"tags": ["injected-parameters"]}, execution_count=1),
        new_code_cell("\nx = f()\ny", outputs=[red, error], execution_count=2, metadata=started),
        new_code_cell("late = 1"),
        new_code_cell(""),
    ]
    listed[1].execution_count = 1
    target = tmp_path / "n.ipynb"
    nbformat.write(new_notebook(cells=listed), target)
    return target


def test_cells_keep_the_numbers_that_they_were_written_with(path):
    found = executed.read(path)
    assert found.cells == 6
    assert found.failed == ((3, "x = f()"),)
    assert found.started == ((3, "x = f()"),)
    assert found.never_ran == ((4, "late = 1"),)


def test_lines_of_stderr_are_those_with_something_in_them(path):
    assert executed.read(path).stderr == ("careful", "again")


def test_parameters_are_those_of_the_tagged_cell(path):
    assert executed.read(path).parameters == ("run", "jobs")


def test_the_title_is_the_first_heading(path):
    assert executed.read(path).title == "Title"


def test_a_notebook_that_python_cannot_read_has_no_parameters_and_no_title(tmp_path):
    odd = new_code_cell("%pip install x\njobs = 1", metadata={"tags": ["parameters"]})
    nbformat.write(new_notebook(cells=[odd]), tmp_path / "n.ipynb")
    found = executed.read(tmp_path / "n.ipynb")
    assert (found.parameters, found.title, found.started, found.failed) == ((), "", (), ())
    assert found.never_ran == ((1, "%pip install x"),)
