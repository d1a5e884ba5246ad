import pytest
from PIL import Image

from cnnlab.runs import execute, open_run


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--profile", "fast"], ["'fast'", "quick, transfer, full, smoke"]),
        (["--set", "epoch=3"], ["'epoch=3'", "Did you mean epochs?"]),
        (["--set", "epochs=many"], ["epochs='many'", "expected a whole number"]),
        (["--set", "image_size=8"], ["image_size=8 is out of range", "16 to 1024"]),
        (["--set", "data=a b"], ["no data folder 'a b'"]),
        (["--set", "epochs=3 seed=1"], ["Cannot set epochs='3 seed=1'"]),
        (["--overrides", "epochs=3 epoch=4"], ["'epoch=4'", "Did you mean epochs?"]),
        (["--overrides", "source='a b'"], ["no data folder 'a b'"]),
        (["--set", "weights=a b.h5"], ["no weights file", "a b.h5'"]),
        (["--data", "flower"], ["Did you mean flowers?"]),
        (["--run", "con"], ["Windows"]),
        (["--run", "x" * 300], ["(300 characters)", "at most 80 letters"]),
        (["--set", "more_augmentation=shear"], ["'shear'", "expected name=strength"]),
        (
            ["--set", "more_augmentation=shear=0.1,translate=0.1"],
            ["Unknown op 'translate'", "translation (0 to 0.5)"],
        ),
        (["--set", "more_augmentation=shear=2"], ["shear=2", "out of range: expected 0 to 1"]),
        (["--data", "nowhere"], ["no data folder 'nowhere'"]),
        (["--only", "09"], ["no notebook 09", "01"]),
        (["--run", "a/b"], ["'a/b'"]),
        (["--set", "data=nowhere"], ["no data folder 'nowhere'"]),
        (["--set", "data="], ["no data folder ''"]),
        (["--seeds", "0,0"], ["'0,0' name 0 twice", "such as 0,1,2"]),
        (["--seeds", "a"], ["the seeds 'a'", "expected different whole numbers"]),
        (["--seeds", ","], ["the seeds ','"]),
        (["--seeds", " "], ["names no seed"]),
        (["--seeds", "0,1", "--set", "seed=2"], ["--seeds and --set seed=… say the same"]),
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


def test_run_tells_a_table_that_cannot_be_used(refused, home, notebooks, tmp_path):
    (tmp_path / "labels.csv").write_text("path,label\n1.png,cat\n")
    refused(["run", "--data", tmp_path / "labels.csv"], "row 2", "'1.png'")
    (tmp_path / "labels.txt").write_text("path,label\n1.png,cat\n")
    refused(["run", "--data", tmp_path / "labels.txt"], "no CSV table")
    refused(["run", "--set", "group_by=p[0-9]"], "captures nothing")
    assert not (home / "reports").exists()


def test_run_tells_a_run_with_other_settings(refused, notebooks):
    open_run("mine", profile="smoke")
    refused(["run", "--run", "mine", "--profile", "quick"], "'mine'", "profile is 'smoke' there")


def test_a_changed_evaluation_executes_what_it_concerns(call, notebooks, monkeypatch):
    names = ["01_first", "04_kfold_evaluation", "05_interpretability"]
    for name in names[1:]:
        notebooks(name, "1")
    executed = []
    monkeypatch.setattr(execute, "execute", lambda run, names, jobs: executed.append(names) or [])
    run = open_run("mine", profile="smoke")
    done = {"started": run.state()["created"], "finished": run.state()["created"]}
    run.record("notebooks", {name: dict(done) for name in names})
    result = call("run", "--run", "mine", "--set", "bootstrap_samples=99")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[:3] == [
        "bootstrap_samples was 50 in this run and is 99 now.",
        "Run mine: profile smoke, data shapes bootstrap_samples=99",
        "Executing what the change concerns and what is not done: 04_kfold_evaluation",
    ]
    call("run", "--run", "mine")  # it was cut short, say, and is asked for again
    call("run", "--run", "mine", "--only", "05")
    later = {"started": "9999", "finished": "9999"}
    run.update(lambda state: state["notebooks"].update({names[1]: later}))
    call("run", "--run", "mine")  # nothing is out of date: all of it, as ever
    assert executed == [[names[1]], [names[1]], [names[2]], names]


def test_seeds_are_added_to_a_finished_run_without_training_its_model(call, notebooks, monkeypatch):
    names = ["01_first", "03_training", "04_kfold_evaluation"]
    for name in names[1:]:
        notebooks(name, "1")
    executed = []
    monkeypatch.setattr(execute, "execute", lambda run, names, jobs: executed.append(names) or [])
    run = open_run("mine", profile="smoke")
    done = {"started": run.state()["created"], "finished": run.state()["created"]}
    run.record("notebooks", {name: dict(done) for name in names})
    result = call("run", "--run", "mine", "--seeds", "0,1,2")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "more_seeds was nothing in this run and is 1,2 now."
    assert executed == [["04_kfold_evaluation"]]
    assert open_run("mine").settings.seeds == (0, 1, 2)
    refused = call("run", "--run", "mine", "--seeds", "1,0")
    assert refused.exit_code == 2
    assert "seed is 0 there, 1 asked" in refused.stderr


def test_settings_are_read_beside_those_of_the_run_that_exists(call, notebooks, monkeypatch):
    """Alone, or beside those of a profile, none of these makes sense."""
    monkeypatch.setattr(execute, "execute", lambda run, names, jobs: [])
    monkeypatch.setattr("cnnlab.training.trainer.check", lambda settings: None)
    given = ["stages=all:60:64px,all", "weight_decay=0.1"]
    all_of_them = [*given, "optimizer=adamw", "epochs=70", "fold_epochs=65"]
    open_run("mine", profile="full", overrides=" ".join(all_of_them))
    result = call("run", "--run", "mine", "--set", given[0], "--set", given[1])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Run mine: profile full")
    refused = call("run", "--run", "mine", "--set", "fold_epochs=60")
    assert refused.exit_code == 2
    assert "nothing is left for the last stage" in refused.stderr


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


@pytest.mark.slow
def test_what_a_notebook_refuses_is_bad_input(call, home, notebooks):
    notebooks("02_second", "from cnnlab.training import Diverged; raise Diverged('Loss 2e16.')")
    result = call("run", "--profile", "smoke", "--run", "bad")
    assert result.exit_code == 2
    assert "Diverged: Loss 2e16." in result.stderr.splitlines()[-1]
