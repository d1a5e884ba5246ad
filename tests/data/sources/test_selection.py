import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cnnlab.config import InputError, from_dict, make_settings, to_dict
from cnnlab.data.sources import selection
from cnnlab.data.sources.folder_source import FolderSource
from cnnlab.data.synthetic import shapes


def fill(root: Path, *paths: str) -> Path:
    """Make empty files; a path that ends in a slash is a folder."""
    for path in paths:
        target = root / path
        if path.endswith("/"):
            target.mkdir(parents=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
    return root


def resolved(root: Path | str) -> FolderSource:
    return selection.resolve(make_settings("smoke", source=str(root)))


def refusal(root: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        resolved(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_labels_are_sorted_by_code_point_and_may_have_odd_names(tmp_path):
    names = ["Zebra", "a b", "ähre", "été.2", "10", "9"]
    source = resolved(fill(tmp_path, *(f"{name}/x.jpg" for name in names)))
    assert source.class_names() == sorted(names)


def test_a_linked_root_and_a_home_path_are_followed(tmp_path, monkeypatch):
    fill(tmp_path, "data/a/1.jpg", "data/b/1.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "data", target_is_directory=True)
    assert resolved(tmp_path / "link").root == tmp_path / "data"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolved("~/data").root == tmp_path / "data"


def test_a_relative_path_gives_an_absolute_root(tmp_path, monkeypatch):
    fill(tmp_path, "data/a/1.jpg", "data/b/1.jpg")
    monkeypatch.chdir(tmp_path / "data")
    assert resolved(".") == FolderSource("data", tmp_path / "data")


def test_a_missing_path_is_named(tmp_path):
    message = refusal(tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in message
    assert "no data folder" in message


def test_an_empty_name_is_not_the_current_folder(tmp_path):
    assert "shapes" in refusal("")
    assert "shapes" in refusal("  ")


def test_a_file_is_not_a_folder(tmp_path):
    assert "is a file" in refusal(fill(tmp_path, "photo.jpg") / "photo.jpg")


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    fill(tmp_path, "a/1.jpg", "b/1.jpg")
    scandir = os.scandir

    def denied(folder):
        if Path(folder) == tmp_path:
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", denied)
    assert refusal(tmp_path) == f"Cannot list {tmp_path}: Permission denied."


def test_a_path_that_may_not_be_looked_at_is_no_folder(tmp_path, monkeypatch):
    def denied(path, **_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", denied)
    assert "no data folder" in refusal(tmp_path / "private" / "data")


def test_the_home_of_nobody_is_no_folder():
    assert "no data folder '~nobody-has-this-name/x'" in refusal("~nobody-has-this-name/x")


def test_class_names_are_checked_when_asked_for(tmp_path):
    source = resolved(fill(tmp_path, "a/1.jpg", "b/1.jpg"))
    (tmp_path / "b" / "1.jpg").unlink()
    with pytest.raises(InputError, match="classes without images: b/"):
        source.class_names()


def test_shapes_are_generated_once_below_home(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    settings = make_settings("smoke", ["shapes_train=5", "shapes_test=5"])
    source = selection.resolve(settings)
    assert source.name == "shapes"
    assert source.layout().places == {"train": "train", "test": "test"}
    assert source.root.parent.parent == tmp_path / "data" / "raw"
    assert source.truth == source.root.parent / "truth"
    assert (source.truth / "objects.csv").is_file()
    assert source.class_names() == list(shapes.CLASSES)

    def twice(*arguments, **named):
        raise AssertionError("generated a second time")

    monkeypatch.setattr(shapes, "generate", twice)
    assert selection.resolve(settings) == source


def test_every_parameter_of_the_shapes_has_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    made = []

    def record(folder, **named):
        made.append(folder.name)
        for part in ("images", "truth"):
            (folder / part).mkdir(parents=True)

    monkeypatch.setattr(shapes, "generate", record)
    for override in ("seed=0", "seed=1", "shapes_train=13", "shapes_test=7", "epochs=9", "seed=1"):
        selection.resolve(make_settings("smoke", [override]))
    assert len(made) == 4  # epochs changes nothing, the second seed=1 is there already
    assert len(set(made)) == 4


def test_a_half_deleted_dataset_asks_to_be_deleted(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))

    def partial(folder, **named):
        (folder / "images").mkdir(parents=True)

    monkeypatch.setattr(shapes, "generate", partial)
    with pytest.raises(InputError, match="incomplete: delete it"):
        selection.resolve(make_settings("smoke"))


def test_listing_a_source_does_not_load_tensorflow():
    code = "import sys, cnnlab.data.sources; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_run_of_version_0_1_0_finds_its_generated_images(home, monkeypatch):
    """They had no wrong labels, and their folder was named by these four numbers."""
    made = []
    monkeypatch.setattr(selection.shapes, "generate", lambda folder, **given: made.append(folder))
    parameters = {"seed": 0, "test_per_class": 6, "train_per_class": 12, "version": 1}
    digest = hashlib.sha256(json.dumps(parameters).encode()).hexdigest()[:12]
    older = {"profile": "smoke", "shapes_train": 12, "shapes_test": 6}
    for stored in (older, to_dict(make_settings("smoke"))):
        with pytest.raises(InputError, match="incomplete"):
            selection.resolve(from_dict(stored))
    assert [folder.name == f"shapes-{digest}" for folder in made] == [True, False]
