"""Numbers that say whether a heatmap lies on the object."""

import numpy as np
import pandas as pd

from cnnlab.config import InputError


def energy_in_box(heatmap: np.ndarray, box: tuple[float, float, float, float]) -> float:
    """Return the share of a heatmap's mass that lies inside a box.

    Args:
        heatmap: float (H, W), not negative.
        box: (left, top, right, bottom) in pixels of the heatmap, right and bottom exclusive.
            A limit inside a pixel counts that pixel in proportion.

    Returns:
        A number in 0…1; nan for a heatmap without any mass.

    Raises:
        InputError: The heatmap is not a plane or holds negative values, or the box is not
            inside it.

    Source:
        Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural
        Networks", CVPR Workshops 2020: the energy-based pointing game.

    Example:
        >>> energy_in_box(np.ones((4, 4)), (0, 0, 2, 4))
        0.5
    """
    heatmap = np.asarray(heatmap, np.float64)
    if heatmap.ndim != 2 or (heatmap < 0).any():
        raise InputError(f"Heatmap {heatmap.shape}: expected (H, W) without negative values.")
    left, top, right, bottom = box
    height, width = heatmap.shape
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise InputError(
            f"Box {box} in a heatmap {width} wide and {height} high: expected "
            "0 ≤ left < right ≤ width and 0 ≤ top < bottom ≤ height."
        )
    total = heatmap.sum()
    inside = _covered(height, top, bottom) @ heatmap @ _covered(width, left, right)
    return float(inside / total) if total > 0 else float("nan")


def _covered(length: int, low: float, high: float) -> np.ndarray:
    """Return how much of each pixel of a line lies between two limits: float64 (length,)."""
    starts = np.arange(length)
    return np.clip(np.minimum(starts + 1, high) - np.maximum(starts, low), 0, 1)


def energies(heatmaps: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return ``energy_in_box`` of each map: heatmaps float (N, H, W), boxes (N, 4) → (N,)."""
    pairs = zip(heatmaps, boxes, strict=True)
    return np.array([energy_in_box(heatmap, tuple(box)) for heatmap, box in pairs], np.float64)


def uniform_maps(count: int, size: int) -> np.ndarray:
    """Return the map that knows nothing: ones, float64 (N, S, S)."""
    return np.ones((count, size, size))


def centred_maps(count: int, size: int) -> np.ndarray:
    """Return the map of one who bets on the middle: a Gaussian blob, float64 (N, S, S).

    Its standard deviation is a quarter of the side.
    """
    offsets = (np.arange(size) + 0.5) / size - 0.5
    line = np.exp(-0.5 * (offsets / 0.25) ** 2)
    return np.broadcast_to(np.outer(line, line), (count, size, size)).copy()


def localisation(heatmaps: dict[str, np.ndarray], boxes: np.ndarray) -> pd.DataFrame:
    """Return how much of each method's maps lies on the object, beside two yardsticks.

    Args:
        heatmaps: Method → float (N, S, S), not negative.
        boxes: float (N, 4), the true box in each image, in pixels of the map; N > 0.

    Returns:
        A row per method, then ``uniform`` and ``centred``: method, images (with a map that is not
        empty), mean and deviation of the energy in the box over these images (nan if there are
        none), and ``beats both`` (the mean exceeds that of both yardsticks on the same images;
        None for the yardsticks themselves).
    """
    count, size = next(iter(heatmaps.values())).shape[:2]
    yardsticks = {"uniform": uniform_maps(count, size), "centred": centred_maps(count, size)}
    found = {name: energies(maps, boxes) for name, maps in (heatmaps | yardsticks).items()}
    rows = []
    for name, values in found.items():
        drawn = np.isfinite(values)
        known = values[drawn]
        row = {"method": name, "images": len(known), "mean": np.nan, "deviation": np.nan}
        if len(known):
            row |= {"mean": float(known.mean()), "deviation": float(known.std())}
        beaten = [
            bool(row["mean"] > found[other][drawn].mean()) for other in yardsticks if len(known)
        ]
        won = bool(beaten) and all(beaten)
        rows.append(row | {"beats both": None if name in yardsticks else won})
    return pd.DataFrame(rows)
