"""What a network's square input keeps of images of other sizes and shapes.

The setting ``fit`` says how an image becomes a square: ``stretch`` changes its proportions, ``pad``
shrinks it until its longer side fits and fills the rest, ``crop`` shrinks it until its shorter
side fits and cuts off what stands out. All that is said here follows from widths and heights.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cnnlab.records import Record

SIZES = (96, 128, 160, 224)  # pixels a side: what small networks are published for
STRONG = 4 / 3  # a photograph's usual ratio of the sides; beyond, a stretched circle looks wrong
SQUARE = 1.1  # a ratio up to which an image counts as square
COMMON = 0.1  # share of the images from which on something is worth a sentence


@dataclass(frozen=True)
class AtSize(Record):
    """What is left of the images at one size of the network's input.

    Attributes:
        size: Pixels a side.
        kept: Share of its pixels that the median image keeps; a side that is shorter than ``size``
            keeps all of its own.
        kept_tenth: A tenth of the images keep this share or less.
        enlarged: Share of the images that are only enlarged: no side is longer than ``size``, and
            one is shorter. They lose nothing, and a larger size would show nothing more.
    """

    size: int
    kept: float
    kept_tenth: float
    enlarged: float


@dataclass(frozen=True)
class PictureSizes(Record):
    """How images of these sizes fit a square.

    Attributes:
        width: Pixels of the median image, upright.
        height: The same.
        portrait: Share of the images that are higher than wide, by more than a tenth.
        landscape: Share that are wider than high, by more than a tenth.
        ratio: Longer side ÷ shorter side of the median image: how far ``stretch`` distorts it.
        ratio_tenth: A tenth of the images have this ratio or a larger one.
        beyond: Share of the images with a ratio beyond 4 : 3, rounding to whole pixels aside.
        lost: 1 − shorter side ÷ longer side of the median image: the share of the square that
            ``pad`` would fill with background, and of the picture that ``crop`` would cut off.
        lost_tenth: A tenth of the images have this share or a larger one.
        sizes: What is left at each size, the smallest first.
    """

    width: int
    height: int
    portrait: float
    landscape: float
    ratio: float
    ratio_tenth: float
    beyond: float
    lost: float
    lost_tenth: float
    sizes: tuple[AtSize, ...]


def measure(
    widths: np.ndarray, heights: np.ndarray, sizes: Iterable[int] = SIZES
) -> PictureSizes | None:
    """Return how images fit a square of each size; None where there are no images.

    Args:
        widths: int (N,), pixels, upright.
        heights: int (N,), pixels, upright.
        sizes: Pixels a side.

    Example:
        >>> measure(np.array([400]), np.array([300]), [100]).sizes[0].kept  # 100² of 400 × 300
        0.08333333333333333
    """
    if len(widths) == 0:
        return None
    wide, high = np.asarray(widths, np.int64), np.asarray(heights, np.int64)
    longer, shorter = np.maximum(wide, high), np.minimum(wide, high)
    ratio, lost = longer / shorter, 1 - shorter / longer
    middle = np.argsort(wide * high, kind="stable")[(len(wide) - 1) // 2]
    return PictureSizes(
        width=int(wide[middle]),
        height=int(high[middle]),
        portrait=float((high > SQUARE * wide).mean()),
        landscape=float((wide > SQUARE * high).mean()),
        ratio=float(np.median(ratio)),
        ratio_tenth=_tenth(ratio),
        beyond=float((longer - 1 > STRONG * shorter).mean()),
        lost=float(np.median(lost)),
        lost_tenth=_tenth(lost),
        sizes=tuple(_at_size(wide, high, size) for size in sorted(set(sizes))),
    )


def of_manifest(manifest: pd.DataFrame, *further: int) -> PictureSizes | None:
    """Return ``measure`` of the accepted images of a manifest, turned upright.

    Args:
        manifest: From ``manifest.build``.
        *further: Sizes besides ``SIZES``, such as the one that a run has.
    """
    widths, heights = upright(manifest[manifest["status"] == "accepted"])
    return measure(widths, heights, (*SIZES, *further))


def upright(images: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the widths and heights of images as one sees them, int64 (N,) each.

    Args:
        images: Rows of a manifest: width and height as stored, EXIF orientation 1…8.
    """
    stored = images["width"].to_numpy(), images["height"].to_numpy()
    turned = images["orientation"].to_numpy() >= 5  # by a quarter
    return np.where(turned, *reversed(stored)), np.where(turned, *stored)


def size_table(found: PictureSizes) -> pd.DataFrame:
    """Return what is left at each size, as text: one row a size."""
    rows = [
        (f"{at.size} × {at.size}", _share(at.kept), _share(at.kept_tenth), _share(at.enlarged))
        for at in found.sizes
    ]
    columns = ["input", "pixels kept, median", "a tenth keeps at most", "images only enlarged"]
    return pd.DataFrame(rows, columns=columns)


def fit_table(found: PictureSizes, fit: str = "stretch") -> pd.DataFrame:
    """Return what each fit costs, as text: one row a fit; the one that the settings name says so.

    Args:
        found: From ``measure``.
        fit: The setting.
    """
    lost = _share(found.lost), _share(found.lost_tenth)
    rows = [
        ("stretch", "one side shrinks more, by", f"{found.ratio:.2f} : 1",
         f"{found.ratio_tenth:.2f} : 1"),
        ("pad", "share of the square that is background", *lost),
        ("crop", "share of the picture that is cut off", *lost),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["fit", "costs", "median", "a tenth at least"])
    chosen = table["fit"] == fit
    table["costs"] = table["costs"].where(~chosen, "as here: " + table["costs"])
    return table


def conclusions(found: PictureSizes, fit: str = "stretch") -> list[str]:
    """Return what the figures say in sentences: about the size, about the fit of the settings."""
    return [_about_size(found), _about_fit(found, fit)]


def _at_size(wide: np.ndarray, high: np.ndarray, size: int) -> AtSize:
    kept = np.minimum(wide, size) * np.minimum(high, size) / (wide * high)
    enlarged = (kept == 1) & (np.minimum(wide, high) < size)
    return AtSize(size, float(np.median(kept)), float(np.quantile(kept, 0.1)),
                  float(enlarged.mean()))  # fmt: skip


def _share(value: float) -> str:
    return "under 1%" if 0 < value < 0.01 else f"{value:.0%}"


def _tenth(values: np.ndarray) -> float:
    return float(np.quantile(values, 0.9))


def _about_size(found: PictureSizes) -> str:
    first, last = found.sizes[0], found.sizes[-1]
    text = f"The median image has {found.width} × {found.height} pixels"
    enough = next((each for each in found.sizes if each.enlarged > 0.5), None)
    if enough is first:
        return (
            f"{text}: at {first.size} × {first.size} {_share(first.enlarged)} of the images are "
            "already only enlarged, and a larger input costs time and shows nothing more."
        )
    text += (
        f"; an input of {first.size} × {first.size} keeps {_share(first.kept)} of them, one of "
        f"{last.size} × {last.size} {_share(last.kept)}"
    )
    if enough is None:
        return (
            f"{text}. Whether what is lost decides between the classes, only a trial tells: "
            "cnnlab backbones compares sizes."
        )
    return (
        f"{text}. From {enough.size} × {enough.size} on {_share(enough.enlarged)} of the images "
        "are only enlarged, and a larger input costs time and shows nothing more."
    )


def _about_fit(found: PictureSizes, fit: str) -> str:
    if found.beyond < COMMON and max(found.portrait, found.landscape) < COMMON:
        doing = "stretching" if fit == "stretch" else f"fit={fit} instead of stretching"
        return f"Nearly all images are about square: {doing} them changes little."
    half, tenth = _share(found.lost), _share(found.lost_tenth)
    if fit == "pad":
        return (
            f"fit=pad fills {half} of the median image's square with background, and {tenth} or "
            "more for a tenth of the images: so much less is left for the picture. Nothing is "
            "distorted or cut off. A larger image_size gives the picture its pixels back."
        )
    if fit == "crop":
        return (
            f"fit=crop cuts {half} off the median image, and {tenth} or more off a tenth of the "
            "images: what lies there is never seen. Where that matters, --set fit=pad shows every "
            "image whole."
        )
    return _about_stretching(found)


def _about_stretching(found: PictureSizes) -> str:
    mixed = min(found.portrait, found.landscape)
    text = f"Stretching distorts {_share(found.beyond)} of the images by more than 4 : 3"
    cure = "This matters where proportions tell the classes apart: then --set fit=pad or fit=crop."
    if mixed >= COMMON:
        high, broad = _share(found.portrait), _share(found.landscape)
        return (
            f"{text}; {high} are upright and get wider, {broad} are broad and get narrower, so "
            f"one and the same thing has two shapes. {cure}"
        )
    if found.beyond >= COMMON:
        return f"{text}. {cure}"
    return (
        f"{text}, and most in one direction, which a network learns. It matters if the images in "
        "use will have other shapes than these: then --set fit=pad or fit=crop."
    )
