"""Thousands of tiny pictures with planted faults: what the audit finds, against what is there.

The truth is kept by the generator below, not by the package, and findings are compared with
their kind and both files: the right file with the wrong partner is a miss and a false alarm.
"""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from cnnlab.data import manifest
from cnnlab.data.audit import audit
from cnnlab.data.sources.folder_source import FolderSource

LABELS = ("cat", "dog", "owl", "yak")
PER_CLASS = {"train": 550, "test": 150}  # distinct pictures
PLANTED = 150  # of each kind
SIDE = 64
KINDS = ("exact_duplicate", "near_duplicate", "exact_leak", "near_leak", "label_conflict")
ODD = {
    "small": lambda picture: picture.resize((SIDE // 3, SIDE // 3)),
    "large": lambda picture: picture.resize((SIDE * 3, SIDE * 3)),
    "elongated": lambda picture: picture.resize((SIDE * 2, SIDE // 2)),
    "dark": lambda picture: picture.point(lambda level: level * 0.06),
    "bright": lambda picture: picture.point(lambda level: 255 - (255 - level) * 0.06),
    "low contrast": lambda picture: picture.point(lambda level: 115 + (level - 115) * 0.1),
    "blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(SIDE / 16)),
}
DAMAGE = (lambda whole: whole[: len(whole) // 2], lambda whole: b"", lambda whole: b"<html>")
PLANTED_ODD = 40  # of each kind, and as many damaged files: few enough to stay unlike the others


def encoded(picture, quality=92):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def draw(random):
    """Patches of colour at five scales, the coarse ones strongest, as in photographs."""
    pixels = np.zeros((SIDE, SIDE, 3))
    for cells in (2, 4, 8, 16, 32):
        coarse = random.normal(0, 100 / cells**0.7, (cells, cells, 3)).astype(np.float32)
        for channel in range(3):
            layer = Image.fromarray(coarse[:, :, channel])
            pixels[:, :, channel] += layer.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    pixels = 115 + 100 * np.tanh(pixels / 100)
    return Image.fromarray(pixels.astype(np.uint8))


def near(picture, turn):
    """The same picture, differently compressed, resampled or lit."""
    if turn % 4 == 0:
        return encoded(picture, 50)
    if turn % 4 == 1:
        return encoded(picture.resize((SIDE * 5 // 4, SIDE * 5 // 4), Image.Resampling.BICUBIC))
    if turn % 4 == 2:
        return encoded(picture.point(lambda level: level * 1.1))
    return encoded(picture.point(lambda level: level * 1.5))  # a sixth ends at white


def plant(root):
    """Write the pictures and return the true findings: (kind, {path, other or detail})."""
    random = np.random.default_rng(20)
    pictures = {}
    for split, count in PER_CLASS.items():
        for label in LABELS:
            (root / split / label).mkdir(parents=True)
            for number in range(count):
                pictures[f"{split}/{label}/{number:04}.jpg"] = draw(random)
    for path, picture in pictures.items():
        (root / path).write_bytes(encoded(picture))
    originals = {
        split: iter(random.permutation([path for path in pictures if path.startswith(split)]))
        for split in PER_CLASS
    }
    truth = set()
    for number in range(PLANTED):
        for kind in KINDS:
            other = str(next(originals["test" if kind.endswith("leak") else "train"]))
            label = other.split("/")[1]
            truth_kinds = {kind}
            if kind == "label_conflict":
                label = LABELS[LABELS.index(label) - 1]
                truth_kinds.add("near_duplicate" if number % 2 else "exact_duplicate")
            path = f"train/{label}/z{kind}{number:04}.jpg"
            changed = kind.startswith("near") or "near_duplicate" in truth_kinds
            copy = near(pictures[other], number) if changed else (root / other).read_bytes()
            (root / path).write_bytes(copy)
            truth |= {(each, frozenset((path, other))) for each in truth_kinds}
    for number in range(PLANTED_ODD):
        label = LABELS[number % len(LABELS)]
        for word, change in ODD.items():
            # Not JPEG, whose grain is that of the picture here: a photograph loses it when reduced.
            path = f"train/{label}/z{word}{number:04}.png"
            change(draw(random)).save(root / path)
            truth.add(("outlier", frozenset((path, word))))
        path = f"train/{label}/zdamaged{number:04}.jpg"
        (root / path).write_bytes(DAMAGE[number % len(DAMAGE)](encoded(draw(random))))
        truth.add(("quarantined", frozenset((path, ""))))
    return truth


def told(findings, truth):
    """Return the findings as the truth has them.

    What is nearly black has little contrast too: a second oddity of a planted picture is no alarm.
    """
    result = {
        (kind, frozenset((path, detail.split(":")[0] if kind == "outlier" else other)))
        for kind, path, other, detail in findings.itertuples(index=False)
    }
    odd = {part for kind, pair in truth if kind == "outlier" for part in pair}
    return {
        (kind, pair)
        for kind, pair in result
        if kind != "outlier" or (kind, pair) in truth or not pair - set(ODD) & odd
    }


@pytest.mark.slow
def test_planted_faults_are_found_and_little_else(tmp_path):
    truth = plant(tmp_path)
    source = FolderSource("planted", tmp_path)
    files = manifest.build(source)
    findings = audit.findings(files, audit.pictures(files, source))
    reported = told(findings, truth)
    print(f"\n{len(files)} files\n{'kind':16} planted  recall  precision")
    for kind in (*KINDS, "outlier", "quarantined"):
        planted = {pair for each, pair in truth if each == kind}
        found = {pair for each, pair in reported if each == kind}
        recall = len(planted & found) / len(planted)
        precision = len(planted & found) / len(found)
        print(f"{kind:16} {len(planted):7}  {recall:6.3f}  {precision:9.3f}")
        assert recall >= 0.99, (kind, sorted(map(sorted, planted - found))[:5])
        assert precision >= 0.95, (kind, sorted(map(sorted, found - planted))[:5])
