import pytest
from PIL import Image

from cnnlab.runs import open_run


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--profile", "fast"], ["'fast'", "quick, full, smoke"]),
        (["--set", "epoch=3"], ["'epoch=3'", "key in", "epochs"]),
        (["--set", "epochs=many"], ["epochs='many'", "expected a whole number"]),
        (["--set", "image_size=8"], ["image_size=8 is out of range", "16 to 1024"]),
        (["--set", "data=a b"], ["without spaces"]),
        (["--data", "nowhere"], ["no data folder 'nowhere'"]),
        (["--only", "09"], ["no notebook 09", "01"]),
        (["--run", "a/b"], ["'a/b'"]),
        (["--set", "data=nowhere"], ["no data folder 'nowhere'"]),
        (["--set", "data="], ["no data folder ''"]),
        (["--set", "model=nope"], ["Unknown architecture 'nope'", "reference_cnn"]),
    ],
)
def test_run_tells_bad_input_in_one_line_and_makes_no_folder(
    refused, home, notebooks, arguments, parts
):
    refused(["run", *arguments], *parts)
    assert not (home / "reports").exists()


def test_run_tells_an_empty_folder_and_a_lone_class(refused, home, notebooks, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    refused(["run", "--data", folder], str(folder))
    (folder / "cat").mkdir()
    Image.new("RGB", (20, 20)).save(folder / "cat" / "1.png")
    refused(["run", "--data", folder], "cat")
    assert not (home / "reports").exists()


def test_run_tells_a_run_with_other_settings(refused, notebooks):
    open_run("mine", profile="smoke")
    refused(["run", "--run", "mine", "--profile", "quick"], "'mine'", "profile is 'smoke' there")


@pytest.mark.slow
def test_run_ends_with_the_table_and_the_path_of_the_page(call, home, notebooks):
    result = call("run", "--profile", "smoke", "--set", "epochs=1")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "Run smoke: profile smoke, data shapes epochs=1"
    assert lines[-1] == str(home / "reports" / "smoke" / "index.html")
    assert any(line.startswith("Test accuracy ") for line in lines)
    assert any(line.startswith("01_first ") for line in lines)
    assert (home / "reports" / "smoke" / "html" / "01_first.html").is_file()
    again = call("run", "--run", "smoke", "--only", "1")
    assert again.exit_code == 0, again.output


@pytest.mark.slow
def test_a_failing_cell_is_named_and_the_page_and_notebook_are_kept(call, home, notebooks):
    notebooks("02_second", "1 / 0")
    result = call("run", "--profile", "smoke", "--run", "bad")
    assert result.exit_code == 1
    error = result.stderr.splitlines()[-1]
    assert error.startswith("cnnlab: error: notebook 02_second, cell 2 (1 / 0): ZeroDivisionError")
    folder = home / "reports" / "bad"
    assert (folder / "notebooks" / "02_second.ipynb").is_file()
    assert "ZeroDivisionError" in (folder / "index.html").read_text()
