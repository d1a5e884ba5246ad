import json

import pytest

from cnnlab import runs
from cnnlab.config import InputError, make_settings
from cnnlab.runs import opening


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
    assert "seed" not in message
    assert "another run name" in message
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
    ],
)
def test_a_wrong_argument_leaves_no_folder(home, arguments, message):
    with pytest.raises(InputError, match=message):
        runs.open_run("demo", **arguments)
    assert not (home / "reports").exists()


@pytest.mark.parametrize(
    "name", [".", "..", "a/b", "a b", "-x", ".hidden", "gallery", "é", "a" * 81]
)
def test_a_name_that_cannot_be_a_folder_is_refused(home, name):
    with pytest.raises(InputError, match="cannot be called"):
        runs.open_run(name)
    assert not (home / "reports").exists()


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "2024", "a" * 80])
def test_an_ordinary_name_is_kept(name):
    assert opening.checked_name(name) == name


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
