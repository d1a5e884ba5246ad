"""Training: stopping, the best weights, repeatability, and clear errors."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import training
from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.training import Diverged, EarlyStopping
from cnnlab.training.fit import _reseed

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
            keras.Input((SIZE, SIZE, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, kernel_initializer=keras.initializers.GlorotUniform(seed)),
            layers.BatchNormalization(momentum=0.5),
            layers.Flatten(),
            layers.Dropout(dropout, seed=seed),
            layers.Dense(
                2, activation="softmax", kernel_initializer=keras.initializers.GlorotUniform(seed)
            ),
        ]
    )


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


@pytest.mark.parametrize("on_disk", [True, False])
def test_the_best_epoch_is_restored(tmp_path: Path, on_disk: bool) -> None:
    """From epoch 4 on the labels are exchanged: what was learned before is the best."""

    def misleading(epoch: int) -> tf.data.Dataset:
        good = training_batches(epoch)
        return good if epoch < 4 else good.map(lambda images, labels: (images, 1 - labels))

    model, seen = network(), []
    result = training.fit(
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
    assert (tmp_path / "best.weights.h5").exists() == on_disk


def test_separable_classes_are_learned_and_the_history_is_complete() -> None:
    model, asked, rows = network(), [], []

    def asked_for(epoch: int) -> tf.data.Dataset:
        asked.append(epoch)
        return training_batches(epoch)

    result = training.fit(
        model, asked_for, batches(seed=1), **(PROTOCOL | {"epochs": 12}), report=rows.append
    )
    history = result.history
    assert list(history.columns) == [
        "epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate",
        "seconds",
    ]  # fmt: skip
    assert asked == list(history.epoch) == list(range(1, 13))
    assert not result.stopped_early
    assert set(history.learning_rate) == {0.02}
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
        training.fit(model, training_batches, batches(seed=1), **(PROTOCOL | {"seed": seed}))
        weights[name] = model.get_weights()
    assert same(weights["first"], weights["again"])
    assert not same(weights["first"], weights["other"])  # the dropout masks differ


def test_dropout_depends_on_seed_epoch_and_layer_only() -> None:
    inputs = keras.Input((50,))
    outputs = [keras.layers.Dropout(0.5, seed=9)(inputs) for _ in range(2)]
    model = keras.Model(inputs, outputs)
    ones = np.ones((2, 50), np.float32)

    def masks(seed: int, epoch: int) -> np.ndarray:
        _reseed(model, seed, epoch)
        return np.stack(model(ones, training=True))

    first = masks(1, 1)
    assert not np.array_equal(first, np.stack(model(ones, training=True)))  # batches differ
    assert not np.array_equal(first[0], first[1])  # layers differ, although built with one seed
    assert not np.array_equal(first, masks(1, 2))
    assert not np.array_equal(first, masks(2, 1))
    assert np.array_equal(first, masks(1, 1))


def test_no_epoch_after_the_first_traces_the_step_again() -> None:
    traces, before = [], []

    class Counting(keras.Model):
        def train_step(self, data: Any) -> Any:  # Python runs only while the step is traced
            traces.append(data)
            return super().train_step(data)

    plain = network()
    model = Counting(plain.inputs, plain.outputs)
    training.fit(
        model,
        training_batches,
        batches(seed=1),
        **PROTOCOL,
        report=lambda row: before.append(len(traces)),
    )
    assert before == before[:1] * 4
    assert before[0] > 0


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
        training.fit(network(), damaged, validation, **PROTOCOL)


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("patience", 0), ("learning_rate", 0.0), ("learning_rate", float("nan"))],
)
def test_numbers_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name}={value} is out of range"):
        training.fit(network(), training_batches, batches(), **(PROTOCOL | {name: value}))


def test_empty_batches_are_refused() -> None:
    empty = batches().take(0)
    with pytest.raises(InputError, match="training set has no images"):
        training.fit(network(), lambda epoch: empty, batches(), **PROTOCOL)
    with pytest.raises(InputError, match="validation set has no images"):
        training.fit(network(), training_batches, empty, **PROTOCOL)


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
        training.fit(network(), training_batches, batches().map(wrong), **PROTOCOL)


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
