import pandas as pd
import pytest

from cnnlab import runs

INTERVAL = {"estimate": 0.91234, "low": 0.85, "high": 0.95}
UNKNOWN = {"estimate": None, "low": None, "high": None}
SCORES = {
    "n": 40,
    "class_names": ["cup", "hat"],
    "interval": {"method": "BCa", "level": 0.95, "samples": 50, "seed": 0},
    "accuracy": INTERVAL,
    "macro_f1": INTERVAL,
    "macro_auc": UNKNOWN,
}
KFOLD = {"k": 5, "accuracy": {"mean": 0.88, "deviation": 0.02}}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    opened = runs.open_run("carded", profile="smoke")
    table = pd.DataFrame({"label": ["cup", "cup", "hat"], "split": ["train", "test", "train"]})
    opened.save_table("splits.csv", table)
    history = pd.DataFrame({"epoch": [1, 2, 3], "validation_loss": [0.9, 0.5, 0.7]})
    opened.save_table("training/history.csv", history)
    opened.record("dataset", {"name": "cups", "sha256": "f" * 64})
    return opened


def test_a_card_before_the_test_set_is_opened(run):
    card = runs.model_card(run, validation=SCORES)
    assert card.startswith("# Model card: carded\n")
    assert "2 classes: cup, hat" in card
    assert "| validation (chose the epoch) | 40 | 0.912 [0.850, 0.950] |" in card
    assert "test, opened once" not in card
    assert "cross-validation of the protocol" not in card
    assert "| – |" in card  # an undefined AUC
    assert "stopped after 3, weights of epoch 2" in card
    assert "f" * 64 in card


def test_a_card_with_every_result(run):
    card = runs.model_card(run, validation=SCORES, kfold=KFOLD, test=SCORES)
    assert "| test, opened once | 40 | 0.912 [0.850, 0.950] |" in card
    assert "5-fold cross-validation of the protocol: accuracy 0.880 ± 0.020" in card
    assert "| label | test | train |" in card
    assert "| cup | 1 | 1 |" in card
