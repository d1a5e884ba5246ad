"""Do the intervals hold what they promise? Many test sets of a known classifier, counted.

A classifier is simulated: normal scores, one raised for the true class, made into probabilities
that are calibrated, or over-confident by a factor. Its true figures come from a million images.
Of ``--repeats`` test sets, the table counts in how many the 95 % interval holds the true figure;
for ECE the mean figure over the test sets, since that is what its interval is about.

With ``--groups 20`` images come in groups of twenty (the frames of a video): half of the variance
of their scores is the group's, and either each image has its own class ("mixed") or all of a group
have one ("pure"). The table then has a second row for each setting, of the intervals that take all
images for independent.

    python benchmarks/coverage.py --repeats 2000 --seed 0
    python benchmarks/coverage.py --repeats 2000 --seed 0 --groups 20
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtr, softmax

from cnnlab.evaluation import intervals

PLAIN = ("C", "kind", "acc", "n")  # what a row is of
GROUPED = ("acc", "groups", "kind", "unit")
BLOCK = 100_000
MILLION = 10  # blocks
COMMON = 0.5  # share of the scores' variance that the images of a group have in common
UNEVEN = (0.4, 0.25, 0.15, 0.12, 0.08)


@dataclass(frozen=True)
class Setting:
    """One simulated classifier and how many images test it."""

    classes: int
    accuracy: float
    images: int
    confidence: float = 1.0  # factor on the logits; 1 is calibrated
    shares: tuple[float, ...] = ()  # of the classes; equal where none are given
    per_group: int = 1  # images of a group
    pure: bool = False  # whether all images of a group are of one class


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
    member = np.arange(size) // setting.per_group
    units = member[-1] + 1
    labels = generator.choice(setting.classes, size=units if setting.pure else size, p=shares)
    labels = labels[member] if setting.pure else labels
    scores = generator.normal(size=(size, setting.classes))
    if setting.per_group > 1:
        common = generator.normal(size=(units, setting.classes))[member]
        scores = np.sqrt(COMMON) * common + np.sqrt(1 - COMMON) * scores
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


def coverage(
    setting: Setting, repeats: int, seed: int, *, by_group: bool = True, blocks: int = MILLION
) -> dict[str, float]:
    """Return the share of ``repeats`` test sets whose interval holds the true figure, by name.

    Args:
        setting: What is simulated. Its groups leave the true figures as they are.
        repeats: Number of test sets.
        seed: Decides them.
        by_group: Whether the intervals are told of the groups.
        blocks: The true figures come from so many times 100,000 images.
    """
    truth = dict(true_figures(replace(setting, images=0, per_group=1, pure=False), seed, blocks))
    generator = np.random.default_rng([seed, setting.images])
    labels, probabilities = draw(setting, repeats * setting.images, generator)
    told = by_group and setting.per_group > 1
    groups = np.arange(setting.images) // setting.per_group if told else None
    found = [
        intervals.headlines(*part, groups=groups)
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


def grouped_settings(per_group: int) -> Sequence[Setting]:
    """Return every setting of the table with groups of so many images."""
    drawn = product((0.7, 0.95), (10, 30, 60), (False, True))
    return [Setting(5, a, g * per_group, per_group=per_group, pure=pure) for a, g, pure in drawn]


def grouped_rows(per_group: int, repeats: int, seed: int) -> Iterator[dict[str, object]]:
    """Yield two rows for each setting: told of the groups, and taking images for independent."""
    for setting in grouped_settings(per_group):
        kind = "pure" if setting.pure else "mixed"
        row = {"acc": setting.accuracy, "groups": setting.images // per_group, "kind": kind}
        for told in (True, False):
            unit = {"unit": "group" if told else "image"}
            yield row | unit | coverage(setting, repeats, seed, by_group=told)


def rows(repeats: int, seed: int) -> Iterator[dict[str, object]]:
    """Yield a row for each setting without groups."""
    for setting in settings():
        kind = "uneven" if setting.shares else "sure" if setting.confidence > 1 else "even"
        row = {"C": setting.classes, "kind": kind, "acc": setting.accuracy, "n": setting.images}
        yield row | coverage(setting, repeats, seed)


def main() -> None:
    """Print the table, figures down and settings across."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--groups", type=int, default=1, metavar="IMAGES", help="images a group")
    options = parser.parse_args()
    start, found = time.perf_counter(), []
    if options.groups > 1:
        drawn, index = grouped_rows(options.groups, options.repeats, options.seed), GROUPED
    else:
        drawn, index = rows(options.repeats, options.seed), PLAIN
    for row in drawn:
        found.append(row)
        print(".", end="", flush=True)
    table = pd.DataFrame(found).set_index(list(index))
    print(f"\n{options.repeats} test sets a setting, {time.perf_counter() - start:.0f} s")
    print((100 * table).round(1).T.to_string())
    if options.groups > 1:
        table = table[table.index.get_level_values("unit") == "group"]
    print(f"lowest {100 * table.min().min():.1f} %, highest {100 * table.max().max():.1f} %")


if __name__ == "__main__":
    main()
