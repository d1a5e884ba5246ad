"""Recipes of several stages through ``fit``: what learns, at which rate and size, and going on."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import training
from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.training import Recipe, Stage

SIZE, SMALL = 8, 6


def images_of(seed: int, count: int, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Dark images are class 0, bright ones class 1."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    pixels = random.integers(0, 120, (count, size, size, 3)) + 120 * labels[:, None, None, None]
    return pixels.astype(np.float32), np.eye(2, dtype=np.float32)[labels]


def batches(seed: int, size: int = SIZE, batch: int = 8, count: int = 24) -> tf.data.Dataset:
    order = np.random.default_rng(seed).permutation(count)
    images, labels = (part[order] for part in images_of(0, count, size))
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(batch)


VALIDATION = (9, SIZE)


def network(flatten: bool = False) -> keras.Model:
    """Two stages, at 8 and at 4 pixels, that end with norm1 and norm2; the head is dense."""
    layers, start = keras.layers, keras.initializers.GlorotUniform
    inputs = keras.Input((SIZE, SIZE, 3), name="images")
    x = layers.Rescaling(1 / 255, name="rescale")(inputs)
    for block in (1, 2):
        x = layers.Conv2D(
            4, 3, padding="same", kernel_initializer=start(block), name=f"conv{block}"
        )(x)
        x = layers.BatchNormalization(momentum=0.5, name=f"norm{block}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{block}")(x) if block == 1 else x
    pool = layers.Flatten if flatten else layers.GlobalAveragePooling2D
    x = pool(name="pool2")(x)
    x = layers.Dropout(0.3, seed=1, name="dropout")(x)
    outputs = layers.Dense(
        2, activation="softmax", dtype="float32", kernel_initializer=start(3), name="probabilities"
    )(x)
    return keras.Model(inputs, outputs, name="small")


def fit(recipe: Recipe, model: keras.Model | None = None, **options: Any) -> Any:
    """Train; return the result, the model and its weights after each epoch."""
    model, seen = model or network(), []
    given = options.pop("training", None) or (
        lambda epoch: batches(epoch, recipe.stages[recipe.stage_of(epoch) - 1].image_size or SIZE)
    )
    result = training.fit(
        model, given, batches(*VALIDATION), recipe,
        seed=1, report=lambda row: seen.append(model.get_weights()), **options,
    )  # fmt: skip
    return result, model, seen


def changed(model: keras.Model, before: list[np.ndarray], after: list[np.ndarray]) -> set[str]:
    """Names of the layers that have other weights."""
    return {
        weight.path.split("/")[0]
        for weight, one, other in zip(model.weights, before, after, strict=True)
        if not np.array_equal(one, other)
    }


@pytest.mark.slow
def test_frozen_layers_keep_every_bit_statistics_included() -> None:
    model = network()
    first, config = model.get_weights(), model.get_config()
    recipe = Recipe(
        (Stage(2, "head", learning_rate=0.05), Stage(1, "last1"), Stage(1)), patience=10
    )
    result, model, seen = fit(recipe, model)
    assert list(result.history.stage) == [1, 1, 2, 3]
    assert list(result.history.epoch) == [1, 2, 3, 4]
    head, last = {"probabilities"}, {"probabilities", "conv2", "norm2"}
    assert changed(model, first, seen[1]) == head
    assert changed(model, seen[1], seen[2]) == last
    assert changed(model, seen[2], seen[3]) == last | {"conv1", "norm1"}
    assert model.get_config() == config  # the network itself was never frozen
    assert all(layer.trainable for layer in model.layers)


@pytest.mark.slow
def test_what_is_frozen_is_the_same_at_every_size() -> None:
    """At 2 pixels the maps of the second stage are one pixel: in that graph it is no stage."""
    recipe = Recipe((Stage(1, "head", image_size=2, learning_rate=0.1), Stage(1)))
    model = network()
    before = model.get_weights()
    _, _, (after, _) = fit(recipe, model)
    assert changed(model, before, after) == {"probabilities"}


@pytest.mark.slow
def test_short_stages_write_no_warning_of_retracing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tf.get_logger(), "propagate", True)
    stages = tuple(Stage(1, image_size=size) for size in (SIZE, SMALL) * 4)
    fit(Recipe(stages, ema_decay=0.9))
    assert "retracing" not in caplog.text


@pytest.mark.slow
def test_only_the_last_stage_stops_early_and_gives_the_best_epoch() -> None:
    """Stage 1 learns exchanged labels for four epochs; in stage 2 the rate destroys what is good.

    Stage 1 gets worse from epoch to epoch and is not stopped. Its first epochs may be better than
    all of stage 2: none of them is the best.
    """
    recipe = Recipe((Stage(4, learning_rate=0.02), Stage(9, learning_rate=0.02)), patience=2)

    def exchanged(epoch: int) -> tf.data.Dataset:
        return batches(epoch).map(lambda images, labels: (images, 1 - labels))

    result, _, _ = fit(recipe, training=exchanged)
    losses = result.history.validation_loss.to_numpy()
    assert losses[0] < losses[3] < losses[4:].min()
    assert result.best_epoch == 5 + int(losses[4:].argmin())
    assert result.stopped_early
    assert len(losses) == result.best_epoch + 2


@pytest.mark.slow
def test_the_averages_are_judged_and_are_those_done_by_hand() -> None:
    """One step an epoch: the weights after each step are those of a training without averages."""
    stages = (Stage(5, learning_rate=0.05),)

    def whole(epoch: int) -> tf.data.Dataset:
        return batches(epoch, batch=24)

    first = [each.astype(np.float64) for each in network().get_weights()]
    _, _, plain = fit(Recipe(stages), training=whole)
    result, model, averaged = fit(Recipe(stages, ema_decay=0.3), training=whole)
    expected = first
    for step, (weights, found) in enumerate(zip(plain, averaged, strict=True)):
        decay = min(0.3, (1 + step) / (10 + step))
        expected = [
            decay * old + (1 - decay) * new for old, new in zip(expected, weights, strict=True)
        ]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
        model.set_weights(found)
        images, labels = images_of(0, 24)
        probabilities = np.asarray(model(images, training=False))
        loss = -np.log((probabilities * labels).sum(1)).mean()
        assert result.history.validation_loss[step] == pytest.approx(loss, rel=1e-4)


@pytest.mark.slow
def test_the_rate_follows_each_stage_s_schedule_by_step() -> None:
    """Three steps an epoch; the history has the rate after the last of them."""
    stages = (
        Stage(2, learning_rate=0.01, warmup_epochs=1),
        Stage(4, optimizer="sgd", learning_rate=0.1, schedule="cosine", warmup_epochs=1),
    )
    rates = fit(Recipe(stages))[0].history.learning_rate
    cosine = [0.1 * (1 + np.cos(np.pi * done / 9)) / 2 for done in (0, 3, 6, 9)]
    np.testing.assert_allclose(rates, [0.01, 0.01, *cosine], rtol=1e-5, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adam", "sgd", "nesterov", "adamw"])
def test_two_batches_of_8_make_the_step_of_one_of_16(name: str) -> None:
    """Without batch normalisation and dropout; with clipping, decay and averages."""

    def plain() -> keras.Model:
        layers, start = keras.layers, keras.initializers.GlorotUniform
        inputs = keras.Input((SIZE, SIZE, 3), name="images")
        x = layers.Rescaling(1 / 255)(inputs)
        x = layers.Conv2D(4, 3, activation="relu", kernel_initializer=start(1))(x)
        x = layers.GlobalAveragePooling2D()(x)
        outputs = layers.Dense(2, activation="softmax", kernel_initializer=start(2))(x)
        return keras.Model(inputs, outputs, name="plain")

    decay = 0.0 if name == "adam" else 0.1
    whole = Stage(4, optimizer=name, learning_rate=0.05, weight_decay=decay, clip_norm=0.2)
    halves = replace(whole, accumulate=2)
    found = []
    for stage, size in ((whole, 16), (halves, 8)):
        found.append(
            fit(
                Recipe((stage,), ema_decay=0.5),
                plain(),
                training=lambda epoch, size=size: batches(epoch, batch=size, count=48),
            )
        )
    (one, model, seen), (other, _, accumulated) = found
    for expected, weights in zip(seen, accumulated, strict=True):
        for a, b in zip(expected, weights, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        one.history.validation_loss, other.history.validation_loss, rtol=1e-4
    )
    assert any(changed(model, plain().get_weights(), seen[0]))


@pytest.mark.slow
def test_gradients_wait_over_the_end_of_an_epoch_and_the_averages_with_them() -> None:
    """Three batches an epoch, four a step: no weight moves in epoch 1, all do in epoch 2."""
    model = network()
    first = model.get_weights()
    _, model, seen = fit(Recipe((Stage(3, accumulate=4),), ema_decay=0.5), model)
    statistics = {"norm1", "norm2"}
    trained = {w.path for w in model.trainable_variables}
    for weight, before, one, two in zip(model.weights, first, seen[0], seen[1], strict=True):
        assert np.array_equal(before, one)  # statistics, too: the averages take a step, no batch
        if weight.path in trained:
            assert weight.path.split("/")[0] in statistics or not np.array_equal(one, two)


@pytest.mark.slow
def test_the_rates_of_the_history_are_those_that_are_drawn() -> None:
    """Batch by batch, with accumulation: the next batch after each epoch is the next row."""
    stages = (
        Stage(4, learning_rate=0.1, schedule="one_cycle", accumulate=2),
        Stage(3, learning_rate=0.05, schedule="step", warmup_epochs=1),
    )
    history = fit(Recipe(stages))[0].history
    table = training.schedules.used(Recipe(stages), epochs=7, steps=3)
    for epoch in (1, 2, 3, 5, 6):  # not those that end a stage
        drawn = table.loc[table["epoch"] == epoch + 1, "rate"].iloc[0]
        assert history.learning_rate[epoch - 1] == pytest.approx(drawn, rel=1e-6)


EVERYTHING = Recipe(
    (
        Stage(2, "head", learning_rate=0.05, image_size=SMALL),
        Stage(
            3, "last1", "adamw", 0.02, weight_decay=0.1, schedule="cosine", warmup_epochs=1,
            loss="focal", image_size=SMALL,
        ),
        Stage(3, "all", "sgd", 0.1, schedule="cosine", label_smoothing=0.1),
    ),
    ema_decay=0.9,
)  # fmt: skip


# Three batches an epoch and four a step: gradients wait over the end of most epochs.
ACCUMULATING = Recipe(
    (
        Stage(3, "last1", "nesterov", 0.05, schedule="one_cycle", clip_norm=0.5, accumulate=2),
        Stage(
            5, "all", "adamw", 0.02, weight_decay=0.1, depth_factor=0.5, schedule="step",
            warmup_epochs=1, clip_norm=1.0, accumulate=4,
        ),
    ),
    ema_decay=0.9,
)  # fmt: skip


class Killed(BaseException):
    """Stands for a process that ends between two epochs."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "ends"),
    [
        (EVERYTHING, (1, 2, 4, 7, 8)),  # stages end after 2, 5 and 8
        (replace(EVERYTHING, stages=EVERYTHING.stages[2:], precision="bfloat16"), (1, 3)),
        (ACCUMULATING, (2, 5, 8)),  # stages end after 3 and 8
    ],
    ids=["float32", "bfloat16", "accumulating"],
)
def test_it_goes_on_after_any_epoch_of_any_stage(
    tmp_path: Path, recipe: Recipe, ends: tuple[int, ...]
) -> None:
    options: dict[str, Any] = {"class_weights": np.array([0.5, 1.5])}
    whole, expected, _ = fit(recipe, **options)
    asked: list[int] = []
    for last in ends:

        def until(epoch: int, last: int = last) -> tf.data.Dataset:
            if epoch > last:
                raise Killed
            asked.append(epoch)
            return batches(epoch, recipe.stages[recipe.stage_of(epoch) - 1].image_size or SIZE)

        with pytest.raises(Killed) if last < recipe.epochs else nullcontext():
            result, model, _ = fit(recipe, folder=tmp_path, training=until, **options)
    assert asked == list(range(1, recipe.epochs + 1))  # none twice
    assert training.weights_digest(model) == training.weights_digest(expected)
    assert result.history.drop(columns="seconds").equals(whole.history.drop(columns="seconds"))
    assert result.best_epoch == whole.best_epoch


@pytest.mark.slow
def test_every_field_of_a_recipe_is_in_the_fingerprint(tmp_path: Path) -> None:
    """A checkpoint of another recipe is not used: the training asks for epoch 1 again."""
    stage = Stage(2, learning_rate=0.01)
    fit(Recipe((stage,)), folder=tmp_path)
    others = [
        Recipe((Stage(2, learning_rate=0.01, **changed),))
        for changed in (
            {"trainable": "head"}, {"optimizer": "sgd"}, {"schedule": "cosine"},
            {"warmup_epochs": 1}, {"loss": "focal"}, {"label_smoothing": 0.1},
            {"mixing": "mixup"}, {"mixing_strength": 0.3}, {"weight_decay": 0.1},
            {"depth_factor": 0.5}, {"fixed_statistics": True}, {"clip_norm": 1.0},
            {"accumulate": 2},
        )
    ]  # fmt: skip
    others += [
        Recipe((stage,), ema_decay=0.5),
        Recipe((stage,), precision="bfloat16"),
        Recipe((Stage(1, learning_rate=0.01), Stage(1, learning_rate=0.01))),
    ]
    for other in others:

        def none(epoch: int) -> tf.data.Dataset:
            assert epoch == 1
            raise Killed

        with pytest.raises(Killed):
            fit(other, folder=tmp_path, training=none)


@pytest.mark.slow
def test_bfloat16_trains_and_leaves_a_float32_network() -> None:
    kinds = []

    class Watched(keras.Model):
        def train_step(self, data: Any) -> Any:
            kinds.append([layer.compute_dtype for layer in self.layers])
            return super().train_step(data)

    plain = network()
    recipe = Recipe((Stage(12, learning_rate=0.05),), precision="bfloat16")
    result, model, _ = fit(recipe, Watched(plain.inputs, plain.outputs))
    assert set(kinds[0][1:-1]) == {"bfloat16"}
    assert kinds[0][-1] == "float32"  # the answers
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert result.history.validation_accuracy.max() > 0.9


def test_a_network_that_flattens_is_refused_at_another_size() -> None:
    recipe = Recipe((Stage(1, image_size=SMALL), Stage(1)))
    with pytest.raises(InputError, match="small cannot be trained at 6 pixels and used at 8"):
        fit(recipe, network(flatten=True))


def test_batches_of_another_size_than_the_stage_s_are_refused() -> None:
    recipe = Recipe((Stage(1, image_size=SMALL), Stage(1)))
    with pytest.raises(InputError, match=r"training batches have shapes .*8, 8.*6, 6"):
        fit(recipe, training=batches)


def test_more_stages_than_the_network_has_are_refused() -> None:
    with pytest.raises(InputError, match=r"last2 of small, which has 2 stages"):
        fit(Recipe((Stage(1, "last2"),)))
