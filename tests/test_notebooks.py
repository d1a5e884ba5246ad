"""The notebooks: short cells, one of parameters, stripped; they run, in order, cleanly."""

import ast
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from PIL import Image

from cnnlab.__main__ import main
from cnnlab.config import InputError
from cnnlab.config.model import MODULES
from cnnlab.data import ledger, manifest, splits
from cnnlab.report import front_page
from cnnlab.runs import execute, open_run, results, steps
from cnnlab.serving.server import server_process

ROOT = Path(__file__).resolve().parent.parent
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = [path.stem for path in PATHS]
# What a full run leaves, beside the pages and figures.
FILES = ("index.html", "run.json", "model/contract.json", "model/model.h5")

each_notebook = pytest.mark.parametrize("path", PATHS, ids=NAMES)


def _code(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def _lines(source):
    """Return the lines with code in them, without the imports."""
    imports = {
        number
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for number in range(node.lineno, node.end_lineno + 1)
    }
    lines = enumerate(source.splitlines(), start=1)
    return [line for number, line in lines if line.strip() and number not in imports]


@each_notebook
def test_it_is_valid_and_opens_with_its_title(path):
    node = nbformat.read(path, as_version=4)
    nbformat.validate(node)
    assert node.cells[0].cell_type == "markdown"
    assert node.cells[0].source.startswith("# ")
    assert node.cells[-1].cell_type == "markdown"


@each_notebook
def test_it_has_one_cell_of_parameters_all_literal(path):
    tagged = [cell for cell in _code(path) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    values = {}
    for statement in ast.parse(tagged[0].source).body:
        assert isinstance(statement, ast.Assign), ast.unparse(statement)
        (target,) = statement.targets
        values[target.id] = ast.literal_eval(statement.value)
    if path.stem == "04_kfold_evaluation":
        assert values.pop("jobs") == 0
    assert values == {"run": "lab", "profile": "", "data": "", "overrides": ""}
    assert _code(path)[0] is not None
    assert "parameters" in _code(path)[0].metadata.get("tags", [])


@each_notebook
def test_its_cells_are_short_and_few(path):
    lengths = [len(_lines(cell.source)) for cell in _code(path)]
    assert min(lengths) > 0
    assert max(lengths) <= 15
    assert statistics.median(lengths) <= 6
    assert len(lengths) <= 25


@each_notebook
def test_it_defines_no_class_and_no_long_function(path):
    for cell in _code(path):
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, ast.ClassDef), node.name
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno - node.lineno + 1 <= 3, node.name


@each_notebook
def test_it_is_stripped(path):
    node = json.loads(path.read_text(encoding="utf-8"))
    assert set(node["metadata"]) <= {"kernelspec", "language_info"}
    for cell in node["cells"]:
        assert set(cell["metadata"]) <= {"tags"}
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@each_notebook
def test_its_text_needs_no_formula_renderer(path):
    """The pages open offline, where nothing turns TeX into formulas."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            assert "$" not in cell.source


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """All notebooks, executed once in the order of a user's run."""
    home = tmp_path_factory.mktemp("smoke")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(home))
        run = open_run("smoke", profile="smoke")
        done = execute.execute(run, execute.available())
        front_page.build(run)
    return run, {executed.notebook: executed for executed in done}


@pytest.mark.slow
@each_notebook
def test_every_code_cell_ran_without_red_text_or_warning(path, smoke):
    run, done = smoke
    assert done[path.stem].red_lines == ()
    executed = run.folder / "notebooks" / path.name
    counts = [cell.execution_count for cell in _code(executed)]
    assert counts == list(range(1, len(counts) + 1))
    for cell in _code(executed):
        for output in cell.outputs:
            assert output.output_type != "error"
            shown = [output.get("text", ""), *output.get("data", {}).values()]
            assert not any("Warning" in text for text in shown if isinstance(text, str)), shown


@pytest.mark.slow
@each_notebook
def test_it_has_a_page_and_a_time(path, smoke):
    run, _ = smoke
    assert (run.folder / "html" / f"{path.stem}.html").stat().st_size > 10_000
    entry = run.state()["notebooks"][path.stem]
    assert entry["seconds"] > 0
    assert entry["devices"]


@pytest.mark.slow
def test_the_run_folder_is_complete(smoke):
    run, _ = smoke
    assert [name for name in FILES if not (run.folder / name).is_file()] == []
    written = [path for step in steps.STEPS for path in step.writes]
    assert [path for path in written if not (run.folder / path).exists()] == []
    declared = {figure.name for step in steps.STEPS for figure in step.figures}
    drawn = {path.stem for path in (run.folder / "figures").glob("*.png")}
    # Equal sizes have no scatter and square images fit, a head trained by steps has no penalty to
    # choose, a constant rate is no curve, and without the server nothing is timed.
    not_here = {"sizes", "fits", "strengths", "learning_rates", "serving_load"}
    assert declared - not_here <= drawn <= declared
    state = run.state()
    assert state["dataset"]["sha256"]
    model = run.load_json("model/contract.json")["model_id"]
    assert [(entry["by"], entry["model_id"]) for entry in state["test_set_opened"]] == [
        ("04_kfold_evaluation", model)
    ]
    assert not any(row.missing for row in front_page.summary(run))
    assert {page.status for page in front_page.notebooks(run)} == {"done"}


@pytest.mark.slow
def test_the_server_is_asked_where_it_is_built(smoke):
    run, _ = smoke
    found = results.Serving.read(run.folder / "metrics" / "serving.json")
    assert found.served == server_process.PROGRAM.is_file()
    if found.served:
        assert found.same == found.files > 10
        assert set(found.seconds) == {"cached", "fresh"}


@pytest.fixture
def copied(smoke, home):
    """The executed run, as this test's own."""
    original, _ = smoke
    shutil.copytree(original.folder.parents[1], home, dirs_exist_ok=True)
    return open_run("smoke")


@pytest.mark.slow
def test_the_command_reproduces_and_names_a_changed_image_and_setting(copied, home):
    """Notebooks 01 and 03 again: once as they are, once with a change."""
    first, second, third = steps.reproducible()
    (copied.folder / third.reproducible).unlink()  # the folds need not be trained again
    same = CliRunner().invoke(main, ["reproduce", "smoke"])
    assert same.exit_code == 0, same.output
    for part in ("reproduced: ", first.reproducible, second.reproducible, "model/contract.json"):
        assert part in same.stdout
    assert [path.name for path in (home / "reports").iterdir()] == ["smoke"]

    rows = copied.load_table("splits.csv")
    changed = rows.loc[rows["split"] == "train", "path"].iloc[0]
    Image.new("RGB", (40, 40), "red").save(copied.source().root / changed)
    state = copied.state()
    state["settings"]["learning_rate"] = 0.01
    (copied.folder / "run.json").write_text(json.dumps(state))
    other = CliRunner().invoke(main, ["reproduce", str(copied.folder)])
    assert other.exit_code == 1, other.output
    for part in (f"{changed} (changed)", "learning_rate (edited in run.json)", "epoch 1, loss"):
        assert part in other.stdout
    assert "model_id" in other.stdout
    (kept,) = (path for path in (home / "reports").iterdir() if path.name != "smoke")
    assert str(kept) in other.stdout


@pytest.mark.slow
def test_a_seed_is_added_to_a_finished_run(copied):
    """Notebook 04 alone: a further model is trained and tested, the one that ships is as it was."""
    before = {name: (copied.folder / name).read_bytes() for name in FILES[2:]}
    stated = {name: copied.load_json(f"metrics/{name}.json") for name in ("test", "validation")}
    called = CliRunner().invoke(main, ["run", "--run", "smoke", "--seeds", "0,1", "--jobs", "1"])
    assert called.exit_code == 0, called.output
    assert before["model/model.h5"] == (copied.folder / "model" / "model.h5").read_bytes()
    assert stated == {name: copied.load_json(f"metrics/{name}.json") for name in stated}
    found = results.seeds(copied)
    assert [run.seed for run in found.runs] == [0, 1]
    accuracies = [run.test["accuracy"] for run in found.runs]
    assert accuracies[0] == stated["test"]["accuracy"]["estimate"]
    assert found.test["accuracy"].mean == statistics.mean(accuracies)
    assert found.test["accuracy"].deviation == pytest.approx(statistics.stdev(accuracies))
    own, other = (run.model_id for run in found.runs)
    entries = [(e.get("seed"), e["model_id"]) for e in copied.state()["test_set_opened"]]
    assert entries == [(None, own), (None, own), (1, other)]
    known = ledger.openings()[0]
    assert sorted(each.model_id for each in known) == sorted((own, other))
    assert "differ in the seed alone" in (copied.folder / "model" / "card.md").read_text()
    assert "Test accuracy over seeds" in called.stdout
    assert "wrote to stderr" not in called.stdout


@pytest.mark.slow
def test_without_the_server_the_rest_is_shown(copied, home, monkeypatch):
    """A machine without Go runs every notebook, and is told in one line what is left out."""
    monkeypatch.setenv("CNNLAB_SERVER", str(home / "none"))
    run = copied
    (done,) = execute.execute(run, ["07_deployment"])
    assert done.red_lines == ()
    model_id = run.load_json("model/contract.json")["model_id"]
    found = results.Serving.read(run.folder / "metrics" / "serving.json")
    assert (found.model_id, found.served, found.files) == (model_id, False, 0)
    cells = _code(run.folder / "notebooks" / "07_deployment.ipynb")
    printed = "".join(o.text for cell in cells for o in cell.outputs if o.output_type == "stream")
    assert printed.count("make backend") == 1
    assert "the same id" in printed
    assert "0 of " in printed


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES[1:])
def test_without_its_input_it_says_which_notebook_to_run(name):
    """Its cells are run here: a kernel of its own would import TensorFlow for one line."""
    open_run("alone", profile="smoke")
    parameters, *cells = _code(ROOT / "notebooks" / f"{name}.ipynb")
    names = {}
    exec(parameters.source, names)
    names["run"] = "alone"
    with pytest.raises(InputError, match=r"Run 'alone' has no .*: run notebook") as caught:
        exec("\n".join(cell.source for cell in cells), names)
    told = re.search(r"run notebook (\w+) first", str(caught.value))
    assert told[1] in [step.name for step in steps.upstream(name)]


@pytest.mark.slow
def test_plain_papermill_runs_a_notebook(home):
    """As the README says: no command of ours, and a new run of the asked profile."""
    notebook = ROOT / "notebooks" / "01_explore_data.ipynb"
    command = [sys.executable, "-m", "papermill", str(notebook), "out.ipynb", "--no-progress-bar"]
    command += ["-p", "run", "plain", "-p", "profile", "smoke"]
    environment = {**os.environ, "CNNLAB_HOME": str(home)}
    done = subprocess.run(
        command, cwd=home, env=environment, check=True, capture_output=True, text=True
    )
    assert "Unable to parse" not in done.stderr
    assert "unknown parameter" not in done.stderr
    assert open_run("plain").settings.profile == "smoke"
    assert (home / "reports" / "plain" / "splits.csv").is_file()
    assert all(cell.execution_count for cell in _code(home / "out.ipynb"))


@pytest.mark.slow
def test_a_table_of_patients_goes_through_the_split_and_training(home):
    """Eight patients with six frames of each of two classes; the frames are no copies."""
    photos, rows = home / "ward", ["path;label;patient"]
    photos.mkdir()
    for label, level in (("ill", 60), ("well", 190)):
        for number in range(48):
            name = f"{label}_{number}.png"
            noise = Image.effect_noise((24, 24), 40 + number).point(lambda v, x=level: (v + x) // 2)
            noise.convert("RGB").save(photos / name)
            rows.append(f"{name};{label};p{number // 6}")
    (photos / "labels.csv").write_text("\n".join(rows))
    settings = "image_size=16 epochs=1 seed=3"
    run = open_run("ward", profile="smoke", data=str(photos / "labels.csv"), overrides=settings)
    done = execute.execute(run, ["01_explore_data", "03_training"])
    assert [executed.red_lines for executed in done] == [(), ()]
    table = splits.read(run.require("splits.csv"))
    assert set(table["split"]) == {"train", "validation", "test"}
    assert (table.groupby("group")["split"].nunique() == 1).all()
    listed = manifest.read(run.require("manifest.csv"))
    assert listed["status"].value_counts().to_dict() == {"accepted": 96, "skipped": 1}
    assert set(run.load_table("predictions/validation.csv")["label"]) == {"ill", "well"}
    assert "8 groups were declared" in (run.folder / "dataset_card.md").read_text()
    (photos / "labels.csv").write_text("\n".join(rows[:-1]))
    with pytest.raises(InputError, match=r"1 removed \(well_47.png\)"):
        run.dataset()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("architecture", [*MODULES[1:], "mobilenet_v2"])  # not smoke's
def test_every_architecture_passes_through_all_notebooks(architecture, home):
    recipe = "stages=head:1,all:x0.5 ema_decay=0.9 fold_epochs=2"
    run = open_run("other", profile="smoke", overrides=f"architecture={architecture} {recipe}")
    done = execute.execute(run, execute.available())
    assert [executed.red_lines for executed in done] == [()] * len(steps.STEPS)
    for path in (run.folder / "notebooks").iterdir():  # where TensorFlow warns
        assert "WARNING:tensorflow" not in path.read_text("utf-8"), path.name
    front_page.build(run)
    assert not any(row.missing for row in front_page.summary(run))
    assert f"Network `{architecture}`" in (run.folder / "model" / "card.md").read_text("utf-8")


@pytest.mark.slow
def test_the_model_answers_on_the_command_line(smoke):
    run, _ = smoke
    row = run.load_table("predictions/test.csv").iloc[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(run.folder.parents[1]))
        image = run.source().root / row["path"]
    command = [sys.executable, "-m", "cnnlab", "predict", "--json", "--model", run.folder / "model"]
    done = subprocess.run(
        [*command, image, "none.png"], capture_output=True, text=True, check=False
    )
    answer, missing = map(json.loads, done.stdout.splitlines())
    assert (done.returncode, done.stderr) == (1, "")
    assert answer["label"] == row["predicted"]
    assert answer["probability"] == pytest.approx(row["probability"], abs=1e-5)
    assert set(missing) == {"path", "error"}
