"""The stage ``probe`` through ``fit``: the head is fitted by a function, and kept where it is best.

The function stands in for the one that fits a head to features: it gives the head weights written
here, and says losses written here.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import training
from cnnlab.config import InputError, make_settings
from cnnlab.engine import keras, tf
from cnnlab.training import Recipe, Stage, print_progress
from cnnlab.training.recipe import described, from_settings
from cnnlab.training.trainer import check

SIZE = 16
PROBE = Stage(1, "probe")
Found = dict[str, float]


def batches(seed: int) -> tf.data.Dataset:
    """Three batches of eight; dark images are class 0, bright ones class 1."""
    random = np.random.default_rng(seed)
    labels = np.arange(24) % 2
    pixels = random.integers(0, 120, (24, SIZE, SIZE, 3)) + 120 * labels[:, None, None, None]
    parts = pixels.astype(np.float32), np.eye(2, dtype=np.float32)[labels]
    return tf.data.Dataset.from_tensor_slices(parts).batch(8)


def network(flatten: bool = False) -> keras.Model:
    layers, start = keras.layers, keras.initializers.GlorotUniform
    inputs = keras.Input((SIZE, SIZE, 3), name="images")
    x = layers.Rescaling(1 / 255, name="rescale")(inputs)
    for stage in (1, 2):
        x = layers.Conv2D(4, 3, kernel_initializer=start(stage), name=f"conv{stage}")(x)
        x = layers.BatchNormalization(momentum=0.5, name=f"norm{stage}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{stage}")(x)
    pool = layers.Flatten if flatten else layers.GlobalAveragePooling2D
    x = pool(name="global_pool")(x)
    x = layers.Dropout(0.3, seed=1, name="dropout")(x)
    head = layers.Dense(
        2, "softmax", kernel_initializer=start(3), kernel_regularizer="l2", name="probabilities"
    )
    return keras.Model(inputs, head(x), name="small")


def head_of(model: keras.Model) -> keras.layers.Layer:
    return model.get_layer("probabilities")


def probe(validation_loss: float) -> Callable[[keras.Model], Found]:
    def fitted(model: keras.Model) -> Found:
        kernel = np.linspace(-1, 1, 8, dtype=np.float32).reshape(4, 2)
        head_of(model).set_weights([kernel, np.float32([0.5, -0.5])])
        return {
            "loss": 0.25, "accuracy": 0.9,
            "validation_loss": validation_loss, "validation_accuracy": 0.8,
        }  # fmt: skip

    return fitted


def fit(recipe: Recipe, given: Any, **options: Any) -> tuple[training.Fit, keras.Model, list[dict]]:
    model, told = network(), []
    result = training.fit(
        model, options.pop("batches", batches), batches(9), recipe,
        seed=1, probe=given, report=told.append, **options,
    )  # fmt: skip
    return result, model, told


def none(epoch: int) -> tf.data.Dataset:
    raise AssertionError("A probe asks for no batches.")


def test_a_probe_alone_is_one_row_without_a_step() -> None:
    result, model, (told,) = fit(Recipe((PROBE,)), probe(0.5), batches=none)
    (row,) = result.history.to_dict("records")
    penalty = 0.01 * float(np.square(np.linspace(-1, 1, 8)).sum())  # as other epochs have it
    assert row["loss"] == pytest.approx(0.25 + penalty, rel=1e-6)
    assert row["validation_loss"] == pytest.approx(0.5 + penalty, rel=1e-6)
    assert (row["accuracy"], row["validation_accuracy"]) == (0.9, 0.8)
    assert (row["epoch"], row["stage"], row["learning_rate"]) == (1, 1, 0)
    assert (result.best_epoch, result.stopped_early, result.kept_probe) == (1, False, False)
    assert (told["best"], told["last"], told["kept_probe"]) == (True, True, False)
    before, after = network(), head_of(model).get_weights()
    np.testing.assert_array_equal(after[1], [0.5, -0.5])
    for old, new in zip(before.get_weights()[:-2], model.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
def test_a_probe_that_no_later_epoch_beats_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """Its loss is below 0; the last stage stops by its own epochs all the same."""
    recipe = Recipe((PROBE, Stage(1, "head"), Stage(9, learning_rate=1.0)), patience=2)
    result, model, told = fit(recipe, probe(-1.0))
    assert (result.best_epoch, result.kept_probe) == (1, True)
    np.testing.assert_array_equal(head_of(model).get_weights()[1], [0.5, -0.5])
    assert [row["best"] for row in told] == [True] + [False] * (len(told) - 1)
    own = result.history.validation_loss.to_numpy()[2:]
    assert len(own) == min(int(own.argmin()) + 3, 9)
    print_progress(told[-1])
    assert capsys.readouterr().out.endswith("than the probe: it is kept.\n")
    print_progress(told[-2])
    assert "kept" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_lower_loss_of_the_last_stage_replaces_the_probe() -> None:
    recipe = Recipe((PROBE, Stage(1, "head", learning_rate=1e-6), Stage(2)))
    result, _, told = fit(recipe, probe(90.0))
    best = 3 + int(result.history.validation_loss.to_numpy()[2:].argmin())
    assert (result.best_epoch, result.kept_probe) == (best, False)
    assert [row["best"] for row in told][:3] == [True, False, True]  # the head's epoch never is
    assert list(result.history.stage) == [1, 2, 3, 3]


@pytest.mark.slow
@pytest.mark.parametrize("validation_loss", [-1.0, 90.0])
def test_it_goes_on_after_the_probe_and_every_epoch(tmp_path: Path, validation_loss: float) -> None:
    class Killed(BaseException):
        pass

    stages = (
        Stage(2, "last1", "adamw", weight_decay=0.1, depth_factor=0.5, fixed_statistics=True),
        Stage(2, depth_factor=0.5, schedule="cosine", warmup_epochs=1, fixed_statistics=True),
    )
    recipe = Recipe((PROBE, *stages), ema_decay=0.9)
    whole, expected, _ = fit(recipe, probe(validation_loss))
    fitted = []

    def counted(model: keras.Model) -> Found:
        fitted.append(len(fitted))
        if len(fitted) == 1:
            raise Killed
        return probe(validation_loss)(model)

    for last in (0, 1, 3, 4):

        def until(epoch: int, last: int = last) -> tf.data.Dataset:
            if epoch > last:
                raise Killed
            return batches(epoch)

        with pytest.raises(Killed):
            fit(recipe, counted, folder=tmp_path, batches=until)
    result, model, _ = fit(recipe, counted, folder=tmp_path)
    assert len(fitted) == 2  # once killed, once done
    assert training.weights_digest(model) == training.weights_digest(expected)
    assert result.history.drop(columns="seconds").equals(whole.history.drop(columns="seconds"))
    assert (result.best_epoch, result.kept_probe) == (whole.best_epoch, whole.kept_probe)


def test_a_probe_that_is_missing_or_impossible_is_refused() -> None:
    with pytest.raises(InputError, match="begins with a probe and none is given"):
        fit(Recipe((PROBE,)), None)
    with pytest.raises(InputError, match="small has no features to probe"):
        training.fit(network(True), batches, batches(9), Recipe((PROBE,)), seed=1, probe=probe(1))
    with pytest.raises(InputError, match="reference_cnn has no features to probe"):
        check(make_settings("full", ["stages=probe", "image_size=32"]))
    own = ["stages=probe", "image_size=32", "network_options=pool=global"]
    with pytest.raises(InputError, match=r"reference_cnn has 'dense' between: .*units=0"):
        check(make_settings("full", own))
    check(make_settings("full", [*own[:2], f"{own[2]},dense_units=0", "hidden_units=8"]))
    with pytest.raises(training.Diverged, match=r"The probe gives loss .* validation loss nan"):
        fit(Recipe((PROBE,)), probe(float("nan")))


def test_a_probe_has_no_rate_to_test() -> None:
    with pytest.raises(InputError, match="no learning rate to test"):
        training.find_rate(network(), batches, seed=0, stage=PROBE)


def test_the_recipe_of_the_settings() -> None:
    alone = from_settings(make_settings("full", ["stages=probe", "epochs=1", "warmup_epochs=3"]))
    assert alone.stages == (PROBE,)
    assert (alone.probes, alone.only_probes, alone.epochs) == (True, True, 1)
    settings = make_settings(
        "full", ["stages=probe,last2:3:x0.1,all:x0.02", "epochs=12", "warmup_epochs=2"]
    )
    recipe = from_settings(settings)
    assert (recipe.probes, recipe.only_probes, recipe.epochs) == (True, False, 12)
    assert [stage.epochs for stage in recipe.stages] == [1, 3, 8]
    assert [recipe.stage_of(epoch) for epoch in (1, 2, 4, 5)] == [1, 2, 2, 3]
    plain = from_settings(make_settings("full", []))
    assert (plain.probes, plain.only_probes) == (False, False)


def test_the_best_epoch_follows_from_the_history() -> None:
    """Epochs 1, 2–3 and 4–6; a tie is not lower, and stage 2 never counts."""

    def best(recipe: Recipe, *losses: float) -> int:
        rows = [{"epoch": n, "validation_loss": loss} for n, loss in enumerate(losses, 1)]
        return recipe.best_epoch(rows)

    probed = Recipe((PROBE, Stage(2), Stage(3)))
    assert best(probed, 0.5) == 1
    assert best(probed, 0.5, 0.1, 0.1, 0.6, 0.5) == 1
    assert best(probed, 0.5, 0.1, 0.1, 0.6, 0.4, 0.4) == 5
    trained = Recipe((Stage(1, "head"), Stage(2), Stage(3)))
    assert best(trained, 0.5, 0.1) == 0
    assert best(trained, 0.5, 0.1, 0.1, 0.7, 0.6) == 5


def test_the_card_says_it_in_words() -> None:
    def words(*overrides: str) -> str:
        return described(make_settings("full", list(overrides)).training)

    alone = words("stages=probe", "class_weight=balanced")
    assert alone.startswith("The head was fitted once to features of the frozen network")
    assert alone.endswith(", classes weighted")
    then = words("stages=probe,all:x0.1", "schedule=cosine")
    assert then.startswith("The head was fitted once to features of the frozen network, then Adam")
    assert "stages probe,all:x0.1" in then
