"""Is it worth starting from a pretrained network? With few images, and beside Keras' own guide.

    python benchmarks/transfer.py --data FOLDER --few 5 10 20 50
    python benchmarks/transfer.py --data FOLDER --versus-guide

How good the probe and the fine-tuned network are on a test set, over seeds, is measured by
``reference.py --profile transfer``. Here the test set stays sealed.

``--few``: a probe on the features of the pretrained network beside the reference network, both
trained on so many images a class. Each seed draws other images; all networks are judged on the
same training images that no draw of the seed took. The validation images stop the reference
network's training, which the probe does without.

``--versus-guide``: cnnlab's probe, fine-tuned after it, beside the recipe of Keras' guide
"Transfer learning & fine-tuning" with the same body, weights, pixels, images and split: a frozen
base, pooling, dropout 0.2 and a dense layer, 20 epochs of Adam at 1e-3 on flipped and turned
images, then 10 epochs of everything at 1e-5. Both run in one process in turn, so that each has had
as much CPU time as the other. What counts is the CPU time of all cores from building the network
on, validation included; prepared pixels are there before.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from reference import prepared

from cnnlab import runs, training
from cnnlab.config import InputError, child_seed
from cnnlab.data.batches import Dataset, evaluation_batches, training_batches
from cnnlab.engine import keras, new_traces_expected
from cnnlab.evaluation.learning_curve import nested_subsets
from cnnlab.evaluation.seeds import spread
from cnnlab.plots import style
from cnnlab.runs import provenance
from cnnlab.runs.folder import Run

FINE_TUNED = (
    "stages=probe,last2 epochs=3 optimizer=adamw weight_decay=0.01 learning_rate=3e-4 "
    "depth_factor=0.5 schedule=cosine label_smoothing=0.05 dropout=0.2"
)
REFERENCE_SIZE = 64
REFERENCE = "epochs=30 batch_size=8"  # small batches, or 50 images would give two steps an epoch
NAMES = {"probe": "probe", "reference": "reference network"}
FROZEN, UNFROZEN = (20, 1e-3), (10, 1e-5)  # the guide's epochs and rates of Adam
AIM = 5  # times the guide's CPU time


def opened(
    name: str, data: str, size: int, *, profile: str, recipe: str = ""
) -> tuple[Run, Dataset]:
    """Return a run of these settings, with the split of seed 0, and its sealed dataset."""
    overrides = f"image_size={size} seed=0 {recipe}"
    run = runs.open_run(name, profile=profile, data=data, overrides=overrides)
    return run, prepared(run)


def drawn(dataset: Dataset, counts: list[int], seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return training rows, so many of each class, each draw with the ones before; and the rest.

    Of images that belong together one is drawn, and none of them is among the rest.
    """
    rows = dataset.indices("train")
    alone = rows[np.unique(dataset.units[rows], return_index=True)[1]]
    order = np.random.default_rng(child_seed(seed, "few")).permutation(alone)
    labels = dataset.labels[order]
    found = []
    for count in counts:
        parts = [order[labels == label][:count] for label in range(len(dataset.class_names))]
        if (least := min(map(len, parts))) < count:
            raise InputError(f"--few {count}: a class has {least} training images. Expected fewer.")
        found.append(np.sort(np.concatenate(parts)))
    taken = np.isin(dataset.units[rows], dataset.units[found[-1]])
    return found, rows[~taken]


def few(asked: argparse.Namespace) -> pd.DataFrame:
    """Return a row a training: network, seed, images a class, accuracy, CPU seconds."""
    stem, size = f"few-{Path(asked.data).name}", REFERENCE_SIZE
    measured = {
        "probe": opened(f"{stem}-{asked.size}", asked.data, asked.size, profile="transfer"),
        "reference": opened(f"{stem}-{size}", asked.data, size, profile="full", recipe=REFERENCE),
    }
    one, other = (dataset.table["path"].tolist() for _, dataset in measured.values())
    assert one == other  # the split depends on the seed alone
    table = []
    for seed in asked.seeds:
        for network, (run, dataset) in measured.items():
            draws, rest = drawn(dataset, asked.few, seed)
            for count, rows in zip(asked.few, draws, strict=True):
                began = time.process_time()
                model = training.new_model(dataset, run.settings, seed=seed)
                validation = dataset.indices("validation")
                training.train(model, dataset, rows, validation, run.settings, seed=seed)
                taken = time.process_time() - began
                answers = training.answers(model, dataset, rest, run.settings)
                accuracy = float((answers.argmax(axis=1) == dataset.labels[rest]).mean())
                table.append({"network": network, "seed": seed, "images": count,
                              "accuracy": accuracy, "cpu_seconds": taken})  # fmt: skip
                print(f"seed {seed}  {network}, {count} a class: {accuracy:.3f}  {taken:.0f} s")
    print(f"\nJudged on {len(rest)} images.")
    return pd.DataFrame(table)


@style.styled
def few_figure(table: pd.DataFrame) -> style.Picture:
    """Draw accuracy against the images a class: a dot each training, a line the mean."""
    figure = style.new_figure(3.2, style.WIDTH * 0.72)
    axes = figure.subplots()
    for colour, (network, name) in zip(style.PALETTE, NAMES.items(), strict=False):
        rows = table[table["network"] == network]
        mean = rows.groupby("images")["accuracy"].mean()
        axes.plot(mean.index.to_numpy(), mean.to_numpy(), color=colour, label=name)
        axes.plot(rows["images"].to_numpy(), rows["accuracy"].to_numpy(), "o", color=colour, ms=4,
                  markeredgecolor="white")  # fmt: skip
    counts = sorted(table["images"].unique())
    axes.set(xscale="log", xlabel="training images a class", ylabel="accuracy", ylim=(0, 1))
    axes.set_xticks(counts, labels=[str(count) for count in counts], minor=False)
    axes.set_xticks([], minor=True)
    axes.grid()
    axes.legend(loc="lower right")
    return figure


def show_few(table: pd.DataFrame) -> None:
    """Print mean ± deviation over the seeds."""
    print("\n| images a class | probe | reference network |\n|---|---|---|")
    for count, rows in table.groupby("images"):
        found = [rows.loc[rows["network"] == network, "accuracy"] for network in NAMES]
        cells = ["{0.mean:.3f} ± {0.deviation:.3f}".format(spread(list(each))) for each in found]
        print(f"| {count} | {' | '.join(cells)} |")


@dataclass(frozen=True)
class Point:
    """Where a training stands after an epoch, or a probe.

    Attributes:
        phase: What was trained.
        seconds: CPU time so far.
        accuracy: On the validation images.
    """

    phase: str
    seconds: float
    accuracy: float


def guide(model: keras.Model, dataset: Dataset, rows: np.ndarray, seed: int) -> Iterator[Point]:
    """Train by the guide's recipe, an epoch at each step.

    Args:
        model: Gives the body with its weights; it is not changed.
        dataset: Prepared pixels.
        rows: int64 (N,), the training images.
        seed: Of the order and of Keras' generators.
    """
    spent, began = 0.0, time.process_time()
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    last = model.get_layer("global_pool").input
    base = keras.models.clone_model(keras.Model(model.inputs[0], last))
    base.set_weights(keras.Model(model.inputs[0], last).get_weights())
    base.trainable = False
    inputs = keras.Input(model.input_shape[1:])
    x = layers.RandomRotation(0.1)(layers.RandomFlip("horizontal")(inputs))
    x = layers.GlobalAveragePooling2D()(base(x, training=False))  # as the guide calls it
    outputs = layers.Dense(len(dataset.class_names), "softmax")(layers.Dropout(0.2)(x))
    network = keras.Model(inputs, outputs)
    validation = evaluation_batches(dataset, dataset.indices("validation"), batch_size=32)
    epoch = 0
    for phase, (epochs, rate) in {"frozen base": FROZEN, "all layers": UNFROZEN}.items():
        base.trainable = phase != "frozen base"
        network.compile(
            keras.optimizers.Adam(rate), "categorical_crossentropy", metrics=["accuracy"]
        )
        for _ in range(epochs):
            epoch += 1
            batches = training_batches(dataset, rows, batch_size=32, seed=seed, epoch=epoch)
            with new_traces_expected():
                done = network.fit(batches, validation_data=validation, shuffle=False, verbose=0)
            spent += time.process_time() - began
            yield Point(phase, spent, float(done.history["val_accuracy"][0]))
            began = time.process_time()


def race(asked: argparse.Namespace) -> dict[str, list[Point]]:
    """Return the points of both recipes, trained in turn."""
    run, dataset = opened("guide", asked.data, asked.size, profile="transfer", recipe=FINE_TUNED)
    rows, validation = dataset.indices("train"), dataset.indices("validation")
    if asked.images and asked.images < len(rows):
        share = asked.images / len(rows)
        rows = rows[nested_subsets(dataset.labels[rows], dataset.units[rows], [share], 0)[0]]
    print(f"{len(rows)} training and {len(validation)} validation images of {asked.size} pixels.")
    seed = run.settings.seed
    given = training.new_model(dataset, run.settings, seed=seed)
    found: dict[str, list[Point]] = {"cnnlab": [], "guide": []}
    rival = guide(given, dataset, rows, seed)
    spent, began = 0.0, time.process_time()

    def report(row: dict) -> None:
        nonlocal spent, began
        spent += time.process_time() - began
        phase = "probe" if row["stage"] == 1 else "fine-tuned"
        found["cnnlab"].append(Point(phase, spent, row["validation_accuracy"]))
        while not found["guide"] or found["guide"][-1].seconds < spent:
            if (point := next(rival, None)) is None:
                break
            found["guide"].append(point)
        began = time.process_time()

    model = training.new_model(dataset, run.settings, seed=seed)
    training.train(model, dataset, rows, validation, run.settings, seed=seed, report=report)
    found["guide"] += rival
    return found


def first(points: list[Point], accuracy: float) -> Point | None:
    """Return where an accuracy is first reached."""
    return next((point for point in points if point.accuracy >= accuracy), None)


def show_race(found: dict[str, list[Point]]) -> None:
    """Print what each recipe reached, and when the guide's had as much."""
    rival = found["guide"]
    heads = ("cnnlab", "CPU, s", "accuracy", "guide's best by then", "guide's CPU to as much, s")
    print(f"\n| {' | '.join(heads)} | times |")
    print("|---" * 6 + "|")
    for phase in ("probe", "fine-tuned"):
        points = [point for point in found["cnnlab"] if point.phase == phase]
        end, best = points[-1], max(points, key=lambda point: point.accuracy)
        by_then = [point.accuracy for point in rival if point.seconds <= end.seconds]
        other = first(rival, best.accuracy)
        reached = f"{other.seconds:.0f}" if other else f"never in {rival[-1].seconds:.0f}"
        times = (other or rival[-1]).seconds / end.seconds
        verdict = "met" if times >= AIM else "not met" if other else "open"
        print(f"| {phase} | {end.seconds:.0f} | {best.accuracy:.3f} "
              f"| {f'{max(by_then):.3f}' if by_then else 'none'} | {reached} "
              f"| {'' if other else 'over '}{times:.1f} (aim {AIM}: {verdict}) |")  # fmt: skip
    print("\n| guide | epochs | CPU by then, s | best accuracy | last |\n|---|---|---|---|---|")
    for phase in dict.fromkeys(point.phase for point in rival):
        points = [point for point in rival if point.phase == phase]
        best, last = max(point.accuracy for point in points), points[-1]
        print(
            f"| {phase} | {len(points)} | {last.seconds:.0f} | {best:.3f} | {last.accuracy:.3f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="a folder of images, a table, or fetched")
    parser.add_argument("--size", type=int, default=128, help="pixels a side, of the pretrained")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of --few")
    parser.add_argument("--images", type=int, default=1000, help="of --versus-guide; 0: all")
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--few", type=int, nargs="+", help="images a class")
    wanted.add_argument("--versus-guide", action="store_true")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    asked = parser.parse_args()
    if asked.few:
        asked.few.sort()
        table = few(asked)
        show_few(table)
        few_figure(table).savefig(asked.output.with_suffix(".png"))
        result: object = table.to_dict(orient="records")
    else:
        with tempfile.TemporaryDirectory() as fresh:  # no features from earlier
            os.environ["CNNLAB_HOME"] = fresh
            found = race(asked)
        show_race(found)
        result = {name: [asdict(point) for point in points] for name, points in found.items()}
    machine = provenance.machine()
    print(f"\n{machine['cores']} cores, {machine['processor']}, {machine['gpus'] or 'no GPU'}.")
    asked.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
