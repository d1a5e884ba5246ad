"""The generated default dataset: five paper shapes, where each one shows, and planted faults.

``generate`` writes, below one folder::

    images/{train,test}/<class>/<class>_0000.jpg …    256×256, one in ten a PNG
    truth/objects.csv    path,label,left,top,right,bottom,mask: every file that shows a shape,
                         labelled with the class that it shows
    truth/masks/…        the visible part of each target, white on black
    truth/faults.csv     path,fault,other: what was planted; ``other`` is the file that a copy
                         copies, and the true class of a picture with a wrong label

The requested counts are those of distinct, usable pictures. Odd files and wrong labels are among
them; copies and damaged files come on top. Whoever removes exactly those is left with the counts
requested. The share asked for of the training pictures has a wrong label: they lie in another
class's folder and have no other fault. Test labels are right.
"""

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm.auto import tqdm

from cnnlab import files
from cnnlab.config import InputError, child_seed
from cnnlab.data import tables
from cnnlab.data.synthetic import faults, scenes

CLASSES = tuple(sorted(scenes.OUTLINES))
VERSION = 1  # counts up whenever the same arguments begin to give other files
MIN_PER_CLASS = 5

OBJECT_COLUMNS = ["path", "label", "left", "top", "right", "bottom", "mask"]
FAULT_COLUMNS = ["path", "fault", "other"]


@dataclass(frozen=True)
class _Item:
    """One file to write. A copy shows another item's scene, any other item its own.

    ``label`` is the class whose folder it lies in, ``true_label`` the one it shows where that is
    another.
    """

    split: str
    label: str
    index: int
    fault: str = ""
    turn: int = 0
    original: "_Item | None" = None
    true_label: str = ""

    @property
    def suffix(self) -> str:
        """A PNG every tenth time, whatever the class; a fault has a suffix of its own."""
        return ".png" if self.index % 10 == 3 else ".jpg"

    @property
    def stem(self) -> str:
        """The path below ``images``, without suffix."""
        return f"{self.split}/{self.label}/{self.label}_{self.index:04d}"


def generate(
    folder: Path,
    *,
    train_per_class: int,
    test_per_class: int,
    seed: int,
    wrong_labels: float = 0.0,
    progress: bool = False,
) -> None:
    """Write the dataset, all of it or nothing.

    The same arguments give byte-identical files. A scene depends on (seed, split, class, index)
    only, so a larger dataset shows the smaller one's scenes too. Two processes may generate the
    same folder at once: the first to finish wins, the other's work is discarded.

    Args:
        folder: Made by this call; it must not exist yet.
        train_per_class: Distinct usable pictures of each class in ``images/train``, at least 5.
        test_per_class: The same for ``images/test``.
        seed: Root seed.
        wrong_labels: Share of the training pictures, 0…0.4; at least one where it is above 0. All
            other files are those without any.
        progress: Show a bar.

    Raises:
        InputError: The folder exists already, or a count is below 5.
    """
    for name, count in (("shapes_train", train_per_class), ("shapes_test", test_per_class)):
        if count < MIN_PER_CLASS:
            raise InputError(f"{name}={count} is too few: expected {MIN_PER_CLASS} or more.")
    if folder.exists():
        raise InputError(f"{folder} exists already: delete it to generate it anew.")
    planned = _plan(train_per_class, test_per_class, seed, wrong_labels)
    try:
        with files.new_folder(folder) as made:
            _write_all(made, planned, seed, progress)
    except OSError:
        if not (folder / "truth" / "faults.csv").is_file():  # not another process' result
            raise


def _plan(train: int, test: int, seed: int, wrong_labels: float) -> list[_Item]:
    """Return every file to write: which picture gets which fault is drawn from the seed."""
    rng = np.random.default_rng(child_seed(seed, "shapes/faults"))
    pictures = {
        split: [_Item(split, label, index) for label in CLASSES for index in range(count)]
        for split, count in (("train", train), ("test", test))
    }
    waiting = {split: rng.permutation(len(pictures[split])).tolist() for split in pictures}
    next_index = Counter({("train", label): train for label in CLASSES})
    next_index.update({("test", label): test for label in CLASSES})
    extras: list[_Item] = []

    def add(split: str, label: str, fault: str, turn: int, original: _Item | None) -> None:
        extras.append(_Item(split, label, next_index[split, label], fault, turn, original))
        next_index[split, label] += 1

    for turn in range(_planted(len(pictures["train"]), len(pictures["test"]))):
        split = "test" if turn % 4 == 1 else "train"
        for fault in faults.ODD:
            at = waiting[split].pop()
            pictures[split][at] = replace(pictures[split][at], fault=fault, turn=turn)
        for fault in faults.COPIES:
            shown = "test" if fault.endswith("leak") else "train"
            original = pictures[shown][waiting[shown].pop()]
            add("train", original.label, fault, turn, original)
        for fault in faults.DAMAGED:
            add(split, CLASSES[rng.integers(len(CLASSES))], fault, turn, None)
    wrong = max(1, round(wrong_labels * len(pictures["train"]))) if wrong_labels else 0
    for at in waiting["train"][::-1][:wrong]:  # neither odd nor copied
        item = pictures["train"][at]
        others = [label for label in CLASSES if label != item.label]
        true_label = others[rng.integers(len(others))]
        pictures["train"][at] = replace(item, fault=faults.WRONG_LABEL, true_label=true_label)
    return pictures["train"] + pictures["test"] + extras


def _planted(train: int, test: int) -> int:
    """Return how many files get each fault: one in 200, but enough clean pictures must remain."""
    wanted = max(2, train // 200) if train >= 100 else 1
    return max(1, min(wanted, test // 8))


def _write_all(folder: Path, items: list[_Item], seed: int, progress: bool) -> None:
    """Write every item and the two tables of the truth below ``folder``."""
    for split in ("train", "test"):
        for label in CLASSES:
            (folder / "images" / split / label).mkdir(parents=True)
            (folder / "truth" / "masks" / split / label).mkdir(parents=True)
    with ThreadPoolExecutor(2) as pool:  # Pillow and NumPy let go of the lock while they work
        written = pool.map(lambda item: _write(folder, item, seed), items)
        bar = tqdm(
            written, "shapes", len(items), unit="file", file=sys.stdout, disable=not progress
        )
        rows = dict(zip(items, bar, strict=True))
    found = sorted(row for row in rows.values() if row[2:])
    planted = sorted(
        (row[0], item.fault, rows[item.original][0] if item.original else item.true_label)
        for item, row in rows.items()
        if item.fault
    )
    for name, columns, table in (
        ("objects.csv", OBJECT_COLUMNS, found),
        ("faults.csv", FAULT_COLUMNS, planted),
    ):
        tables.write(pd.DataFrame(table, columns=columns), folder / "truth" / name)


def _write(folder: Path, item: _Item, seed: int) -> tuple:
    """Write one file, and the mask if it shows a shape; return its row of ``objects.csv``."""
    shown = item.original or item
    rng = np.random.default_rng(child_seed(seed, f"shapes/{shown.stem}"))
    label = shown.true_label or shown.label
    scene = scenes.draw(label, rng)
    quality = int(rng.integers(75, 96))
    if item.fault in faults.ODD:
        data, suffix = faults.odd(scene.picture, scene.visible, item.fault, item.turn)
    elif item.fault in faults.DAMAGED:
        data, suffix = faults.damaged(scene.picture, item.fault, item.turn)
    elif item.fault.startswith("near"):
        data, suffix = faults.near_copy(scene.picture, item.turn)
    else:
        data, suffix = faults.encoded(scene.picture, shown.suffix, quality)
    path = f"{item.stem}{suffix}"
    (folder / "images" / path).write_bytes(data)
    if item.fault in faults.DAMAGED:
        return path, label
    mask = f"masks/{item.stem}.png"
    Image.fromarray(scene.visible).save(folder / "truth" / mask)
    return path, label, *scene.box(), mask
