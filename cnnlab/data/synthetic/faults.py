"""Faults as they occur in collected image folders: how to make a file that has one.

Three families. ``ODD`` files decode to the right picture if read with care, ``DAMAGED`` files
must be refused, ``COPIES`` repeat another file, within training or across into the test set.
``WRONG_LABEL`` is no property of a file: a sound picture lies in another class's folder.
Every function gives (file bytes, suffix); ``turn`` counts the files that have the same fault,
so that each fault comes in its variants.
"""

import io

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

ODD = ("exif_rotated", "cmyk", "grey", "transparent")
DAMAGED = ("corrupt", "empty", "not_an_image", "tiny")
COPIES = ("exact_duplicate", "near_duplicate", "exact_leak", "near_leak")
WRONG_LABEL = "wrong_label"

EXIF_ORIENTATION = 0x0112
UNTURNED = (  # an EXIF orientation, and the turn of the stored pixels that it undoes
    (6, Image.Transpose.ROTATE_90),
    (3, Image.Transpose.ROTATE_180),
    (8, Image.Transpose.ROTATE_270),
)
ERROR_PAGE = b"<!DOCTYPE html>\n<html><body><h1>404 Not Found</h1></body></html>\n"
TINY = 5  # pixels a side

Encoded = tuple[bytes, str]


def encoded(picture: Image.Image, suffix: str, quality: int = 90, **options: object) -> Encoded:
    """Return the picture as a ``".jpg"`` or ``".png"`` file."""
    buffer = io.BytesIO()
    if suffix == ".png":
        picture.save(buffer, "PNG", compress_level=1)  # grain hardly compresses: be quick
    else:
        picture.save(buffer, "JPEG", quality=quality, **options)
    return buffer.getvalue(), suffix


def odd(picture: Image.Image, visible: np.ndarray, fault: str, turn: int) -> Encoded:
    """Return an unusual file of an RGB picture; bool ``visible`` (H, W) marks its target."""
    if fault == "exif_rotated":
        orientation, transpose = UNTURNED[turn % len(UNTURNED)]
        exif = Image.Exif()
        exif[EXIF_ORIENTATION] = orientation
        return encoded(picture.transpose(transpose), ".jpg", exif=exif)
    if fault == "cmyk":
        return encoded(picture.convert("CMYK"), ".jpg")
    if fault == "grey":
        return encoded(picture.convert("L"), (".jpg", ".png")[turn % 2])
    cut = picture.copy()
    cut.putalpha(_vignette(visible))
    return encoded(cut, ".png")


def _vignette(visible: np.ndarray) -> Image.Image:
    """Return an "L" image: the corners fade out, the surroundings of the target never do."""
    height, width = visible.shape
    x = np.linspace(-1, 1, width)[None]
    y = np.linspace(-1, 1, height)[:, None]
    fade = Image.fromarray((np.clip(4.5 - 4 * (x**4 + y**4), 0, 1) * 255).astype(np.uint8))
    near = Image.fromarray(visible).convert("L").filter(ImageFilter.MaxFilter(9))
    return Image.fromarray(np.maximum(np.asarray(fade), np.asarray(near)))


def near_copy(picture: Image.Image, turn: int) -> Encoded:
    """Return the same picture encoded anew, resampled or brightened: not one byte need agree."""
    variant = turn % 3
    if variant == 0:
        return encoded(picture, ".jpg", quality=45)
    if variant == 1:
        smaller = picture.resize((picture.width * 9 // 10, picture.height * 9 // 10))
        return encoded(smaller.resize(picture.size), ".jpg")
    return encoded(ImageEnhance.Brightness(picture).enhance(1.12), ".jpg")


def damaged(picture: Image.Image, fault: str, turn: int) -> Encoded:
    """Return a file that no reader may accept, named like a picture."""
    if fault == "empty":
        return b"", ".jpg"
    if fault == "not_an_image":
        return ERROR_PAGE, (".jpg", ".png")[turn % 2]
    if fault == "tiny":
        return encoded(picture.resize((TINY, TINY)), ".jpg")
    whole, suffix = encoded(picture, ".jpg")
    return whole[: len(whole) * (2 + turn % 3) // 6], suffix
