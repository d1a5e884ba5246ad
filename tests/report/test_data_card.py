import re

import pandas as pd
import pytest

from cnnlab import report, runs
from cnnlab.data import manifest, splits
from cnnlab.data.audit import audit
from cnnlab.report.data_card import DECISIONS


def row(path, **values):
    split, label, _ = path.split("/")
    known = {
        "path": path,
        "split": split,
        "label": label,
        "group": "",
        "sha256": path,
        "bytes": 10,
        "format": "jpeg",
        "width": 40,
        "height": 32,
        "orientation": 1,
        "phash": "",
        "status": "accepted",
        "reason": "",
        "mode": "rgb",
        "brightness": 120.0,
        "contrast": 50.0,
        "sharpness": 0.25,
    }
    return known | values


def dataset(*more):
    """Twenty cats and two dogs to train on, two and one to test with, and ``more``."""
    rows = [row(f"train/cat/{i:02}.jpg") for i in range(20)]
    rows += [row(f"train/dog/{i}.jpg") for i in range(2)]
    rows += [row("test/cat/0.jpg"), row("test/cat/1.jpg"), row("test/dog/0.jpg"), *more]
    files = pd.DataFrame(rows, columns=manifest.COLUMNS)
    accepted = files[files["status"] == "accepted"]
    pictures = pd.Series(accepted["sha256"].to_numpy(), index=accepted["path"].to_numpy())
    return files, pictures


@pytest.fixture
def run():
    opened = runs.open_run("carded", profile="smoke", overrides="seed=7 validation_fraction=0.25")
    opened.record("dataset", {"name": "photos", "sha256": "0" * 64})
    return opened


def card(run, *more):
    files, pictures = dataset(*more)
    findings = audit.findings(files, pictures)
    table = splits.assign(files, pictures, run.settings)
    return report.dataset_card(run, files, findings, table), files


def test_a_clean_dataset(run):
    text, files = card(run)
    assert text.startswith("# Dataset card: photos\n")
    assert "25 files found = 25 accepted + 0 quarantined + 0 skipped." in text
    assert manifest.digest(files) in text
    train, validation = map(int, re.search(r"\| cat \| (\d+) \| (\d+) \| 2 \| 0 \|", text).groups())
    assert train + validation == 20
    assert "| dog | 1 | 1 | 1 | 0 |" in text
    assert f"| **all** | {train + 1} | {validation + 1} | 3 | 0 |" in text
    assert "= 7.3 : 1" in text
    assert "Warning" not in text
    assert "| width | 40 | 40 | 40 |" in text
    assert "25 jpeg rgb." in text
    assert "| 32 × 32 | 80% | 80% | 0% |" in text  # of 40 × 32, at the size of the run
    assert "| pad | share of the square that is background | 20% | 20% |" in text
    assert "Nothing: every file is an image" in text
    assert "Validation is about 25% of every class, drawn with seed 7." in text
    assert "Excluded images: none." in text


def test_fit_and_background_are_named_where_they_were_chosen(run):
    assert "The network sees 32 × 32 pixels." in card(run)[0]
    run.settings = run.settings.replace(fit="crop", background="grey")
    text, _ = card(run)
    assert "32 × 32 pixels, cropped to the square in the middle, on grey." in text
    assert "| crop | as here: share of the picture that is cut off | 20% | 20% |" in text
    assert "fit=crop cuts 20% off the median image" in text


def test_declared_groups_are_counted_a_side(run):
    files, pictures = dataset()
    plain = splits.assign(files, pictures, run.settings)
    assert "No groups were declared" in report.dataset_card(
        run, files, audit.findings(files, pictures), plain
    )
    files.loc[files["split"] == "train", "group"] = [f"p{i // 2}" for i in range(20)] + ["q", ""]
    table = splits.assign(files, pictures, run.settings)
    text = report.dataset_card(run, files, audit.findings(files, pictures), table)
    assert "No groups" not in text
    assert "11 groups were declared:" in text
    drawn = table[table["split"] == "train"]
    counts = [len(drawn), drawn.loc[drawn["group"] != "", "group"].nunique()]
    assert f"| train | {counts[0]} | {counts[1]} | {(drawn['group'] == '').sum()} |" in text
    assert "| test | 3 | 0 | 3 |" in text


def test_what_was_found_and_decided(run):
    text, _ = card(
        run,
        row("train/cat/bad.jpg", status="quarantined", reason="corrupt"),
        row("train/cat/notes.txt", status="skipped", reason="not_an_image"),
        row("train/cat/leak.jpg", sha256="test/cat/0.jpg"),
        row("train/cat/twin|\n<b>.jpg", sha256="train/cat/03.jpg"),
        row("train/cat/dark.jpg", brightness=2.0),
        row("train/cat/grey.jpg", mode="grey"),
    )
    assert "31 files found = 29 accepted + 1 quarantined + 1 skipped." in text
    assert "| quarantined | 1 | 1 corrupt | train/cat/bad.jpg | Left out: " in text
    assert "| skipped | 1 | 1 not_an_image | train/cat/notes.txt | " in text
    assert "| exact_leak | 1 |  | train/cat/leak.jpg | The copy outside the test set" in text
    assert "| exact_duplicate | 1 |  | train/cat/twin&#124;&#92;n&lt;b&gt;.jpg | " in text
    assert "| outlier | 1 | 1 dark | train/cat/dark.jpg | Used, and worth a look" in text
    assert "| unusual | 1 | 1 grey | train/cat/grey.jpg | Used: " in text
    assert "Excluded images: 1 copy_of_test, 1 duplicate." in text
    assert "near_" not in text


def test_every_kind_of_finding_has_its_decision():
    assert set(DECISIONS) == set(audit.KINDS)


def test_an_imbalance_is_a_warning(run):
    text, _ = card(run, *(row(f"train/cat/more{i}.jpg") for i in range(20)))
    assert "**Warning:** class 'cat' has 42 images, 'dog' only 3" in text
