"""What papermill makes of parameters that were typed, in every notebook: one line, no traceback."""

import nbformat
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_notebook

from cnnlab.runs import execute

OPENS = """
from cnnlab import runs
lab = runs.open_run(run, profile=profile, data=data, overrides=overrides)
print(lab.name)
"""


def notebook(name):
    return nbformat.read(execute.NOTEBOOKS / f"{name}.ipynb", as_version=4)


def parameters(cells):
    return next(cell for cell in cells if "parameters" in cell.metadata.get("tags", []))


@pytest.mark.parametrize("name", execute.available())
def test_every_parameter_of_every_notebook_is_one_whose_type_is_checked(name):
    cells = notebook(name).cells
    known: dict[str, object] = {}
    exec(parameters(cells).source, known)
    del known["__builtins__"]
    assert set(known) - {"jobs"} == {"run", "profile", "data", "overrides"}
    code = "".join(cell.source for cell in cells if cell.cell_type == "code")
    opened = "open_run(run, profile=profile, data=data, overrides=overrides, notebook=notebook)"
    assert opened in code
    assert ("jobs=jobs" in code) == ("jobs" in known)  # see training.executor.check_jobs


@pytest.mark.slow
def test_papermill_by_hand(home, monkeypatch):
    from papermill.__main__ import papermill

    monkeypatch.chdir(home)
    cells = [parameters(notebook("01_explore_data").cells), new_code_cell(OPENS)]
    nbformat.write(new_notebook(cells=cells), "in.ipynb")

    def typed(*words):
        command = ["in.ipynb", "out.ipynb", "-k", "python3", "-l", "python", *words]
        result = CliRunner().invoke(papermill, command)
        return result.exit_code, nbformat.read("out.ipynb", as_version=4).cells[-1].outputs

    status, outputs = typed("-p", "run", "2024", "-p", "profile", "smoke")
    assert status == 0
    said = "".join(output.text for output in outputs).splitlines()
    assert (len(said), said[-1]) == (2, "2024")
    status, (error,) = typed("-p", "run", "other", "-p", "overrides", "3")
    assert status == 1
    assert error.traceback == [f"InputError: {error.evalue}"]
    assert error.evalue.startswith("overrides=3 is no text: expected settings in quotation marks")
    assert [path.name for path in (home / "reports").iterdir()] == ["2024"]
