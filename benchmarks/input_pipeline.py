"""How fast do images come? cnnlab beside ``keras.utils.image_dataset_from_directory``.

Everything runs interleaved in one process, because a machine's speed drifts: compare ratios, and
only those of one run. Peak memory is measured in a process of its own for each.

    python benchmarks/input_pipeline.py --images 2000 --size 128

- *keras*: ``image_dataset_from_directory`` as its guide shows it, Keras' Random layers in ``map``.
- *keras cache*: the same with ``cache()`` behind the decoding: float32 pixels held in memory.
- *cnnlab*: prepared pixels (``open_dataset``) and ``training_batches``. Its first epoch includes
  decoding every file, writing the pixels and their checksum; making the manifest is not part.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from cnnlab import augment
from cnnlab.config import Settings, make_settings
from cnnlab.data import batches, shapes
from cnnlab.data.sources import Source
from cnnlab.engine import keras, tf

BATCH = 32
AIMS = {"first": 1.5, "later": 10.0}
VARIANTS = ("keras", "keras cache", "cnnlab")
Epoch = Callable[[int], tf.data.Dataset]


def make_images(folder: Path, count: int, seed: int) -> Path:
    """Return a folder of ``count`` undamaged images, one folder a class."""
    per_class = max(5, count // len(shapes.CLASSES))
    shapes.generate(folder, train_per_class=per_class, test_per_class=5, seed=seed)
    for path in pd.read_csv(folder / "truth" / "faults.csv")["path"]:
        (folder / "images" / path).unlink()  # one damaged file would end Keras' epoch
    return folder / "images" / "train"


def keras_epochs(root: Path, size: int, seed: int, augmented: bool, cached: bool) -> Epoch:
    """Return Keras' pipeline: the epoch's number is not asked for, it shuffles by itself."""
    found = keras.utils.image_dataset_from_directory(
        root, label_mode="categorical", batch_size=BATCH, image_size=(size, size), seed=seed,
        verbose=False,
    )  # fmt: skip
    if cached:
        found = found.cache()
    if augmented:
        wanted = Settings()
        layers = keras.Sequential([
            keras.layers.RandomFlip("horizontal", seed=seed),
            keras.layers.RandomRotation(wanted.rotation / 360, seed=seed),
            keras.layers.RandomZoom((-wanted.zoom, wanted.zoom), seed=seed),
            keras.layers.RandomBrightness(wanted.brightness, seed=seed),
        ])  # fmt: skip
        found = found.map(
            lambda images, labels: (layers(images, training=True), labels), tf.data.AUTOTUNE
        )
    found = found.prefetch(tf.data.AUTOTUNE)
    return lambda _: found


def cnnlab_epochs(root: Path, size: int, seed: int, augmented: bool, cache: Path) -> Epoch:
    """Return cnnlab's pipeline; the images are prepared here if ``cache`` is empty."""
    settings = make_settings("quick", image_size=size)
    paths = sorted(path.relative_to(root).as_posix() for path in root.glob("*/*"))
    table = pd.DataFrame({"path": paths, "split": "train"})
    table["label"] = table["path"].str.split("/").str[0]
    data = batches.open_dataset(
        table, Source("shapes", root, ("",), None), settings, dataset_digest="", cache=cache
    )

    def epoch(number: int) -> tf.data.Dataset:
        transform = augment.transform(settings, seed=seed, epoch=number) if augmented else None
        return batches.training_batches(
            data, np.arange(len(paths)), batch_size=BATCH, seed=seed, epoch=number,
            transform=transform,
        )  # fmt: skip

    return epoch


def run(
    variant: str, root: Path, size: int, seed: int, augmented: bool, epochs: int
) -> tuple[float, float, int]:
    """Return the seconds of the first epoch, the median of the later ones, and the images."""
    with tempfile.TemporaryDirectory() as cache:
        began = time.perf_counter()
        if variant == "cnnlab":
            epoch = cnnlab_epochs(root, size, seed, augmented, Path(cache))
        else:
            epoch = keras_epochs(root, size, seed, augmented, variant == "keras cache")
        seconds = []
        for number in range(epochs):
            seen = sum(len(labels) for _, labels in epoch(number))
            now = time.perf_counter()
            seconds.append(now - began)
            began = now
    return seconds[0], statistics.median(seconds[1:]), seen


def measure_times(root: Path, small: Path, options: argparse.Namespace) -> list[dict]:
    """Return one row per variant, with and without augmentation: seconds in every round."""
    for augmented in (False, True):
        for variant in VARIANTS:  # traces graphs, loads libraries
            run(variant, small, options.size, options.seed, augmented, 2)
    times: dict[tuple[str, bool], list[tuple[float, float, int]]] = defaultdict(list)
    for number in range(options.rounds):
        for augmented in (False, True):
            order = VARIANTS if number % 2 else VARIANTS[::-1]
            for variant in order:
                times[variant, augmented].append(
                    run(variant, root, options.size, options.seed, augmented, options.epochs)
                )
    rows = []
    for (variant, augmented), found in times.items():
        first, later, seen = (list(column) for column in zip(*found, strict=True))
        row = {"variant": variant, "augmented": augmented, "images": seen[0]}
        reference = times["keras", augmented]
        for i, (name, seconds) in enumerate((("first", first), ("later", later))):
            row[f"{name}_seconds"] = seconds
            row[f"{name}_ratios"] = [
                theirs[i] / ours for theirs, ours in zip(reference, seconds, strict=True)
            ]
        rows.append(row)
    return sorted(rows, key=lambda row: (row["augmented"], VARIANTS.index(row["variant"])))


def peak_memory(variant: str, augmented: bool, root: Path, options: argparse.Namespace) -> float:
    """Return by how many MB a fresh process grows over its imports while it runs the epochs."""
    command = [sys.executable, __file__, "--child", variant, str(root), str(int(augmented))]
    for name in ("seed", "size", "epochs"):
        command += [f"--{name}", str(getattr(options, name))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def child(options: argparse.Namespace) -> None:
    """Run one pipeline and print by how many MB the process grew."""
    variant, root, augmented = options.child
    before = peak()
    run(variant, Path(root), options.size, options.seed, augmented == "1", options.epochs)
    print(peak() - before)


def peak() -> float:
    """Return the most memory this process has held, in MB; mapped files count while mapped."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss is inherited from whoever started the process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def show(rows: list[dict]) -> None:
    """Print the table, and whether the aims are met."""
    print("Median (lowest–highest) over the rounds; a ratio is keras' seconds over these.\n")
    print("| pipeline | augmented | first epoch, s | ratio | later epochs, s | ratio | peak, MB |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['variant']} | {'yes' if row['augmented'] else 'no'} "
            f"| {spread(row['first_seconds'])} | {spread(row['first_ratios'])} "
            f"| {spread(row['later_seconds'])} | {spread(row['later_ratios'])} "
            f"| {row['peak_megabytes']:.0f} |"
        )
    print()
    for row in rows:
        if row["variant"] == "cnnlab":
            for name, aim in AIMS.items():
                ratio = statistics.median(row[f"{name}_ratios"])
                met = "met" if ratio >= aim else "NOT met"
                kind = "with" if row["augmented"] else "without"
                print(f"{name} epoch(s) {kind} augmentation: {ratio:.2f}×, aim {aim}×: {met}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--size", type=int, default=128, help="pixels a side")
    parser.add_argument("--epochs", type=int, default=3, help="the first one and the later ones")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.epochs < 2:
        parser.error(f"--epochs {options.epochs} leaves no later epoch: expected 2 or more")
    if options.child:
        child(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        root = make_images(Path(folder) / "many", options.images, options.seed)
        small = make_images(Path(folder) / "few", 100, options.seed)
        rows = measure_times(root, small, options)
        for row in rows:
            row["peak_megabytes"] = peak_memory(row["variant"], row["augmented"], root, options)
    show(rows)
    about = {
        name: getattr(options, name) for name in ("images", "size", "epochs", "rounds", "seed")
    }
    about |= {"cores": os.cpu_count(), "python": platform.python_version(),
              "tensorflow": tf.__version__, "keras": keras.__version__}  # fmt: skip
    options.output.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
