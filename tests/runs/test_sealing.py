import os
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnnlab import runs
from cnnlab.config import InputError, home
from cnnlab.data import manifest, splits
from cnnlab.data.audit import audit
from cnnlab.data.sources.folder_source import FolderSource


@pytest.fixture
def run():
    return runs.open_run("demo", profile="smoke")


@pytest.fixture
def source(tmp_path):
    for seed, path in enumerate(("cat/a.png", "cat/b.png", "dog/a.png", "dog/b.png")):
        pixels = np.random.default_rng(seed).integers(0, 256, (30, 30, 3), dtype=np.uint8)
        (tmp_path / "photos" / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "photos" / path)
    return FolderSource("photos", tmp_path / "photos")


def seal(run, source):
    files = manifest.build(source)
    runs.seal_manifest(run, files, source.name)
    return files


def test_sealing_writes_the_manifest_and_names_the_dataset(run, source):
    files = seal(run, source)
    assert manifest.read(run.require("manifest.csv")).equals(files)
    assert run.state()["dataset"] == {"name": "photos", "sha256": manifest.digest(files)}


def test_the_same_data_may_be_sealed_again(run, source):
    seal(run, source)
    run.path("splits.csv").touch()
    seal(run, source)


def test_before_the_split_data_may_still_change(run, source):
    seal(run, source)
    (source.root / "cat" / "a.png").unlink()
    files = seal(run, source)
    assert manifest.read(run.require("manifest.csv")).equals(files)


def test_after_the_split_changed_data_is_refused_and_nothing_written(run, source):
    first = seal(run, source)
    run.path("splits.csv").touch()
    shutil.copy(source.root / "cat" / "a.png", source.root / "dog" / "c.png")
    (source.root / "cat" / "b.png").rename(source.root / "cat" / "z.png")
    (source.root / "dog" / "a.png").unlink()
    with pytest.raises(InputError) as caught:
        seal(run, source)
    assert str(caught.value) == (
        "The data of run 'demo' changed since it was split: 1 added (dog/c.png), "
        "1 removed (dog/a.png), 1 moved (cat/b.png → cat/z.png). Results of two datasets must "
        f"not mix: choose another run name, or remove {run.folder}."
    )
    assert manifest.read(run.require("manifest.csv")).equals(first)
    assert run.state()["dataset"]["sha256"] == manifest.digest(first)


def test_files_that_another_version_judged_otherwise_have_not_changed(run, source):
    first = seal(run, source)
    run.path("splits.csv").touch()
    blank = first["path"] == "cat/a.png"
    manifest.write(
        first.assign(
            status=first["status"].mask(blank, "quarantined"),
            reason=first["reason"].mask(blank, "blank"),
        ),
        run.path("manifest.csv"),
    )
    said = r"are what they were when it was split, and this version .* 1 changed \(cat/a\.png\)"
    with pytest.raises(InputError, match=said):
        seal(run, source)


@pytest.fixture
def split_run(tmp_path):
    """A run on twelve pictures, split and its pixels prepared."""
    for seed in range(12):
        path = tmp_path / "photos" / ("cat", "dog")[seed % 2] / f"{seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (30, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    run = runs.open_run("demo", profile="smoke", data=str(tmp_path / "photos"))
    source = run.source()
    files = seal(run, source)
    table = splits.assign(files, audit.pictures(files, source), run.settings)
    splits.write(table, run.path("splits.csv"))
    assert len(run.dataset().pixels) == 12
    return run


def test_an_image_swapped_or_lost_after_the_split_is_named(split_run):
    root = split_run.source().root
    data = bytearray((root / "cat" / "0.png").read_bytes())
    data[-20] ^= 1
    (root / "cat" / "0.png").write_bytes(data)  # of the same size
    (root / "dog" / "5.png").unlink()
    with pytest.raises(InputError) as caught:
        split_run.dataset()
    assert str(caught.value) == (
        "The data of run 'demo' changed since its manifest was made: 1 removed (dog/5.png), "
        "1 changed (cat/0.png). Results of two datasets must not mix: put the files back, choose "
        f"another run name, or remove {split_run.folder}."
    )


def test_pixels_are_made_of_the_listed_files_only(split_run):
    """A swap that the file's size and times do not tell is noticed when pixels are made anew."""
    root, prepared = split_run.source().root, home() / "data" / "prepared"
    data = bytearray((root / "cat" / "0.png").read_bytes())
    data[-20] ^= 1
    (root / "cat" / "0.png").write_bytes(data)
    later = (root / "cat" / "0.png").stat().st_ctime_ns + 10**10
    os.utime(split_run.require("manifest.csv"), ns=(later, later))
    assert len(split_run.dataset().pixels) == 12  # those of the files as they were listed
    for entry in prepared.iterdir():
        entry.unlink()
    with pytest.raises(InputError, match=r"cat/0\.png changed since its manifest was made"):
        split_run.dataset()
    assert list(prepared.iterdir()) == []


def test_a_label_corrected_after_the_split_is_named(split_run, tmp_path):
    """A table is no image, but it decides what an image is."""
    photos = tmp_path / "photos"
    rows = [f"{p.parent.name}/{p.name},{p.parent.name}" for p in sorted(photos.glob("*/*.png"))]
    table = photos / "labels.csv"
    table.write_text("\n".join(["path,label", *rows]))
    run = runs.open_run("tabled", profile="smoke", data=str(table))
    source = run.source()
    files = seal(run, source)
    splits.write(
        splits.assign(files, audit.pictures(files, source), run.settings), run.path("splits.csv")
    )
    assert len(run.dataset().pixels) == 12
    table.write_text(table.read_text().replace("cat/2.png,cat", "cat/2.png,dog"))
    with pytest.raises(InputError, match=r"1 changed \(cat/2.png\)"):
        run.dataset()


def test_touched_and_stray_files_are_no_change(split_run):
    root = split_run.source().root
    (root / "cat" / "0.png").touch()
    (root / "cat" / ".DS_Store").write_bytes(b"left by a file manager")
    assert len(split_run.dataset().pixels) == 12


def test_a_run_is_split_once(run):
    first = pd.DataFrame(
        {
            "path": ["cat/a.png", "dog/a.png"],
            "label": ["cat", "dog"],
            "split": ["train", "validation"],
            "picture": ["1", "2"],
            "group": "",
            "reason": ["", ""],
        },
        dtype="str",
    )
    runs.seal_split(run, first)
    runs.seal_split(run, first)  # the same again changes nothing
    with pytest.raises(InputError, match="split otherwise"):
        runs.seal_split(run, first.assign(split=["validation", "train"]))
    assert splits.read(run.require("splits.csv")).equals(first)
