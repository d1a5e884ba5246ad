import nbformat
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_notebook

from cnnlab.__main__ import main
from cnnlab.runs import execute

PARAMETERS = new_code_cell('run = "lab"', metadata={"tags": ["parameters"]})


@pytest.fixture
def call():
    """Type a command: its arguments → click's result."""
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def refused(call):
    """Type a command that must end in one line on standard error and status 2."""

    def check(arguments, *parts):
        result = call(*arguments)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert result.stderr.startswith("cnnlab: error: ")
        assert result.stderr.count("\n") == 1
        for part in parts:
            assert part in result.stderr

    return check


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    """A folder that stands for the checkout's notebooks; returns a writer."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(execute, "NOTEBOOKS", folder)

    def write(name, *sources):
        cells = [PARAMETERS, *map(new_code_cell, sources)]
        nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")

    write("01_first", "1")
    return write


@pytest.fixture
def photos(make_photos):
    return make_photos(3)
