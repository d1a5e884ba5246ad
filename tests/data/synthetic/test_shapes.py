import hashlib
import os
import subprocess
import sys
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

from cnnlab.config import InputError
from cnnlab.data.synthetic import faults, shapes

TRAIN, TEST = 6, 5  # per class
SIZES = {"train_per_class": TRAIN, "test_per_class": TEST, "wrong_labels": 0.02}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("generated") / "shapes"
    shapes.generate(made, **SIZES, seed=3)
    return made


@pytest.fixture(scope="module")
def objects(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "truth" / "objects.csv")


@pytest.fixture(scope="module")
def planted(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "truth" / "faults.csv", keep_default_na=False)


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def files(folder: Path) -> set[str]:
    return {path.removeprefix("images/") for path in hashes(folder) if path.startswith("images/")}


def upright(folder: Path, path: str) -> Image.Image:
    with Image.open(folder / "images" / path) as image:
        return ImageOps.exif_transpose(image)


def read_mask(folder: Path, name: str) -> np.ndarray:
    with Image.open(folder / "truth" / name) as image:
        return np.asarray(image) > 0


def test_without_what_came_on_top_the_requested_counts_are_left(folder, planted):
    on_top = planted.path[planted.fault.isin(faults.COPIES + faults.DAMAGED)]
    left = pd.Series(sorted(files(folder) - set(on_top)))
    counts = left.str.rsplit("/", n=1).str[0].value_counts().to_dict()
    expected = {("train", label): TRAIN for label in shapes.CLASSES}
    expected |= {("test", label): TEST for label in shapes.CLASSES}
    assert counts == {f"{split}/{label}": count for (split, label), count in expected.items()}


def test_every_fault_is_planted_and_no_file_plays_two_parts(folder, planted):
    every = {*faults.ODD, *faults.DAMAGED, *faults.COPIES, faults.WRONG_LABEL}
    assert set(planted.fault) == every
    assert planted.path.is_unique
    assert set(planted.path) <= files(folder)
    originals = planted.other[planted.fault.isin(faults.COPIES)]
    assert originals.is_unique
    assert set(originals) <= files(folder) - set(planted.path)
    said = planted.fault.isin([*faults.COPIES, faults.WRONG_LABEL])
    assert (planted.other != "").tolist() == said.tolist()


def test_a_wrong_label_hides_another_class_and_only_in_the_training_folder(
    folder, objects, planted, tmp_path
):
    wrong = planted[planted.fault == faults.WRONG_LABEL].set_index("path").other
    assert len(wrong) == 1  # of 30: two in a hundred, at least one
    (path, true_label), *_ = wrong.items()
    split, label, name = path.split("/")
    assert split == "train"
    assert name.startswith(label)  # the name gives nothing away
    assert true_label in shapes.CLASSES
    assert true_label != label
    shown = objects.set_index("path").label
    assert shown[path] == true_label
    assert (shown.drop(path) == shown.drop(path).index.str.split("/").str[1]).all()
    # Had it been right, no other picture would differ.
    shapes.generate(tmp_path / "right", **SIZES | {"wrong_labels": 0.0}, seed=3)
    before, after = hashes(tmp_path / "right"), hashes(folder)
    changed = {each for each in before if before[each] != after.get(each)}
    mask = f"truth/{objects.set_index('path')['mask'][path]}"
    assert changed == {f"images/{path}", mask, "truth/objects.csv", "truth/faults.csv"}
    assert set(before) == set(after)


def test_copies_copy_and_only_leaks_come_from_the_test_set(folder, planted):
    copies = planted[planted.fault.isin(faults.COPIES)]
    for path, fault, other in copies.itertuples(index=False):
        assert path.split("/")[0] == "train"
        assert other.split("/")[0] == ("test" if fault.endswith("leak") else "train")
        assert path.split("/")[1] == other.split("/")[1]
        first, second = ((folder / "images" / p).read_bytes() for p in (path, other))
        assert (first == second) is fault.startswith("exact")


def test_a_perceptual_hash_tells_copies_from_different_pictures(folder, objects, planted):
    found = {path: imagehash.phash(upright(folder, path)) for path in objects.path}
    copies = planted[planted.fault.isin(faults.COPIES)]
    apart = [
        found[path] - found[other] for path, other in zip(copies.path, copies.other, strict=True)
    ]
    distinct = sorted(set(objects.path) - set(planted.path))
    distances = [found[a] - found[b] for i, a in enumerate(distinct) for b in distinct[:i]]
    assert max(apart) <= 2
    assert min(distances) > 2
    assert np.median(distances) > 24  # unrelated pictures: half of 64 bits


def test_truth_has_a_box_and_a_mask_for_every_file_that_shows_a_shape(folder, objects, planted):
    damaged = set(planted.path[planted.fault.isin(faults.DAMAGED)])
    assert set(objects.path) == files(folder) - damaged
    assert objects.path.is_monotonic_increasing
    for row in objects.itertuples():
        mask = read_mask(folder, row.mask)
        rows, columns = np.nonzero(mask)
        assert (row.left, row.top) == (columns.min(), rows.min())
        assert (row.right, row.bottom) == (columns.max() + 1, rows.max() + 1)
        image = upright(folder, row.path)
        assert image.size == mask.shape[::-1] == (256, 256)


def test_the_mask_lies_on_the_shape(folder, objects):
    """Inside and outside a band around the mask's edge, mean colours differ."""
    clear = 0
    for row in objects.itertuples():
        mask = read_mask(folder, row.mask)
        pixels = np.asarray(upright(folder, row.path).convert("RGB"), float)
        clear += np.linalg.norm(pixels[mask].mean(0) - pixels[~mask].mean(0)) > 30
    assert clear >= 0.9 * len(objects)


def test_most_files_are_jpeg_and_some_png(folder, objects):
    suffixes = objects.path.str.rsplit(".", n=1).str[1].value_counts(normalize=True)
    assert set(suffixes.index) == {"jpg", "png"}
    assert suffixes["jpg"] > 0.75
    for path in objects.path:
        with Image.open(folder / "images" / path) as image:
            assert image.format == {"jpg": "JPEG", "png": "PNG"}[path[-3:]]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(folder, tmp_path):
    for name, seed in (("again", 3), ("other", 4)):
        shapes.generate(tmp_path / name, **SIZES, seed=seed)
    assert hashes(tmp_path / "again") == hashes(folder)
    other, first = hashes(tmp_path / "other"), hashes(folder)
    clean = [path for path in other if "images/train/disc/disc_000" in path and path in first]
    assert clean
    assert all(other[path] != first[path] for path in clean)


def test_a_larger_dataset_shows_the_smaller_ones_pictures(folder, objects, planted, tmp_path):
    larger = tmp_path / "larger"
    shapes.generate(larger, **SIZES | {"train_per_class": TRAIN + 1}, seed=3)
    odd = pd.read_csv(larger / "truth" / "faults.csv").path
    shared = sorted((set(objects.path) - set(planted.path)) & (files(larger) - set(odd)))
    assert len(shared) > 30
    for path in shared:
        assert (larger / "images" / path).read_bytes() == (folder / "images" / path).read_bytes()


@pytest.mark.parametrize(
    ("train", "test", "each"), [(5, 5, 1), (12, 6, 1), (40, 20, 2), (240, 80, 6), (2000, 5, 3)]
)
def test_faults_grow_with_the_dataset_and_leave_most_of_it_clean(train, test, each):
    items = shapes._plan(train, test, seed=0, wrong_labels=0.02)
    counts = pd.Series([item.fault for item in items if item.fault]).value_counts()
    assert counts.pop(faults.WRONG_LABEL) == max(1, round(train * 5 / 50))
    assert set(counts) == {each}
    assert len(counts) == 12
    assert all(item.split == "train" for item in items if item.true_label)
    clean = [item for item in items if item.split == "test" and not item.fault]
    assert len(clean) > 0.7 * 5 * test


def test_an_interrupted_generation_leaves_nothing(tmp_path, monkeypatch):
    calls = []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) > 10:
            raise OSError("No space left on device")
        return b"", ".jpg"

    monkeypatch.setattr(faults, "encoded", failing)
    with pytest.raises(OSError, match="No space"):
        shapes.generate(tmp_path / "shapes", train_per_class=5, test_per_class=5, seed=0)
    assert list(tmp_path.iterdir()) == []


def test_who_finishes_second_leaves_the_first_ones_folder_alone(tmp_path, monkeypatch):
    def overtaken(folder, items, seed, progress):
        winner = tmp_path / "shapes" / "truth"
        winner.mkdir(parents=True)
        (winner / "faults.csv").write_text("complete")
        (folder / "truth").mkdir()

    monkeypatch.setattr(shapes, "_write_all", overtaken)
    shapes.generate(tmp_path / "shapes", train_per_class=5, test_per_class=5, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["shapes"]
    assert (tmp_path / "shapes/truth/faults.csv").read_text() == "complete"


def test_a_folder_in_the_way_that_is_no_dataset_is_an_error(tmp_path, monkeypatch):
    def obstructed(folder, items, seed, progress):
        (tmp_path / "shapes").mkdir()
        (tmp_path / "shapes" / "mine.txt").write_text("keep")

    monkeypatch.setattr(shapes, "_write_all", obstructed)
    with pytest.raises(OSError, match="shapes"):
        shapes.generate(tmp_path / "shapes", train_per_class=5, test_per_class=5, seed=0)
    assert (tmp_path / "shapes" / "mine.txt").read_text() == "keep"


def test_existing_folders_and_tiny_counts_are_refused(tmp_path):
    with pytest.raises(InputError, match="exists already"):
        shapes.generate(tmp_path, train_per_class=5, test_per_class=5, seed=0)
    with pytest.raises(InputError, match="shapes_test=4"):
        shapes.generate(tmp_path / "new", train_per_class=5, test_per_class=4, seed=0)


@pytest.mark.slow
def test_two_processes_may_generate_the_same_folder_at_once(folder, tmp_path):
    code = (
        "import pathlib, sys; from cnnlab.data.synthetic import shapes; "
        f"shapes.generate(pathlib.Path(sys.argv[1]), **{SIZES}, seed=3); "
        "assert 'tensorflow' not in sys.modules"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "both")]
    environment = {**os.environ, "PYTHONHASHSEED": "random"}
    pair = [subprocess.Popen(command, env=environment) for _ in range(2)]
    codes = [process.wait(timeout=600) for process in pair]
    assert 0 in codes  # one that starts after the other has finished finds the folder there
    assert hashes(tmp_path / "both") == hashes(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["both"]
