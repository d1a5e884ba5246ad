"""How fast do images come? cnnlab beside ``keras.utils.image_dataset_from_directory``.

Everything runs interleaved in one process, because a machine's speed drifts: compare ratios, and
only those of one run. Peak memory is measured in a process of its own for each.

    python benchmarks/input_pipeline.py --shapes 480 --photos 160 --size 128

Two kinds of pictures: the generated shapes, 256×256, and textures with the pixels and bytes of a
small photograph, 640×480.

- *keras*: ``image_dataset_from_directory`` as its guide shows it, Keras' Random layers in ``map``.
- *keras cache*: the same with ``cache()`` behind the decoding: float32 pixels held in memory.
- *cnnlab*: prepared pixels (``open_dataset``) and ``training_batches``. Its first epoch includes
  hashing and decoding every file, writing the pixels and their checksum; making the manifest is
  not part, save for a hash of each file.
- *cnnlab decoding*: the same batches from the same decoder, without prepared pixels.

Every pipeline has run on a few images before: what a process compiles once is not part either.
"""

import argparse
import hashlib
import json
import os
import platform
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
from memory import peak
from PIL import Image

from cnnlab import augment
from cnnlab.config import Settings, make_settings
from cnnlab.data import batches, prepared
from cnnlab.data.sources.folder_source import FolderSource
from cnnlab.data.synthetic import shapes
from cnnlab.engine import keras, tf

BATCH = 32
AIMS = {"first": 1.5, "later": 10.0}
VARIANTS = ("keras", "keras cache", "cnnlab", "cnnlab decoding")
PHOTO = (640, 480)  # pixels across and down
Epoch = Callable[[int], tf.data.Dataset]
Measured = dict[str, float]


def make_shapes(folder: Path, count: int, seed: int) -> Path:
    """Return a folder of ``count`` undamaged images, one folder a class."""
    per_class = max(5, count // len(shapes.CLASSES))
    shapes.generate(folder, train_per_class=per_class, test_per_class=5, seed=seed)
    for path in pd.read_csv(folder / "truth" / "faults.csv")["path"]:
        (folder / "images" / path).unlink()  # one damaged file would end Keras' epoch
    return folder / "images" / "train"


def make_photos(folder: Path, count: int, seed: int, shape: tuple[int, int] = PHOTO) -> Path:
    """Return a folder of ``count`` JPEG files in two classes: detail at every scale, and noise."""
    rng = np.random.default_rng(seed)
    width, height = shape
    for i in range(count):
        pixels = rng.normal(128, 4, (height, width, 3))
        for cell in (160, 80, 40, 20, 10, 5):  # half the amplitude at half the scale
            coarse = rng.normal(0, cell / 4, (height // cell + 1, width // cell + 1))
            layer = Image.fromarray(coarse.astype(np.float32)).resize(
                shape, Image.Resampling.BICUBIC
            )
            pixels += np.asarray(layer)[:, :, None]
        path = folder / "ab"[i % 2] / f"{i:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return folder


def keras_epochs(root: Path, size: int, seed: int, augmented: bool, cached: bool) -> Epoch:
    """Return Keras' pipeline: the epoch's number is not asked for, it shuffles by itself."""
    found = keras.utils.image_dataset_from_directory(
        root, label_mode="categorical", batch_size=BATCH, image_size=(size, size), seed=seed,
        verbose=False,
    )  # fmt: skip
    if cached:
        found = found.cache()
    if augmented:
        wanted = Settings().augmentation
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


class Decoding:
    """Looks like prepared pixels and decodes each time."""

    def __init__(self, root: Path, paths: list[str], size: int) -> None:
        self.root, self.paths = root, paths
        self.shape = (len(paths), size, size, 3)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return prepared.read_images(self.root, [self.paths[i] for i in rows], self.shape[1])


def cnnlab_epochs(
    root: Path, size: int, seed: int, augmented: bool, cache: Path, decoding: bool
) -> Epoch:
    """Return cnnlab's pipeline; the images are prepared here if ``cache`` is empty."""
    settings = make_settings("quick", image_size=size)
    paths = sorted(path.relative_to(root).as_posix() for path in root.glob("*/*"))
    table = pd.DataFrame({"path": paths, "picture": paths, "group": "", "split": "train"})
    table["label"] = table["path"].str.split("/").str[0]
    if decoding:
        names = sorted(set(table["label"]))
        data = batches.Dataset(Decoding(root, paths, size), table, names)  # type: ignore[arg-type]
    else:
        source = FolderSource("images", root)
        contents = {p: hashlib.sha256((root / p).read_bytes()).hexdigest() for p in paths}
        data = batches.open_dataset(table, source, settings, contents=contents, cache=cache)

    def epoch(number: int) -> tf.data.Dataset:
        transform = (
            augment.transform(settings.augmentation, seed=seed, epoch=number) if augmented else None
        )
        return batches.training_batches(
            data, np.arange(len(paths)), batch_size=BATCH, seed=seed, epoch=number,
            transform=transform,
        )  # fmt: skip

    return epoch


def run(variant: str, root: Path, size: int, seed: int, augmented: bool, epochs: int) -> Measured:
    """Return what the first epoch took, and the median of the later ones."""
    with tempfile.TemporaryDirectory() as cache:
        began = clocks()
        if variant.startswith("cnnlab"):
            decoding = variant == "cnnlab decoding"
            epoch = cnnlab_epochs(root, size, seed, augmented, Path(cache), decoding)
        else:
            epoch = keras_epochs(root, size, seed, augmented, variant == "keras cache")
        taken = []
        for number in range(epochs):
            for _ in epoch(number):
                pass
            now = clocks()
            taken.append(now - began)
            began = now
    later = np.median(taken[1:], axis=0)
    return {
        "first": taken[0][0],
        "later": later[0],
        "first_cpu": taken[0][1],
        "later_cpu": later[1],
    }


def clocks() -> np.ndarray:
    """Return seconds on the clock, and seconds of all cores that this process has used."""
    return np.array([time.perf_counter(), time.process_time()])


def measure_times(root: Path, few: Path, options: argparse.Namespace) -> list[dict]:
    """Return one row per variant, with and without augmentation: what every round took."""
    cases = [(variant, augmented) for augmented in (False, True) for variant in VARIANTS]
    for variant, augmented in cases:  # traces and compiles graphs, loads libraries
        run(variant, few, options.size, options.seed, augmented, 2)
    found: dict[tuple[str, bool], list[Measured]] = defaultdict(list)
    for number in range(options.rounds):
        for variant, augmented in cases if number % 2 else cases[::-1]:
            measured = run(variant, root, options.size, options.seed, augmented, options.epochs)
            found[variant, augmented].append(measured)
    count = sum(1 for _ in root.glob("*/*"))
    return [
        {"variant": variant, "augmented": augmented, "images": count}
        | {key: [one[key] for one in found[variant, augmented]] for key in found[cases[0]][0]}
        for variant, augmented in cases
    ]


def ratios(rows: list[dict], row: dict, key: str, reference: str = "keras") -> list[float]:
    """Return how many times as fast a row was as the reference beside it, round by round."""
    other = next(
        one for one in rows
        if (one["variant"], one["augmented"]) == (reference, row["augmented"])
    )  # fmt: skip
    return [theirs / ours for theirs, ours in zip(other[key], row[key], strict=True)]


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


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def show(kind: str, rows: list[dict]) -> None:
    """Print the table of one kind of pictures, and whether the aims are met."""
    print(f"\n{rows[0]['images']} {kind}. Median (lowest–highest) over the rounds.\n")
    print(
        "| pipeline | augmented | first epoch, s | times keras' speed | later epochs, s "
        "| times keras' speed | by CPU time, first | later | peak, MB |"
    )
    print("|---" * 9 + "|")
    for row in rows:
        cells = [row["variant"], "yes" if row["augmented"] else "no"]
        for key in ("first", "later"):
            cells += [spread(row[key]), spread(ratios(rows, row, key))]
        cells += [
            f"{statistics.median(ratios(rows, row, key)):.1f}" for key in ("first_cpu", "later_cpu")
        ]
        cells.append(f"{row['peak_megabytes']:.0f}" if "peak_megabytes" in row else "")
        print("| " + " | ".join(cells) + " |")
    print()
    for row in rows:
        if row["variant"] != "cnnlab":
            continue
        verdict("first epoch beside keras'", row, ratios(rows, row, "first"), AIMS["first"])
        verdict("later epochs beside keras'", row, ratios(rows, row, "later"), AIMS["later"])
        if not row["augmented"]:
            again = ratios(rows, row, "later", "cnnlab decoding")
            verdict("later epochs beside decoding again", row, again, AIMS["later"])


def verdict(what: str, row: dict, found: list[float], aim: float) -> None:
    kind = "augmented" if row["augmented"] else "plain"
    met = "met" if statistics.median(found) >= aim else "NOT met"
    print(f"- {what}, {kind}: {spread(found)} times as fast, aim {aim:g}: {met}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", type=int, default=480, help="how many 256×256 images")
    parser.add_argument("--photos", type=int, default=160, help="how many 640×480 images")
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
    kinds = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, make in (("shapes", make_shapes), ("photos", make_photos)):
            root = make(Path(folder) / name, getattr(options, name), options.seed)
            few = make(Path(folder) / f"few {name}", BATCH + len(list(root.glob("*/*"))) % BATCH, 0)
            kinds[name] = measure_times(root, few, options)
        for row in kinds["photos"]:
            if row["variant"] != "cnnlab decoding":
                row["peak_megabytes"] = peak_memory(row["variant"], row["augmented"], root, options)
    show("shapes of 256×256 pixels", kinds["shapes"])
    show("photographs of 640×480 pixels", kinds["photos"])
    about = {name: getattr(options, name) for name in ("size", "epochs", "rounds", "seed")}
    about |= {"cores": os.cpu_count(), "python": platform.python_version(),
              "tensorflow": tf.__version__, "keras": keras.__version__}  # fmt: skip
    options.output.write_text(json.dumps({"about": about} | kinds, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
