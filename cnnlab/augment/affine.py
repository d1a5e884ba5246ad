"""Ops that move pixels: flip, rotation, zoom, shear, translation.

Each gives the map from the result back to the image, so that the maps of several, multiplied in
the order in which the ops act, are the map of all: Foley, van Dam, Feiner, Hughes, Computer
Graphics: Principles and Practice, 2nd edition, chapter 5. What a map uncovers is the image's own
reflection, see ``render.resample``.
"""

import numpy as np

from cnnlab.augment.op import Affine, centred, factor


def _identities(count: int) -> np.ndarray:
    """Return maps that move nothing, to be changed in place: float64 (B, 3, 3)."""
    return np.broadcast_to(np.eye(3), (count, 3, 3)).copy()


def _mirrored(flipped: np.ndarray) -> np.ndarray:
    maps = _identities(len(flipped))
    maps[flipped[:, 0], 0, 0] = -1
    return maps


def _turned(degrees: np.ndarray) -> np.ndarray:
    # float64, because float32 has no quarter turn: cos(90°) would be off by 4e-8, and the offset,
    # which multiplies it by the size, would miss the pixel centres.
    radians = np.deg2rad(degrees[:, 0].astype(np.float64))
    cosine, sine = np.cos(radians), np.sin(radians)
    maps = _identities(len(degrees))  # counter-clockwise, where y points down
    maps[:, 0, 0], maps[:, 0, 1] = cosine, -sine
    maps[:, 1, 0], maps[:, 1, 1] = sine, cosine
    return maps


def _zoomed(factors: np.ndarray) -> np.ndarray:
    maps = _identities(len(factors))
    maps[:, 0, 0] = maps[:, 1, 1] = 1 / factors[:, 0].astype(np.float64)
    return maps


def _sheared(slopes: np.ndarray) -> np.ndarray:
    maps = _identities(len(slopes))
    maps[:, 0, 1] = -slopes[:, 0]
    return maps


def _shifted(shifts: np.ndarray) -> np.ndarray:
    maps = _identities(len(shifts))
    maps[:, :2, 2] = -shifts
    return maps


def _halved(uniform: np.ndarray, strength: float) -> np.ndarray:
    return uniform < 0.5 * strength


flip = Affine(
    name="flip",
    meaning="1 mirrors half of the images left to right",
    high=1,
    text="horizontal flip",
    parameters=("flipped",),
    draw=_halved,
    shared=1,
    backward=_mirrored,
)
rotation = Affine(
    name="rotation",
    meaning="degrees to either side, at most",
    high=180,
    text="rotation ±{:g}°",
    parameters=("rotation (degrees)",),
    draw=centred,
    shared=0,
    backward=_turned,
)
zoom = Affine(
    name="zoom",
    meaning="0.2 scales by a factor of 0.8 to 1.2",
    high=0.9,
    text="zoom ±{:.0%}",
    parameters=("zoom (factor)",),
    draw=factor,
    shared=2,
    backward=_zoomed,
)
shear = Affine(
    name="shear",
    meaning="0.1 moves each row by up to 0.1 of its height above or below the centre",
    high=1,
    text="shear ±{:g}",
    parameters=("shear (slope)",),
    draw=centred,
    backward=_sheared,
)
translation = Affine(
    name="translation",
    meaning="0.1 moves the image by up to 0.1 of its side, across and down",
    high=0.5,
    text="translation ±{:.0%}",
    parameters=("shift right (sides)", "shift down (sides)"),
    draw=centred,
    numbers=2,
    backward=_shifted,
)
