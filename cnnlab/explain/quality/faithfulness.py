"""Whether heatmaps are right: on the object, and better than two maps that never saw the network.

Every measure gives one number an image, so that methods can be compared on the same images:
``energies`` and ``hits`` here, ``deletion.areas``, ``road.margins``. ``compare`` puts them beside
the baselines, ``overview`` gathers them and ``verdicts`` says in words what came out.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from cnnlab.config import InputError
from cnnlab.statistics import bootstrap

BASELINES = ("random", "centre prior")
ENOUGH = 10  # images: below, resampling them says little about the next ones


def energy_in_box(heatmap: np.ndarray, box: tuple[float, float, float, float]) -> float:
    """Return the share of a heatmap's mass that lies inside a box.

    Args:
        heatmap: float (H, W), not negative.
        box: (left, top, right, bottom) in pixels of the heatmap, right and bottom exclusive.
            A limit inside a pixel counts that pixel in proportion.

    Returns:
        A number in 0…1; nan for a heatmap without any mass.

    Raises:
        InputError: The heatmap is not a map of finite numbers, none negative, or the box is
            not inside it.

    Source:
        Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural
        Networks", CVPR Workshops 2020: the energy-based pointing game.

    Example:
        >>> energy_in_box(np.ones((4, 4)), (0, 0, 2, 4))
        0.5
    """
    return _share_inside(_checked(heatmap), box)


def hit_in_box(heatmap: np.ndarray, box: tuple[float, float, float, float]) -> float:
    """Return whether the heatmap's highest pixel lies inside a box: 1 or 0.

    Where several are highest, or the box cuts through one, it is the share of their area that
    lies inside; nan for a heatmap without any mass. Arguments and errors are those of
    ``energy_in_box``.

    Source:
        Zhang et al., "Top-down Neural Attention by Excitation Backprop", ECCV 2016, section 4.1:
        the pointing game, here without its tolerance of 15 pixels.
    """
    heatmap = _checked(heatmap)
    return _share_inside((heatmap == heatmap.max()) * (heatmap.max() > 0), box)


def _checked(heatmap: np.ndarray) -> np.ndarray:
    heatmap = np.asarray(heatmap, np.float64)
    if heatmap.ndim != 2 or not np.isfinite(heatmap).all() or (heatmap < 0).any():
        raise InputError(
            f"Heatmap {heatmap.shape}: expected (H, W), finite and without negative values."
        )
    return heatmap


def _share_inside(heatmap: np.ndarray, box: tuple[float, float, float, float]) -> float:
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
    return _each(energy_in_box, heatmaps, boxes)


def hits(heatmaps: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return ``hit_in_box`` of each map: heatmaps float (N, H, W), boxes (N, 4) → (N,)."""
    return _each(hit_in_box, heatmaps, boxes)


def _each(measure: Callable[..., float], heatmaps: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    if np.shape(boxes) != (len(heatmaps), 4):
        raise InputError(
            f"Boxes {np.shape(boxes)} for {len(heatmaps)} heatmaps: expected boxes of shape "
            f"({len(heatmaps)}, 4)."
        )
    pairs = zip(heatmaps, boxes, strict=True)
    return np.array([measure(heatmap, tuple(box)) for heatmap, box in pairs], np.float64)


def random_maps(count: int, size: int, *, seed: int, cell: int = 8) -> np.ndarray:
    """Return noise, float64 (N, S, S) in 0…1: of one who guesses.

    The noise has the grain of a class activation map, ``cell`` pixels, and is enlarged as those
    are. Finer noise would not be compared by where it is but by how it is strewn: a network
    stumbles over pepper and salt.
    """
    side = -(-size // cell)
    noise = np.random.default_rng(seed).random((count, side, side))
    places = np.clip((np.arange(size) + 0.5) * side / size - 0.5, 0, side - 1)
    line = np.maximum(1 - np.abs(places[:, None] - np.arange(side)), 0)  # (S, side), bilinear
    return np.einsum("yi,nij,xj->nyx", line, noise, line)


def centre_prior(count: int, size: int) -> np.ndarray:
    """Return the map of one who bets on the middle: a Gaussian there, float64 (N, S, S).

    Its standard deviation is a quarter of the side.
    """
    offsets = (np.arange(size) + 0.5) / size - 0.5
    line = np.exp(-0.5 * (offsets / 0.25) ** 2)
    return np.broadcast_to(np.outer(line, line), (count, size, size)).copy()


def baseline_maps(count: int, size: int, *, seed: int) -> dict[str, np.ndarray]:
    """Return the maps of both ``BASELINES``, each float64 (N, S, S)."""
    drawn = random_maps(count, size, seed=seed), centre_prior(count, size)
    return dict(zip(BASELINES, drawn, strict=True))


def compare(
    scores: Mapping[str, np.ndarray],
    *,
    seed: int,
    higher: bool = True,
    samples: int = 2000,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return what each method scores, and by how much it beats the better baseline.

    The images are resampled, and with them the differences image by image (percentile limits).
    A method is judged on the images that it says something about, and so are the baselines.

    Args:
        scores: Method → float (N,), nan where it says nothing; both ``BASELINES`` are among them.
        seed: Decides the resamples.
        higher: Whether a higher score is the better one.
        samples: Number of resamples.
        level: Coverage aimed at.

    Returns:
        A row per method: method, images, mean, low, high; gap, gap_low and gap_high to the
        baseline that is closer, positive where the method is better; and beats_both, whether the
        intervals of both gaps lie above 0 (None for the baselines, whose gap is nan, and for a
        method that says something about fewer than ``ENOUGH`` images).

    Raises:
        InputError: A baseline is missing.
    """
    if missing := [name for name in BASELINES if name not in scores]:
        raise InputError(f"No scores of {', '.join(missing)}: expected both of {BASELINES}.")
    rows = []
    for name, values in scores.items():
        known = np.isfinite(values)
        columns = [values, *(values - scores[other] for other in BASELINES)]
        found = bootstrap.percentile_intervals(
            np.stack(columns)[:, known], seed=seed, samples=samples, level=level
        )
        gaps = found[1:] if higher else -found[1:][:, [0, 2, 1]]
        judged = name not in BASELINES
        gap = gaps[np.argmin(gaps[:, 0])] if judged and known.any() else np.full(3, np.nan)
        figures = [*found[0], *gap]
        names = ["mean", "low", "high", "gap", "gap_low", "gap_high"]
        row = {"method": name, "images": int(known.sum())} | dict(zip(names, figures, strict=True))
        judged = judged and known.sum() >= ENOUGH
        rows.append(row | {"beats_both": bool((gaps[:, 1] > 0).all()) if judged else None})
    return pd.DataFrame(rows).astype({"beats_both": object})


def overview(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return all means with their intervals as text, a row a method, a column a measure.

    Args:
        tables: Measure → what ``compare`` gave.

    Returns:
        Such as ``0.53 (0.41 to 0.66)``, and a last column with how many images a method was judged
        on, ``13–24`` where the measures differ in that.
    """
    named = {measure: table.set_index("method") for measure, table in tables.items()}
    found = pd.DataFrame({measure: _spans(table) for measure, table in named.items()})
    counts = pd.DataFrame({measure: table["images"] for measure, table in named.items()})
    pairs = zip(counts.min(axis=1), counts.max(axis=1), strict=True)
    return found.assign(images=["–".join(map(str, dict.fromkeys(pair))) for pair in pairs])


def _spans(table: pd.DataFrame) -> pd.Series:
    # In a narrow column the line breaks between the mean and its interval.
    text = "{mean:z.2f} ({low:z.2f}\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}{high:z.2f})"
    return table.apply(lambda row: text.format(**row), axis=1)


def verdicts(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return one sentence a method: by which measures it beats both baselines, and by which not.

    Args:
        tables: Measure → what ``compare`` gave.

    Example:
        ``["Grad-CAM beats both baselines by insertion; it does not by deletion."]``
    """
    names = dict.fromkeys(name for table in tables.values() for name in table["method"])
    return [_sentence(name, tables) for name in names if name not in BASELINES]


def _sentence(name: str, tables: Mapping[str, pd.DataFrame]) -> str:
    won: dict[bool | None, list[str]] = {True: [], False: [], None: []}
    for measure, table in tables.items():
        for beats in table.loc[table["method"] == name, "beats_both"]:
            won[beats].append(measure)
    by = {beats: ", ".join(measures) for beats, measures in won.items()}
    few = f" Too few maps to judge by {by[None]}." if won[None] else ""
    if won[True]:
        rest = f"; it does not by {by[False]}" if won[False] else ""
        return f"{name} beats both baselines by {by[True]}{rest}.{few}"
    if won[False]:
        return f"{name} does not beat both baselines by any measure ({by[False]}).{few}"
    return f"{name}:{few.lower()}"
