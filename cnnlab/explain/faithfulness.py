"""Numbers that say whether a heatmap lies on the object."""

import numpy as np

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
