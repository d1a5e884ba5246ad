"""Blank pictures: one even colour all over, from which nothing can be learnt.

A picture is blank if no channel of it, prepared at 64 pixels a side, spans more than
``LEVELS`` grey levels. That is below what a person sees, and below what there is in any photograph:
of 3,409 photographs of clothes the flattest spans 76. A photographed wall spans 1 to 7, by the
noise that is left of it in the small picture (a standard deviation of 6 levels and JPEG at quality
75: 1 at 2,000 pixels a side, 3 at 1,000, 7 at 300), so one in even light is blank or nearly so. A
black line of one pixel on white spans 6 in a picture of 2,000 pixels a side, 12 in one of 1,000: it
is not.
"""

import numpy as np
import pandas as pd

from cnnlab.config import InputError

REASON = "blank"  # why such a file is quarantined
LEVELS = 4  # of 255
NAMED = 3  # classes in a message
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


def described(manifest: pd.DataFrame) -> list[str]:
    """Return a sentence, without its full stop, for each class of which more than half is blank.

    It names the class, the counts, an example and the cure.

    Args:
        manifest: From ``manifest.build``.
    """
    blank = manifest["reason"] == REASON
    of_class = manifest[blank | (manifest["status"] == "accepted")].groupby("label").size()
    blanks = manifest[blank].groupby("label")
    return [
        _sentence(str(label), rows, int(of_class[label]))
        for label, rows in blanks
        if 2 * len(rows) > of_class[label]
    ]


def refuse(manifest: pd.DataFrame) -> None:
    """Raise InputError where more than half of a class is blank: nothing could be learnt of it.

    Example:
        >>> refuse(manifest.build(source))  # doctest: +SKIP
    """
    told = described(manifest)
    if told:
        more = f" So are most images of {len(told) - NAMED} more classes." * (len(told) > NAMED)
        listed = ". ".join(text[0].upper() + text[1:] for text in told[:NAMED])
        raise InputError(f"{listed}.{more}")


def _sentence(label: str, rows: pd.DataFrame, images: int) -> str:
    level = float(rows["brightness"].median())
    colour, other = "white", "black"
    if level < 250:
        colour = "black" if level < 6 else "an even colour"
        other = "white" if level < 128 else "black"
    alpha = int(rows["mode"].isin(_ALPHA).sum())
    cure = (
        f"{alpha} of them have an alpha channel, and what is drawn in the colour of the background "
        f"does not show: choose background={other}"
        if alpha
        else "none of them has an alpha channel, so no other background would help: look at them, "
        "and replace or remove them"
    )
    return (
        f"class {label!r}: {len(rows)} of {images} images are blank, {colour} all over, such as "
        f"{rows['path'].iloc[0]!r}; {cure}"
    )
