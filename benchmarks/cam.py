"""How many maps a second? Every method of cnnlab, Grad-CAM and Score-CAM beside tf-keras-vis.

Everything runs interleaved in one process, because a machine's speed drifts: compare ratios, and
only those of one run. Peak memory is measured in a process of its own for each.

    python benchmarks/cam.py --size 96 --rounds 5
    python benchmarks/cam.py --grad-cam --rounds 11
    python benchmarks/cam.py --road --rounds 5

Two networks of random weights, with the same layer and the same score (before softmax) for both
libraries: the reference network, and MobileNetV2 as keras.applications builds it. tf-keras-vis
does not open nested models, so neither is nested.

- Methods of one pass explain a batch of 32 images, for given classes.
- Score-CAM, occlusion and integrated gradients need many passes for each map: they get few images.

Every variant has run before, so tracing is not part of the times; it is shown beside them.
Grad-CAM is first compared at several sizes, beside the bare prediction, which no map can outrun:
the larger the images, the more of the time is convolutions that both libraries share.
``--road`` asks only what judging a map by ROAD costs, the network's own work aside.
"""

import argparse
import contextlib
import importlib
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
from memory import peak

from cnnlab import models
from cnnlab.engine import keras, tf
from cnnlab.explain.methods import cam
from cnnlab.explain.methods.registry import METHODS
from cnnlab.explain.quality import faithfulness, road

BATCH = 32
AIM = 5.0  # times as many Grad-CAM maps a second as tf-keras-vis
CLASSES = 10
PREDICTION = "prediction alone"
MANY_PASSES = ("Score-CAM", "occlusion", "integrated gradients")
RIVALS = {"Grad-CAM": "gradcam.Gradcam", "Score-CAM": "scorecam.Scorecam"}
NETWORKS = ("reference", "MobileNetV2")
SIZES = (48, 96, 224)  # of make run, of the tables, of the reference protocol
Variant = Callable[[np.ndarray], np.ndarray]


def network(name: str, size: int) -> tuple[keras.Model, str]:
    """Return a network and the layer that is read."""
    keras.utils.set_random_seed(0)
    if name == "reference":
        model = models.build(
            "baseline", image_size=size, num_classes=CLASSES, seed=0, l2=0.0, dropout=0.0
        )
        return model, "relu4"
    model = keras.applications.MobileNetV2(
        weights=None, classes=CLASSES, input_shape=(size, size, 3)
    )
    return model, "out_relu"


def rival(model: keras.Model, layer: str, method: str) -> Variant:
    """Return the method of tf-keras-vis, for the score before softmax."""
    module, name = RIVALS[method].split(".")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its imports are deprecated by SciPy
        kind = getattr(importlib.import_module(f"tf_keras_vis.{module}"), name)
        linear = importlib.import_module("tf_keras_vis.utils.model_modifiers").ReplaceToLinear()
    explainer = kind(model, model_modifier=linear, clone=True)

    def draw(images: np.ndarray) -> np.ndarray:
        classes = np.arange(len(images)) % CLASSES

        def score(outputs: tf.Tensor) -> list[tf.Tensor]:
            return [outputs[i, target] for i, target in enumerate(classes)]

        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # neither predict's bar nor what Keras says of it
            return explainer(
                score,
                images.astype(np.float32),
                penultimate_layer=layer,
                seek_penultimate_conv_layer=False,
            )

    return draw


def own(model: keras.Model, layer: str, method: str) -> Variant:
    """Return a method of cnnlab."""
    takes_layer = {} if method in ("occlusion", "integrated gradients") else {"layer": layer}

    def draw(images: np.ndarray) -> np.ndarray:
        classes = np.arange(len(images)) % CLASSES
        return METHODS[method](model, images, target=classes, **takes_layer)

    return draw


def bare(model: keras.Model) -> Variant:
    """Return the network's prediction, without any map: no method of one pass can be faster."""

    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[1:]))], autograph=False)
    def predict(images: tf.Tensor) -> tf.Tensor:
        return model(images, training=False)

    traced = predict.get_concrete_function()
    return lambda images: traced(tf.constant(images, tf.float32)).numpy()


def variants(
    name: str, size: int, methods: Collection[str] = METHODS
) -> dict[tuple[str, str], Variant]:
    """Return what is measured: (library, method) → function of images."""
    model, layer = network(name, size)
    found = {
        ("cnnlab", method): own(model, layer, method)
        for method in methods
        if method != "CAM" or name != "reference"  # whose head is not a pooled one
    }
    found["Keras", PREDICTION] = bare(model)
    rivals = [method for method in methods if method in RIVALS]
    return found | {("tf-keras-vis", method): rival(model, layer, method) for method in rivals}


def pictures(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def measure(
    name: str, size: int, options: argparse.Namespace, methods: Collection[str] = METHODS
) -> list[dict]:
    """Return one row per variant: maps a second in every round."""
    measured = variants(name, size, methods)
    rows = {}
    for (library, method), draw in measured.items():
        images = pictures(options.few if method in MANY_PASSES else BATCH, size)
        began = time.perf_counter()
        draw(images)
        first = time.perf_counter() - began
        rows[library, method] = {
            "network": name, "size": size, "library": library, "method": method,
            "images": len(images), "first_seconds": first, "maps_per_second": [],
        }  # fmt: skip
    for number in range(options.rounds):
        for key in list(measured)[:: 1 if number % 2 else -1]:
            images = pictures(rows[key]["images"], size)
            began = time.perf_counter()
            measured[key](images)
            taken = time.perf_counter() - began
            rows[key]["maps_per_second"].append(len(images) / taken)
    return list(rows.values())


def road_seconds(rounds: int) -> dict[int, list[float]]:
    """Return the seconds that ROAD takes for a map, by size and round; its network does nothing."""
    found: dict[int, list[float]] = {48: [], 96: [], 224: []}
    for number in range(rounds + 1):
        for size, taken in found.items():
            head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
            model = keras.Sequential([keras.Input((size, size, 3)), *head])
            images, maps = pictures(4, size), faithfulness.random_maps(4, size, seed=number)
            road.margins(model, images[:1], maps[:1])  # traced
            began = time.perf_counter()
            road.margins(model, images, maps)
            taken.append((time.perf_counter() - began) / len(images))
    return {size: taken[1:] for size, taken in found.items()}  # the first round warms up


def likeness(name: str, size: int) -> float:
    """Return the mean correlation of both libraries' Grad-CAM maps; they enlarge differently."""
    model, layer = network(name, size)
    images = pictures(BATCH, size)
    pair = [make(model, layer, "Grad-CAM")(images) for make in (own, rival)]
    drawn = [i for i in range(BATCH) if min(one[i].std() for one in pair) > 0]
    return float(np.mean([np.corrcoef(*(one[i].ravel() for one in pair))[0, 1] for i in drawn]))


def peak_memory(library: str, images: int, options: argparse.Namespace) -> float:
    """Return by how many MB a fresh process grows while it draws Score-CAM maps."""
    command = [sys.executable, __file__, "--child", library, str(images)]
    command += ["--size", str(options.size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def child(options: argparse.Namespace) -> None:
    """Draw Score-CAM maps and print by how many MB the process grew."""
    library, count = options.child
    model, layer = network("reference", options.size)
    draw = (own if library == "cnnlab" else rival)(model, layer, "Score-CAM")
    cam.grad_cam(model, pictures(BATCH, options.size))  # loads and compiles what both need
    before = peak()
    draw(pictures(int(count), options.size))
    print(peak() - before)


def beside(rows: list[dict], row: dict, library: str, method: str) -> dict:
    """Return the row of another library or method on the same network and size."""
    wanted = {"network": row["network"], "size": row["size"], "library": library, "method": method}
    return next(one for one in rows if wanted.items() <= one.items())


def ratios(rows: list[dict], row: dict, method: str) -> list[float]:
    """Return how many times as fast as a method of tf-keras-vis a row is, round by round."""
    other = beside(rows, row, "tf-keras-vis", method)
    pairs = zip(row["maps_per_second"], other["maps_per_second"], strict=True)
    return [ours / theirs for ours, theirs in pairs]


def spread(values: list[float]) -> str:
    found = statistics.median(values), min(values), max(values)
    middle, low, high = (f"{value:{',.0f' if value >= 100 else '.3g'}}" for value in found)
    return f"{middle} ({low}–{high})"


def show(rows: list[dict], alike: dict[str, float], memory: list[dict]) -> None:
    """Print every method at one size, memory, and how like the maps are."""
    print("\nMedian (lowest–highest) over the rounds.\n")
    print("| network | library | method | images | maps a second | times tf-keras-vis | first, s |")
    print("|---" * 7 + "|")
    for row in rows:
        rivalled = row["library"] == "cnnlab" and row["method"] in RIVALS
        cells = [row["network"], row["library"], row["method"], str(row["images"])]
        cells.append(spread(row["maps_per_second"]))
        cells.append(spread(ratios(rows, row, row["method"])) if rivalled else "")
        print("| " + " | ".join([*cells, f"{row['first_seconds']:.2f}"]) + " |")
    print()
    for one in memory:
        print(f"- Score-CAM of {one['images']} images, {one['library']}: {one['megabytes']:.0f} MB")
    for name, value in alike.items():
        print(f"- {name}: the maps of both libraries correlate with {value:.3f}")


def show_sizes(rows: list[dict]) -> None:
    """Print Grad-CAM at every size, beside the bare prediction, and whether the aim is met."""
    print("\n| network | pixels | Grad-CAM, maps a second | times tf-keras-vis | aim "
          f"{AIM:g} | prediction alone, times tf-keras-vis |")  # fmt: skip
    print("|---" * 6 + "|")
    for row in rows:
        if row["library"] != "cnnlab":
            continue
        times = ratios(rows, row, "Grad-CAM")
        most = ratios(rows, beside(rows, row, "Keras", PREDICTION), "Grad-CAM")
        met = "met" if statistics.median(times) >= AIM else "NOT met"
        cells = [row["network"], str(row["size"]), spread(row["maps_per_second"]), spread(times)]
        print("| " + " | ".join([*cells, met, spread(most)]) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=96, help="pixels a side")
    parser.add_argument("--few", type=int, default=2, help="images for methods of many passes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--grad-cam", action="store_true", help="time Grad-CAM alone, by size")
    parser.add_argument("--road", action="store_true", help="time ROAD, and nothing else")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options)
        return
    if options.road:
        for size, taken in road_seconds(options.rounds).items():
            print(f"- ROAD, {size}×{size} pixels: {spread(taken)} seconds a map")
        return
    sizes = [
        row
        for name in NETWORKS
        for size in SIZES
        for row in measure(name, size, options, ["Grad-CAM"])
    ]
    show_sizes(sizes)
    if options.grad_cam:
        return
    rows = [row for name in NETWORKS for row in measure(name, options.size, options)]
    alike = {name: likeness(name, options.size) for name in NETWORKS}
    memory = [
        {"library": library, "images": count, "megabytes": peak_memory(library, count, options)}
        for library in ("cnnlab", "tf-keras-vis")
        for count in (options.few, 4 * options.few)
    ]
    show(rows, alike, memory)
    about = {name: getattr(options, name) for name in ("size", "few", "rounds")}
    about |= {"cores": os.cpu_count(), "python": platform.python_version(),
              "tensorflow": tf.__version__, "keras": keras.__version__}  # fmt: skip
    found = {"about": about, "sizes": sizes, "rows": rows, "likeness": alike, "memory": memory}
    options.output.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
