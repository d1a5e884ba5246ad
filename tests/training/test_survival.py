"""Killed at any moment and started again, a training ends with the weights it would have had."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cnnlab.training import checkpoint

EPOCHS = 16
# The reference protocol, a recipe of two stages with everything that has a state, and one that
# begins with a head fitted to features.
PLAIN = ""
STAGED = (
    "stages=head:{head},all:x0.5 ema_decay=0.9 schedule=cosine warmup_epochs=1 optimizer=adamw "
    "weight_decay=0.01 label_smoothing=0.1 mixing=mixup class_weight=balanced "
    "clip_norm=1 accumulate=2"
)
PROBED = (
    "architecture=resnet network_options=width=4,blocks=1-1 learning_rate=0.01 depth_factor=0.5 "
    "stages=probe,last1:{head}:x0.5,all:x0.1 optimizer=adamw weight_decay=0.01"
)

# One process of a training: a network on noise, with shuffle, dropout and augmentation. It says
# when an epoch is safe and when it is in the middle of writing a checkpoint.
CHILD = """
import hashlib, json, os, pathlib, sys, time
import numpy as np, pandas as pd
from cnnlab import training
from cnnlab.config import make_settings
from cnnlab.data.batches import Dataset, evaluation_batches

folder, epochs = pathlib.Path(sys.argv[1]), int(sys.argv[2])
os.environ["CNNLAB_HOME"] = str(folder / "home")  # of the features
rng = np.random.default_rng(0)
labels = np.arange(36) % 3
pixels = rng.integers(0, 120, (36, 16, 16, 3)) + 60 * labels[:, None, None, None]
names = np.array(list("abc"))
table = pd.DataFrame({"path": [f"{i}.png" for i in range(36)], "label": names[labels]})
table = table.assign(split="train", picture=table["path"], group="", reason="")
dataset = Dataset(pixels.astype(np.uint8), table, list(names))
settings = make_settings("smoke", [
    "image_size=16", "batch_size=8", f"epochs={epochs}", "patience=1000", "seed=3",
    f"fold_epochs={epochs}", *sys.argv[3].split(),
])
real = np.savez

def slow_savez(path, **arrays):
    middle = len(arrays) // 2
    real(path, **dict(list(arrays.items())[:middle]))
    print("writing", flush=True)
    time.sleep(0.02)
    real(path, **arrays)

np.savez = slow_savez
model = training.new_model(dataset, settings)
fitted = training.train(
    model, dataset, np.arange(24), np.arange(24, 36), settings, folder=folder,
    report=lambda row: print("epoch", row["epoch"], flush=True),
)
probabilities = training.predict(model, evaluation_batches(dataset, np.arange(36), batch_size=8))
print("result", json.dumps({
    "weights": training.weights_digest(model),
    "predictions": hashlib.sha256(probabilities.tobytes()).hexdigest(),
    "history": fitted.history.drop(columns="seconds").to_dict("records"),
    "best_epoch": fitted.best_epoch,
}), flush=True)
"""


def start(folder: Path, epochs: int, recipe: str) -> subprocess.Popen:
    overrides = recipe.format(head=epochs // 5)
    command = [sys.executable, "-c", CHILD, str(folder), str(epochs), overrides]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def run_to_the_end(folder: Path, epochs: int, recipe: str) -> dict[str, Any]:
    with start(folder, epochs, recipe) as process:
        *_, last = process.stdout
    assert process.returncode == 0
    return json.loads(last.removeprefix("result "))


def kill(folder: Path, epochs: int, recipe: str, dice: random.Random) -> str:
    """Start the training, end it with SIGKILL at a random moment; return what it said last."""
    word, count = dice.choice([("epoch", 1), ("epoch", 2), ("writing", 1), ("writing", 2)])
    said = ""
    with start(folder, epochs, recipe) as process:
        for line in process.stdout:
            said = line
            count -= line.startswith(word)
            if not count:
                break
        # After "writing" most of these fall into the writing, the flush or the move.
        time.sleep(dice.uniform(0, 0.03 if word == "writing" else 0.3))
        process.kill()
    assert process.returncode == -9, said
    return said


RECIPES = {"plain": PLAIN, "staged": STAGED, "probed": PROBED}
STAGES = {PLAIN: [16], STAGED: [3, 13], PROBED: [1, 3, 12]}  # epochs of each


@pytest.fixture(scope="module", params=RECIPES.values(), ids=RECIPES)
def uninterrupted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, Any]]:
    """A recipe and what it ends with."""
    found = run_to_the_end(tmp_path_factory.mktemp("whole"), EPOCHS, request.param)
    stages = [row["stage"] for row in found["history"]]
    assert [stages.count(number) for number in sorted(set(stages))] == STAGES[request.param]
    return request.param, found


def check_kills(
    folder: Path, epochs: int, kills: int, recipe: str, expected: dict[str, Any]
) -> None:
    dice = random.Random(kills)
    last_said = [kill(folder, epochs, recipe, dice) for _ in range(kills)]
    assert any(each.startswith("writing") for each in last_said)
    assert run_to_the_end(folder, epochs, recipe) == expected
    assert sorted(each.name for each in folder.iterdir() if each.is_file()) == list(
        checkpoint.SLOTS
    )


@pytest.mark.slow
def test_three_kills_change_nothing(
    tmp_path: Path, uninterrupted: tuple[str, dict[str, Any]]
) -> None:
    check_kills(tmp_path, EPOCHS, 3, *uninterrupted)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_twenty_kills_change_nothing(tmp_path: Path, recipe: str) -> None:
    expected = run_to_the_end(tmp_path / "whole", 100, recipe)
    check_kills(tmp_path / "killed", 100, 20, recipe, expected)
