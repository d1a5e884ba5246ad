"""Folders as people have them: each is understood, with what is said of it, or refused by name."""

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.config import InputError
from cnnlab.data import manifest
from cnnlab.data.sources import layout, listing
from cnnlab.data.sources.folder_source import FolderSource
from cnnlab.data.sources.layout_faults import EXPECTED

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")

PHOTO = {"1.jpg": b""}
TWO = {"cat": PHOTO, "dog": PHOTO}


def fill(root: Path, tree: dict) -> Path:
    """Make a folder of folders (dict), files (bytes) and links (str: the target)."""
    root.mkdir(parents=True, exist_ok=True)
    for name, inside in tree.items():
        if isinstance(inside, dict):
            fill(root / name, inside)
        elif isinstance(inside, str):
            (root / name).symlink_to(inside)
        else:
            (root / name).write_bytes(inside)
    return root


def photo(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def stray(tree: dict) -> dict:
    return {**tree, "Thumbs.db": b"\xd0\xcf\x11\xe0", "labels.csv": b"x", "desktop.ini": b"x"}


# name: (tree, split → folder, classes, notes)
UNDERSTOOD = {
    "classes": (TWO, {"": ""}, "cat dog", []),
    "classes and files of systems": (
        {**stray(TWO), ".git": TWO, "__MACOSX": {"cat": {"._1.jpg": b""}}, ".DS_Store": b""},
        {"": ""}, "cat dog", [],
    ),
    "names of images do not matter": (
        {"cat": {"1": b"\xff\xd8\xff"}, "dog": {"1.txt": b"RIFF....WEBP"},
         "bat": {"x": b"\0\0\0 ftypheic"}, "cow": {"x": b"BM1234\0\0\0\0"}},
        {"": ""}, "bat cat cow dog", [],
    ),
    "splits": (
        {"train": TWO, "test": TWO, "validation": TWO},
        {"train": "train", "validation": "validation", "test": "test"}, "cat dog", [],
    ),
    "splits in capitals, with stray files": (
        {"Training": stray(TWO), "Testing": stray(TWO)},
        {"train": "Training", "test": "Testing"}, "cat dog", [],
    ),
    "other names of splits": (
        {"TRAIN": TWO, "val": TWO, "Test": TWO},
        {"train": "TRAIN", "validation": "val", "test": "Test"}, "cat dog", [],
    ),
    "train and dev": ({"train": TWO, "dev": TWO}, {"train": "train", "validation": "dev"},
                      "cat dog", []),
    "train and valid": ({"train": TWO, "valid": TWO}, {"train": "train", "validation": "valid"},
                        "cat dog", []),
    "splits in themselves": (
        {"train": {"train": TWO}, "test": stray({"test": TWO})},
        {"train": "train/train", "test": "test/test"}, "cat dog",
        ["train/train/ is taken as train/", "test/test/ is taken as test/"],
    ),
    "a test set without labels": (
        {"train": TWO, "test": {"7.jpg": b"", "8.png": b"", "x.txt": b""}},
        {"train": "train"}, "cat dog",
        ["test/ holds 2 images but no class folders: unlabelled, kept for cnnlab predict; the test "
         "set is drawn from train"],
    ),
    "a test set without labels, in itself": (
        {"train": {"train": TWO}, "test": {"test": PHOTO}, "val": TWO},
        {"train": "train/train", "validation": "val"}, "cat dog",
        ["train/train/ is taken as train/", "test/test/ is taken as test/",
         "test/test/ holds 1 image but no class folders: unlabelled, kept for cnnlab predict; the "
         "test set is drawn from train"],
    ),
    "deeper images": (
        {"cat": {"batch1": PHOTO, "batch2": PHOTO}, "dog": PHOTO}, {"": ""}, "cat dog",
        ["images in folders below a class are taken too (cat/batch1/, cat/batch2/): the class is "
         "the first level"],
    ),
    "the same folders in all": (
        {"a": {"x": PHOTO, "y": PHOTO}, "b": {"x": PHOTO, "y": PHOTO}}, {"": ""}, "a b",
        ["a/, b/ hold the same folders, x, y: a, b are the classes",
         "images in folders below a class are taken too (a/x/, a/y/, b/x/, b/y/): the class is the "
         "first level"],
    ),
    "a class called train": (
        {"ship": PHOTO, "train": PHOTO}, {"": ""}, "ship train",
        ["taken as classes, not as splits: train/"],
    ),
    "images outside": (
        {"train": {**TWO, "1.jpg": b""}, "test": TWO, "2.png": b"", "3.gif": b""},
        {"train": "train", "test": "test"}, "cat dog",
        ["3 images outside the class folders: not used"],
    ),
    "a folder beside the splits": (
        {"train": TWO, "test": TWO, "docs": {"x.pdf": b"%PDF"}, "valid": TWO, "dev": {"x.py": b""}},
        {"train": "train", "validation": "valid", "test": "test"}, "cat dog",
        ["not used, for they hold no images: dev/, docs/"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_understood(tmp_path, name):
    tree, places, classes, notes = UNDERSTOOD[name]
    found = layout.read(fill(tmp_path, tree))
    assert list(found.places.items()) == list(places.items())
    assert found.classes == tuple(classes.split())
    assert list(found.notes) == notes


# name: (tree, message)
REFUSED = {
    "nothing": ({}, "ROOT has no class folders and no images: {EXPECTED}."),
    "no class folders": (
        {"1.jpg": b"", ".hidden": PHOTO},
        "ROOT holds images but no class folders: put the images of each class in a folder with "
        "its name.",
    ),
    "a table beside the images": (
        {"1.jpg": b"", "my labels.csv": b""},
        "ROOT holds images but no class folders: put the images of each class in a folder with "
        "its name, or give the table: DATA='ROOT/my labels.csv'.",
    ),
    "one class": (
        {"cat": PHOTO},
        "ROOT has only one class folder, cat; a classifier needs at least two: {EXPECTED}.",
    ),
    "one class in splits": (
        {"train": {"cat": PHOTO}, "test": {"cat": PHOTO}},
        "ROOT/train has only one class folder, cat; a classifier needs at least two: {EXPECTED}.",
    ),
    "train alone": (
        {"train": TWO, "sample_submission.csv": b"x"},
        "In ROOT, the classes lie one level deeper, in train/: give DATA=ROOT/train.",
    ),
    "train in itself alone": (
        {"train": {"train": TWO}},
        "In ROOT, the classes lie 2 levels deeper, in train/train/: give DATA=ROOT/train/train.",
    ),
    "one folder around": (
        {"animal": TWO},
        "In ROOT, the classes lie one level deeper, in animal/: give DATA=ROOT/animal.",
    ),
    "two folders around": (
        stray({"my archive": {"animals": TWO}}),
        "In ROOT, the classes lie 2 levels deeper, in my archive/animals/: give "
        "DATA='ROOT/my archive/animals'.",
    ),
    "a folder around splits": (
        {"dataset": {"train": TWO, "test": TWO}, "docs": {"x.txt": b"x"}},
        "In ROOT, the splits lie one level deeper, in dataset/, and there are no images in docs/: "
        "give DATA=ROOT/dataset.",
    ),
    "a folder in a split": (
        {"train": {"animals": TWO}, "test": TWO},
        "In ROOT/train, the classes lie one level deeper, in train/animals/: move them up, into "
        "train/.",
    ),
    "only test": (
        {"test": TWO},
        "In ROOT, the classes lie one level deeper, in test/: give DATA=ROOT/test.",
    ),
    "no train": ({"test": TWO, "val": TWO}, "ROOT has test/, val/ and no train/: {EXPECTED}."),
    "one split twice": (
        {"train": TWO, "Training": TWO, "test": TWO},
        "ROOT has Training/, train/, which both mean the train set: expected one folder. Put them "
        "together, or move one elsewhere.",
    ),
    "an empty split": (
        {"train": TWO, "test": {}},
        "ROOT/test holds no images: add class folders, or remove it: then the test set is drawn.",
    ),
    "flat splits": (
        {"train": PHOTO, "test": PHOTO},
        "In ROOT, train/, test/ hold images but no class folders: put the images of each class in "
        "a folder with its name.",
    ),
    "a flat validation set": (
        {"train": TWO, "val": PHOTO},
        "In ROOT, val/ holds images but no class folders: put the images of each class in a "
        "folder with its name.",
    ),
    "classes beside splits": (
        {"train": TWO, "test": TWO, "extra": PHOTO},
        "ROOT has test/, train/, called as splits, and other folders with images beside, extra/: "
        "{EXPECTED}. Rename the former or move the latter.",
    ),
    "splits called otherwise": (
        {"seg_train": TWO, "seg_test": TWO},
        "In ROOT, seg_test/, seg_train/ hold the same folders, cat, dog. If they are splits, call "
        "them train, validation and test; if they are classes, call them otherwise.",
    ),
    "classes of one split": (
        {"train": {**TWO, "cow": PHOTO}, "test": {**TWO, "emu": PHOTO}},
        "The classes of ROOT differ between splits (only in train: cow; only in test: emu). Add "
        "the missing ones, or remove test/: then some images of train are drawn.",
    ),
    "a class spelt in two ways": (
        {"train": {"caf\u00e9": PHOTO, "b": PHOTO}, "test": {"cafe\u0301": PHOTO, "b": PHOTO}},
        "The classes of ROOT differ between splits (only in train: caf\u00e9; only in test: "
        "cafe\u0301). Names that look alike but are spelt in other characters are different: use "
        "one.",
    ),
    "empty classes": (
        {"a": {}, "b": {".hidden": b""}, "c": PHOTO},
        "ROOT has classes without images: a/, b/. Add images to each; a folder that is no class "
        "belongs elsewhere.",
    ),
    "empty classes in splits": (
        {"train": {**TWO, "emu": {}}, "test": {"cat": {}, "dog": PHOTO, "emu": PHOTO}},
        "ROOT has classes without images: train/emu/, test/cat/. Add images to each; a folder "
        "that is no class belongs elsewhere.",
    ),
    "classes of other files": (
        {"ct": {"1.dcm": b"DICM"}, "film": {"1.mp4": b"\0\0\0 ftypisom"}},
        "ROOT has classes without images: ct/, film/. Add images to each; a folder that is no "
        "class belongs elsewhere. What is there, such as ct/1.dcm, is no image of a known format.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path, name):
    tree, expected = REFUSED[name]
    with pytest.raises(InputError) as caught:
        layout.read(fill(tmp_path, tree))
    said = str(caught.value).replace(str(tmp_path), "ROOT")
    assert said == expected.replace("{EXPECTED}", EXPECTED)


def photos(seed: int, *classes: str) -> dict:
    return {label: {f"{n}.png": photo(seed + 10 * c + n) for n in range(3)}
            for c, label in enumerate(classes)}  # fmt: skip


def rows(root: Path) -> dict[str, str]:
    """Path → "split label", or why there is none; of everything that is not ordinary."""
    table = manifest.build(FolderSource("set", root))
    return {
        row.path: f"{row.split} {row.label}" if row.status == "accepted" else str(row.reason)
        for row in table.itertuples()
    }


@needs_links
def test_linked_splits_and_classes_are_followed(tmp_path):
    fill(tmp_path / "store", {"held out": photos(50, "cat", "dog"), "dogs": {"7.png": photo(9)}})
    root = fill(
        tmp_path / "set",
        {"train": {"cat": {"1.png": photo(1)}, "dog": "../../store/dogs"},
         "validation": photos(20, "cat", "dog"), "test": "../store/held out"},
    )  # fmt: skip
    found = rows(root)
    assert found["train/dog/7.png"] == "train dog"
    assert sum(said == "test cat" for said in found.values()) == 3
    assert len(found) == 2 + 6 + 6
    store = tmp_path / "store"
    assert layout.read(root).notes == (
        f"links are followed: test leads to {store}/held out, train/dog leads to {store}/dogs",
    )


@needs_links
def test_linked_images_and_deeper_folders_are_read(tmp_path):
    fill(tmp_path / "store", {"a.png": photo(1), "more": {"b.png": photo(2), "in": "../more"}})
    root = fill(
        tmp_path / "set",
        {
            "cat": {
                "1.png": "../../store/a.png",
                "more": "../../store/more",
                "again": "../../store/more",
                "up": "..",
                "copy.png": "../dog/3.png",
                "kept.png": "../.git/4.png",
                "kept": "../.git/far",
                "gone.png": "nowhere.png",
                "gone": "gone",
                "zero.png": "/dev/zero",
            },
            "dog": {"3.png": photo(3)},
            ".git": {"4.png": photo(4), "far": {"5.png": photo(5)}},
            ".all": "../store",
        },
    )
    assert rows(root) == {
        ".all": "hidden",
        ".git/4.png": "hidden",
        ".git/far/5.png": "hidden",
        "cat/1.png": " cat",
        "cat/again/b.png": " cat",
        "cat/again/in": "link_loop",
        "cat/copy.png": "link_to_copy",
        "cat/gone": "broken_link",
        "cat/gone.png": "broken_link",
        "cat/kept.png": " cat",
        "cat/kept/5.png": " cat",
        "cat/more": "link_to_copy",
        "cat/up": "link_loop",
        "cat/zero.png": "not_a_regular_file",
        "dog/3.png": " dog",
    }
    assert layout.read(root).notes[-1] == (
        f"links to images are read, such as cat/1.png, of {tmp_path}/store/a.png"
    )


LOST = {
    "cow": ("nowhere", "ROOT/cow is a link to ROOT/nowhere, where nothing is: mend or remove it."),
    "all": (".", "ROOT/all is a link to ROOT, around the folder that it lies in: remove it."),
    "kitten": (
        "cat",
        "ROOT/kitten is a link to ROOT/cat, whose images are in the set already and would be "
        "copies: remove it.",
    ),
    "self": ("self", "ROOT/self is a link to ROOT/self, where nothing is: mend or remove it."),
}


@needs_links
@pytest.mark.parametrize("name", LOST)
@pytest.mark.parametrize("above", ["", "train/"])
def test_a_link_that_is_no_class_is_named(tmp_path, name, above):
    target, expected = LOST[name]
    fill(tmp_path, {"train": TWO, "test": TWO} if above else TWO)
    (tmp_path / above / name).symlink_to(target)
    with pytest.raises(InputError) as caught:
        layout.read(tmp_path)
    assert str(caught.value).replace(str(tmp_path / above).rstrip("/"), "ROOT") == expected


@needs_links
def test_folders_that_link_to_each_other_end(tmp_path):
    """Ten levels of two links each would be a thousand paths to the same picture."""
    store = tmp_path / "store"
    for level in range(10):
        fill(store / str(level), {"a": f"../{level + 1}", "b": f"../{level + 1}"})
    fill(store / "10", {"1.png": photo(1), "back": "../0"})
    root = fill(tmp_path / "set", {"cat": {"all": "../../store/0"}, "dog": PHOTO})
    found = dict(listing.walk(root))
    assert sum(path.endswith("1.png") for path in found) == 1
    assert set(found.values()) == {"", "link_to_copy"}


def test_a_set_to_predict_is_listed_and_drawn_from_nowhere(tmp_path):
    root = fill(tmp_path, {"train": photos(1, "cat", "dog"), "test": {"1.png": photo(50)},
                           "2.png": photo(51)})  # fmt: skip
    found = rows(root)
    assert found.pop("test/1.png") == "unlabelled"
    assert found.pop("2.png") == "outside_class_folder"
    assert set(found.values()) == {"train cat", "train dog"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems hold these for one name")
def test_classes_whose_names_look_alike_are_named(tmp_path):
    names = ["Cat", "cat", "cat ", "caf\u00e9", "cafe\u0301", "hot dog", "hot_dog", "10", "1 0"]
    notes = layout.read(fill(tmp_path, dict.fromkeys(names, PHOTO))).notes
    said = " are different classes, for their names differ; if they mean the same, spell them one"
    assert notes == (
        rf"'cafe\u0301' and 'caf\xe9'{said} way",
        f"'Cat' and 'cat' and 'cat '{said} way",
        f"'hot dog' and 'hot_dog'{said} way",
    )


def test_a_split_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    fill(tmp_path, {"train": TWO, "test": TWO})
    scandir = os.scandir

    def denied(folder):
        if Path(folder).name == "test":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(InputError, match=f"Cannot list {tmp_path}/test: Permission denied"):
        layout.read(tmp_path)


def test_thousands_of_classes_are_understood_in_a_moment(tmp_path):
    fill(tmp_path, {f"{number:04}": PHOTO for number in range(2000)})
    assert len(layout.read(tmp_path).classes) == 2000


def test_a_link_to_a_set_to_predict_is_said(tmp_path):
    store = fill(tmp_path / "store", {"1.png": photo(50)})
    root = fill(tmp_path / "set", {"train": photos(1, "cat", "dog"), "test": "../store"})
    assert layout.read(root).notes[-1] == f"links are followed: test leads to {store}"
