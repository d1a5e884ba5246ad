"""What the doctor says of sound and of broken trainings, and that it changes nothing."""

import math
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from small_pictures import network, pictures

from cnnlab import experiment, training
from cnnlab.config import InputError, make_settings
from cnnlab.engine import keras
from cnnlab.experiment import doctor
from cnnlab.experiment.doctor import costs, first_step
from cnnlab.experiment.doctor.memory_test import few
from cnnlab.training.lr_range_test import RateTest

SETTINGS = make_settings(
    "smoke",
    ["image_size=16", "batch_size=8", "architecture=resnet", "network_options=width=4,blocks=1-1"],
)
DATA = pictures()
ROWS = DATA.indices("train")


def trial(suggested: float) -> RateTest:
    table = pd.DataFrame({"rate": [1e-6, 1.0], "loss": [2.0, 1.0], "smoothed": [2.0, 1.0]})
    return RateTest(table, suggested, 2.0, 0.5)


def warnings(model=None, data=DATA, settings=SETTINGS, found=None) -> str:
    model = model or training.new_model(data, settings)
    return "\n".join(doctor.diagnose(model, data, ROWS, settings, found).warnings)


def test_a_sound_training_has_no_warning():
    found = doctor.diagnose(network(), DATA, ROWS, SETTINGS, trial(1e-4))
    assert found.warnings == []
    assert set(found.table()["verdict"]) == {"ok"}
    assert found.first_step.high <= 255
    assert found.first_step.seen_high <= 1  # the network divides by 255, once
    assert found.first_step.layer == "stem_conv"
    assert found.suggested_rate == 1e-4
    assert doctor.Diagnosis.from_json(found.to_json()) == found


def test_an_untrained_softmax_of_zeros_has_the_loss_of_guessing():
    model = network()
    *_, kernel, bias = model.get_weights()
    model.set_weights([*model.get_weights()[:-2], 0 * kernel, 0 * bias])
    found = first_step.look(model, DATA, ROWS, SETTINGS)
    assert found.loss == pytest.approx(math.log(3), rel=1e-5)
    assert found.training_loss == pytest.approx(math.log(3), rel=1e-5)
    assert found.spread == 0
    assert "answers every image alike" in warnings(model)


def test_images_that_were_scaled_before_they_were_saved():
    said = warnings(data=replace(DATA, pixels=DATA.pixels // 255 + DATA.pixels // 128))
    assert "scaled to 0…1 before they were saved" in said
    assert "pixels are normalised twice" in said


def test_a_network_that_normalises_twice():
    inputs = keras.Input((16, 16, 3))
    again = keras.layers.Rescaling(1 / 255)(keras.layers.Rescaling(1 / 255)(inputs))
    maps = keras.layers.Conv2D(4, 3, name="eyes")(again)
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(pooled))
    assert "layer 'eyes' sees hardly differ" in warnings(model)


def test_a_network_that_begins_worse_than_guessing():
    model = network()
    *_, kernel, bias = model.get_weights()
    model.set_weights([*model.get_weights()[:-2], 1000 * kernel, bias])
    assert "its first steps only undo that" in warnings(model)


@pytest.mark.parametrize(
    ("rate", "said"),
    [(1e-3, ""), (3e-3, ""), (10.0, "100000 times above"), (1e-8, "10000 times below")],
)
def test_a_rate_far_from_the_suggested_one(rate, said):
    found = warnings(network(), settings=SETTINGS.replace(learning_rate=rate), found=trial(1e-4))
    assert (said in found) if said else found == ""
    assert ("--set learning_rate=1e-04" in found) == bool(said)


def test_a_loss_that_never_fell():
    assert "fell at no rate from 1e-06 to 1e+00" in warnings(network(), found=trial(math.nan))


@pytest.mark.slow
def test_a_probe_has_neither_rate_nor_first_loss():
    probed = SETTINGS.replace(stages="probe")
    model = network()
    found = doctor.diagnose(model, DATA, ROWS, probed)
    assert [check.name.split()[0] for check in found.checks] == ["pixels", "numbers"]
    assert found.suggested_rate is None
    foretold = doctor.forecast(model, DATA, probed)
    assert foretold.checkpoints == 0
    assert foretold.speed.head > 0
    assert foretold.shared == DATA.pixels.nbytes + 4 * 75 * 8  # features float32 (75, 8)


# --- 32 images by heart ----------------------------------------------------------------------


def test_few_images_are_of_every_class():
    chosen = few(DATA, ROWS, seed=0)
    assert len(chosen) == 32
    assert set(np.bincount(DATA.labels[chosen])) <= {10, 11}
    assert set(chosen) <= set(ROWS)


@pytest.mark.slow
def test_a_sound_network_learns_images_by_heart_and_a_dead_one_does_not():
    quick = SETTINGS.replace(learning_rate=0.01)
    check = doctor.memorises(DATA, ROWS, quick)
    assert check.warning == ""
    assert doctor.memorises(DATA, ROWS, quick.replace(accumulate=64)) == check
    dead = network()
    dead.set_weights([0 * each for each in dead.get_weights()])
    check = doctor.memorises(DATA, ROWS, quick, model=dead, steps=20)
    assert "cannot learn 32 images by heart" in check.warning
    assert "after 20 steps" in check.found


# --- nothing is changed ----------------------------------------------------------------------


@pytest.mark.slow
def test_no_bit_of_a_training_depends_on_the_doctor(dataset, settings, classifier):
    model, rows = training.new_model(dataset, settings), dataset.indices("train")
    before = training.weights_digest(model)
    found = training.range_test(model, dataset, rows, settings, steps=10)
    doctor.diagnose(model, dataset, rows, settings, found)
    doctor.forecast(model, dataset, settings, found)
    doctor.memorises(dataset, rows, settings, steps=3)
    assert training.weights_digest(model) == before
    again = experiment.fit_classifier(dataset, settings)
    assert again.model_id == classifier.model_id


class Watched(np.ndarray):
    """Pixels that note which rows are read."""

    read: ClassVar[set[int]] = set()

    def __getitem__(self, key):
        self.read.update(np.arange(len(self))[key].ravel().tolist())
        return np.asarray(self)[key]


@pytest.mark.parametrize("stages", ["all", "probe"])
@pytest.mark.slow
def test_it_reads_training_images_alone(stages, monkeypatch):
    """The test images come first in many folders, by name; here they do, too."""
    monkeypatch.setattr(Watched, "read", set())
    order = DATA.table.index[::-1]
    table, pixels = DATA.table.loc[order].reset_index(drop=True), DATA.pixels[order]
    data = replace(DATA, pixels=pixels.view(Watched), table=table)
    settings, model = SETTINGS.replace(stages=stages), network()
    train = data.indices("train")
    doctor.diagnose(model, data, train, settings)
    doctor.forecast(model, data, settings, trial(1e-4) if stages == "all" else None)
    if stages == "all":
        doctor.memorises(data, train, settings, steps=1)
    assert Watched.read
    assert Watched.read <= set(train.tolist())


# --- the forecast ----------------------------------------------------------------------------


def test_the_seconds_of_each_notebook_by_hand():
    """60 training and 15 validation images, batches of 8, a second a step and nothing else."""
    planned = SETTINGS.replace(epochs=5, folds=3, fold_epochs=4, more_seeds="1,2")
    seconds = costs._seconds(DATA, planned, costs.Speed(step=1.0), epoch=0.0)
    own = {name: seconds[name] - costs.FIXED[name] for name in seconds}
    training_steps = 5 * 8  # ⌈60 / 8⌉ = 8
    curve = 5 * (2 + 4)  # of 15 and 30 images
    assert own["03"] == training_steps + curve
    # 75 images: 50 a fold, of which 10 judge; 40 are 5 batches
    assert own["04"] == 3 * 4 * 5 + 2 * training_steps
    assert own["05"] == own["06"] == 0
    assert doctor.trial_steps(DATA, planned) == 30  # at least
    longer = planned.replace(epochs=100, fold_epochs=100)
    # (800 + 600 + 1500 + 1600) / 25 = 180
    assert doctor.trial_steps(DATA, longer) == 100


def test_a_smaller_stage_costs_its_area_and_a_busy_machine_its_pace():
    halves = SETTINGS.replace(stages="all:2:16px,all", epochs=4, fold_epochs=4, image_size=32)
    seconds = costs._seconds(DATA, halves, costs.Speed(step=1.0, pace=2.0), epoch=0.0)
    whole = 2 * 8 / 4 + 2 * 8
    curve = (2 * 2 / 4 + 2 * 2) + (2 * 4 / 4 + 2 * 4)
    assert seconds["03"] == 2 * costs.FIXED["03"] + whole + curve


def test_too_little_room_is_refused_before_and_little_memory_is_a_warning():
    foretold = doctor.Forecast({"03": 60.0}, 3e9, 2e9, 1e9, 0.0)
    sound = doctor.checks(foretold, free_disk=4e9, free_memory=4e9)
    assert [each.warning for each in sound] == ["", "", ""]
    odd = doctor.checks(foretold, free_disk=2e9, free_memory=2e9)
    assert "takes about 3.0 GB on disk and 2.0 GB are free" in odd[2].warning
    assert "set batch_size or image_size lower" in odd[1].warning
    with pytest.raises(InputError, match=r"takes about 3\.0 GB on disk and 1000 MB are free"):
        doctor.checks(foretold, free_disk=999.6e6, free_memory=4e9)


def test_foretold_beside_actual():
    foretold = doctor.Forecast({"03": 60.0, "05": 9.0}, 3e9, 2e9, 1e9, 0.0)
    took = doctor.Actual({"01": 99.0, "03": 30.0}, memory=2e9)
    table = doctor.compared(foretold, took)
    assert table.values.tolist() == [
        ["time", "60 s", "30 s", "2.00"],
        ["memory", "3.0 GB", "2.0 GB", "1.50"],
    ]
    assert doctor.Forecast.from_json(foretold.to_json()) == foretold


@pytest.mark.slow
def test_a_forecast_of_a_network(dataset, settings):
    model = training.new_model(dataset, settings)
    found = training.range_test(model, dataset, dataset.indices("train"), settings, steps=10)
    foretold = doctor.forecast(model, dataset, settings, found)
    assert foretold.speed.first > foretold.speed.step > 0
    assert foretold.disk == costs.PAGES + 8 * model.count_params()
    assert foretold.total == sum(foretold.seconds.values()) > 100
    assert foretold.memory > 1e9
