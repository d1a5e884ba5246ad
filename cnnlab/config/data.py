"""Which images, at which size, and how they are split."""

import re
from dataclasses import dataclass

from cnnlab.config.errors import InputError
from cnnlab.config.section import Section, setting

FITS = ("stretch", "pad", "crop")
BACKGROUNDS = ("white", "black", "grey")
NO_GROUPS = "none"  # of group_by: somebody looked, and nothing belongs together


@dataclass(frozen=True)
class DataSettings(Section):
    """Section ``data``."""

    source: str = setting(
        "shapes", "shapes, a fetched dataset, a folder of class folders or a CSV table"
    )
    group_by: str = setting(
        "",
        "a regular expression that captures in a path the group that stays on one side; none: no "
        "images belong together, whatever the audit suspects",
    )
    image_size: int = setting(224, "pixels a side that the network sees", low=16, high=1024)
    fit: str = setting(
        "stretch",
        "how an image becomes a square: stretched, padded with borders, or cropped to its middle",
        choices=FITS,
    )
    background: str = setting(
        "white", "what transparent pixels are laid over, and what pad adds", choices=BACKGROUNDS
    )
    validation_fraction: float = setting(
        0.2, "share of the training images kept for validation", low=0.05, high=0.5
    )
    test_fraction: float = setting(
        0.2,
        "share of all images kept as the test set, where the data bring none",
        low=0.05,
        high=0.5,
    )
    split_rule: str = setting(
        "hash",
        "hash: an image's own number decides, and no other image; rank: exact shares",
        choices=("hash", "rank"),
    )
    shapes_train: int = setting(
        400, "generated training images a class, with source=shapes", low=5, high=100_000
    )
    shapes_test: int = setting(
        120, "generated test images a class, with source=shapes", low=5, high=100_000
    )
    shapes_wrong_labels: float = setting(
        0.02, "share of generated training images with a wrong label", low=0, high=0.4
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            captured = re.compile(self.group_by).groups
        except re.error as error:
            raise InputError(
                f"group_by={self.group_by!r} is no regular expression: {error}."
            ) from None
        if self.group_pattern and not captured:
            raise InputError(
                f"group_by={self.group_by!r} captures nothing: expected the group's name in "
                "brackets, such as group_by=patient(\\d+)."
            )

    @property
    def group_pattern(self) -> str:
        """The pattern that declares groups; "" where none does."""
        return "" if self.group_by == NO_GROUPS else self.group_by

    @property
    def groups_dismissed(self) -> bool:
        """Whether the settings say that no images belong together."""
        return self.group_by == NO_GROUPS


def fitting(fit: str, background: str) -> str:
    """Return how an image becomes a square, in words; "" where all is as it is by default.

    Example:
        >>> fitting("pad", "black")
        'padded to a square, on black'
    """
    if (fit, background) == (FITS[0], BACKGROUNDS[0]):
        return ""
    words = {
        "stretch": "stretched to a square",
        "pad": "padded to a square",
        "crop": "cropped to the square in the middle",
    }
    return f"{words[fit]}, on {background}"
