"""Blank pictures: one even colour all over, from which nothing can be learnt.

A picture is blank if no channel of it, prepared at 64 pixels a side, spans more than
``LEVELS`` grey levels. That is below what a person sees, and below what there is in any photograph:
of 3,409 photographs of clothes the flattest spans 76. A photographed wall spans 1 to 7, by the
noise that is left of it in the small picture (a standard deviation of 6 levels and JPEG at quality
75: 1 at 2,000 pixels a side, 3 at 1,000, 7 at 300), so one in even light is blank or nearly so. A
black line of one pixel on white spans 6 in a picture of 2,000 pixels a side, 12 in one of 1,000: it
is not.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from cnnlab.config import InputError
from cnnlab.config.data import BACKGROUNDS
from cnnlab.data import prepared
from cnnlab.images import Preprocessing

REASON = "blank"  # why such a file is quarantined
LEVELS = 4  # of 255
SIDE = 64  # pixels a side: those of ``comparison``
NAMED = 3  # classes in a message
TRIED = 8  # files that are prepared on other backgrounds, and as many of the others
_ALPHA = ("rgba", "grey_alpha")


def is_blank(pixels: np.ndarray) -> bool:
    """Tell whether a picture is of one colour.

    Args:
        pixels: uint8 (S, S, 3), RGB, 0–255.

    Example:
        >>> is_blank(np.full((64, 64, 3), 255, np.uint8))
        True
    """
    return bool(np.ptp(pixels, axis=(0, 1)).max() <= LEVELS)


def described(manifest: pd.DataFrame, root: Path) -> list[str]:
    """Return a sentence, without its full stop, for each class of which more than half is blank.

    It names the class, the counts, an example and the cure: the background over which the pictures
    are not blank, if there is one.

    Args:
        manifest: From ``manifest.build``.
        root: The source's folder; a few of the blank files are opened again.
    """
    blank = manifest["reason"] == REASON
    accepted = manifest[manifest["status"] == "accepted"]
    of_class = pd.concat([manifest[blank], accepted]).groupby("label").size()
    return [
        f"class {label!r}: {len(rows)} of {of_class[label]} images are blank, {_colour(rows)} all "
        f"over, such as {rows['path'].iloc[0]!r}; {_cure(rows, accepted, root)}"
        for label, rows in manifest[blank].groupby("label")
        if 2 * len(rows) > of_class[label]
    ]


def refuse(manifest: pd.DataFrame, root: Path) -> None:
    """Raise InputError where more than half of a class is blank: nothing could be learnt of it.

    Args are those of ``described``.

    Example:
        >>> refuse(manifest.build(source), source.root)  # doctest: +SKIP
    """
    sentences = described(manifest, root)
    if sentences:
        more = f" So are most images of {len(sentences) - NAMED} more classes." * (
            len(sentences) > NAMED
        )
        listed = ". ".join(text[0].upper() + text[1:] for text in sentences[:NAMED])
        raise InputError(f"{listed}.{more}")


def _colour(rows: pd.DataFrame) -> str:
    level = float(rows["brightness"].median())
    return "white" if level > 249 else "black" if level < 6 else "of one colour"


def _cure(rows: pd.DataFrame, accepted: pd.DataFrame, root: Path) -> str:
    """Return what to do: the background on which most of the blank and of the other files show."""
    transparent = [each.loc[each["mode"].isin(_ALPHA), "path"] for each in (rows, accepted)]
    blank, others = (
        [_show(root, paths.iloc[:: len(paths) // TRIED + 1].tolist(), on) for on in BACKGROUNDS]
        for paths in transparent
    )
    best = max(range(len(BACKGROUNDS)), key=lambda n: blank[n] + others[n])
    if blank[best] > 0.5:
        return (
            f"{len(transparent[0])} of them have a transparent ground and the colour that is laid "
            f"under it: choose --set background={BACKGROUNDS[best]}"
        )
    return "no background would show more: look at them, and replace or remove them"


def _show(root: Path, paths: list[str], background: str) -> float:
    """Return the share of a few files that are not blank on a background; 0 of none."""
    preprocessing = Preprocessing(background=background)
    pictures = prepared.read_images(root, paths, SIDE, preprocessing=preprocessing)
    return float(np.mean([not is_blank(pixels) for pixels in pictures])) if paths else 0.0
