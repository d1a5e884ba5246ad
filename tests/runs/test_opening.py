import json
import subprocess
import sys

import pytest

from cnnlab import hashing, runs
from cnnlab.config import InputError, make_settings
from cnnlab.report import comparison_page, front_page
from cnnlab.runs import names, opening, storage
from cnnlab.training import trainer


def test_a_new_run_writes_its_settings_and_where_it_comes_from(home):
    run = runs.open_run("demo", profile="smoke", overrides="epochs=3 seed=7")
    assert run.folder == home / "reports" / "demo"
    assert run.settings == make_settings("smoke", ["epochs=3", "seed=7"])
    state = json.loads((run.folder / "run.json").read_text())
    assert state["settings"]["epochs"] == 3
    assert state["test_set_opened"] == []
    assert {"versions", "commit", "machine", "created", "dataset", "notebooks"} <= set(state)


def test_without_any_argument_it_is_quick_on_shapes_and_called_lab(home):
    run = runs.open_run()
    assert (run.name, run.settings) == ("lab", make_settings("quick"))


def test_empty_arguments_mean_what_the_run_says():
    first = runs.open_run("demo", profile="smoke", overrides="epochs=3")
    assert runs.open_run("demo").settings == first.settings
    assert runs.open_run("demo", profile="smoke", overrides="epochs=3").settings == first.settings
    assert runs.open_run("demo", overrides="batch_size=32").settings == first.settings


def test_other_settings_are_refused_and_all_are_named(home):
    runs.open_run("demo", profile="smoke", overrides="epochs=3")
    before = (home / "reports" / "demo" / "run.json").read_bytes()
    with pytest.raises(InputError) as caught:
        runs.open_run("demo", profile="quick", overrides="epochs=4 seed=0")
    message = str(caught.value)
    assert "profile is 'smoke' there, 'quick' asked" in message
    assert "epochs is 3 there, 4 asked" in message
    assert "seed is" not in message
    assert "a name of its own, such as --run demo-2, or remove " in message
    assert (home / "reports" / "demo" / "run.json").read_bytes() == before


def test_whoever_comes_second_is_told_of_other_settings(monkeypatch):
    create = opening.create

    def overtaken(folder, settings):
        create(folder, make_settings("smoke", ["epochs=1"]))  # the quicker process
        create(folder, settings)

    monkeypatch.setattr(opening, "create", overtaken)
    with pytest.raises(InputError, match="epochs is 1 there, 2 asked"):
        runs.open_run("demo", profile="smoke", overrides="epochs=2")


def test_a_relative_folder_becomes_absolute(home, monkeypatch):
    (home / "photos").mkdir()
    monkeypatch.chdir(home)
    run = runs.open_run("demo", profile="smoke", data="photos")
    assert run.settings.data.source == str(home / "photos")
    (home / "elsewhere").mkdir()
    monkeypatch.chdir(home / "elsewhere")
    assert runs.open_run("demo").settings.data.source == str(home / "photos")
    assert runs.open_run("demo", data="../photos").settings.data.source == str(home / "photos")
    with pytest.raises(InputError, match=r"source is .*photos.* there, .*elsewhere.* asked"):
        runs.open_run("demo", data=".")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": "nowhere"}, "no data folder 'nowhere'"),
        ({"profile": "fast"}, "Unknown profile 'fast'"),
        ({"overrides": "epoch=3"}, "Cannot set 'epoch=3'"),
        ({"overrides": "image_size=7"}, "image_size=7 is out of range"),
        ({"overrides": "architecture=vgg"}, "Unknown architecture 'vgg'"),
        (
            {"overrides": "network_options=width=3"},
            "In network_options, cannot set 'width=3' of reference_cnn",
        ),
        ({"overrides": "network_options=dense_units=-1"}, "dense_units=-1 is out of range"),
        ({"data": 7}, "no data folder '7'"),
        *(({"overrides": odd}, "overrides=.* is no text") for odd in (3, None, True, 0.5, {}, [3])),
        *(({"profile": odd}, "profile=.* is no text") for odd in (3, None, True, 0.5, [])),
        *(({"data": odd}, "data=.* is no text") for odd in (None, True, 0.5, ["a"])),
    ],
)
def test_a_wrong_argument_leaves_no_folder(home, arguments, message):
    with pytest.raises(InputError, match=message):
        runs.open_run("demo", **arguments)
    assert not (home / "reports").exists()


def test_stages_that_the_network_cannot_be_trained_by_leave_no_folder(home):
    sizes = "image_size=32 epochs=4 fold_epochs=4 stages=all:2:16px,all"
    with pytest.raises(InputError, match="reference_cnn cannot be trained at 16 pixels"):
        runs.open_run("demo", profile="smoke", overrides=sizes)
    assert not (home / "reports" / "demo").exists()


LITE = "architecture=efficientnet_lite0"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("weights=pretrained", "no weights for reference_cnn"),
        (f"{LITE} weights=no.pth", "no weights file '.*no.pth'"),
        (f"{LITE} weights=pretrained image_size=31", "at least 32 pixels a side; got 31"),
        (
            f"{LITE} weights=pretrained image_size=64 epochs=4 fold_epochs=4 stages=all:2:24px,all",
            "at least 32 pixels a side; got 24",
        ),
        (f"{LITE} weights=other.pth", "cannot be read as a PyTorch file"),
        (f"{LITE} weights=~nobody-has-this-name/a.pth", "no weights file '.*a.pth'"),
        (f"{LITE} weights={'a' * 300}", "no weights file '.*aaa'"),
        ("hidden_units=8", "hidden_units=8 and reference_cnn: expected a network that pools"),
        ("architecture=xception image_size=70", "xception takes images of at least 71 pixels"),
    ],
)
def test_a_network_that_cannot_be_leaves_no_folder(home, overrides, message, monkeypatch):
    monkeypatch.chdir(home)
    (home / "other.pth").write_bytes(b"no weights")
    with pytest.raises(InputError, match=message):
        runs.open_run("demo", profile="smoke", overrides=overrides)
    assert not (home / "reports").exists()


def test_a_run_records_its_weights_and_refuses_others(home, monkeypatch):
    own = home / "own.pth"
    own.write_bytes(b"some weights")
    monkeypatch.setattr(trainer, "check", lambda settings: None)
    monkeypatch.chdir(home)
    overrides = f"{LITE} weights=own.pth"
    run = runs.open_run("demo", profile="smoke", overrides=overrides)
    assert run.settings.model.weights == str(own)
    recorded = run.state()["weights"]
    assert (recorded["file"], recorded["sha256"]) == ("own.pth", hashing.digest(b"some weights"))
    (home / "elsewhere").mkdir()
    monkeypatch.chdir(home / "elsewhere")
    assert runs.open_run("demo", overrides=f"{LITE} weights=../own.pth").settings == run.settings
    with pytest.raises(InputError, match=r"weights is .*own\.pth' there, 'random' asked"):
        runs.open_run("demo", overrides="weights=random")
    own.write_bytes(b"other weights")
    with pytest.raises(InputError, match=r"own\.pth changed since run 'demo' was made"):
        runs.open_run("demo")
    own.unlink()  # what is trained already needs them no more
    assert runs.open_run("demo").settings == run.settings
    assert runs.open_run("other", profile="smoke").state()["weights"] is None


@pytest.mark.parametrize(
    "name",
    [
        *(".", "..", "../x", "a/b", "a b", "-x", ".hidden", "gallery", "é", "a" * 81, "a" * 300),
        *("a\n", "con", "NUL", "aux.1", "com1", "a."),
    ],
)
def test_a_name_that_cannot_be_a_folder_is_refused(home, name):
    with pytest.raises(InputError, match="cannot be called"):
        runs.open_run(name)
    assert not (home / "reports").exists()


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "2024", "a" * 80, "console", "aux2", "con-1"])
def test_an_ordinary_name_is_kept(name):
    assert names.checked(name) == name


def test_a_notebook_is_recorded_with_its_devices():
    run = runs.open_run("demo", profile="smoke", notebook="03_training")
    entry = run.state()["notebooks"]["03_training"]
    assert entry["devices"]
    assert entry["opened"] >= run.state()["created"]
    runs.open_run("demo", notebook="05_interpretability")
    assert sorted(run.state()["notebooks"]) == ["03_training", "05_interpretability"]


def test_settings_of_another_version_are_refused():
    run = runs.open_run("demo", profile="smoke")
    state = run.state()
    state["settings"]["momentum"] = 0.9
    run.save_json("run.json", state)
    with pytest.raises(InputError, match="another version of cnnlab: momentum"):
        runs.open_run("demo")


def test_settings_that_somebody_edited_are_named_and_refused():
    run = runs.open_run("demo", profile="smoke")
    state = run.state()
    state["settings"]["seed"] = 7
    run.save_json("run.json", state)
    with pytest.raises(InputError, match=r"edited since it was made \(seed was 0, is 7\)"):
        runs.open_run("demo")
    (run.folder / "settings.json").unlink()  # a run of an earlier version has none
    assert runs.open_run("demo").settings.seed == 7


def test_a_number_as_name_is_its_digits_and_that_is_said(home, capsys):
    assert runs.open_run(2024, profile="smoke").folder == home / "reports" / "2024"
    assert capsys.readouterr().out == (
        "run=2024 came as a number and is taken as '2024'; with papermill, -r run VALUE keeps what "
        "was typed.\n"
    )


@pytest.mark.parametrize("odd", [True, None, 20.24, [], {}, ["a"]])
def test_what_is_no_name_is_told_how_to_stay_text(home, odd):
    with pytest.raises(InputError, match=r"run=.* is no text: .* -r run VALUE keeps it text"):
        runs.open_run(odd)
    assert not (home / "reports").exists()


def test_settings_may_be_a_text_each():
    given = ["epochs=3", "group_by=it's (.*)"]
    run = runs.open_run("demo", profile="smoke", overrides=given)
    assert run.settings.data.group_by == "it's (.*)"
    quoted = """epochs=3 group_by="it's (.*)" """
    assert runs.open_run("demo", overrides=quoted).settings == run.settings


def test_a_setting_of_the_evaluation_changes_and_that_is_recorded(capsys):
    made = runs.open_run("demo", profile="smoke")
    second = (made.folder / "settings.json").read_bytes()
    run = runs.open_run("demo", overrides="bootstrap_samples=500 figure_dpi=144")
    assert capsys.readouterr().out == "bootstrap_samples was 50 in this run and is 500 now.\n"
    assert run.settings == made.settings.replace(bootstrap_samples=500)
    (change,) = run.state()["settings_changed"]
    assert change.pop("at") >= run.state()["created"]
    assert change == {"setting": "bootstrap_samples", "old": 50, "new": 500}
    assert runs.open_run("demo", overrides="bootstrap_samples=500").settings == run.settings
    assert runs.open_run("demo").settings == run.settings
    assert len(run.state()["settings_changed"]) == 1
    assert (made.folder / "settings.json").read_bytes() == second


def test_a_fixed_setting_beside_a_free_one_changes_neither():
    run = runs.open_run("demo", profile="smoke")
    before = (run.folder / "run.json").read_bytes()
    with pytest.raises(
        InputError, match=r"epochs is 2 there, 3 asked\).*Only folds, .* may change"
    ):
        runs.open_run("demo", overrides="bootstrap_samples=500 epochs=3")
    assert (run.folder / "run.json").read_bytes() == before


def test_an_edit_by_hand_is_told_from_a_recorded_change():
    run = runs.open_run("demo", profile="smoke")
    runs.open_run("demo", overrides="folds=3")
    state = run.state()
    state["settings"]["folds"] = 4
    run.save_json("run.json", state)
    with pytest.raises(InputError, match=r"\(folds was 3, is 4\)"):
        runs.open_run("demo")
    state["settings"] |= {"folds": 3, "epochs": 9}  # nobody records a change of epochs
    state["settings_changed"].append({"at": "2026", "setting": "epochs", "old": 2, "new": 9})
    run.save_json("run.json", state)
    with pytest.raises(InputError, match=r"\(epochs was 2, is 9\)"):
        runs.open_run("demo")


def test_a_crash_while_a_change_is_written_leaves_the_run_as_it_was(monkeypatch):
    run = runs.open_run("demo", profile="smoke")

    def dying(path, data):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write_json", dying)
        with pytest.raises(KeyboardInterrupt):
            runs.open_run("demo", overrides="folds=3")
    assert runs.open_run("demo").settings == run.settings
    assert runs.open_run("demo", overrides="folds=3").settings.evaluation.folds == 3


# A run folder as the version before the sections wrote it: commit 275e7a7, the files that matter.
OLD_SETTINGS = {
    "profile": "smoke", "data": "shapes", "seed": 0, "image_size": 32, "validation_fraction": 0.2,
    "test_fraction": 0.2, "rotation": 20.0, "flip": True, "zoom": 0.2, "brightness": 0.2,
    "model": "baseline", "l2": 0.0001, "dropout": 0.5, "batch_size": 32, "epochs": 2,
    "patience": 1, "learning_rate": 0.001, "class_weight": "none", "folds": 2, "fold_epochs": 1,
    "bootstrap_samples": 50, "shapes_train": 12, "shapes_test": 6,
}  # fmt: skip
OLD_STATE = {
    "name": "old",
    "created": "2026-11-28T11:02:23.113+00:00",
    "settings": OLD_SETTINGS,
    "versions": {"python": "3.11.7", "cnnlab": "0.1.0", "tensorflow": "2.21.0"},
    "commit": {"id": "275e7a791c86fa62187b778272259992e791f14b", "dirty": False},
    "machine": {
        "processor": "AMD EPYC", "cores": 2, "memory_gib": 23.5, "gpus": [], "system": "Linux",
    },
    "dataset": {"name": "shapes", "sha256": "d" * 64},
    "notebooks": {
        "04_kfold_evaluation": {
            "started": "2026-11-28T11:03:24.695+00:00",
            "opened": "2026-11-28T11:03:29.271+00:00",
            "devices": ["CPU"],
            "finished": "2026-11-28T11:03:44.338+00:00",
            "seconds": 19.6,
            "cells": 37,
        }
    },
    "test_set_opened": [],
}  # fmt: skip


OLD = make_settings("smoke", shapes_wrong_labels=0.0)  # there were none


@pytest.fixture
def old(home):
    """The folder of a run without sections."""
    folder = home / "reports" / "old"
    folder.mkdir(parents=True)
    for name, content in (("settings.json", OLD_SETTINGS), ("run.json", OLD_STATE)):
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (folder / name).write_text(text + "\n", encoding="utf-8")
    return folder


def test_a_run_without_sections_opens_under_its_old_and_new_names(old):
    before = (old / "run.json").read_bytes()
    assert runs.open_run("old").settings == OLD
    for overrides in ("data=shapes model=baseline", "source=shapes architecture=reference_cnn"):
        assert runs.open_run("old", overrides=overrides).settings == OLD
    with pytest.raises(InputError, match="epochs is 2 there, 3 asked"):
        runs.open_run("old", overrides="epochs=3")
    assert (old / "run.json").read_bytes() == before


def test_a_run_without_sections_goes_on_and_takes_a_change(old):
    run = runs.open_run("old", overrides="figure_dpi=200 folds=3", notebook="04_kfold_evaluation")
    assert run.settings == OLD.replace(figure_dpi=200, folds=3)
    assert runs.open_run("old").settings == run.settings  # and nobody is said to have edited it
    assert json.loads((old / "settings.json").read_text()) == OLD_SETTINGS


def test_an_edit_of_a_run_without_sections_is_noticed(old):
    state = OLD_STATE | {"settings": OLD_SETTINGS | {"data": "photos"}}
    (old / "run.json").write_text(json.dumps(state))
    with pytest.raises(InputError, match=r"\(source was 'shapes', is 'photos'\)"):
        runs.open_run("old")


def test_a_run_without_sections_is_shown_and_compared(old):
    run = runs.open_run("old")
    page = front_page.build(run).read_text()
    assert "Network <code>reference_cnn</code> on <code>shapes</code>" in page
    runs.open_run("new", profile="smoke", overrides="seed=1")
    causes = comparison_page.compare(old, old.parent / "new").causes
    assert [row for row in causes if row[0] == "settings"] == [
        ("settings", "seed", "0", "1"),
        ("settings", "shapes_wrong_labels", "0.0", "0.02"),
    ]


def test_settings_that_a_run_has_may_be_named_one_by_one(home):
    """They fit the run's others, not those of its profile."""
    recipe = "optimizer=adamw weight_decay=0.1 warmup_epochs=1 epochs=3 fold_epochs=3"
    runs.open_run("demo", profile="smoke", overrides=recipe)
    for named in recipe.split():
        assert runs.open_run("demo", overrides=named).settings.training.optimizer == "adamw"
    with pytest.raises(InputError, match=r"weight_decay is 0\.1 there, 0\.2 asked"):
        runs.open_run("demo", overrides="weight_decay=0.2")
    with pytest.raises(InputError, match="warmup_epochs=1 is too many"):
        runs.open_run("demo", overrides="fold_epochs=1")
    assert runs.open_run("demo").settings.evaluation.fold_epochs == 3


@pytest.fixture
def busy():
    """Return a function that has another process work alone in a folder until the test ends."""
    children = []
    code = (
        "import pathlib, sys, time; from cnnlab import locks\n"
        "with locks.alone(pathlib.Path(sys.argv[1]), 'It is done'):\n"
        "    print('held', flush=True); time.sleep(600)"
    )

    def start(folder):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True
        )
        children.append(child)
        assert child.stdout.readline() == "held\n"
        return child.pid

    yield start
    for child in children:
        child.kill()
        child.communicate()


def test_a_notebook_is_refused_while_another_process_executes_the_run(busy):
    run = runs.open_run("demo", profile="smoke", notebook="03_training")
    pid = busy(run.folder)
    before = run.state()
    with pytest.raises(InputError, match=rf"Run 'demo' is being executed by another .*\({pid} on"):
        runs.open_run("demo", notebook="03_training")
    assert run.state() == before
    assert runs.open_run("demo").state() == before  # whoever only reads


def test_a_run_is_not_executed_while_a_notebook_trains_its_network(busy):
    run = runs.open_run("demo", profile="smoke")
    (run.folder / "training").mkdir()
    checkpoint = run.save_text("training/checkpoint-0.npz", "half an hour")
    pid = busy(run.folder / "training")
    with (
        pytest.raises(InputError, match=rf"A network is trained in .*training by .*\({pid} on"),
        opening.alone("demo"),
    ):
        pytest.fail("executed")
    assert checkpoint.read_text() == "half an hour"
