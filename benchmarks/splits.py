"""What the two rules of drawing a split cost: how uneven the shares, and how many images move.

Three classes of n images each, without groups and with groups of ten; both fractions 0.2. Images
are added to one class, one after the other; every earlier one that changes sides is counted.
"""

import argparse
from collections.abc import Callable

import numpy as np
import pandas as pd

from cnnlab.config import make_settings
from cnnlab.data import manifest, splits

SIZES = (40, 100, 400)
LABELS = ("a", "b", "c")
GROUP = 10  # images
ADDED = 5  # images; more than one, because rounding has a period of five


def files(names: list[tuple[str, int]], grouped: bool) -> tuple[pd.DataFrame, pd.Series]:
    """Return a manifest and the pictures of distinct images, from (label, number)."""
    paths = [f"{label}/{number}.png" for label, number in names]
    table = pd.DataFrame(
        {
            "path": paths,
            "label": [label for label, _ in names],
            "split": "",
            "status": "accepted",
            "group": [f"{label}{number // GROUP}" * grouped for label, number in names],
        }
    ).reindex(columns=manifest.COLUMNS, fill_value="")
    return table, pd.Series(paths, index=paths)


def sides(names: list[tuple[str, int]], grouped: bool, rule: str, seed: int) -> pd.Series:
    """Return the side of each image, by its path."""
    settings = make_settings("quick", seed=seed, split_rule=rule)
    return splits.assign(*files(names, grouped), settings).set_index("path")["split"]


def measured(size: int, grouped: bool, rule: str, seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Return test images of each class (seeds, 3), and images that each one more moved."""
    shares, moved = [], []
    for seed in range(seeds):
        names = [(label, number) for label in LABELS for number in range(size)]
        before = sides(names, grouped, rule, seed)
        labels = before.index.str[0]
        shares.append([int((before[labels == label] == "test").sum()) for label in LABELS])
        for more in range(ADDED):
            names.append(("a", size + more))
            after = sides(names, grouped, rule, seed)
            moved.append(int((after[before.index] != before).sum()))
            before = after
    return np.array(shares), np.array(moved)


def main(show: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    show("| groups | images a class | rule | test images, lowest–highest | deviation "
         "| moved by one more, mean | most |")  # fmt: skip
    show("|---|---|---|---|---|---|---|")
    for grouped in (False, True):
        for size in SIZES:
            for rule in ("hash", "rank"):
                shares, moved = measured(size, grouped, rule, seeds)
                show(
                    f"| {'of ten' if grouped else 'none'} | {size} | {rule} "
                    f"| {shares.min()}–{shares.max()} | {shares.std():.1f} "
                    f"| {moved.mean():.2f} | {moved.max()} |"
                )


if __name__ == "__main__":
    main()
