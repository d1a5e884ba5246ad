import os
import shutil
import threading
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from cnnlab import hashing, locks
from cnnlab.augment.mixing import MIXERS
from cnnlab.config import InputError, make_settings
from cnnlab.config.training import TrainingSettings
from cnnlab.data.batches import Dataset
from cnnlab.engine import make_deterministic
from cnnlab.models import efficientnet_lite0_file
from cnnlab.training import subsets, trainer, weights_digest

SETTINGS = make_settings("smoke", ["image_size=16", "fold_epochs=1", "epochs=1", "batch_size=8"])


def hand_made() -> Dataset:
    """Two classes of twelve pictures, dark and bright."""
    labels = np.repeat(["bright", "dark"], 12)
    level = np.where(labels == "bright", 200, 40).astype(np.uint8)
    pixels = np.broadcast_to(level[:, None, None, None], (24, 16, 16, 3)).copy()
    table = pd.DataFrame({"path": [f"{i}.png" for i in range(24)], "label": labels})
    table = table.assign(split="train", picture=[f"g{i}" for i in range(24)], group="")
    return Dataset(pixels, table, ["bright", "dark"])


def test_a_model_follows_settings_and_seed():
    dataset = hand_made()
    first, same = (trainer.new_model(dataset, SETTINGS) for _ in range(2))
    other = trainer.new_model(dataset, SETTINGS, seed=1)
    assert first.input_shape == (None, 16, 16, 3)
    assert first.output_shape == (None, 2)
    kernels = [model.get_layer("conv1").kernel.numpy() for model in (first, same, other)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])


ROWS = np.arange(24)
BRIGHT, DARK = ROWS[:12], ROWS[12:]


@pytest.fixture
def asked(monkeypatch):
    """What ``train`` asks ``fit`` for; nothing is trained."""
    found = []
    monkeypatch.setattr(trainer, "fit", lambda *_, **options: found.append(options))
    return found


def train(train, *changes, dataset=None, **options):
    dataset, settings = dataset or hand_made(), make_settings("smoke", ["image_size=16", *changes])
    trainer.train(None, dataset, train, np.array([0, 23]), settings, **options)


@pytest.mark.slow
def test_classes_are_weighted_if_the_settings_say_so(asked):
    unequal = np.append(BRIGHT, DARK[:3])
    train(unequal)
    train(unequal, "class_weight=balanced")
    assert asked[0]["class_weights"] is None
    np.testing.assert_allclose(asked[1]["class_weights"], [15 / 24, 15 / 6])


def test_very_unequal_classes_are_pointed_out_once(asked, capsys):
    train(np.append(np.repeat(BRIGHT, 5), DARK[:6]))  # 60 to 6: no more than 10 to 1
    assert capsys.readouterr().out == ""
    train(np.append(BRIGHT, DARK[:1]))
    (line,) = capsys.readouterr().out.splitlines()
    assert "12 times" in line
    assert "class_weight=balanced" in line
    train(np.append(BRIGHT, DARK[:1]), "class_weight=balanced")
    (line,) = capsys.readouterr().out.splitlines()
    assert "is weighted for it" in line


def test_a_checkpoint_belongs_to_settings_rows_labels_and_pixels(asked, tmp_path):
    dataset, brighter = hand_made(), hand_made()
    brighter.pixels[3, 0, 0, 0] += 1
    relabelled = dataset.table.assign(label=["dark", *dataset.table["label"][1:]])
    train(ROWS)
    assert asked.pop()["identity"] is None
    train(ROWS, folder=tmp_path)
    train(ROWS, folder=tmp_path)
    train(ROWS[::-1], folder=tmp_path)
    train(ROWS, "rotation=5", folder=tmp_path)
    train(ROWS, "l2=0.01", folder=tmp_path)
    train(ROWS, dataset=brighter, folder=tmp_path)
    train(ROWS, dataset=replace(dataset, table=relabelled), folder=tmp_path)
    first, again, *others = [str(options["identity"]) for options in asked]
    assert first == again
    assert len({first, *others}) == 6


def test_a_second_training_in_a_folder_is_refused_and_leaves_the_first_alone(
    asked, tmp_path, monkeypatch
):
    monkeypatch.setattr(trainer.locks, "alone", partial(locks.alone, patience=0))
    with locks.alone(tmp_path, "A network is trained"):
        with pytest.raises(InputError, match=r"is trained in .* by another process"):
            train(ROWS, folder=tmp_path)
        assert not asked
        train(ROWS, folder=tmp_path / "elsewhere")
        train(ROWS)
    train(ROWS, folder=tmp_path)


def test_a_checkpoint_stays_of_use_when_evaluation_and_report_change(asked, tmp_path):
    dataset = hand_made()
    train(ROWS, folder=tmp_path)
    for later in ("figure_dpi=90", "bootstrap_samples=99", "strangers=20", "source=elsewhere"):
        train(ROWS, later, folder=tmp_path, dataset=dataset)
    quick = replace(make_settings("smoke", ["image_size=16"]), profile="quick")
    trainer.train(None, dataset, ROWS, np.array([0, 23]), quick, folder=tmp_path)
    assert len(asked) == 6
    assert all(options["identity"] == asked[0]["identity"] for options in asked)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core does one thing at a time")
def test_what_is_in_the_file_of_weights_decides_and_not_where_it_lies(tmp_path):
    published = efficientnet_lite0_file.find()
    copied = tmp_path / "copy.pth"
    shutil.copyfile(published, copied)
    settings = make_settings("smoke", architecture="efficientnet_lite0")

    def deciding(weights: str):
        return trainer.deciding(settings.replace(weights=str(weights)))

    first = deciding("pretrained")
    assert first["model"]["weights"] == hashing.file_digest(published)
    assert deciding(published) == deciding(copied) == first
    assert deciding("random")["model"]["weights"] == "random"
    copied.write_bytes(b"other")
    assert deciding(copied) != first


def test_a_deterministic_engine_still_reads_in_parallel():
    class Watched(np.ndarray):
        lock, now, most = threading.Lock(), 0, 0

        def __getitem__(self, rows):
            with self.lock:
                Watched.now += 1
                Watched.most = max(Watched.most, Watched.now)
            time.sleep(0.02)
            with self.lock:
                Watched.now -= 1
            return np.asarray(self)[rows]

    make_deterministic()
    dataset = hand_made()
    dataset = replace(dataset, pixels=dataset.pixels.view(Watched))
    epoch = trainer.epoch_batches(dataset, ROWS, SETTINGS.replace(batch_size=1))
    assert len(list(epoch(1))) == len(ROWS)
    assert Watched.most > 1


def test_the_batches_of_an_epoch_are_the_rows_augmented_anew_each_epoch():
    dataset, settings = hand_made(), make_settings("smoke", ["image_size=16", "batch_size=8"])
    epoch = trainer.epoch_batches(dataset, BRIGHT, settings)
    first, again, second = ([images.numpy() for images, _ in epoch(e)] for e in (1, 1, 2))
    assert sum(map(len, first)) == 12
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(again))
    assert not np.array_equal(np.concatenate(first), np.concatenate(second))
    assert all((one_hot.numpy() == [1, 0]).all() for _, one_hot in epoch(1))


@pytest.mark.slow
def test_batches_have_each_stage_s_size_and_mixing():
    """Two epochs at 32 pixels of 64, unmixed pixels apart from the reduction; then mixed."""
    dataset = hand_made()
    pixels = np.repeat(np.repeat(dataset.pixels, 2, axis=1), 2, axis=2)  # 2 × 2 equal ones
    dataset = replace(dataset, pixels=pixels)
    settings = make_settings("smoke", [
        "image_size=32", "batch_size=24", "epochs=3", "fold_epochs=3", "stages=all:2:16px,all",
        "rotation=0", "zoom=0", "brightness=0", "flip=false",
    ])  # fmt: skip
    epoch = trainer.epoch_batches(dataset, ROWS, settings)
    ((images, targets),) = epoch(2)
    assert images.shape == (24, 16, 16, 3)
    assert set(np.unique(images[targets.numpy()[:, 0] == 1])) == {200}
    assert next(iter(epoch(3)))[0].shape == (24, 32, 32, 3)
    mixed = trainer.epoch_batches(dataset, ROWS, settings.replace(mixing="mixup"))
    ((images, targets),) = mixed(1)
    shares = targets.numpy()
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-6)
    assert ((shares > 0) & (shares < 1)).any()  # bright ones are 200 and dark ones 40
    np.testing.assert_allclose(
        images[:, 0, 0, 0], 200 * shares[:, 0] + 40 * shares[:, 1], rtol=1e-3
    )


def test_the_range_test_is_of_the_last_stage(monkeypatch):
    found = {}

    def find_rate(model, batches, **options):
        found.update(options, of=batches)
        return trainer.RateTest(pd.DataFrame({"rate": [1e-6, 1e-5], "loss": [2.0, 1.0]}), 1e-5)

    monkeypatch.setattr(trainer, "find_rate", find_rate)
    settings = SETTINGS.replace(
        epochs=9, fold_epochs=9, stages="head:2:x9,all:x0.5", optimizer="sgd", batch_size=24
    )
    result = trainer.range_test(None, hand_made(), ROWS, settings)
    # With learning_rate=2e-5 this stage trains at 1e-5: what is suggested is the setting.
    assert result.suggested == pytest.approx(2e-5)
    assert result.table["rate"].tolist() == pytest.approx([2e-6, 2e-5])
    assert found["seed"] == settings.seed
    assert found["stage"] == trainer.from_settings(settings).stages[1]
    ((images, _),) = found["of"](1)
    assert images.shape == (24, 16, 16, 3)


def test_the_range_test_behind_a_probe_begins_with_its_head(monkeypatch):
    """The fitted head tells dark from bright; a random one does not. The model stays as it was."""
    seen = []

    def find_rate(model, batches, **options):
        images, labels = next(iter(batches(1)))
        seen.append(float(np.mean(np.sum(np.asarray(model(images)) * labels, axis=1))))
        return trainer.RateTest(pd.DataFrame({"rate": [1e-6], "loss": [2.0]}), 1e-5)

    monkeypatch.setattr(trainer, "find_rate", find_rate)
    settings = SETTINGS.replace(
        architecture="resnet", network_options="width=4,blocks=1", epochs=2, fold_epochs=2
    )
    model = trainer.new_model(hand_made(), settings)
    before = weights_digest(model)
    for stages in ("all", "probe,all"):
        trainer.range_test(model, hand_made(), ROWS, settings.replace(stages=stages))
    assert seen[0] < 0.7 < 0.9 < seen[1]
    assert weights_digest(model) == before
    monkeypatch.undo()
    with pytest.raises(InputError, match="A probe has no learning rate to test"):
        trainer.range_test(model, hand_made(), ROWS, settings.replace(stages="probe"))


def test_the_settings_offer_every_mixer():
    choices = TrainingSettings.__dataclass_fields__["mixing"].metadata["choices"]
    assert choices == ("none", *MIXERS)


def test_a_part_of_the_images_is_trained_on_and_judged_by_validation(monkeypatch):
    trained = []
    monkeypatch.setattr(
        subsets, "train", lambda *given, **options: trained.append((given, options))
    )
    dataset, held = hand_made(), np.array([0, 1, 23])
    pool = np.arange(2, 23)
    scored = {}

    def score(labels, probabilities):
        scored.update(labels=labels.tolist(), shape=probabilities.shape)
        return {"accuracy": 0.5}

    run = subsets.subset_runner(dataset, pool, held, SETTINGS, score)
    assert run(np.array([0, 20]), 7) == {"accuracy": 0.5}
    (((_, _, rows, validation, _), options),) = trained
    assert (rows.tolist(), validation.tolist(), options["seed"]) == ([2, 22], [0, 1, 23], 7)
    assert scored == {"labels": [0, 0, 1], "shape": (3, 2)}
