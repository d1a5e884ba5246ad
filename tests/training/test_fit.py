"""Training: stopping, the best weights, repeatability, going on, and clear errors."""

import errno
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import training
from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.training import Diverged, EarlyStopping, Recipe, Stage
from cnnlab.training.learner import reseed

SIZE = 4
PROTOCOL: dict[str, Any] = {"epochs": 4, "patience": 10, "learning_rate": 0.02, "seed": 1}


def images_of(seed: int, count: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Dark images are class 0, bright ones class 1: any network can tell."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    pixels = random.integers(0, 100, (count, SIZE, SIZE, 3)) + 150 * labels[:, None, None, None]
    return pixels.astype(np.float32), np.eye(2, dtype=np.float32)[labels]


def batches(seed: int = 0, count: int = 48, epoch: int = 0, size: int = 20) -> tf.data.Dataset:
    """Batches of 20, 20 and 8: the last is short."""
    order = np.random.default_rng(epoch).permutation(count)
    images, labels = (part[order] for part in images_of(seed, count))
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(size)


def training_batches(epoch: int) -> tf.data.Dataset:
    return batches(epoch=epoch)


def network(seed: int = 3, dropout: float = 0.5) -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3), name="images"),
            layers.Rescaling(1 / 255, name="rescale"),
            layers.Conv2D(
                4, 3, kernel_initializer=keras.initializers.GlorotUniform(seed), name="conv"
            ),
            layers.BatchNormalization(momentum=0.5, name="norm"),
            layers.Flatten(name="flatten"),
            layers.Dropout(dropout, seed=seed, name="dropout"),
            layers.Dense(
                2,
                activation="softmax",
                kernel_initializer=keras.initializers.GlorotUniform(seed),
                name="probabilities",
            ),
        ],
        name="small",
    )


def fit(
    model: keras.Model,
    train_on: Any,
    validation: tf.data.Dataset,
    *,
    epochs: int,
    patience: int,
    learning_rate: float,
    **options: Any,
) -> training.Fit:
    """Train by a recipe of one stage."""
    recipe = Recipe((Stage(epochs, learning_rate=learning_rate),), patience)
    return training.fit(model, train_on, validation, recipe, **options)


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(map(np.array_equal, one, other))


# --- EarlyStopping: lists of losses worked by hand, no network -------------------------------


def run(losses: list[float], patience: int) -> tuple[list[bool], int, int | None]:
    """(which epochs improved, the best epoch, the epoch that stopped or None)."""
    stopping, improved = EarlyStopping(patience), []
    for epoch, loss in enumerate(losses, 1):
        improved.append(stopping.update(epoch, loss))
        if stopping.should_stop:
            return improved, stopping.best_epoch, epoch
    return improved, stopping.best_epoch, None


@pytest.mark.parametrize(
    ("losses", "patience", "improved", "best", "stopped"),
    [
        ([3, 2, 1], 1, [True, True, True], 3, None),
        ([3, 2, 2.5, 2.6, 1], 2, [True, True, False, False], 2, 4),
        ([3, 2, 2.5, 1.9, 2.6], 2, [True, True, False, True, False], 4, None),
        ([1, 1, 1], 2, [True, False, False], 1, 3),  # a tie is not an improvement
        ([1, 2], 1, [True, False], 1, 2),
        ([1, 0.5, 0.6, 0.55], 3, [True, True, False, False], 2, None),
        ([2, float("nan"), 1], 2, [True, False, True], 3, None),
    ],
)
def test_early_stopping(
    losses: list[float], patience: int, improved: list[bool], best: int, stopped: int | None
) -> None:
    assert run(losses, patience) == (improved, best, stopped)


def test_patience_10_waits_ten_epochs() -> None:
    assert run([1.0] + [2.0] * 20, 10)[1:] == (1, 11)


def test_patience_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="patience=0"):
        EarlyStopping(0)


# --- fit -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("on_disk", [True, False])
def test_the_best_epoch_is_restored(tmp_path: Path, on_disk: bool) -> None:
    """From epoch 4 on the labels are exchanged: what was learned before is the best."""

    def misleading(epoch: int) -> tf.data.Dataset:
        good = training_batches(epoch)
        return good if epoch < 4 else good.map(lambda images, labels: (images, 1 - labels))

    model, seen = network(), []
    result = fit(
        model,
        misleading,
        batches(seed=1),
        **(PROTOCOL | {"epochs": 40, "patience": 3}),
        report=lambda row: seen.append((row, model.get_weights())),
        folder=tmp_path if on_disk else None,
    )
    losses = [row["validation_loss"] for row, _ in seen]
    assert result.best_epoch == int(np.argmin(losses)) + 1
    assert result.stopped_early
    assert len(seen) == result.best_epoch + 3 < 40
    assert [row["best"] for row, _ in seen] == run(losses, 3)[0]
    assert same(model.get_weights(), seen[result.best_epoch - 1][1])
    assert not same(model.get_weights(), seen[-1][1])
    assert len(list(tmp_path.iterdir())) == 2 * on_disk


@pytest.mark.slow
def test_separable_classes_are_learned_and_the_history_is_complete() -> None:
    model, asked, rows = network(), [], []

    def asked_for(epoch: int) -> tf.data.Dataset:
        asked.append(epoch)
        return training_batches(epoch)

    result = fit(
        model, asked_for, batches(seed=1), **(PROTOCOL | {"epochs": 12}), report=rows.append
    )
    history = result.history
    assert list(history.columns) == [
        "epoch", "stage", "loss", "accuracy", "validation_loss", "validation_accuracy",
        "learning_rate", "seconds",
    ]  # fmt: skip
    assert asked == list(history.epoch) == list(range(1, 13))
    assert not result.stopped_early
    assert set(history.learning_rate) == {0.02}
    assert set(history.stage) == {1}
    assert 0 < history.seconds.sum() <= result.seconds
    assert [{name: row[name] for name in history.columns} for row in rows] == history.to_dict(
        "records"
    )
    assert {row["epochs"] for row in rows} == {12}

    probabilities = training.predict(model, batches(seed=1))
    truth = np.concatenate([labels for _, labels in batches(seed=1)])
    best = history[history.epoch == result.best_epoch].iloc[0]
    accuracy = np.mean(probabilities.argmax(1) == truth.argmax(1))
    assert accuracy == pytest.approx(best.validation_accuracy, abs=1e-6)
    assert accuracy > 0.9
    cross_entropy = -np.mean(np.log((probabilities * truth).sum(1)))
    assert best.validation_loss == pytest.approx(cross_entropy, rel=1e-4)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits() -> None:
    weights = {}
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        keras.utils.set_random_seed(len(weights))  # the global state is not to matter
        model = network()
        fit(model, training_batches, batches(seed=1), **(PROTOCOL | {"seed": seed}))
        weights[name] = model.get_weights()
    assert same(weights["first"], weights["again"])
    assert not same(weights["first"], weights["other"])  # the dropout masks differ


def test_dropout_depends_on_seed_epoch_and_layer_only() -> None:
    inputs = keras.Input((50,))
    outputs = [keras.layers.Dropout(0.5, seed=9)(inputs) for _ in range(2)]
    model = keras.Model(inputs, outputs)
    ones = np.ones((2, 50), np.float32)

    def masks(seed: int, epoch: int) -> np.ndarray:
        reseed(model, seed, epoch)
        return np.stack(model(ones, training=True))

    first = masks(1, 1)
    assert not np.array_equal(first, np.stack(model(ones, training=True)))  # batches differ
    assert not np.array_equal(first[0], first[1])  # layers differ, although built with one seed
    assert not np.array_equal(first, masks(1, 2))
    assert not np.array_equal(first, masks(2, 1))
    assert np.array_equal(first, masks(1, 1))


@pytest.mark.slow
def test_no_epoch_after_the_first_traces_the_step_again() -> None:
    traces, before = [], []

    class Counting(keras.Model):
        def train_step(self, data: Any) -> Any:  # Python runs only while the step is traced
            traces.append(data)
            return super().train_step(data)

    plain = network()
    model = Counting(plain.inputs, plain.outputs)
    fit(
        model,
        training_batches,
        batches(seed=1),
        **PROTOCOL,
        report=lambda row: before.append(len(traces)),
    )
    assert before == before[:1] * 4
    assert before[0] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoiled", "value"), [("training", np.nan), ("training", np.inf), ("validation", np.nan)]
)
def test_a_loss_that_is_no_number_ends_the_training(spoiled: str, value: float) -> None:
    def spoil(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return images * value, labels

    def damaged(epoch: int) -> tf.data.Dataset:
        good = training_batches(epoch)
        return good.map(spoil) if epoch == 2 and spoiled == "training" else good

    validation = batches(seed=1).map(spoil) if spoiled == "validation" else batches(seed=1)
    epoch = {"training": 2, "validation": 1}[spoiled]
    with pytest.raises(Diverged, match=rf"epoch {epoch}.*learning_rate=0\.02.*try 0\.002"):
        fit(network(), damaged, validation, **PROTOCOL)


@pytest.mark.slow
def test_no_checkpoint_holds_what_is_no_number(tmp_path: Path) -> None:
    """Epoch 2 diverges: epoch 1 stays, and whoever tries again meets the same error."""

    def damaged(epoch: int) -> tf.data.Dataset:
        asked.append(epoch)
        good = training_batches(epoch)
        return good.map(lambda images, labels: (images * np.nan, labels)) if epoch == 2 else good

    for expected in ([1, 2], [2]):
        asked: list[int] = []
        with pytest.raises(Diverged, match="epoch 2"):
            fit(network(), damaged, batches(seed=1), folder=tmp_path, **PROTOCOL)
        assert asked == expected
        (path,) = tmp_path.iterdir()
        with np.load(path) as archive:
            numbers = [archive[name] for name in archive.files if name != "record"]
        assert all(np.isfinite(each).all() for each in numbers)


# --- going on from a checkpoint --------------------------------------------------------------


class Killed(BaseException):
    """Stands for a process that ends between two epochs."""


def fit_until(
    folder: Path, last: int, options: dict[str, Any]
) -> tuple[training.Fit, keras.Model, list[int]]:
    """Train a new network; after epoch ``last`` its process 'ends'."""

    def asked_for(epoch: int) -> tf.data.Dataset:
        if epoch > last:
            raise Killed
        asked.append(epoch)
        return training_batches(epoch)

    asked: list[int] = []
    model = network()
    return fit(model, asked_for, batches(seed=1), folder=folder, **options), model, asked


@pytest.mark.slow
@pytest.mark.parametrize("patience", [10, 1])
def test_it_goes_on_as_if_nothing_had_been(tmp_path: Path, patience: int) -> None:
    """At 0.3 the loss jumps about, so that the best epoch is not the last, and patience ends."""
    options = PROTOCOL | {"epochs": 6, "learning_rate": 0.3, "patience": patience}
    whole, expected, _ = fit_until(tmp_path / "whole", 6, options)
    count = len(whole.history)
    assert whole.best_epoch < count
    for last in {1, whole.best_epoch, count - 1}:
        folder = tmp_path / str(last)
        with pytest.raises(Killed):
            fit_until(folder, last, options)
        result, model, asked = fit_until(folder, 6, options)
        assert asked == list(range(last + 1, count + 1))
        assert training.weights_digest(model) == training.weights_digest(expected)
        assert result.history.drop(columns="seconds").equals(whole.history.drop(columns="seconds"))
        assert (result.best_epoch, result.stopped_early) == (whole.best_epoch, whole.stopped_early)
        assert 0 < result.history.seconds.sum() <= result.seconds


@pytest.mark.slow
def test_a_finished_training_returns_at_once_until_it_is_forgotten(tmp_path: Path) -> None:
    options = PROTOCOL | {"epochs": 2}
    first, expected, _ = fit_until(tmp_path, 2, options)
    again, model, asked = fit_until(tmp_path, 0, options)
    assert asked == []
    assert again.history.equals(first.history)
    assert again.best_epoch == first.best_epoch
    assert again.seconds >= first.history.seconds.sum()
    assert same(model.get_weights(), expected.get_weights())
    training.checkpoint.forget(tmp_path)
    assert fit_until(tmp_path, 2, options)[2] == [1, 2]


@pytest.mark.slow
def test_another_training_starts_over_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = PROTOCOL | {"epochs": 2, "identity": "images"}
    with pytest.raises(Killed):
        fit_until(tmp_path, 1, options)
    assert capsys.readouterr().out == ""
    for changed in (
        {"learning_rate": 0.01}, {"seed": 2}, {"epochs": 1}, {"patience": 9},
        {"class_weights": np.ones(2)}, {"identity": "other images"},
    ):  # fmt: skip
        with pytest.raises(Killed):
            fit_until(tmp_path, 0, options | changed)
        printed = capsys.readouterr().out
        assert re.fullmatch(r"No checkpoint in .* starts at epoch 1\.\n", printed), changed
    assert fit_until(tmp_path, 2, options)[2] == [2]


@pytest.mark.slow
def test_a_full_disk_ends_the_training_and_it_goes_on_with_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = np.savez

    def savez(path: Path, **arrays: Any) -> None:
        if len(saved) == 1:
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        saved.append(path)
        real(path, **arrays)

    saved: list[Path] = []
    monkeypatch.setattr(np, "savez", savez)
    with pytest.raises(InputError, match=r"epoch 2 .*: No space left on device.*after epoch 1"):
        fit_until(tmp_path, 4, PROTOCOL)
    monkeypatch.undo()
    _, model, asked = fit_until(tmp_path, 4, PROTOCOL)
    assert asked == [2, 3, 4]
    assert same(model.get_weights(), fit_until(tmp_path / "whole", 4, PROTOCOL)[1].get_weights())


# --- class weights ---------------------------------------------------------------------------


@pytest.mark.slow
def test_the_training_loss_is_weighted_and_the_validation_loss_is_not() -> None:
    """A network that says (0.8, 0.2) of every image; three images of class 0 and one of class 1.

    With weights 2/3 and 2: (3 · 2/3 · -ln 0.8 + 2 · -ln 0.2) / 4.
    """
    inputs = keras.Input((SIZE, SIZE, 3))
    bias = keras.initializers.Constant(np.log([0.8, 0.2]))
    dense = keras.layers.Dense(
        2, activation="softmax", kernel_initializer="zeros", bias_initializer=bias
    )
    model = keras.Model(inputs, dense(keras.layers.Flatten()(inputs)))
    labels = np.eye(2, dtype=np.float32)[[0, 0, 1, 0]]
    data = tf.data.Dataset.from_tensor_slices((images_of(0, 4)[0], labels)).batch(4)
    options = PROTOCOL | {"epochs": 1, "learning_rate": 1e-8}
    weighted = (3 * (2 / 3) * -math.log(0.8) + 2 * -math.log(0.2)) / 4
    plain = (3 * -math.log(0.8) - math.log(0.2)) / 4
    for weights, expected in ((np.array([2 / 3, 2]), weighted), (None, plain)):
        result = fit(model, lambda epoch: data, data, class_weights=weights, **options)
        row = result.history.iloc[0]
        assert row.loss == pytest.approx(expected, abs=1e-4)
        assert row.validation_loss == pytest.approx(plain, abs=1e-4)
        assert row.accuracy == 0.75


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, np.inf], [[1.0, 2.0]]])
def test_class_weights_that_do_not_fit_are_refused(weights: list) -> None:
    with pytest.raises(InputError, match="cannot weigh 2 classes"):
        fit(network(), training_batches, batches(), class_weights=np.array(weights), **PROTOCOL)


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("patience", 0), ("learning_rate", 0.0), ("learning_rate", float("nan"))],
)
def test_numbers_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name}={value} is out of range"):
        fit(network(), training_batches, batches(), **(PROTOCOL | {name: value}))


def test_empty_batches_are_refused() -> None:
    empty = batches().take(0)
    with pytest.raises(InputError, match="training set has no images"):
        fit(network(), lambda epoch: empty, batches(), **PROTOCOL)
    with pytest.raises(InputError, match="validation set has no images"):
        fit(network(), training_batches, empty, **PROTOCOL)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda images, labels: images,
        lambda images, labels: (images[:, 1:], labels),
        lambda images, labels: (images, labels[:, :1]),
        lambda images, labels: (images, tf.argmax(labels, axis=1)),
    ],
    ids=["no labels", "another size", "one class", "labels not one-hot"],
)
def test_batches_that_do_not_fit_the_model_are_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match=re.escape("(None, 4, 4, 3), (None, 2)")):
        fit(network(), training_batches, batches().map(wrong), **PROTOCOL)


# --- predict and the progress line -----------------------------------------------------------


def test_predict_keeps_order_and_ignores_labels_and_dtype() -> None:
    model, (images, labels) = network(), images_of(5, 23)
    expected = np.asarray(model(images, training=False))
    pairs = tf.data.Dataset.from_tensor_slices((images, labels)).batch(5)
    alone = tf.data.Dataset.from_tensor_slices(images.astype(np.uint8)).batch(7)
    for dataset in (pairs, alone):
        result = training.predict(model, dataset)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, expected, atol=1e-6)
    assert training.predict(model, pairs.take(0)).shape == (0, 2)


def test_the_progress_line(capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "epoch": 3, "epochs": 15, "loss": 0.81249, "accuracy": 0.714, "validation_loss": 0.9,
        "validation_accuracy": 0.676, "learning_rate": 1e-3, "seconds": 2.94, "best": True,
    }  # fmt: skip
    training.print_progress(row)
    training.print_progress(row | {"best": False})
    best, other = capsys.readouterr().out.splitlines()
    assert best == (
        "epoch  3/15  loss 0.812  accuracy 0.71  validation loss 0.900  accuracy 0.68  best  2.9 s"
    )
    assert other == best.replace("best", "    ")
