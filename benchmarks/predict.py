"""What does an answer cost beside the bare graph, and how fast is the cache?

Everything runs interleaved in one process, because a machine's speed drifts: compare ratios, and
only those of one run.

    python benchmarks/predict.py --size 96 --rounds 300

The reference network of random weights, saved as an artifact, answers for one generated JPEG
photograph at a time, from its bytes:

- bare: the SavedModel's signatures ``prepare`` (decode, resize) and ``predict``; no checks;
- predict_bytes: the plain call of the SavedModel, as any server may make it;
- model.predict: Keras' own way, on the pixels that ``prepare`` gives;
- cnnlab: ``Predictor.predict``: the validation, SHA-256, the cache asked and filled, both rules.

Then the same photograph again: the cache answers, from memory and from disk.
"""

import argparse
import io
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from cnnlab import models
from cnnlab.artifact import model_folder
from cnnlab.engine import keras, tf
from cnnlab.evaluation.conformal import SetRule
from cnnlab.evaluation.ood_detection import NoveltyRule
from cnnlab.serving.cache import Cache, key
from cnnlab.serving.predictor import CACHE_BYTES, Predictor

AIM = 1.15  # times the bare graph
HIT_AIM = 100.0  # microseconds
CLASSES = 10
BLOCKS = 5  # of rounds: single rounds of a few milliseconds swing too much to compare
PHOTOS = ((256, 256), (640, 480), (1280, 960), (2592, 1944))


def photo(width: int, height: int) -> bytes:
    """Return a JPEG with detail at every scale and a camera's noise."""
    draw = np.random.default_rng(width)
    pixels = np.zeros((height, width, 3))
    for cells in (4, 16, 64):
        coarse = Image.fromarray(draw.integers(0, 256, (cells, cells, 3), np.uint8))
        pixels += np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 3
    noisy = np.clip(pixels + draw.normal(0, 4, pixels.shape), 0, 255).astype("uint8")
    stream = io.BytesIO()
    Image.fromarray(noisy).save(stream, "JPEG", quality=85)
    return stream.getvalue()


def saved(folder: Path, size: int) -> Path:
    """Write the artifact that answers."""
    model = models.build(
        "baseline", image_size=size, num_classes=CLASSES, seed=0, l2=0.0, dropout=0.0
    )
    rules = {"conformal": SetRule(0.9, 0.1, 100), "novelty": NoveltyRule(0.95, 0.2, 100)}
    names = [f"class {number}" for number in range(CLASSES)]
    model_folder.save(model, folder, class_names=names, run_id="benchmark", card="", **rules)
    return folder


def fresh(folder: Path, predictor: Predictor) -> dict[str, Callable[[bytes], np.ndarray]]:
    """Return the ways to answer for bytes that were never seen: name → probabilities."""
    graph = tf.saved_model.load(str(folder / "saved_model")).signatures
    model = model_folder.load_keras(folder)

    def pixels(content: bytes) -> np.ndarray:
        return graph["prepare"](image_bytes=tf.constant(content))["pixels"].numpy()[None]

    def bare(content: bytes) -> np.ndarray:
        return graph["predict"](pixels=tf.constant(pixels(content)))["probabilities"].numpy()[0]

    def plain(content: bytes) -> np.ndarray:
        asked = tf.constant([content])
        return graph["predict_bytes"](image_bytes=asked)["probabilities"].numpy()[0]

    def own(content: bytes) -> np.ndarray:
        shares = dict(predictor.predict(content, top=CLASSES).top)
        return np.array([shares[name] for name in predictor.class_names])

    return {
        "bare": bare,
        "predict_bytes": plain,
        "model.predict": lambda content: model.predict(pixels(content), verbose=0)[0],
        "cnnlab": own,
    }


def hits(
    predictor: Predictor, content: bytes, folder: Path
) -> dict[str, Callable[[bytes], object]]:
    """Return the ways to answer for bytes that a cache knows, and the parts of such an answer."""
    name = key(content, predictor.model_id)
    memory, disk = Cache(CACHE_BYTES), Cache(0, folder)
    for cache in (memory, disk):
        cache.put(name, predictor._graph.predict(content))

    def hit(cache: Cache) -> None:
        predictor.cache = cache
        assert predictor.predict(content).cached

    return {
        "memory": lambda _: hit(memory),
        "disk": lambda _: hit(disk),
        "key only": lambda _: key(content, predictor.model_id),
        "look-up only": lambda _: memory.get(name),
    }


def seconds(ask: Callable[[bytes], object], content: bytes) -> float:
    began = time.perf_counter()
    ask(content)
    return time.perf_counter() - began


def interleaved(
    ways: dict[str, Callable[[bytes], object]],
    content: bytes,
    rounds: int,
    forget: Callable[[], None] = lambda: None,
) -> dict[str, list[float]]:
    """Return the median milliseconds of each way in every block of rounds."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    draw = np.random.default_rng(0)
    for _ in range(rounds):
        # In any order: threads that one of them leaves behind slow whatever comes next.
        for name in draw.permutation(list(ways)).tolist():
            forget()
            times[name].append(1e3 * seconds(ways[name], content))
    blocks = {name: np.array_split(values, BLOCKS) for name, values in times.items()}
    return {name: [float(np.median(one)) for one in found] for name, found in blocks.items()}


def measure(folder: Path, rounds: int) -> list[dict]:
    """Return a row for each photograph: bytes, times of every way, times of every hit."""
    predictor, rows = Predictor(folder), []
    ways = fresh(folder, predictor)
    for width, height in PHOTOS:
        content = photo(width, height)
        answers = [ask(content) for _ in range(10) for ask in ways.values()]  # all are warm now
        apart = max(float(np.abs(answer - answers[0]).max()) for answer in answers)
        predictor.cache = Cache(CACHE_BYTES)
        found = interleaved(ways, content, rounds, predictor.cache.clear)
        hit = hits(predictor, content, folder.parent / "answers")
        rows.append({
            "photo": f"{width}×{height}", "bytes": len(content), "largest_difference": apart,
            "fresh_ms": found, "hit_ms": interleaved(hit, content, 10 * rounds),
        })  # fmt: skip
    return rows


def ratios(row: dict, name: str) -> list[float]:
    pairs = zip(row["fresh_ms"][name], row["fresh_ms"]["bare"], strict=True)
    return [one / bare for one, bare in pairs]


def spread(values: list[float], digits: int = 2) -> str:
    numbers = (statistics.median(values), min(values), max(values))
    return "{} ({}–{})".format(*(f"{number:.{digits}f}" for number in numbers))


def show(rows: list[dict]) -> None:
    """Print the tables, and whether the aims are met."""
    print(f"\nMedian (lowest–highest) of {BLOCKS} blocks of rounds.\n")
    names = [name for name in rows[0]["fresh_ms"] if name != "bare"]
    print("| photograph | kB | bare, ms | " + " | ".join(f"{n}, times" for n in names) + " |")
    print("|---" * (3 + len(names)) + "|")
    for row in rows:
        cells = [row["photo"], f"{row['bytes'] / 1e3:.0f}", spread(row["fresh_ms"]["bare"])]
        print("| " + " | ".join([*cells, *(spread(ratios(row, name)) for name in names)]) + " |")
    print("\n| hit, µs | kB | " + " | ".join(rows[0]["hit_ms"]) + " |")
    print("|---" * (2 + len(rows[0]["hit_ms"])) + "|")
    for row in rows:
        times = [spread([1e3 * one for one in found], 0) for found in row["hit_ms"].values()]
        print("| " + " | ".join([row["photo"], f"{row['bytes'] / 1e3:.0f}", *times]) + " |")
    print()
    for row in rows:
        found = ratios(row, "cnnlab")
        met = "met" if statistics.median(found) <= AIM else "NOT met"
        print(f"- {row['photo']}: {spread(found)} times the bare graph, aim {AIM}: {met}")
        hit = 1e3 * statistics.median(row["hit_ms"]["memory"])
        print(f"  hit {hit:.0f} µs, aim {HIT_AIM:.0f}: {'met' if hit <= HIT_AIM else 'NOT met'}")
        print(f"  largest difference between any two answers: {row['largest_difference']:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=96, help="pixels a side of the network")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = measure(saved(Path(scratch) / "model", options.size), options.rounds)
    about = {"size": options.size, "rounds": options.rounds, "cores": os.cpu_count(),
             "machine": platform.machine(), "python": platform.python_version(),
             "tensorflow": tf.__version__, "keras": keras.__version__}  # fmt: skip
    print(about)
    show(rows)
    options.output.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
