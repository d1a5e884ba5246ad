import hashlib

import numpy as np
import pandas as pd
import pytest

from cnnlab import runs
from cnnlab.data import splits
from cnnlab.evaluation import scoring

CLASSES = ["<b>", "two"]


@pytest.fixture
def measured():
    """Make a run with answers: twenty test images, twenty in five folds, from masks of right ones.

    ``content`` names what the images show, so that two runs can hold the same ones under other
    paths.
    """

    def make(name, right, held_out, *, content="same", folder="x", overrides="folds=5"):
        run = runs.open_run(name, profile="smoke", overrides=overrides)
        tables = {"test": np.asarray(right, bool), "kfold": np.asarray(held_out, bool)}
        listed = []
        for kind, mask in tables.items():
            labels = np.arange(len(mask)) % 2
            winner = np.where(mask, labels, 1 - labels)
            probabilities = np.where(np.arange(2) == winner[:, None], 0.9, 0.1)
            shown = [f"{content}/{kind}/{number}" for number in range(len(mask))]
            rows = pd.DataFrame(
                {
                    "path": [f"{folder}/{kind}_{number:02d}.png" for number in range(len(mask))],
                    "label": np.array(CLASSES)[labels],
                    "sha256": [hashlib.sha256(text.encode()).hexdigest() for text in shown],
                }
            )
            rows["picture"] = rows["sha256"].str[:16]
            listed.append(rows)
            answers = scoring.predictions(rows, labels, probabilities, CLASSES)
            run.save_table(f"predictions/{kind}.csv", answers)
            if kind == "test":
                scores = scoring.evaluate(labels, probabilities, CLASSES, samples=20, seed=0)
                run.save_json("metrics/test.json", scores)
        rows = pd.concat(listed)
        run.save_table("manifest.csv", rows[["path", "sha256"]])
        splits.write(
            rows.assign(split="train", group="", reason="")[splits.COLUMNS], run.path("splits.csv")
        )
        folds = [
            {"fold": n + 1, "n_train": 16, "n_test": 4, "accuracy": float(part.mean())}
            for n, part in enumerate(np.split(tables["kfold"], 5))
        ]
        folds = [fold | {"macro_f1": fold["accuracy"]} for fold in folds]
        mean = {"mean": float(tables["kfold"].mean()), "deviation": 0.1}
        run.save_json(
            "metrics/kfold.json", {"k": 5, "folds": folds, "accuracy": mean, "macro_f1": mean}
        )
        return run

    return make
