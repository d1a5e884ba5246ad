"""What a source says of its files: which class each shows, and what else the user declared."""

import unicodedata
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


@dataclass(frozen=True)
class Entry:
    """One file that has a label. ``split`` and ``group`` are empty where none was given."""

    path: str  # below the source's root, with / between folders
    label: str
    split: str = ""  # train, validation or test
    group: str = ""


class Source(ABC):
    """A folder of images and where their labels come from.

    Attributes:
        unlisted: Why a file without an entry is skipped, a short code.
        name: What the source is called in cards and tables.
        root: The folder; what lies outside it is looked at where a link in it leads there.
        truth: The folder of known boxes, masks and faults, if any.
        notes: What was understood otherwise than it was written, or left out; sentences.
    """

    unlisted: ClassVar[str]

    name: str
    root: Path
    truth: Path | None = None
    notes: tuple[str, ...] = ()

    @abstractmethod
    def class_names(self) -> list[str]:
        """Return the labels, sorted.

        Raises:
            InputError: Fewer than two classes, or they cannot be used.
        """

    @abstractmethod
    def entries(self) -> dict[str, Entry]:
        """Return path → entry of every file that has a label.

        Raises:
            InputError: What declares labels or groups cannot be used.
        """

    def unlabelled(self) -> str:
        """Return the folder below ``root`` of images that are there to be predicted, or ""."""
        return ""

    @abstractmethod
    def tables(self) -> tuple[str, ...]:
        """Return the files below ``root`` that declare something about the others."""


def split_of(name: str) -> str:
    """Return the split that a name stands for, in any case: train, validation, test or ""."""
    return SPLITS.get(name.strip().casefold(), "")


def alike(labels: Iterable[str]) -> list[str]:
    """Return a sentence on each set of classes whose names differ in spelling alone, if any."""
    spelt: defaultdict[str, set[str]] = defaultdict(set)
    for label in labels:
        spelt[_plain(label)].add(label)
    return [
        f"{' and '.join(map(_shown(forms), sorted(forms)))} are different classes, for their names "
        "differ; if they mean the same, spell them one way"
        for _, forms in sorted(spelt.items())
        if len(forms) > 1
    ]


def is_alike(one: str, other: str) -> bool:
    """Tell whether two names differ in spelling alone: case, spaces or composed characters."""
    return _plain(one) == _plain(other)


def _plain(label: str) -> str:
    """Return what a name is without its spelling."""
    folded = unicodedata.normalize("NFKC", label).casefold()
    visible = "".join(each for each in folded if unicodedata.category(each) != "Cf")
    return " ".join(visible.replace("_", " ").split())


def _shown(forms: set[str]) -> Callable[[str], str]:
    """Return how to write names so that a reader sees their difference."""
    look_same = len({unicodedata.normalize("NFC", form) for form in forms}) < len(forms)
    return ascii if look_same else repr
