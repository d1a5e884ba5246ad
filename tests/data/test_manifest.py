"""Every file below the root is in the manifest once, with a status and a coded reason."""

import hashlib
import io
import os
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnnlab import images
from cnnlab.config import InputError, make_settings
from cnnlab.data import manifest, refusals, splits
from cnnlab.data.audit import audit
from cnnlab.data.sources import table_source
from cnnlab.data.sources.folder_source import FolderSource
from cnnlab.images import foreign

needs_posix = pytest.mark.skipif(sys.platform != "linux", reason="names and links of Linux")


def picture(seed, size=(48, 40)):
    """A smooth random picture, unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def save(path, seed=0, kind=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed).save(path, kind, **options)


@pytest.fixture
def root(tmp_path):
    """Two classes with one good image each."""
    root = tmp_path / "pictures"
    save(root / "cat" / "a.jpg", 1)
    save(root / "dog" / "a.jpg", 2)
    return root


def source(root):
    return FolderSource("pictures", root)


def verdicts(table):
    return {
        row.path: (row.status, row.reason)
        for row in table[["path", "status", "reason"]].itertuples()
    }


def make_zoo(root):
    """Fill ``root`` with everything that real folders hold; return path → (status, reason)."""
    save(root / "cat" / "good.png", 3)
    save(root / "cat" / "good.gif", 4)
    save(root / "cat" / "no_extension", 5, "PNG")
    save(root / "cat" / "image_inside.txt", 6, "JPEG")
    save(root / "cat" / "wrong_extension.jpg", 7, "PNG")
    save(root / "cat" / "folder.jpg" / "inside.jpg", 8)
    save(root / "cat" / "deeper" / "down.jpg", 9)
    save(root / "cat" / "-rf.jpg", 10)
    save(root / "cat" / "two\nlines.jpg", 11)
    save(root / "cat" / "Füße 🐈 中.jpg", 12)
    save(root / "cat" / ".hidden.jpg", 13)
    save(root / "cat" / "._a.jpg", 14)
    save(root / "cat" / ".cache" / "thumb.jpg", 15)
    save(root / "stray.jpg", 16)
    save(root / "cat" / "tiny.png", 17)
    picture(17, (4, 4)).save(root / "cat" / "tiny.png")
    whole = (root / "cat" / "a.jpg").read_bytes()
    for name, content in {
        "cut.jpg": whole[: len(whole) // 2],
        "empty.jpg": b"",
        "empty.txt": b"",
        "page.jpg": b"<html>404</html>",
        "notes.txt": b"remember the milk",
        "cut_without_extension": whole[:100],
        "vector.svg": b"<svg/>",
    }.items():
        (root / "cat" / name).write_bytes(content)
    (root / "README.md").write_text("about")
    (root / "cat" / "link.jpg").symlink_to(root / "cat" / "a.jpg")
    (root / "cat" / "device.jpg").symlink_to("/dev/zero")
    (root / "cat" / "link").symlink_to("nowhere")
    (root / "cat" / "loop").symlink_to(root)
    os.mkfifo(root / "cat" / "pipe.jpg")
    os.mkfifo(root / "cat" / "pipe")
    accepted = ("accepted", "")
    return {
        "cat/a.jpg": accepted,
        "dog/a.jpg": accepted,
        "cat/good.png": accepted,
        "cat/good.gif": accepted,
        "cat/no_extension": accepted,
        "cat/image_inside.txt": accepted,
        "cat/wrong_extension.jpg": accepted,
        "cat/folder.jpg/inside.jpg": accepted,
        "cat/deeper/down.jpg": accepted,
        "cat/-rf.jpg": accepted,
        "cat/two\nlines.jpg": accepted,
        "cat/Füße 🐈 中.jpg": accepted,
        "cat/.hidden.jpg": ("skipped", "hidden"),
        "cat/._a.jpg": ("skipped", "hidden"),
        "cat/.cache/thumb.jpg": ("skipped", "hidden"),
        "stray.jpg": ("skipped", "outside_class_folder"),
        "README.md": ("skipped", "outside_class_folder"),
        "cat/notes.txt": ("skipped", "not_an_image"),
        "cat/empty.txt": ("skipped", "not_an_image"),
        "cat/tiny.png": ("quarantined", "side_too_small"),
        "cat/cut.jpg": ("quarantined", "corrupt"),
        "cat/cut_without_extension": ("quarantined", "corrupt"),
        "cat/empty.jpg": ("quarantined", "empty"),
        "cat/page.jpg": ("quarantined", "unknown_format"),
        "cat/vector.svg": ("quarantined", "unknown_format"),
        "cat/folder.jpg": ("quarantined", "directory"),
        "cat/link.jpg": ("skipped", "link_to_copy"),
        "cat/device.jpg": ("quarantined", "not_a_regular_file"),
        "cat/link": ("skipped", "broken_link"),
        "cat/loop": ("skipped", "link_loop"),
        "cat/pipe.jpg": ("quarantined", "not_a_regular_file"),
        "cat/pipe": ("skipped", "not_a_regular_file"),
    }


@needs_posix
def test_every_file_has_its_verdict(root):
    expected = make_zoo(root)
    table = manifest.build(source(root))
    assert verdicts(table) == expected
    assert len(table) == len(expected)  # none twice
    assert list(table["path"]) == sorted(expected)
    walked = {
        os.path.relpath(os.path.join(folder, name), root)
        for folder, folders, files in os.walk(root)
        for name in [*files, *(f for f in folders if os.path.islink(os.path.join(folder, f)))]
    }
    assert set(table["path"]) == walked | {"cat/folder.jpg"}


@needs_posix
def test_the_raw_folder_is_left_as_it_was(root):
    make_zoo(root)

    def state():
        return sorted(
            (str(p), p.lstat().st_size, p.lstat().st_mtime_ns, p.lstat().st_mode)
            for p in root.rglob("*")
        )

    before = state()
    manifest.build(source(root))
    assert state() == before


@needs_posix
def test_a_name_that_is_not_utf8_is_refused_and_stays_readable(root, tmp_path):
    good = (root / "cat" / "a.jpg").read_bytes()
    for name in (b"cat/\xff\xfe.jpg", b"cat/back\\slash\xff.jpg", b"cat/back\\slash.jpg"):
        with open(os.path.join(os.fsencode(root), name), "wb") as file:
            file.write(good)
    table = manifest.build(source(root))
    found = verdicts(table)
    assert found["cat/\\xff\\xfe.jpg"] == ("quarantined", "name_not_utf8")
    assert found["cat/back\\\\slash\\xff.jpg"] == ("quarantined", "name_not_utf8")
    assert found["cat/back\\slash.jpg"] == ("accepted", "")
    manifest.write(table, tmp_path / "manifest.csv")
    assert manifest.read(tmp_path / "manifest.csv").equals(table)


def test_unreadable_files_and_folders_are_listed(root, monkeypatch):
    save(root / "cat" / "locked.jpg", 3)
    save(root / "cat" / "private" / "x.jpg", 4)
    read_file, scandir = images.read_file, os.scandir

    def denied_file(path):
        if path.name == "locked.jpg":
            raise images.ImageRejected("unreadable", "Permission denied")
        return read_file(path)

    def denied_folder(path):
        if os.path.basename(path) == "private":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(images, "read_file", denied_file)
    monkeypatch.setattr(os, "scandir", denied_folder)
    found = verdicts(manifest.build(source(root)))
    assert found["cat/locked.jpg"] == ("quarantined", "unreadable")
    assert found["cat/private"] == ("quarantined", "unreadable_folder")


@pytest.fixture
def lock(monkeypatch):
    """Return what takes the permission to list a folder away: truly, unless root may list any."""
    locked, scandir = [], os.scandir

    def denied(path):
        if os.geteuid() == 0 and str(path) in map(str, locked):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    def take(folder):
        locked.append(folder)
        folder.chmod(0)

    monkeypatch.setattr(os, "scandir", denied)
    yield take
    for folder in locked:
        folder.chmod(0o755)


def test_a_class_folder_that_cannot_be_listed_is_one_row_and_no_split_is_made_without_it(
    root, lock
):
    for number in range(3):
        save(root / "cat" / f"{number}.jpg", 10 + number)
        save(root / "dog" / f"{number}.jpg", 20 + number)
    save(root / "ant" / "1.jpg", 5)
    lock(root / "ant")
    table = manifest.build(source(root))
    row = table[table["path"] == "ant"].iloc[0]
    assert (row["label"], row["status"], row["reason"]) == (
        "ant", "quarantined", "unreadable_folder",
    )  # fmt: skip
    assert (table["status"] == "accepted").sum() > 0
    pictures = pd.Series(table["path"].to_numpy(), index=table["path"])
    with pytest.raises(InputError, match=r"usable image: 'ant' \(1 file or folder, refused as unr"):
        splits.assign(table, pictures, make_settings("smoke"))


def test_groups_of_files_that_cannot_be_seen_are_not_the_end_of_the_audit(root, lock):
    for number, label in enumerate(("ant", "bee", "cow")):
        save(root / label / "1.jpg", 10 + number)
    rows = "".join(f"{label}/1.jpg,{label}\n" for label in ("ant", "bee", "cow"))
    (root / "groups.csv").write_text(f"path,group\n{rows}")
    (root / "labels.csv").write_text(f"path,label\n{rows}")
    lock(root / "ant")
    table = manifest.build(source(root)).set_index("path")
    assert table.loc["ant", "reason"] == "unreadable_folder"
    assert table.loc["bee/1.jpg", "group"] == "bee"
    with pytest.raises(InputError, match=r"'ant/1.jpg' to be seen: the folder 'ant' cannot be"):
        table_source.read(root / "labels.csv")


def test_a_class_folder_of_one_split_that_cannot_be_listed_is_one_row(root, tmp_path, lock):
    for split in ("train", "test"):
        for number, label in enumerate(("cat", "dog")):
            save(tmp_path / "split" / split / label / "1.jpg", 7 + number + 2 * (split == "test"))
    lock(tmp_path / "split" / "test" / "dog")
    found = verdicts(manifest.build(source(tmp_path / "split")))
    assert found.pop("test/dog") == ("quarantined", "unreadable_folder")
    assert set(found.values()) == {("accepted", "")}


def test_data_that_may_only_be_read_are_enough(root):
    before = {path: path.lstat().st_mtime_ns for path in [root, *root.rglob("*")]}
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        accepted = (manifest.build(source(root))["status"] == "accepted").sum()
    finally:
        for path in before:
            path.chmod(0o755)
    assert accepted
    assert {path: path.lstat().st_mtime_ns for path in [root, *root.rglob("*")]} == before


def test_a_file_that_vanishes_is_listed(root, monkeypatch):
    def gone(path):
        raise images.ImageRejected("not_found", "gone")

    monkeypatch.setattr(images, "read_file", gone)
    assert set(verdicts(manifest.build(source(root))).values()) == {("quarantined", "not_found")}


def test_all_classes_without_a_usable_image_are_named(root):
    for name in ("photos", "snaps"):
        (root / name).mkdir()
        for number in range(2):
            (root / name / f"{number}.jpg").write_bytes(b"<html>404</html>")
    (root / "snaps" / "2.jpg").write_bytes(b"")
    table = manifest.build(source(root))
    said = (
        "Classes without a usable image: 'photos' (2 files, refused as unknown_format: "
        "photos/0.jpg), 'snaps' (3 files, refused as unknown_format: snaps/0.jpg)"
    )
    assert refusals.empty_classes(table) == said
    assert audit.summary(table, pd.DataFrame(columns=audit.FINDING_COLUMNS))["warnings"] == [said]
    with pytest.raises(InputError, match="'snaps'"):
        refusals.require_classes(table)
    assert refusals.empty_classes(table[~table["label"].isin(["photos", "snaps"])]) == ""


def test_too_large_files_are_refused_unread(root):
    for name in ("film.jpg", "archive.zip"):
        with open(root / "cat" / name, "wb") as file:
            file.truncate(images.MAX_BYTES + 1)
    found = verdicts(manifest.build(source(root)))
    assert found["cat/film.jpg"] == ("quarantined", "too_many_bytes")
    assert found["cat/archive.zip"] == ("skipped", "too_many_bytes")


def test_an_accepted_row_says_what_the_file_is(root):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(root / "cat" / "turned.jpg", 3, exif=exif)
    table = manifest.build(source(root)).set_index("path")
    row = table.loc["cat/turned.jpg"]
    content = (root / "cat" / "turned.jpg").read_bytes()
    assert row["sha256"] == hashlib.sha256(content).hexdigest()
    assert row["bytes"] == len(content)
    assert (row["format"], row["width"], row["height"]) == ("jpeg", 48, 40)
    assert (row["orientation"], row["mode"], row["label"]) == (6, "rgb", "cat")
    assert len(row["phash"]) == 16
    assert int(row["phash"], 16) >= 0


@pytest.mark.parametrize(
    ("name", "mode", "expected"),
    [
        ("x.jpg", "L", "grey"),
        ("x.jpg", "RGB", "rgb"),
        ("x.jpg", "CMYK", "cmyk"),
        ("x.png", "L", "grey"),
        ("x.png", "LA", "grey_alpha"),
        ("x.png", "P", "palette"),
        ("x.png", "RGBA", "rgba"),
        ("x.webp", "RGBA", "rgba"),
        ("x.bmp", "RGB", "rgb"),
    ],
)
def test_the_mode_of_the_stored_pixels(root, name, mode, expected):
    alpha = Image.linear_gradient("L").resize((48, 40))
    image = picture(3)
    if mode.endswith("A"):
        image.putalpha(alpha)
    image.convert(mode).save(root / "cat" / name)
    table = manifest.build(source(root)).set_index("path")
    assert table.loc[f"cat/{name}", "mode"] == expected


def test_a_palette_with_a_transparent_entry_counts_as_transparent(root):
    picture(3).convert("P").save(root / "cat" / "x.png", transparency=0)
    assert manifest.build(source(root)).set_index("path").loc["cat/x.png", "mode"] == "rgba"


def test_a_flat_picture_has_no_hash_and_one_without_a_dot_is_blank(root):
    flat = Image.new("RGB", (40, 40), (200, 10, 10))
    flat.save(root / "cat" / "blank.png")
    flat.putpixel((20, 20), (220, 30, 30))
    flat.save(root / "cat" / "flat.png")
    table = manifest.build(source(root)).set_index("path")
    assert table.loc["cat/flat.png", ["phash", "status", "reason"]].tolist() == ["", "accepted", ""]
    assert table.loc["cat/blank.png", ["status", "reason"]].tolist() == ["quarantined", "blank"]


def test_split_folders_are_told_from_class_folders(tmp_path):
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            save(tmp_path / split / label / "a.jpg", len(split + label))
    save(tmp_path / "train" / "loose.jpg", 1)
    save(tmp_path / ".extra" / "cat" / "a.jpg", 2)
    table = manifest.build(source(tmp_path)).set_index("path")
    assert tuple(table.loc["test/dog/a.jpg", ["split", "label", "status"]]) == (
        "test",
        "dog",
        "accepted",
    )
    assert table.loc[".extra/cat/a.jpg", "reason"] == "hidden"
    for path in ("train/loose.jpg",):
        assert tuple(table.loc[path, ["label", "status", "reason"]]) == (
            "",
            "skipped",
            "outside_class_folder",
        )


def test_written_and_read_back_it_is_the_same(root, tmp_path):
    save(root / "NA" / 'com"ma, and\rreturn\r\n.jpg', 3)
    save(root / "NA" / "null", 4, "PNG")
    table = manifest.build(source(root))
    manifest.write(table, tmp_path / "manifest.csv")
    again = manifest.read(tmp_path / "manifest.csv")
    pd.testing.assert_frame_equal(again, table)
    assert set(again["label"]) == {"NA", "cat", "dog"}
    assert manifest.digest(again) == manifest.digest(table)


def test_the_number_of_threads_changes_nothing(root, monkeypatch):
    for seed in range(20):
        save(root / "cat" / f"{seed:02}.jpg", seed)
    tables = []
    for threads in (1, 8):
        monkeypatch.setattr(os, "cpu_count", lambda n=threads: n)
        tables.append(manifest.build(source(root)))
    pd.testing.assert_frame_equal(*tables)


def test_the_digest_names_the_content(root):
    def digest():
        return manifest.digest(manifest.build(source(root)))

    first = digest()
    assert first == digest()
    os.utime(root / "cat" / "a.jpg")  # touching is not changing
    assert first == digest()
    save(root / "cat" / "a.jpg", 99)
    changed = digest()
    (root / "cat" / "a.jpg").rename(root / "cat" / "b.jpg")
    renamed = digest()
    (root / "cat" / "bad.jpg").write_bytes(b"")
    assert len({first, changed, renamed, digest()}) == 4


def test_files_that_are_skipped_are_listed_but_not_part_of_the_name(root):
    before = manifest.build(source(root))
    for name in (".DS_Store", "cat/.DS_Store", "dog/Thumbs.db", "dog/._a.jpg", "README.txt"):
        (root / name).write_bytes(b"left by a file manager")
    after = manifest.build(source(root))
    assert len(after) == len(before) + 5
    assert manifest.digest(after) == manifest.digest(before)


@pytest.mark.parametrize("column", ["path", "split", "label", "sha256", "status", "reason"])
def test_the_digest_depends_on(root, column):
    table = manifest.build(source(root))
    other = table.copy()
    other.loc[0, column] = "quarantined" if column == "status" else "another"
    assert manifest.digest(other) != manifest.digest(table)


def test_the_measures_are_no_part_of_the_name(root):
    table = manifest.build(source(root))
    assert (table[["brightness", "contrast", "sharpness"]] > 0).all(axis=None)
    assert manifest.digest(table.assign(brightness=0.0)) == manifest.digest(table)


def test_a_manifest_of_pictures_not_yet_measured_is_read(root, tmp_path):
    table = manifest.build(source(root))
    older = table.drop(columns=["group", "brightness", "contrast", "sharpness"])
    older.to_csv(tmp_path / "manifest.csv", index=False)
    read = manifest.read(tmp_path / "manifest.csv")
    pd.testing.assert_frame_equal(read[older.columns], older)
    assert (read[["brightness", "contrast", "sharpness"]] == 0).all(axis=None)
    assert manifest.digest(read) == manifest.digest(table)


def test_a_manifest_of_a_version_without_groups_is_read_and_names_the_same_data(root, tmp_path):
    """The digest is that of version 0.1: a SHA-256 over the lines of its seven columns."""
    table = manifest.build(source(root))
    table.drop(columns="group").to_csv(tmp_path / "manifest.csv", index=False)
    read = manifest.read(tmp_path / "manifest.csv")
    pd.testing.assert_frame_equal(read, table)
    columns = ["path", "split", "label", "sha256", "bytes", "status", "reason"]
    lines = "\n".join(repr(tuple(row)) for row in read[columns].itertuples(index=False, name=None))
    assert manifest.digest(read) == hashlib.sha256(lines.encode()).hexdigest()


def test_progress_goes_to_standard_output(root, capfd):
    manifest.build(source(root), progress=True)
    captured = capfd.readouterr()
    assert "manifest" in captured.out
    assert captured.err == ""


@pytest.mark.parametrize("content", [None, "", "path,split\na,b\n"])
def test_what_is_no_manifest_is_refused(tmp_path, content):
    path = tmp_path / "manifest.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match="manifest"):
        manifest.read(path)


def unusable(root, files):
    """The refusal of two classes of these files: name → content."""
    for label in ("cat", "dog"):
        (root / label).mkdir()
        for name, content in files.items():
            (root / label / name).write_bytes(content)
    table = manifest.build(source(root))
    with pytest.raises(InputError) as caught:
        refusals.require_usable(table, root)
    return str(caught.value)


def as_png(*size):
    content = io.BytesIO()
    picture(0, size).save(content, "PNG")
    return content.getvalue()


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50)


def test_where_nothing_can_be_used_one_line_says_what_there_is_and_the_cure(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign, "heic_reader", lambda: "")
    said = unusable(tmp_path, {"a.HEIC": HEIC, "b.HEIC": HEIC + b"b", "c.jpg": b"\xff\xd8\xff"})
    assert said == (
        "No image of 6 files can be used: 4 are HEIC, as iPhones write it, 2 are damaged. Convert "
        "HEIC to JPEG, or run: pip install pi-heif (decoders under the LGPL). Copy or download "
        "damaged and empty files again, from where they came."
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xd8\xff", "2 are damaged. Copy or download damaged"),
        (b"", "2 are empty. Copy or download damaged"),
        (b"<html>", "2 are no image of a known format. Run cnnlab audit, which"),
        (as_png(7, 20), "2 are too small. "),
        (as_png(8, 401), "2 are refused as aspect_ratio. "),
    ],
)
def test_every_reason_is_said_where_nothing_can_be_used(tmp_path, content, words):
    assert words in unusable(tmp_path, {"a.jpg": content})


@needs_posix
def test_one_usable_image_is_enough(root):
    make_zoo(root)
    refusals.require_usable(manifest.build(source(root)), root)


@needs_posix
def test_a_refused_file_is_listed_with_its_format_which_decides_nothing(root, monkeypatch):
    monkeypatch.setattr(foreign, "heic_reader", lambda: "")
    make_zoo(root)
    (root / "cat" / "photo.HEIC").write_bytes(HEIC)
    table = manifest.build(source(root))
    formats = table.set_index("path")["format"]
    assert formats["cat/photo.HEIC"] == "heic"
    assert formats["cat/cut.jpg"] == "jpeg"
    assert formats["cat/page.jpg"] == ""
    assert manifest.digest(table) == manifest.digest(table.assign(format=""))
