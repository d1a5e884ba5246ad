"""The audit reports what is there, in the right kind, and nothing else."""

import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance

from cnnlab.config import InputError, make_settings
from cnnlab.data import manifest
from cnnlab.data.audit import appearance, audit, duplicates
from cnnlab.data.sources import selection
from cnnlab.data.sources.folder_source import FolderSource
from cnnlab.data.synthetic import ground_truth

LABELS = ("cat", "dog")


def picture(seed, size=(96, 96)):
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def source(tmp_path):
    """Train and test folders with three distinct images of each class."""
    seed = 0
    for split in ("train", "test"):
        for label in LABELS:
            folder = tmp_path / "pictures" / split / label
            folder.mkdir(parents=True)
            for name in "abc":
                picture(seed := seed + 1).save(folder / f"{name}.jpg", quality=90)
    return FolderSource("pictures", tmp_path / "pictures")


def copy(source, path, other):
    (source.root / path).write_bytes((source.root / other).read_bytes())


def brighten(source, path, other):
    with Image.open(source.root / other) as image:
        ImageEnhance.Brightness(image).enhance(1.1).save(source.root / path, quality=70)


def audited(source):
    table = manifest.build(source)
    pictures = audit.pictures(table, source)
    return table, pictures, audit.findings(table, pictures)


def rows(findings, *kinds):
    chosen = findings[findings["kind"].isin(kinds)] if kinds else findings
    return [tuple(row) for row in chosen.itertuples(index=False)]


def test_clean_images_give_no_finding_and_each_its_own_picture(source):
    table, pictures, findings = audited(source)
    assert list(pictures.index) == list(table["path"])
    assert pictures.is_unique
    assert list(findings.columns) == ["kind", "path", "other", "detail"]
    assert findings.empty


def test_copies_share_a_picture_named_by_the_largest_of_them(source):
    alone = audited(source)[1]
    copy(source, "train/cat/exact.jpg", "train/cat/a.jpg")
    brighten(source, "train/cat/near.jpg", "train/cat/exact.jpg")
    table, pictures, _ = audited(source)
    family = ["train/cat/a.jpg", "train/cat/exact.jpg", "train/cat/near.jpg"]
    hashes = table.set_index("path").loc[family, "sha256"]
    assert set(pictures[family]) == {hashes["train/cat/a.jpg"][:16]}
    assert pictures[alone.index].equals(alone)  # neither an exact nor a smaller copy renames one
    assert pictures.drop(family).is_unique
    assert not set(pictures.drop(family)) & set(pictures[family])


def test_refused_files_have_no_picture(source):
    (source.root / "train" / "cat" / "bad.jpg").write_bytes(b"")
    _, pictures, _ = audited(source)
    assert "train/cat/bad.jpg" not in pictures.index


@pytest.mark.parametrize(
    ("make", "path", "other", "kind"),
    [
        (copy, "train/cat/z.jpg", "train/cat/a.jpg", "exact_duplicate"),
        (brighten, "train/cat/z.jpg", "train/cat/a.jpg", "near_duplicate"),
        (copy, "train/cat/z.jpg", "test/cat/a.jpg", "exact_leak"),
        (brighten, "train/cat/z.jpg", "test/cat/a.jpg", "near_leak"),
        (copy, "test/cat/z.jpg", "test/cat/a.jpg", "exact_duplicate"),
    ],
)
def test_each_kind_of_copy_is_one_finding(source, make, path, other, kind):
    make(source, path, other)
    _, _, findings = audited(source)
    assert rows(findings) == [(kind, path, other, "")]


def test_a_test_image_copied_from_training_leaks_as_well(source):
    copy(source, "test/cat/z.jpg", "train/cat/a.jpg")
    _, _, findings = audited(source)
    assert rows(findings) == [("exact_leak", "train/cat/a.jpg", "test/cat/z.jpg", "")]


def test_a_family_over_both_sides_is_reported_once_per_copy(source):
    copy(source, "train/cat/y.jpg", "train/cat/a.jpg")
    brighten(source, "test/cat/z.jpg", "train/cat/a.jpg")
    _, _, findings = audited(source)
    assert rows(findings) == [
        ("near_leak", "train/cat/a.jpg", "test/cat/z.jpg", ""),
        ("near_leak", "train/cat/y.jpg", "test/cat/z.jpg", ""),
        ("exact_duplicate", "train/cat/y.jpg", "train/cat/a.jpg", ""),
    ]


def test_one_picture_under_two_labels_is_a_conflict(source):
    copy(source, "train/dog/z.jpg", "train/cat/a.jpg")
    _, _, findings = audited(source)
    assert rows(findings, "label_conflict") == [
        ("label_conflict", "train/dog/z.jpg", "train/cat/a.jpg", "dog / cat")
    ]


def test_where_not_all_lookalikes_are_compared_the_findings_say_so(source, monkeypatch):
    brighten(source, "train/cat/z.jpg", "train/cat/a.jpg")
    copy(source, "train/cat/y.jpg", "train/cat/z.jpg")
    monkeypatch.setattr(duplicates, "TRIES", 0)
    _, pictures, findings = audited(source)
    assert pictures["train/cat/z.jpg"] != pictures["train/cat/a.jpg"]
    assert rows(findings, "crowded") == [
        ("crowded", "train/cat/a.jpg", "", ""),
        ("crowded", "train/cat/y.jpg", "", ""),
    ]


def accepted(rows):
    """A manifest of accepted images: path, split, label, sha256; nothing else is looked at."""
    table = pd.DataFrame(rows, columns=["path", "split", "label", "sha256"])
    plain = {name: 0.5 if name in appearance.MEASURES else 64 for name in manifest.COLUMNS}
    text = {
        "status": "accepted",
        "mode": "rgb",
        "reason": "",
        "group": "",
        "format": "png",
        "orientation": 1,
    }
    return table.assign(**{n: v for n, v in {**plain, **text}.items() if n not in table})


def told(files, pictures):
    """What is to be reported of copies, by definition: each with the first that it repeats."""
    side = {"test": 0, "validation": 1}
    order = sorted(files, key=lambda row: (side.get(row[1], 2), row[0]))
    result = set()
    for i, (path, split, label, content) in enumerate(order):
        earlier = [row for row in order[:i] if pictures[row[0]] == pictures[path]]
        for kind, same_side in (("duplicate", True), ("leak", False)):
            known = [row for row in earlier if (row[1] == split) == same_side]
            exact = [row for row in known if row[3] == content]
            if known:
                word, chosen = ("exact", exact) if exact else ("near", known)
                result.add((f"{word}_{kind}", path, chosen[0][0], ""))
        others = [row for row in earlier if row[2] != label]
        if others:
            words = f"{label} / {others[0][2]}"
            result.add(("label_conflict", path, others[0][0], words))
    return result


@pytest.mark.parametrize("seed", range(20))
def test_copies_are_reported_with_the_first_that_they_repeat(seed):
    random = np.random.default_rng(seed)
    files, pictures = [], {}
    for number in range(40):
        content = int(random.integers(0, 12))
        split = ("train", "test", "validation", "")[random.integers(0, 4)]
        label = ("cat", "dog", "owl")[random.integers(0, 3)]
        path = f"{random.integers(0, 10**6):06}-{number}.png"
        files.append((path, split, label, f"{content:064}"))
        pictures[path] = f"{content // 3:016}"
    found = audit.findings(accepted(files), pd.Series(pictures))
    copies = found[found["kind"].isin((*audit.COPIES, "label_conflict"))]
    assert len(copies) == len(set(rows(copies)))
    assert set(rows(copies)) == told(files, pictures)


def test_thousands_of_copies_of_one_file_take_a_moment():
    """Looking at all earlier copies of each would be 50 million steps."""
    paths = [f"{number:05}.png" for number in range(10_000)]
    files = [(path, "train", "cat", "0" * 64) for path in paths]
    started = time.process_time()
    found = audit.findings(accepted(files), pd.Series(dict.fromkeys(paths, "0" * 16)))
    assert time.process_time() - started < 5
    assert rows(found) == [("exact_duplicate", path, paths[0], "") for path in paths[1:]]


def test_refused_and_unusual_files_are_reported_with_their_reason(source):
    folder = source.root / "train" / "cat"
    (folder / "bad.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("notes")
    exif = Image.Exif()
    exif[0x0112] = 3
    picture(50).save(folder / "turned.jpg", exif=exif)
    picture(51).convert("L").save(folder / "grey.png")
    picture(52).convert("CMYK").save(folder / "cmyk.jpg")
    picture(53).convert("RGBA").save(folder / "alpha.png")
    picture(54, (20, 60)).save(folder / "small.png")
    _, _, findings = audited(source)
    assert rows(findings) == [
        ("quarantined", "train/cat/bad.jpg", "", "empty"),
        ("skipped", "train/cat/notes.txt", "", "not_an_image"),
        ("unusual", "train/cat/alpha.png", "", "transparent"),
        ("unusual", "train/cat/cmyk.jpg", "", "cmyk"),
        ("unusual", "train/cat/grey.png", "", "grey"),
        ("unusual", "train/cat/small.png", "", "small"),
        ("unusual", "train/cat/turned.jpg", "", "exif_rotated"),
    ]


def test_an_image_changed_since_the_manifest_is_an_error(source):
    brighten(source, "train/cat/z.jpg", "train/cat/a.jpg")
    table = manifest.build(source)
    (source.root / "train/cat/z.jpg").unlink()
    with pytest.raises(InputError, match="train/cat/z"):
        audit.pictures(table, source)


def test_balance_counts_accepted_images_and_shows_what_is_missing(source):
    (source.root / "test" / "dog" / "a.jpg").write_bytes(b"")
    for name in "abc":
        (source.root / "train" / "dog" / f"{name}.jpg").write_bytes(b"broken")
    balance = audit.balance(manifest.build(source))
    assert rows(balance) == [
        ("cat", "test", 3),
        ("cat", "train", 3),
        ("dog", "test", 2),
        ("dog", "train", 0),
    ]


def test_the_score_counts_found_missed_and_unexplained():
    faults = pd.DataFrame(
        [
            ("b", "exact_duplicate", "a"),
            ("c", "exact_duplicate", "a"),
            ("e", "near_leak", "d"),
            ("f", "empty", ""),
            ("g", "grey", ""),
            ("h", "wrong_label", "dog"),  # nothing that the audit looks for
        ],
        columns=["path", "fault", "other"],
    )
    findings = pd.DataFrame(
        [
            ("exact_duplicate", "a", "b", ""),  # either direction counts
            ("exact_duplicate", "c", "b", ""),  # through another copy of the same picture
            ("exact_duplicate", "x", "y", ""),  # nothing planted
            ("near_leak", "e", "x", ""),  # the wrong partner
            ("quarantined", "f", "", "corrupt"),  # the wrong reason
            ("unusual", "g", "", "grey"),
            ("label_conflict", "a", "b", "cat / dog"),  # no kind of fault
        ],
        columns=audit.FINDING_COLUMNS,
    )
    assert rows(audit.score(findings, faults)) == [
        ("empty", 1, 0, 0.0, 0),
        ("exact_duplicate", 2, 2, 1.0, 1),
        ("grey", 1, 1, 1.0, 0),
        ("near_leak", 1, 0, 0.0, 1),
    ]


@pytest.mark.slow
def test_the_planted_faults_are_found_and_little_else():
    settings = make_settings("smoke", shapes_train=60, shapes_test=20)
    source = selection.resolve(settings)
    _, _, findings = audited(source)
    score = audit.score(findings, ground_truth.planted_faults(source))
    print(score.to_string(index=False))
    found, planted, extra = score["found"].sum(), score["planted"].sum(), score["extra"].sum()
    assert planted >= 12
    assert (score["recall"] >= 0.95).all()
    assert found / (found + extra) >= 0.95
