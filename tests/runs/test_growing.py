"""A run that starts from an earlier one: what it takes over, what it says, what it refuses."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cnnlab import runs
from cnnlab.__main__ import main
from cnnlab.config import InputError
from cnnlab.data import ledger, manifest, splits
from cnnlab.data.audit import audit
from cnnlab.report import dataset_card
from cnnlab.runs import execute, exposure, growth, lineage, provenance, reproduce


def draw(folder, label, numbers):
    """Smooth pictures, each of its own."""
    (folder / label).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        rng = np.random.default_rng(number)
        small = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8))
        small.resize((40, 40), Image.Resampling.BICUBIC).save(folder / label / f"{number:03}.png")


@pytest.fixture
def photos(tmp_path):
    draw(tmp_path / "photos", "cat", range(14))
    draw(tmp_path / "photos", "dog", range(100, 114))
    return tmp_path / "photos"


def explored(run):
    """Do what notebook 01 does, and return the run."""
    source = run.source()
    files = manifest.build(source)
    runs.seal_manifest(run, files, source.name)
    pictures = audit.pictures(files, source)
    table = splits.assign(files, pictures, run.settings, lineage.sides(run))
    runs.seal_split(run, table)
    run.save_text(
        "dataset_card.md", dataset_card(run, files, audit.findings(files, pictures), table)
    )
    return run


def grown(name, earlier, **asked):
    asked = {"profile": "", "data": "", "overrides": ""} | asked
    lineage.start(earlier, name, **asked)
    return runs.open_run(name, **asked)


@pytest.fixture
def first(photos):
    return explored(
        runs.open_run("first", profile="smoke", data=str(photos), overrides="seed=3 epochs=3")
    )


def bytes_of(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def sides(run):
    table = splits.read(run.folder / "splits.csv")
    return dict(zip(table["path"], table["split"], strict=True))


@pytest.mark.slow
def test_the_earlier_run_is_only_read_and_may_be_deleted(first, photos):
    before = bytes_of(first.folder)
    draw(photos, "bird", range(200, 210))
    second = grown("second", "first")
    assert bytes_of(first.folder) == before
    old = sides(first)
    shutil.rmtree(first.folder)
    explored(runs.open_run("second"))
    now = sides(second)
    assert {path: now[path] for path in old} == old
    assert second.dataset().class_names == ["cat", "dog", "bird"]
    explored(second)  # again: the same manifest, the same split


def test_what_run_json_says(first):
    first.save_json("model/contract.json", {"model_id": "m" * 64})
    origin = grown("second", str(first.folder)).state()["from"]
    assert origin["run"] == "first"
    assert origin["run_id"] == first.id
    assert origin["dataset"] == first.state()["dataset"]["sha256"]
    assert origin["model_id"] == "m" * 64
    assert origin["class_names"] == ["cat", "dog"]
    assert "from" not in first.state()


def test_settings_are_those_of_the_earlier_run_unless_given(first):
    assert grown("second", "first").settings == first.settings
    third = grown("third", "first", overrides="epochs=5 batch_size=8").settings
    assert third == first.settings.replace(epochs=5, batch_size=8)
    fourth = grown("fourth", "first", profile="quick").settings
    assert (fourth.profile, fourth.seed, fourth.training.epochs) == ("quick", 3, 3)
    assert fourth.data.image_size != first.settings.data.image_size
    assert fourth.data.source == first.settings.data.source


def test_what_is_refused(first):
    with pytest.raises(InputError, match=r"itself: give .* name of its own, such as --run first-2"):
        lineage.refuse("first", "first")
    with pytest.raises(InputError, match="There is no run 'none'"):
        lineage.refuse("none", "second")
    runs.open_run("empty", profile="smoke")
    with pytest.raises(InputError, match=r"no manifest.csv yet.* cnnlab run --run empty --only 01"):
        lineage.refuse("empty", "second")
    with pytest.raises(InputError, match="'empty' exists and was not started from another run"):
        lineage.refuse("first", "empty")
    grown("second", "first")
    lineage.refuse("first", "second")  # it goes on
    with pytest.raises(InputError, match="'second' exists and was started from 'first'"):
        lineage.refuse("empty", "second")
    shutil.rmtree(first.folder)
    lineage.refuse("first", "second")
    assert lineage.settings_of("first", "second", "", "", "").seed == 3
    with pytest.raises(InputError, match="'second' exists with other settings"):
        grown("second", "first", overrides="epochs=9")


def test_the_command_asks_for_a_name(first):
    called = CliRunner().invoke(main, ["run", "--from", "first"])
    assert called.exit_code == 2
    assert "--run first-2" in called.output
    assert "Traceback" not in called.output


def test_what_was_taken_over_cannot_be_edited(first):
    second = grown("second", "first")
    path = second.folder / lineage.SIDES
    path.write_text(path.read_text().replace(",train", ",test"))
    with pytest.raises(InputError, match=r"sides.csv, taken from run 'first', .* was changed"):
        lineage.sides(second)


def test_what_changed_is_said(first, photos):
    draw(photos, "bird", range(200, 208))
    draw(photos, "cat", range(14, 20))
    name = next(path for path, side in sides(first).items() if side == "test" and "cat" in path)
    train = [path for path, side in sides(first).items() if side == "train" and "dog" in path]
    Image.open(photos / name).save(photos / "dog" / "copy.jpg", quality=95)
    (photos / train[0]).unlink()
    (photos / train[1]).rename(photos / "cat" / "was-a-dog.png")
    second = grown("second", "first")
    foretold = growth.foretold(second)
    assert foretold.startswith("By their names, 16 files are new and 2 gone since run 'first'")
    assert "New classes come after the others, with their index: bird (2)." in foretold
    explored(second)
    assert growth.foretold(second) == ""
    said = "\n".join(growth.said(second))
    for words in (
        "This run starts from 'first' (dataset ",
        "15 added",
        f"1 removed ({train[0]})",
        f"1 moved ({train[1]} → cat/was-a-dog.png)",
        "By class: bird: 8 added; cat: 6 added, 1 relabelled; dog: 1 added, 1 removed.",
        "All classes of run 'first' that are left keep their index.",
        "Sides: 27 known images stay where they stood; new ones: ",
        "1 excluded",
    ):
        assert words in said
    assert sides(second)["dog/copy.jpg"] == "excluded"
    assert sides(second)["cat/was-a-dog.png"] == "train"
    card = (second.folder / "dataset_card.md").read_text()
    assert "## Since the earlier run" in card
    assert "| bird | 0 | 8 | 0 | 0 | 0 | 8 | – | 2 |" in card
    assert "| cat | 14 | 6 | 0 | 0 | 1 | 21 | 0 | 0 |" in card
    assert "## Since the earlier run" not in (first.folder / "dataset_card.md").read_text()


def test_what_an_earlier_run_excluded_is_no_new_image(first, photos):
    name = next(path for path, side in sides(first).items() if side == "train")
    shutil.copy(photos / name, photos / "dog" / "zzz.png")
    second = explored(grown("second", "first"))
    assert "excluded" in (sides(second)[name], sides(second)["dog/zzz.png"])  # two labels: none
    assert "1 image is known and used no more" in "\n".join(growth.said(second))
    (photos / "dog" / "zzz.png").unlink()
    explored(grown("third", "second"))
    said = "\n".join(growth.said(runs.open_run("third")))
    assert f"1 image is used that the earlier run excluded: {name} (" in said
    assert "new ones: none" in said


def test_a_further_copy_takes_no_known_image_out_of_use(first, photos):
    name = next(path for path, side in sides(first).items() if side == "train" and "dog" in path)
    shutil.copy(photos / name, photos / "dog" / "!copy.png")
    second = explored(grown("second", "first"))
    assert (sides(second)[name], sides(second)["dog/!copy.png"]) == ("train", "excluded")
    assert "used no more" not in "\n".join(growth.said(second))


@pytest.mark.slow
def test_a_class_that_is_gone_shifts_the_others_and_that_is_said(first, photos):
    draw(photos, "ant", range(300, 310))
    draw(photos, "eel", range(320, 330))
    second = explored(grown("second", "first"))
    shutil.rmtree(photos / "dog")
    third = explored(grown("third", "second"))
    assert third.dataset().class_names == ["cat", "ant", "eel"]
    said = "\n".join(growth.said(third))
    assert "Classes that are gone, with their old index: dog (1, which is ant now)." in said
    assert "another index than in run 'second': ant 2 → 1, eel 3 → 2. " in said
    assert {path: sides(third)[path] for path in sides(third)} == {
        path: side for path, side in sides(second).items() if "dog" not in path
    }


def test_an_image_that_was_away_for_a_run_comes_back_to_its_side(first, photos, tmp_path):
    name = next(path for path, side in sides(first).items() if side == "test" and "cat" in path)
    shutil.move(photos / name, tmp_path / "away.png")
    draw(photos, "cat", range(20, 40))  # one of them is tested now
    second = explored(grown("second", "first"))
    shutil.move(tmp_path / "away.png", photos / "cat" / "back.png")
    third = explored(grown("third", "second", overrides="seed=9"))
    assert sides(third)["cat/back.png"] == "test"
    assert name not in sides(second)


def test_the_ledger_knows_what_earlier_models_have_seen(first, photos):
    images = ledger.test_images(first.folder)
    entry = {"at": provenance.now(), "by": "04_kfold_evaluation", "model_id": "a" * 64}
    first.update(lambda state: state["test_set_opened"].append(entry))  # not in the ledger yet
    draw(photos, "cat", range(20, 40))
    second = grown("second", "first")
    shutil.rmtree(first.folder)
    found = exposure.of(explored(second))
    assert found.images > len(images)
    assert f"measured on {len(images)} of these {found.images} test images" in found.text
    assert not found.damaged


@pytest.fixture
def executed(monkeypatch):
    """Stands for the notebooks."""

    def stand_in(run, names, jobs=1):
        for name in names:
            if name.startswith("01"):
                explored(run)
            else:
                run.save_json("model/contract.json", {"model_id": "m"})
                run.save_text("training/history.csv", "epoch,loss\n1,0.5\n")
            run.update(lambda state, name=name: state["notebooks"].setdefault(name, {}))

    monkeypatch.setattr(execute, "execute", stand_in)
    monkeypatch.setattr(provenance, "commit", lambda: None)


def test_it_is_reproduced_after_the_earlier_run_is_gone(first, photos, executed, home):
    draw(photos, "ant", range(200, 210))
    second = grown("second", "first", overrides="seed=9 test_fraction=0.5")
    execute.execute(second, ["01_explore_data", "03_training"])
    shutil.rmtree(first.folder)
    done = reproduce.reproduce(second.folder)
    assert done.equal, done.differences
    # Without what it took over the sides would be others: the comparison can fail.
    (second.folder / "run.json").write_text(
        (second.folder / "run.json").read_text().replace('"from": {', '"form": {')
    )
    other = reproduce.reproduce(second.folder)
    assert "splits.csv" in "".join(other.differences["what"])


@pytest.mark.slow
def test_notebook_01_and_the_terminal_say_what_changed(photos):
    """The command, twice: the split of the second run goes on from that of the first."""

    def call(*arguments):
        called = CliRunner().invoke(main, ["run", "--only", "01", *arguments])
        assert called.exit_code == 0, called.output
        return called.stdout

    call("--run", "one", "--profile", "smoke", "--data", str(photos))
    draw(photos, "ant", range(200, 210))
    printed = call("--run", "two", "--from", "one")
    one, two = (runs.open_run(name) for name in ("one", "two"))
    assert {path: sides(two)[path] for path in sides(one)} == sides(one)
    assert two.dataset().class_names == ["cat", "dog", "ant"]
    executed = (two.folder / "notebooks" / "01_explore_data.ipynb").read_text()
    for words in ("This run starts from 'one'", "By class: ant: 10 added.", "index: ant (2)."):
        assert words in printed
        assert words in executed
    assert (
        "This run starts from no other."
        in (one.folder / "notebooks" / "01_explore_data.ipynb").read_text()
    )


def test_nothing_is_said_of_the_indices_of_classes_that_are_all_gone():
    said = growth._class_sentences(["cat", "dog"], ["circle", "square"], "first")
    assert not any("keep their index" in sentence for sentence in said)
