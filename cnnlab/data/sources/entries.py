"""What a source says of its files: which class each shows, and what else the user declared."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


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
        root: The folder; nothing outside it is looked at.
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

    @abstractmethod
    def tables(self) -> tuple[str, ...]:
        """Return the files below ``root`` that declare something about the others."""
