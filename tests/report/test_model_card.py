from dataclasses import replace

import pandas as pd
import pytest

from cnnlab import report, runs
from cnnlab.data import splits
from cnnlab.evaluation import records, seeds
from cnnlab.evaluation.conformal import SetRule
from cnnlab.evaluation.intervals import Interval
from cnnlab.evaluation.ood_detection import NoveltyRule
from cnnlab.report import caveats
from cnnlab.statistics.paired_tests import FoldTest, ImageTest

KNOWN = ("accuracy", "macro_f1", "weighted_f1", "log_loss", "brier")  # the others are undefined
SCORES = records.Evaluation(
    n=40,
    class_names=("cup", "hat"),
    interval=records.IntervalBasis(0.95, 50),
    scores=dict.fromkeys(KNOWN, Interval(0.91234, 0.85, 0.95)),
)
VALIDATION = records.ValidationResult(
    SCORES,
    calibration=records.Calibration(1.25, SetRule(0.9, 0.125, 40), NoveltyRule(0.95, 0.375, 40)),
)
KFOLD = records.CrossValidation(
    k=5,
    folds=(),
    over_folds={"accuracy": records.Spread(0.88, 0.02)},
    comparison=records.Comparison(
        "a rival",
        FoldTest(5, 0.88, 0.5, 0.38, 0.3, 0.4, 9.0, 0.01),
        ImageTest(40, 9, 1, 0.02),
        "The network is better.",
    ),
)
TEST = records.TestResult(
    SCORES, records.SetsResult(0.9, 0.925, 1.5), records.NoveltyResult(0.0625, 0.5, 0.875, 0.4)
)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    opened = runs.open_run("carded", profile="smoke")
    table = pd.DataFrame({"label": ["cup", "cup", "hat"], "split": ["train", "test", "train"]})
    table = table.assign(path=["a", "b", "c"], picture=["1", "2", "3"], group="", reason="")
    splits.write(table[splits.COLUMNS], opened.path("splits.csv"))
    history = pd.DataFrame({"epoch": [1, 2, 3], "validation_loss": [0.9, 0.5, 0.7]})
    opened.save_table("training/history.csv", history)
    opened.record("dataset", {"name": "cups", "sha256": "f" * 64})
    return opened


def test_a_card_before_the_test_set_is_opened(run):
    card = report.model_card(run, validation=VALIDATION)
    assert card.startswith("# Model card: carded\n")
    assert "2 classes: cup, hat" in card
    assert "| figure | validation (chose the epoch), n = 40 |" in card
    assert "| accuracy | 0.912 [0.850, 0.950] |" in card
    assert "test" not in card.partition("## Results")[2].partition("## Calibration")[0]
    assert "cross-validation of the protocol" not in card
    assert "| macro AUC | – |" in card  # undefined
    assert "T = 1.250" in card
    assert "No groups were declared: two pictures count as independent." in card
    assert "at least 0.125, to contain the true one in about 90% of all cases or more.\n" in card
    assert "no class reaches 0.375: of known classes, 5%." in card
    assert "stopped after 3, weights of epoch 2" in card
    assert "f" * 64 in card


def test_a_card_of_several_seeds_gives_the_single_runs(run):
    scored = {
        seed: replace(SCORES, scores=SCORES.scores | {"accuracy": Interval(value, 0, 1)})
        for seed, value in {0: 0.8, 5: 0.9}.items()
    }
    found = seeds.summary({0: "m", 5: "n"}, scored, scored)
    card = report.model_card(run, validation=VALIDATION, kfold=KFOLD, test=TEST, seeds=found)
    assert "2 trainings on the same split, which differ in the seed alone: test accuracy " in card
    assert "accuracy 0.850 ± 0.071 (0.800, 0.900); macro F1 0.912 ± 0.000 (0.912, 0.912)." in card
    assert "in brackets seeds 0, 5." in card
    assert caveats.trainings(found, folds=True) in card
    assert caveats.ONE_TRAINING not in card
    assert "A small deviation here is no promise" not in card
    run.settings = run.settings.replace(stages="probe", weights="pretrained")
    card = report.model_card(run, validation=VALIDATION, kfold=KFOLD, test=TEST, seeds=found)
    assert "A small deviation here is no promise" in card
    alone = seeds.summary({0: "m"}, scored, scored)
    card = report.model_card(run, validation=VALIDATION, kfold=KFOLD, test=TEST, seeds=alone)
    assert caveats.ONE_TRAINING in card
    assert "differ in the seed" not in card


def test_the_best_epoch_is_one_of_the_last_stage(run):
    staged = run.load_table("training/history.csv").assign(stage=[1, 1, 2])
    run.save_table("training/history.csv", staged)
    run.settings = run.settings.replace(stages="head:2,all", epochs=3, fold_epochs=3)
    card = report.model_card(run, validation=VALIDATION)
    assert "stopped after 3, weights of epoch 3" in card
    assert "Adam 0.001, batch 32, at most 3 epochs, patience 1, stages head:2,all: stopped" in card


ORIGIN = {
    "architecture": "lite",
    "data": "ImageNet-1k, 1,000 classes",
    "licence": "Apache-2.0",
    "source": "a package, published by someone",
    "file": "lite.pth",
    "sha256": "abc0" * 16,
}


def test_a_card_names_the_weights_that_others_trained(run):
    run.record("weights", ORIGIN)
    run.settings = run.settings.replace(stages="probe")
    card = report.model_card(run, validation=VALIDATION, test=TEST)
    told = card.partition("## Pretrained weights")[2].partition("## Protocol")[0]
    assert all(value in told for value in ORIGIN.values())
    assert "The head learned. What did not learn here is as it was published." in told
    assert "may be among those that the weights were trained on" in told
    assert "The head was fitted once to features of the frozen network: a multinomial" in card
    assert not any(word in card for word in ("epoch", "dropout", "Augmentation"))
    assert "| figure | test, n = 40 | validation, n = 40 |" in card


def test_a_card_of_a_file_that_nobody_described_says_so(run):
    run.record("weights", ORIGIN | dict.fromkeys(("data", "licence", "source"), "unknown"))
    card = report.model_card(run, validation=VALIDATION)
    assert "data that nobody named" in card
    assert "Licence not known: ask before you pass them on." in card
    assert "All layers learned." in card


def test_a_card_of_random_weights_has_no_such_section(run):
    run.record("weights", None)
    card = report.model_card(run, validation=VALIDATION)
    assert "Pretrained" not in card
    assert "which also chose the epoch" in card


def test_a_card_says_that_the_probe_was_kept(run):
    losses = {"epoch": [1, 2, 3], "stage": [1, 2, 2], "validation_loss": [0.4, 0.5, 0.6]}
    run.save_table("training/history.csv", pd.DataFrame(losses))
    run.settings = run.settings.replace(stages="probe,all:x0.1", epochs=3, fold_epochs=3)
    card = report.model_card(run, validation=VALIDATION)
    assert "stopped after 3, weights of epoch 1, which is the probe." in card
    better = losses | {"validation_loss": [0.4, 0.5, 0.3]}
    run.save_table("training/history.csv", pd.DataFrame(better))
    card = report.model_card(run, validation=VALIDATION)
    assert "weights of epoch 3. Augmentation" in card


@pytest.mark.parametrize(
    ("changes", "says", "says_not"),
    [
        ({}, "whose L2 penalty was chosen by cross-validation", "Augmentation"),
        ({"feature_views": 2}, "of each image and 2 views: a multinomial", "Augmentation:"),
        ({"feature_views": 2, "zoom": 0.3}, "Augmentation of the views: horizontal flip", "epoch"),
        (
            {"hidden_units": 8, "dropout": 0.1},
            "fell no more; dropout 0.1. Seed 0.",
            "stopped after",
        ),
        ({"hidden_units": 8}, "RGB, with a hidden layer of 8 units.", "Augmentation"),
        ({"fit": "pad"}, "RGB (padded to a square, on white). ", "stretch"),
        ({"background": "black"}, "RGB (stretched to a square, on black). ", "pad"),
        ({}, "RGB. ", "square"),
    ],
)
def test_a_card_of_a_probe_says_what_its_head_learned_from(run, changes, says, says_not):
    run.settings = run.settings.replace(architecture="resnet", stages="probe", **changes)
    card = report.model_card(run, validation=VALIDATION)
    protocol = card.partition("## Protocol")[2].partition("##")[0]
    assert says in protocol
    assert says_not not in protocol


def test_a_card_with_every_result(run):
    card = report.model_card(run, validation=VALIDATION, kfold=KFOLD, test=TEST)
    assert "| figure | test, n = 40 | validation (chose the epoch), n = 40 |" in card
    assert "| accuracy | 0.912 [0.850, 0.950] | 0.912 [0.850, 0.950] |" in card
    assert "5-fold cross-validation of the protocol: accuracy 0.880 ± 0.020" in card
    assert caveats.trainings(None, folds=True) in card
    assert "The network is better." in card
    assert "Test: 92.5%, 1.50 classes a set." in card
    assert "Test: 6.2%; of generated shapes that no class has, 50.0% (AUROC 0.88)." in card
    assert "| label | test | train |" in card
    assert "| cup | 1 | 1 |" in card


def test_a_card_names_every_op_of_the_augmentation(run):
    card = report.model_card(run, validation=VALIDATION)
    usual = "horizontal flip, rotation ±20°, zoom ±20%, brightness ±20%"
    assert f"Augmentation: {usual}. Seed 0." in card
    more = run.settings.replace(more_augmentation="erasing=0.25", flip=False)
    card = report.model_card(runs.Run(run.folder, more), validation=VALIDATION)
    assert "flip off, rotation ±20°, zoom ±20%, brightness ±20%, erasing 25% of images." in card
