"""Do the intervals hold what they promise? Many test sets of a known classifier, counted.

A classifier is simulated: normal scores, one raised for the true class, made into probabilities
that are calibrated, or over-confident by a factor. Its true figures come from a million images.
Of ``--repeats`` test sets, the table counts in how many the 95 % interval holds the true figure;
for ECE the mean figure over the test sets, since that is what its interval is about.

    python benchmarks/coverage.py --repeats 2000 --seed 0
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtr, softmax

from cnnlab.evaluation import intervals

BLOCK = 100_000
MILLION = 10  # blocks
UNEVEN = (0.4, 0.25, 0.15, 0.12, 0.08)


@dataclass(frozen=True)
class Setting:
    """One simulated classifier and how many images test it."""

    classes: int
    accuracy: float
    images: int
    confidence: float = 1.0  # factor on the logits; 1 is calibrated
    shares: tuple[float, ...] = ()  # of the classes; equal where none are given


def separation(classes: int, accuracy: float) -> float:
    """Return by how much the true class's score is raised: ∫ φ(x - d) Φ(x)^(C-1) dx = accuracy."""
    x = np.linspace(-8, 16, 4001)

    def excess(distance: float) -> float:
        density = np.exp(-((x - distance) ** 2) / 2) / np.sqrt(2 * np.pi)
        return float(np.trapezoid(density * ndtr(x) ** (classes - 1), x)) - accuracy

    return float(brentq(excess, 0, 12))


def draw(
    setting: Setting, size: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (size,) and probabilities (size, C) of one test set."""
    distance = separation(setting.classes, setting.accuracy)
    shares = setting.shares or None
    labels = generator.choice(setting.classes, size=size, p=shares)
    scores = generator.normal(size=(size, setting.classes))
    scores[np.arange(size), labels] += distance
    logits = scores * distance
    if shares:
        logits = logits + np.log(shares)
    return labels, softmax(setting.confidence * logits, axis=1)


@cache
def true_figures(setting: Setting, seed: int, blocks: int = MILLION) -> dict[str, float]:
    """Return the figures over many images; the ECE is left to the test sets themselves."""
    generator = np.random.default_rng([seed, 1])
    drawn = [intervals.headlines(*draw(setting, BLOCK, generator)) for _ in range(blocks)]
    return {name: float(np.mean([block[name].estimate for block in drawn])) for name in drawn[0]}


def coverage(setting: Setting, repeats: int, seed: int) -> dict[str, float]:
    """Return the share of ``repeats`` test sets whose interval holds the true figure, by name."""
    truth = dict(true_figures(replace(setting, images=0), seed))
    generator = np.random.default_rng([seed, setting.images])
    labels, probabilities = draw(setting, repeats * setting.images, generator)
    found = [
        intervals.headlines(*part)
        for part in zip(np.split(labels, repeats), np.split(probabilities, repeats), strict=True)
    ]
    truth["ece"] = float(np.mean([figures["ece"].estimate for figures in found]))
    return {
        name: float(np.mean([f[name].low <= value <= f[name].high for f in found]))
        for name, value in truth.items()
    }


def settings() -> Sequence[Setting]:
    """Return every setting of the table."""
    even = [Setting(c, a, n) for c, a, n in product((3, 5, 10), (0.7, 0.95), (100, 400))]
    sure = [Setting(5, a, n, confidence=2.0) for a, n in product((0.7, 0.95), (100, 400))]
    uneven = [Setting(5, a, n, shares=UNEVEN) for a, n in product((0.7, 0.95), (100, 400))]
    return [*even, *sure, *uneven]


def main() -> None:
    """Print the table, figures down and settings across."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = []
    start = time.perf_counter()
    for setting in settings():
        kind = "uneven" if setting.shares else "sure" if setting.confidence > 1 else "even"
        row = {"C": setting.classes, "kind": kind, "acc": setting.accuracy, "n": setting.images}
        rows.append(row | coverage(setting, options.repeats, options.seed))
        print(".", end="", flush=True)
    table = pd.DataFrame(rows).set_index(["C", "kind", "acc", "n"])
    print(f"\n{options.repeats} test sets a setting, {time.perf_counter() - start:.0f} s")
    print((100 * table).round(1).T.to_string())
    print(f"lowest {100 * table.min().min():.1f} %, highest {100 * table.max().max():.1f} %")


if __name__ == "__main__":
    main()
