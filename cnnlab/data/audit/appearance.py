"""How a picture looks in numbers, and which pictures look unlike all the others.

Brightness, contrast and sharpness are measured on the small decoded picture (``SIDE`` pixels a
side), so blur shows only where it is wider than about one part in 64 of the picture.

An outlier is further from the median than ``CUTOFF`` robust deviations (1.4826 times the median
absolute deviation, which is the standard deviation of a normal distribution) *and* further than a
step that a person would notice. The second rule is for folders whose pictures are all alike: there
the deviation is next to nothing, and everything else would stand out.

Source: Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993: the cut-off of 3.5.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

MEASURES = ("brightness", "contrast", "sharpness")
CUTOFF = 3.5  # one normal value in 2,000 lies beyond; measures of photographs have longer tails
NORMAL = 1.4826  # standard deviation of a normal distribution ÷ its median absolute deviation
ENOUGH = 20  # images; the median of fewer says little about what is typical


@dataclass(frozen=True)
class _Rule:
    """How one measure is judged: on ``scale``, where equal steps look equally large."""

    name: str
    low: str  # the word for a value far below the median
    high: str
    least: float  # the smallest departure worth telling, on ``scale``
    scale: Callable[[np.ndarray], np.ndarray]


def _logit(brightness: np.ndarray) -> np.ndarray:
    """Stretch both ends of 0…255: black and white are far away from grey."""
    share = (brightness + 1) / 257
    return np.log(share / (1 - share))


def _log_sharpness(sharpness: np.ndarray) -> np.ndarray:
    return np.log(sharpness + 1e-3)  # below that, only the rounding of grey levels is left


RULES = (
    _Rule("size", "small", "large", np.log(2), np.log),
    _Rule("aspect", "square", "elongated", np.log(1.5), np.log),
    _Rule("brightness", "dark", "bright", 1.5, _logit),
    _Rule("contrast", "low contrast", "high contrast", np.log(2), np.log1p),
    _Rule("sharpness", "blurred", "grainy", np.log(4), _log_sharpness),
)


def measure(pixels: np.ndarray) -> tuple[float, float, float]:
    """Return brightness, contrast and sharpness of a picture.

    Brightness and contrast are mean and standard deviation of the grey levels. Sharpness is the
    variance of the Laplacian over the variance of the grey levels: the division keeps a dark or
    pale picture from passing for a blurred one.

    Args:
        pixels: uint8 (S, S, 3), RGB, 0–255.

    Returns:
        Brightness 0…255, contrast 0…127.5 and sharpness 0…64, rounded. White noise has a sharpness
        of 20, a smooth gradient nearly 0.

    Example:
        >>> measure(np.full((64, 64, 3), 9, np.uint8))
        (9.0, 0.0, 0.0)
    """
    grey = pixels.astype(np.float64) @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    inside = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inside
    contrast = float(grey.std())
    # Rounding to whole levels alone has a variance of 1/12, and a Laplacian with 20 times that.
    sharpness = max(float(laplacian.var()) - 20 / 12, 0.0) / max(contrast**2, 1.0)
    return round(float(grey.mean()), 2), round(contrast, 2), round(min(sharpness, 64.0), 4)


def outliers(accepted: pd.DataFrame) -> list[tuple[str, str]]:
    """Return (path, detail) of each measure by which an image stands out, best known first.

    Size is the square root of width times height, aspect the longer side over the shorter one, so
    that portraits among landscapes are nothing special.

    Args:
        accepted: Accepted rows of a manifest, of any index.

    Returns:
        Details such as "dark: brightness 12, typical 121"; empty for fewer than ``ENOUGH`` images.
    """
    if len(accepted) < ENOUGH:
        return []
    values = accepted[list(MEASURES)].assign(
        size=np.sqrt(accepted["width"] * accepted["height"]),
        aspect=accepted[["width", "height"]].max(axis=1)
        / accepted[["width", "height"]].min(axis=1),
    )
    paths = accepted["path"].tolist()
    return [
        (paths[i], detail)
        for rule in RULES
        for i, detail in _judged(rule, values[rule.name].to_numpy(float))
    ]


def _judged(rule: _Rule, values: np.ndarray) -> list[tuple[int, str]]:
    """Return (index, detail) of the values far from the median."""
    scaled = rule.scale(values)
    departure = scaled - np.median(scaled)
    spread = NORMAL * float(np.median(np.abs(departure)))
    far = np.flatnonzero(np.abs(departure) > max(CUTOFF * spread, rule.least))
    typical = f"typical {_short(float(np.median(values)))}"
    return [
        (int(i), f"{rule.low if departure[i] < 0 else rule.high}: "
                 f"{rule.name} {_short(float(values[i]))}, {typical}")
        for i in far
    ]  # fmt: skip


def _short(value: float) -> str:
    """Return a number of at least two digits, without an exponent."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}" if value >= 0.01 else f"{value:.4f}"
