"""How fast does it train? cnnlab beside the way of Keras' tutorials and beside PyTorch.

    python benchmarks/train.py                     # long; not timed in full yet
    python benchmarks/train.py --quick             # 64 pixels, 3 rounds
    python benchmarks/train.py --torch FOLDER      # see torch_environment.sh

Every competitor is a process of its own, because each changes what holds for a whole process. They
wait for requests and train one epoch at each, in turn, so that all meet the same machine. All train
the same network on the same generated JPEG files of 400×300 pixels with the same kinds of
augmentation; nothing is validated or saved. What is traced, compiled or started once was so before.

- *cnnlab*: ``training_batches`` and a ``Learner``, which is what ``fit`` runs in an epoch. *From
  files* it reads, hashes and decodes each file and writes the prepared pixels: its first epoch.
  *Prepared* is each later one. *cnnlab bfloat16* is the setting ``precision=bfloat16``.
- *keras*: ``image_dataset_from_directory``, Random layers in ``map``, ``fit``. From files it
  decodes in each epoch, as the tutorials do; prepared is behind ``cache()``, pixels held as floats.
- *torch*, *torch bfloat16*: see ``train_torch.py``. Prepared are uint8 pixels held in memory.

A ratio is the images a second of cnnlab over those of the other in the same round; the table gives
the median and the range over the rounds. CPU is that of all processes and cores, a whole epoch's.
"""

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any

import psutil
from input_pipeline import BATCH, cnnlab_epochs, keras_epochs, make_photos, spread

from cnnlab import models
from cnnlab.config import make_settings
from cnnlab.engine import keras
from cnnlab.models import reference_cnn
from cnnlab.runs import provenance
from cnnlab.training.environment import cores
from cnnlab.training.learner import Learner
from cnnlab.training.recipe import from_settings

JPEG = (400, 300)  # pixels across and down
NETWORKS = {
    "reference": ("reference_cnn", ""),
    "resnet18": ("resnet", "width=64,stem=imagenet"),
}
SOURCES = ("files", "prepared")
# Images an epoch by size: what a round takes stays within seconds. 32 pixels are for tests.
IMAGES = {32: 32, 64: 320, 128: 128, 224: 64}
OWN = ("cnnlab", "cnnlab bfloat16", "keras")
TORCH = ("torch", "torch bfloat16")
AIMS = {"keras": 2.0, "torch": 1.0}
DEFAULT_TORCH = Path(tempfile.gettempdir()) / "cnnlab-torch"


class Competitor:
    """A process that trains an epoch on request.

    It prints ``@`` and a JSON object once it is ready, then one for each line on its standard
    input that names a source: ``seconds`` by the clock and ``loss``. Other lines are noise.
    """

    def __init__(self, command: list[str], asked: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [*command, json.dumps(asked)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._family = psutil.Process(self._process.pid)
        self.about = self._answer()

    def epoch(self, source: str) -> dict[str, float]:
        """Return ``seconds``, ``cpu_seconds`` and ``loss`` of one epoch."""
        before = self._cpu()
        assert self._process.stdin
        self._process.stdin.write(f"{source}\n")
        self._process.stdin.flush()
        answer = self._answer()
        if not math.isfinite(answer["loss"]):
            raise SystemExit(f"{self._process.args} does not learn: its loss is {answer['loss']}.")
        return answer | {"cpu_seconds": self._cpu() - before}

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        assert self._process.stderr
        for line in self._process.stdout:
            if line.startswith("@"):
                return json.loads(line[1:])
        raise SystemExit(f"A competitor ended:\n{self._process.stderr.read()[-2000:]}")

    def _cpu(self) -> float:
        """Return the CPU seconds of the process and of those that it started and has."""
        family = [self._family, *self._family.children(recursive=True)]
        return sum(sum(each.cpu_times()[:2]) for each in family)

    def close(self) -> None:
        """End it and wait for it."""
        self._process.terminate()
        self._process.communicate()


def own_epochs(asked: dict[str, Any]) -> Callable[[str], float]:
    """Return what trains one epoch of cnnlab or Keras from a source: source → mean loss."""
    name, root, size = asked["competitor"], Path(asked["root"]), asked["size"]
    architecture, options = NETWORKS[asked["network"]]
    precision = "bfloat16" if name.endswith("bfloat16") else "float32"
    settings = make_settings("full", image_size=size, precision=precision)
    network = models.build(
        architecture, image_size=size, num_classes=len(list(root.iterdir())), seed=0,
        l2=settings.model.l2, dropout=settings.model.dropout, options=options,
    )  # fmt: skip
    if name == "keras":
        network.compile(
            keras.optimizers.Adam(settings.training.learning_rate),
            "categorical_crossentropy", metrics=["accuracy"],
        )  # fmt: skip
        kinds = {source: keras_epochs(root, size, 0, True, source == "prepared")(0)
                 for source in SOURCES}  # fmt: skip
        return lambda source: network.fit(kinds[source], verbose=0).history["loss"][0]
    return _cnnlab_epochs(network, settings, asked)


def _cnnlab_epochs(network: Any, settings: Any, asked: dict[str, Any]) -> Callable[[str], float]:
    root, size, recipe = Path(asked["root"]), asked["size"], from_settings(settings)
    steps = -(-asked["images"] // BATCH)
    learner = Learner(network, recipe.stages[0], recipe, steps=steps)
    folder = root.with_name(asked["competitor"])  # its maker removes it: a process is just ended
    prepared, number = cnnlab_epochs(root, size, 0, True, folder / "prepared", False), 0

    def epoch(source: str) -> float:
        nonlocal number
        number += 1
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            epochs = prepared
            if source == "files":
                epochs = cnnlab_epochs(root, size, 0, True, Path(fresh), False)
            return learner.run(epochs(number), seed=0, epoch=number)["loss"]

    return epoch


def child(asked: dict[str, Any]) -> None:
    """Answer requests, see ``Competitor``; each source has been trained on once before."""
    train = own_epochs(asked)
    for source in SOURCES:
        train(source)
    print("@{}", flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        loss = float(train(line.strip()))
        print("@" + json.dumps({"seconds": time.perf_counter() - began, "loss": loss}), flush=True)


def torch_python(folder: Path) -> Path | None:
    """Return the interpreter of PyTorch's environment; None, with a line, where there is none."""
    python = folder / "bin" / "python"
    command = [python, "-c", "import torch, torchvision"]
    if python.exists() and subprocess.run(command, capture_output=True).returncode == 0:
        return python
    print(f"No PyTorch in {folder}: left out. benchmarks/torch_environment.sh makes it.")
    return None


def request(network: str, size: int, root: Path) -> dict[str, Any]:
    """Return what a competitor needs to know."""
    settings = make_settings("full", image_size=size)
    wanted, reference = settings.augmentation, reference_cnn.Options()
    return {
        "network": network, "size": size, "root": str(root), "batch": BATCH,
        "images": IMAGES[size], "cores": cores(),
        "flip": float(wanted.flip), "rotation": wanted.rotation, "zoom": wanted.zoom,
        "brightness": wanted.brightness,
        "filters": reference.channels(), "dense_units": reference.dense_units,
        "dropout": settings.model.dropout, "l2": settings.model.l2,
        "rate": settings.training.learning_rate,
    }  # fmt: skip


def measure(asked: dict[str, Any], rounds: int, python: Path | None) -> list[dict[str, Any]]:
    """Return a row a competitor and source of one network and size: what each round took."""
    here = Path(__file__)
    commands = {name: [sys.executable, str(here), "--child"] for name in OWN}
    if python:
        rival = [str(python), str(here.with_name("train_torch.py"))]
        commands |= dict.fromkeys(TORCH, rival)
    with ExitStack() as stack:
        running = {}
        for name, command in commands.items():
            bfloat16 = name.endswith("bfloat16")
            running[name] = Competitor(command, asked | {"competitor": name, "bfloat16": bfloat16})
            stack.callback(running[name].close)
        rows = [
            {key: asked[key] for key in ("network", "size", "images")}
            | {"competitor": name, "source": source, "about": running[name].about}
            | {"seconds": [], "cpu_seconds": []}
            for source in SOURCES
            for name in running
        ]
        for number in range(rounds):
            for row in rows if number % 2 else rows[::-1]:
                found = running[row["competitor"]].epoch(row["source"])
                for key in ("seconds", "cpu_seconds"):
                    row[key].append(found[key])
    return rows


def ratios(row: dict[str, Any], other: dict[str, Any], key: str = "seconds") -> list[float]:
    """Return how many times as fast a row is as another, round by round."""
    return [theirs / ours for ours, theirs in zip(row[key], other[key], strict=True)]


def fastest(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the row with the lowest median time."""
    return min(rows, key=lambda row: statistics.median(row["seconds"]))


def show(rows: list[dict[str, Any]]) -> None:
    """Print images a second, and cnnlab's ratio to each, of one network, size and source."""
    own = rows[0]
    case = f"| {own['network']} | {own['size']} | {own['source']}"
    for row in rows:
        speeds = [row["images"] / each for each in row["seconds"]]
        cpu = 1000 * statistics.median(row["cpu_seconds"]) / row["images"]
        print(f"{case} | {row['competitor']} | {spread(speeds)} | {spread(ratios(own, row))} "
              f"| {cpu:.1f} | {spread(ratios(own, row, 'cpu_seconds'))} |")  # fmt: skip


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """Return a line an aim: cnnlab's faster precision beside the rival's faster one."""
    lines = []
    best = fastest([row for row in rows if row["competitor"].startswith("cnnlab")])
    for rival, aim in AIMS.items():
        if found := [row for row in rows if row["competitor"].startswith(rival)]:
            for ours, theirs in ((rows[0], found[0]), (best, fastest(found))):
                times = ratios(ours, theirs)
                met = "met" if statistics.median(times) >= aim else "NOT met"
                lines.append(
                    f"- {ours['network']}, {ours['size']} px, {ours['source']}: "
                    f"{ours['competitor']} is {spread(times)} times as fast as "
                    f"{theirs['competitor']}, aim {aim:g}: {met}"
                )
    return list(dict.fromkeys(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 224], choices=IMAGES)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--quick", action="store_true", help="64 pixels, 3 rounds")
    parser.add_argument("--torch", type=Path, default=DEFAULT_TORCH, help="its environment")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(json.loads(options.child))
        return
    if options.quick:
        options.sizes, options.rounds = [64], 3
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds} measures nothing: expected 1 or more")
    python, rows, lines = torch_python(options.torch), [], []
    print("\n| network | pixels | source | competitor | images a second | cnnlab is so many times "
          "as fast | CPU, ms an image | by CPU time |\n" + "|---" * 8 + "|")  # fmt: skip
    for network, size in product(options.networks, options.sizes):
        with tempfile.TemporaryDirectory() as folder:
            root = make_photos(Path(folder) / "photos", IMAGES[size], 0, JPEG)
            found = measure(request(network, size, root), options.rounds, python)
        for source in SOURCES:
            some = [row for row in found if row["source"] == source]
            show(some)
            lines += verdicts(some)
        rows += found
    print("\n" + "\n".join(lines))
    machine = provenance.machine()
    print(f"\n{machine['cores']} cores, {machine['processor']}, {machine['gpus'] or 'no GPU'}.")
    about = {"rounds": options.rounds, "machine": machine, "python": platform.python_version()}
    options.output.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
