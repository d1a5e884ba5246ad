import json
import os
import subprocess
import sys

import nbformat
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from cnnlab import __main__ as command
from cnnlab import __version__
from cnnlab.__main__ import main
from cnnlab.deploy import predict
from cnnlab.runs import execute, open_run

PARAMETERS = new_code_cell('run = "lab"', metadata={"tags": ["parameters"]})


def _call(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def _assert_one_line_and_status_2(result, *parts):
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("cnnlab: error: ")
    assert result.stderr.count("\n") == 1
    for part in parts:
        assert part in result.stderr


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
def photos(tmp_path):
    folder = tmp_path / "photos"
    for label, level in (("cat", 60), ("dog", 190)):
        (folder / label).mkdir(parents=True)
        for number in range(3):
            image = Image.effect_noise((40, 40), 40 + number).point(lambda v, x=level: (v + x) // 2)
            image.convert("RGB").save(folder / label / f"{number}.png")
    return folder


@pytest.mark.slow
def test_help_is_there_at_once_and_loads_nothing_heavy():
    code = (
        "import sys; from cnnlab.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'pandas', 'matplotlib', 'papermill'}\n"
        "sys.exit(f'loaded: {heavy & set(sys.modules)}' if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(command in done.stdout for command in ("run", "audit", "predict"))


def test_the_version_is_the_packages():
    assert _call("--version").output == f"cnnlab, version {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--profile", "fast"], ["'fast'", "quick, full, smoke"]),
        (["--set", "epoch=3"], ["'epoch=3'", "key in", "epochs"]),
        (["--set", "epochs=many"], ["epochs='many'", "expected int"]),
        (["--set", "image_size=8"], ["image_size=8 is out of range", "16 to 1024"]),
        (["--set", "data=a b"], ["without spaces"]),
        (["--data", "nowhere"], ["no data folder 'nowhere'"]),
        (["--only", "09"], ["no notebook 09", "01"]),
        (["--run", "a/b"], ["'a/b'"]),
        (["--set", "data=nowhere"], ["no data folder 'nowhere'"]),
        (["--set", "data="], ["no data folder ''"]),
        (["--set", "model=nope"], ["Unknown model 'nope'", "baseline"]),
    ],
)
def test_run_tells_bad_input_in_one_line_and_makes_no_folder(home, notebooks, arguments, parts):
    _assert_one_line_and_status_2(_call("run", *arguments), *parts)
    assert not (home / "reports").exists()


def test_run_tells_an_empty_folder_and_a_lone_class(home, notebooks, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    _assert_one_line_and_status_2(_call("run", "--data", folder), str(folder))
    (folder / "cat").mkdir()
    Image.new("RGB", (20, 20)).save(folder / "cat" / "1.png")
    _assert_one_line_and_status_2(_call("run", "--data", folder), "cat")
    assert not (home / "reports").exists()


def test_run_tells_a_run_with_other_settings(notebooks):
    open_run("mine", profile="smoke")
    _assert_one_line_and_status_2(
        _call("run", "--run", "mine", "--profile", "quick"), "'mine'", "profile is 'smoke' there"
    )


@pytest.mark.slow
def test_run_ends_with_the_table_and_the_path_of_the_page(home, notebooks):
    result = _call("run", "--profile", "smoke", "--set", "epochs=1")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "Run smoke: profile smoke, data shapes epochs=1"
    assert lines[-1] == str(home / "reports" / "smoke" / "index.html")
    assert any(line.startswith("Test accuracy ") for line in lines)
    assert any(line.startswith("01_first ") for line in lines)
    assert (home / "reports" / "smoke" / "html" / "01_first.html").is_file()
    again = _call("run", "--run", "smoke", "--only", "1")
    assert again.exit_code == 0, again.output


@pytest.mark.slow
def test_a_failing_cell_is_named_and_the_page_and_notebook_are_kept(home, notebooks):
    notebooks("02_second", "1 / 0")
    result = _call("run", "--profile", "smoke", "--run", "bad")
    assert result.exit_code == 1
    error = result.stderr.splitlines()[-1]
    assert error.startswith("cnnlab: error: notebook 02_second, cell 2 (1 / 0): ZeroDivisionError")
    folder = home / "reports" / "bad"
    assert (folder / "notebooks" / "02_second.ipynb").is_file()
    assert "ZeroDivisionError" in (folder / "index.html").read_text()


def test_audit_counts_and_lists(photos):
    (photos / "cat" / "copy.png").write_bytes((photos / "cat" / "0.png").read_bytes())
    (photos / "dog" / "page.jpg").write_text("<!doctype html>")
    result = _call("audit", photos)
    assert result.exit_code == 0, result.output
    words = [line.split() for line in result.stdout.splitlines()]
    assert ["accepted", "7"] in words
    assert ["quarantined", "1"] in words
    assert ["found", "8"] in words
    assert ["exact_duplicate", "1"] in words
    assert words[words.index(["exact_duplicate", "other", "detail"]) + 1] == [
        "cat/copy.png",
        "cat/0.png",
    ]
    assert ["dog/page.jpg", "unknown_format"] in words
    assert "warning" not in result.output


def test_audit_lists_twenty_of_a_kind_and_json_lists_all(photos):
    for number in range(23):
        (photos / "dog" / f"{number:02}.jpg").write_text("<!doctype html>")
    listed = _call("audit", photos).stdout.splitlines()
    assert sum(line.endswith("unknown_format") for line in listed) == 20
    assert "… and 3 more (--json lists all)" in listed
    (photos / "dog" / "22.jpg").unlink()
    (photos / "dog" / "21.jpg").unlink()
    assert "… and 1 more (--json lists all)" in _call("audit", photos).stdout
    (photos / "dog" / "20.jpg").unlink()
    assert "more" not in _call("audit", photos).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="names of Linux")
def test_a_hostile_name_cannot_draw_on_the_terminal(photos):
    (photos / "dog" / "two\nlines\x1b[31m ü.jpg").write_text("<!doctype html>")
    assert "dog/two\\nlines\\x1b[31m ü.jpg" in _call("audit", photos).stdout


def test_audit_as_json_is_one_object(photos):
    (photos / "cat" / "copy.png").write_bytes((photos / "cat" / "0.png").read_bytes())
    for number in range(23):
        (photos / "dog" / f"ü{number:02}.jpg").write_text("<!doctype html>")
    result = _call("audit", photos, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    told = json.loads(result.stdout)
    assert told["source"] == "photos"
    assert len(told["sha256"]) == 64
    assert told["files"] == {"accepted": 7, "quarantined": 23, "skipped": 0, "found": 30}
    assert told["reasons"] == {"quarantined": {"unknown_format": 23}, "skipped": {}}
    assert told["findings"] == {"quarantined": 23, "exact_duplicate": 1}
    assert told["balance"] == [
        {"label": "cat", "split": "", "count": 4},
        {"label": "dog", "split": "", "count": 3},
    ]
    assert told["imbalance"] == pytest.approx(4 / 3)
    assert told["warnings"] == []
    assert len(told["list"]) == 24
    assert told["list"][-1] == {
        "kind": "exact_duplicate",
        "path": "cat/copy.png",
        "other": "cat/0.png",
        "detail": "",
    }


def test_the_bars_of_an_audit_stay_out_of_the_pipe(photos, monkeypatch):
    monkeypatch.setattr(command, "_watched", lambda: True)
    result = _call("audit", photos, "--json")
    assert json.loads(result.stdout)["files"]["found"] == 6
    assert "manifest" in result.stderr
    assert "copies" in result.stderr


def test_audit_warns_of_an_imbalance_above_ten_to_one(photos):
    for number in (1, 2):
        (photos / "dog" / f"{number}.png").unlink()
    for number in range(3, 10):
        Image.effect_noise((40, 40), 40 + number).save(photos / "cat" / f"{number}.png")
    assert "warning" not in _call("audit", photos).stdout  # exactly 10 : 1
    Image.effect_noise((40, 40), 60).save(photos / "cat" / "more.png")
    assert "warning: class 'cat' has 11 images, 'dog' only 1: " in _call("audit", photos).stdout
    (photos / "dog" / "0.png").write_text("<!doctype html>")
    told = json.loads(_call("audit", photos, "--json").stdout)
    assert told["imbalance"] is None
    assert len(told["warnings"]) == 1


def test_audit_tells_a_missing_folder():
    _assert_one_line_and_status_2(_call("audit", "nowhere"), "no data folder 'nowhere'")


class _Predictor:
    """Answers by the first byte, without a model."""

    def __init__(self, folder):
        self.folder = folder

    def predict(self, image_bytes, top=5):
        if image_bytes.startswith(b"<"):
            raise predict.ImageRejected("unknown_format", "This is not an image.")
        top = (("cat", 0.75), ("dog", 0.25))
        sure = image_bytes.startswith(b"\x89PNG")
        doubts = ((), None) if sure else (("cat", "dog"), True)
        return predict.Prediction("cat", 0.75, top, *doubts, False, "0" * 64, "1" * 64)


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "Predictor", _Predictor)
    (tmp_path / "model").mkdir()
    return tmp_path / "model"


def test_predict_prints_aligned_lines(model, photos):
    long = photos / "cat" / "0.png"
    result = _call("predict", "--model", model, long, photos / "dog" / "1.png")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == f"{long}  cat  0.750"
    assert len({line.index("  cat") for line in result.stdout.splitlines()}) == 1


def test_predict_says_how_far_to_trust_an_answer(model, photos):
    image = photos / "cat" / "photo.bin"
    image.write_bytes(b"another")
    plain = _call("predict", "--model", model, image)
    assert plain.stdout == f"{image}  cat  0.750  plausible: cat, dog  perhaps none of these\n"
    answer = json.loads(_call("predict", "--model", model, "--json", image).stdout)
    assert (answer["plausible"], answer["none_of_these"]) == (["cat", "dog"], True)
    image.write_bytes((photos / "cat" / "0.png").read_bytes())
    answer = json.loads(_call("predict", "--model", model, "--json", image).stdout)
    assert (answer["plausible"], answer["none_of_these"]) == ([], None)


def test_a_bad_file_is_an_error_for_that_file_only(model, photos):
    bad = photos / "dog" / "page.jpg"
    bad.write_text("<!doctype html>")
    result = _call("predict", "--model", model, "--json", bad, photos / "cat" / "0.png")
    assert result.exit_code == 1
    first, second = map(json.loads, result.stdout.splitlines())
    assert first == {
        "file": str(bad),
        "error": {"code": "unknown_format", "message": "This is not an image."},
    }
    assert (second["label"], second["probability"]) == ("cat", 0.75)
    assert second["file"].endswith("0.png")


def test_a_missing_file_is_an_error_for_that_file_only(model, photos):
    result = _call("predict", "--model", model, photos / "none.png", photos / "cat" / "0.png")
    assert result.exit_code == 1
    first, second = result.stdout.splitlines()
    assert "error: " in first
    assert second.endswith("cat  0.750")


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="names are always Unicode there")
def test_predict_prints_odd_names_on_one_line_and_as_json(model, photos):
    image_bytes = (photos / "cat" / "0.png").read_bytes()
    odd = photos / "cat" / os.fsdecode(b"red\x1b[31m\n\xff.png")
    odd.write_bytes(image_bytes)
    plain = _call("predict", "--model", model, odd)
    assert plain.exit_code == 0, plain.output
    assert plain.stdout == f"{photos}/cat/red\\x1b[31m\\n\\xff.png  cat  0.750\n"
    odd.unlink()
    gone = json.loads(_call("predict", "--model", model, "--json", odd).stdout)
    assert gone["file"] == f"{photos}/cat/red\x1b[31m\n\\xff.png"
    assert gone["error"]["message"] == f"{gone['file']} does not exist."
    _assert_one_line_and_status_2(_call("predict", "--model", odd, photos), "\\x1b[31m")


def test_audit_prints_a_finding_on_one_line_whatever_the_name(photos):
    (photos / "dog" / "a\nb.jpg").write_text("<!doctype html>")
    lines = _call("audit", photos).stdout.splitlines()
    assert any("dog/a\\nb.jpg" in line and "unknown_format" in line for line in lines)


def test_predict_tells_a_missing_model(photos):
    result = _call("predict", "--model", "nowhere", photos / "cat" / "0.png")
    _assert_one_line_and_status_2(result, "no model folder 'nowhere'")
