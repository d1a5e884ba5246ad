"""Further seeds: trained once, kept, used again; a tested one for good."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from cnnlab import experiment, training
from cnnlab.config import InputError
from cnnlab.experiment import seeds

pytestmark = pytest.mark.slow  # the fixtures train


@pytest.fixture
def trained(classifier, saved, monkeypatch):
    """The seeds that were trained, by a stand-in that gives the same model to each."""
    found = []

    def fit(dataset, settings, *, seed, folder, report):
        found.append(seed)
        if seed == 13:
            raise ValueError("no luck.")
        report({"epoch": 1, "epochs": 2, "last": False})
        return classifier

    monkeypatch.setattr(seeds, "fit_classifier", fit)

    def save(self, folder, **_):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(saved, folder)

    monkeypatch.setattr(experiment.Classifier, "save", save)
    return found


def fitted(dataset, settings, folder, more, **options):
    settings = settings.replace(more_seeds=more)
    return experiment.fit_seeds(dataset, settings, folder=folder, run_id="demo", **options)


def test_one_seed_trains_nothing_and_makes_nothing(dataset, settings, tmp_path, trained):
    assert fitted(dataset, settings, tmp_path / "seeds", "") == {}
    assert fitted(dataset, settings, tmp_path / "seeds", "0") == {}  # the run's own
    assert (trained, list(tmp_path.iterdir())) == ([], [])


def test_what_is_finished_is_not_trained_again(dataset, settings, tmp_path, trained, capsys):
    told = []
    report = lambda *row: told.append((row[0], row[1]["epoch"]))  # noqa: E731
    first = fitted(dataset, settings, tmp_path, "3,1", report=report)
    assert (trained, list(first)) == ([3, 1], [3, 1])
    assert told == [(1, 1), (2, 1)]  # by their number, whatever the seeds
    assert "earlier" not in capsys.readouterr().out
    again = fitted(dataset, settings, tmp_path, "3,1,2")
    assert (trained, list(again)) == ([3, 1, 2], [3, 1, 2])
    lines = capsys.readouterr().out.splitlines()
    assert [line[:6] for line in lines if line.endswith("/")] == ["seed 3", "seed 1"]
    assert list(again[3].history.history["loss"]) == list(first[3].history.history["loss"])
    assert again[3].history.best_epoch == first[3].history.best_epoch
    assert again[3].validation.result == first[3].validation.result
    fitted(dataset, settings.replace(bootstrap_samples=30, folds=3), tmp_path, "3")
    assert trained == [3, 1, 2]


@pytest.mark.parametrize("change", ["setting", "epochs", "pixel", "label", "model", "record"])
def test_what_decides_a_training_makes_what_is_kept_of_no_use(
    dataset, settings, tmp_path, trained, change
):
    fitted(dataset, settings, tmp_path, "1")
    pixels, table, other = np.array(dataset.pixels), dataset.table.copy(), settings
    match change:
        case "setting":
            other = settings.replace(dropout=0.25)
        case "epochs":
            other = settings.replace(epochs=1)
        case "pixel":
            pixels[0, 0, 0, 0] ^= 1
        case "label":
            table.loc[0, "label"] = "dark"
        case "model":
            (tmp_path / "seed-1" / "model" / "card.md").write_text("edited")
        case "record":
            (tmp_path / "seed-1" / "training.json").write_text("{")
    fitted(replace(dataset, pixels=pixels, table=table), other, tmp_path, "1")
    assert trained == [1, 1]


def test_a_tested_model_stays_whatever_code_made_it(dataset, settings, tmp_path, trained):
    found = fitted(dataset, settings, tmp_path, "1")
    path = tmp_path / "seed-1" / "training.json"
    record = json.loads(path.read_text()) | {"fingerprint": "of other code"}
    path.write_text(json.dumps(record))
    fitted(dataset, settings, tmp_path, "1", tested={found[1].model_id})
    assert trained == [1]
    fitted(dataset, settings, tmp_path, "1", tested={"another"})
    assert trained == [1, 1]


def test_a_seed_that_fails_is_named_and_what_is_done_is_kept(dataset, settings, tmp_path, trained):
    with pytest.raises(training.TrainingFailed, match=r"^Seed 13 failed \(ValueError: no luck\)"):
        fitted(dataset, settings, tmp_path, "1,13,2")
    assert trained == [1, 13]
    assert (tmp_path / "seed-1" / "training.json").is_file()
    with pytest.raises(InputError, match="jobs=-1"):
        fitted(dataset, settings, tmp_path, "1", jobs=-1)


def test_seeds_side_by_side_give_the_bits_of_one_alone(dataset, settings, tmp_path, capfd):
    found = fitted(dataset, settings, tmp_path, "1,2", jobs=2)
    captured = capfd.readouterr()
    assert sorted(line[:6] for line in captured.out.splitlines()) == ["seed 1", "seed 2"]
    assert captured.err == ""
    alone = experiment.fit_classifier(dataset, settings, seed=2)
    assert found[2].model_id == alone.model_id != found[1].model_id
    assert found[2].validation.result == alone.validation.result
    kept = sorted(path.name for path in (tmp_path / "seed-2").iterdir())
    assert kept == ["model", "training.json"]  # the checkpoints are gone


def test_an_interrupted_seed_resumes_and_ends_with_the_same_bits(
    dataset, settings, tmp_path, capsys
):
    def stop(number, row):
        raise RuntimeError("power cut")

    with pytest.raises(training.TrainingFailed, match="Seed 1 failed"):
        fitted(dataset, settings, tmp_path, "1", report=stop)
    assert not (tmp_path / "seed-1" / "training.json").exists()
    found = fitted(dataset, settings, tmp_path, "1")
    assert "Epochs 1 to 1 come from checkpoints/" in capsys.readouterr().out
    assert found[1].model_id == experiment.fit_classifier(dataset, settings, seed=1).model_id
