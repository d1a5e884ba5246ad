"""Images that look as if they belonged together, where no group was declared.

Frames of one video or photos of one patient that stand on several sides of a split make every
figure better than it should be. Four rules look for such groups: names of files, see
``numbered_names``; sub-folders of the classes; camera and minute of the exposure; pictures that
look alike but are no copies. Each asks for more evidence than a plain folder of photographs gives.
What they find is a suspicion: it changes nothing, and is declared or dismissed by a person.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cnnlab.config import Settings
from cnnlab.data.audit import hash_search, numbered_names, taken

RULES = {
    "names": "the names of their files",
    "folders": "sub-folders of the classes",
    "camera": "camera and minute of the exposure (EXIF)",
    "looks": "pictures that look alike but are no copies",
}
GROUPS = 3  # of two or more images that a rule must find
FOLDER_SHARE = 0.5  # of all images that must lie in sub-folders
FOLDER_SIZE = 50  # images; larger sub-folders without a number in their names are kinds
CAMERA_SHARE = 0.1  # of the images with a time, that share camera and minute with others
DISTANCE = 6  # bits of 64
# Of the distinct pictures that must be so near to another: by chance 1.7 % of 3,408 photographs of
# clothes are, 4.9 % of 1,600 generated shapes.
LOOKS_SHARE = 0.2
# Pairs so near, for each that is further apart but within WIDER: by chance 0.06 among the
# photographs, 0.09 among the shapes, 0.12 among 1,797 written digits; among frames of one scene
# 1.4 to 1.8. By chance pairs grow with the square of the images, both kinds alike.
LOOKS_RATIO = 0.5
WIDER = 10
HELD = 2**20  # pairs that wait to be joined: 16 MB
HEAD = 2**17  # bytes
PROBED = 64  # files whose EXIF is read before that of all others is


@dataclass(frozen=True)
class Suspicion:
    """Groups of two or more images that one rule finds.

    Attributes:
        rule: A key of ``RULES``.
        groups: Path → name of the group.
        pattern: For the setting ``group_by``; captures these groups. "" where no pattern does.
    """

    rule: str
    groups: Mapping[str, str]
    pattern: str = ""

    def to_json(self, split: Mapping[str, str]) -> dict[str, Any]:
        """Return rule, groups, images, divided (groups on several sides), example and pattern.

        Args:
            split: Path → train, validation or test; other paths stand nowhere.
        """
        sides: dict[str, set[str]] = {}
        for path, group in self.groups.items():
            if path in split:
                sides.setdefault(group, set()).add(split[path])
        counts = Counter(self.groups.values())
        return {
            "rule": self.rule,
            "groups": len(counts),
            "images": len(self.groups),
            "divided": sum(len(each) > 1 for each in sides.values()),
            "example": min(counts, key=lambda name: (-counts[name], name)),
            "pattern": self.pattern,
        }


def search(
    manifest: pd.DataFrame, pictures: pd.Series, root: Path, settings: Settings
) -> list[Suspicion]:
    """Return what each rule finds among the accepted images.

    Nothing where groups were declared or dismissed. A rule that finds no group beyond those of an
    earlier one is left out.

    Args:
        manifest: From ``manifest.build``.
        pictures: From ``audit.pictures``.
        root: The source's folder; the EXIF blocks are read there.
        settings: ``group_by`` is "none" where they were dismissed.
    """
    accepted = manifest[manifest["status"] == "accepted"]
    declared = (accepted["group"] != "").any()
    if accepted.empty or declared or settings.data.groups_dismissed:
        return []
    labels = dict(zip(accepted["path"], accepted["label"], strict=True))
    shown_once = accepted[~pictures.reindex(accepted["path"]).duplicated().to_numpy()]
    hashes = dict(zip(shown_once["path"], shown_once["phash"], strict=True))
    jpegs = accepted.loc[accepted["format"] == "jpeg", "path"]
    return distinct(
        (by_names(labels), by_folders(labels), by_camera(times(root, jpegs)), by_looks(hashes))
    )


def distinct(suspicions: Iterable[Suspicion | None]) -> list[Suspicion]:
    """Return what was found, but what finds no group beyond those of an earlier one."""
    found: list[Suspicion] = []
    for each in suspicions:
        if each and not any(_is_within(each, earlier) for earlier in found):
            found.append(each)
    return found


def by_names(labels: Mapping[str, str]) -> Suspicion | None:
    """Return the groups that names of files suggest, see ``numbered_names``."""
    groups, pattern = numbered_names.found(labels)
    return _suspicion("names", groups, pattern)


def by_folders(labels: Mapping[str, str]) -> Suspicion | None:
    """Return the sub-folders of the classes, where most images lie in several of them.

    A sub-folder is the first folder below that of the class, and equal names in several classes are
    one group. Where a table gives the labels, it is the folder of the file. Large ones count only
    if they are numbered: ``dog/poodle`` of a hundred pictures is a kind of dog, ``ill/patient07``
    of a hundred is none.

    Args:
        labels: Path → class.
    """
    places = {path: _place(path, label) for path, label in labels.items()}
    depths = {depth for depth, _ in places.values()}
    groups = {path: name for path, (_, name) in places.items() if name}
    of_class = Counter(label for label, _ in {(labels[path], groups[path]) for path in groups})
    if len(depths) != 1 or max(of_class.values(), default=0) < 2:
        return None
    sizes = Counter(groups.values())
    numbered = {name: any(map(str.isdigit, name)) for name in sizes}
    if len(groups) < FOLDER_SHARE * len(labels) or not (
        all(numbered.values()) or np.median(list(sizes.values())) <= FOLDER_SIZE
    ):
        return None
    depth = depths.pop()
    if depth is None:
        return _suspicion("folders", groups, r"^(.+)/[^/]+$")
    return _suspicion("folders", groups, "^" + "[^/]+/" * depth + "([^/]+)/")


def by_camera(moments: Mapping[str, taken.Taken]) -> Suspicion | None:
    """Return the images of one camera and one minute.

    Args:
        moments: Path → camera and minute, of the images that tell it.
    """
    groups = {path: f"{moment.camera} {moment.minute}" for path, moment in moments.items()}
    suspicion = _suspicion("camera", groups)
    many = suspicion and len(suspicion.groups) >= CAMERA_SHARE * len(moments)
    return suspicion if many else None


def by_looks(hashes: Mapping[str, str]) -> Suspicion | None:
    """Return the pictures whose perceptual hashes are near, ``DISTANCE`` at most, transitively.

    None where so few are near, or so many a little further apart, that chance explains it.

    Args:
        hashes: Path → hash (16 hex digits, or empty) of distinct pictures: no two are copies.
    """
    paths = sorted(path for path, text in hashes.items() if text)
    if not paths:
        return None
    numbers = np.array([int(hashes[path], 16) for path in paths], np.uint64)
    component, near = _tied(hash_search.candidate_pairs(numbers, DISTANCE), len(paths))
    first: dict[int, str] = {}
    groups = {
        path: first.setdefault(number, path)
        for path, number in zip(paths, component.tolist(), strict=True)
    }
    suspicion = _suspicion("looks", groups)
    if suspicion is None or len(suspicion.groups) < LOOKS_SHARE * len(paths):
        return None
    further = hash_search.candidate_pairs(numbers, WIDER, beyond=DISTANCE)
    return suspicion if near > LOOKS_RATIO * sum(len(each.pairs) for each in further) else None


def _tied(found: Iterable[hash_search.Found], count: int) -> tuple[np.ndarray, int]:
    """Return the component of each of so many pictures, int (count,), and how many pairs came.

    Frames of one scene are all near each other: their pairs are taken a part at a time.
    """
    component, total, waiting, held = np.arange(count), 0, [np.empty((0, 2), np.int64)], 0

    def joined() -> np.ndarray:
        one, other = component[np.concatenate(waiting)].T
        ties = coo_array((np.ones(len(one), bool), (one, other)), (count, count))
        return connected_components(ties, directed=False)[1][component]

    for each in found:
        waiting.append(each.pairs)
        held += len(each.pairs)
        if held > HELD:
            component, total, waiting, held = joined(), total + held, waiting[:1], 0
    return joined(), total + held


def times(root: Path, paths: Collection[str]) -> dict[str, taken.Taken]:
    """Return path → camera and minute of the photographs that tell it.

    A few files all over the folder are read first; if none of them tells it, no other is read.
    """
    paths = list(paths)
    probe = paths[:: max(1, len(paths) // PROBED)]
    found = _read(root, probe)
    return _read(root, paths) if found else {}


def _suspicion(rule: str, groups: Mapping[str, str], pattern: str = "") -> Suspicion | None:
    """Return the groups of two or more images, if there are ``GROUPS`` of them."""
    sizes = Counter(groups.values())
    several = {path: name for path, name in groups.items() if sizes[name] > 1}
    return Suspicion(rule, several, pattern) if len({*several.values()}) >= GROUPS else None


def _is_within(suspicion: Suspicion, earlier: Suspicion) -> bool:
    """Tell whether each group lies within one that an earlier rule found."""
    pairs = sorted((name, earlier.groups.get(path, "")) for path, name in suspicion.groups.items())
    around = (
        {outer for _, outer in members} for _, members in groupby(pairs, key=lambda pair: pair[0])
    )
    return all(len(outer) == 1 and "" not in outer for outer in around)


def _place(path: str, label: str) -> tuple[int | None, str]:
    """Return how many folders lead to the sub-folder of the class, and its name; "" if none."""
    folders = path.split("/")[:-1]
    if label not in folders:
        return None, "/".join(folders)
    depth = folders.index(label) + 1
    return depth, folders[depth] if depth < len(folders) else ""


def _read(root: Path, paths: Sequence[str]) -> dict[str, taken.Taken]:
    moments = ((path, taken.read(_head(root / path))) for path in paths)
    return {path: moment for path, moment in moments if moment}


def _head(file: Path) -> bytes:
    """Return the beginning of a file, where an EXIF block stands; nothing of one that is gone."""
    try:
        # A pipe that took the place of a photograph would keep anyone waiting who waits for it.
        with open(os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as opened:
            return opened.read(HEAD)
    except OSError:
        return b""
