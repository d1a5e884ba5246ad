"""Weights that others trained, learned further: rates by depth, fixed normalisation, cautions."""

from typing import Any

import numpy as np
import pytest

from cnnlab import training
from cnnlab.config import InputError, make_settings
from cnnlab.engine import keras, tf
from cnnlab.training import Recipe, Stage
from cnnlab.training.learner import Learner, rate_factors
from cnnlab.training.recipe import cautions, from_settings

SIZE = 16
ENDS = ("norm1", "norm2")


def batches(seed: int, scale: float = 1.0) -> tf.data.Dataset:
    """Three batches of eight; dark images are class 0, bright ones class 1."""
    random = np.random.default_rng(seed)
    labels = np.arange(24) % 2
    pixels = random.integers(0, 120, (24, SIZE, SIZE, 3)) + 120 * labels[:, None, None, None]
    parts = (scale * pixels).astype(np.float32), np.eye(2, dtype=np.float32)[labels]
    return tf.data.Dataset.from_tensor_slices(parts).batch(8)


def network() -> keras.Model:
    """Two stages that end with norm1 and norm2; the head is dense."""
    layers, start = keras.layers, keras.initializers.GlorotUniform
    inputs = keras.Input((SIZE, SIZE, 3), name="images")
    x = layers.Rescaling(1 / 255, name="rescale")(inputs)
    for stage in (1, 2):
        x = layers.Conv2D(4, 3, strides=2, kernel_initializer=start(stage), name=f"conv{stage}")(x)
        x = layers.BatchNormalization(momentum=0.5, name=f"norm{stage}")(x)
    x = layers.GlobalAveragePooling2D(name="global_pool")(x)
    head = layers.Dense(2, "softmax", kernel_initializer=start(3), name="probabilities")
    return keras.Model(inputs, head(x), name="small")


def trained(stage: Stage, model: keras.Model | None = None, **recipe: Any) -> keras.Model:
    model = model or network()
    training.fit(model, batches, batches(9), Recipe((stage,), **recipe), seed=1)
    return model


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    return {each.path: np.asarray(each) for each in model.weights}


def test_the_factors_go_by_stages() -> None:
    model = network()
    factors = rate_factors(model, 0.5, ENDS)
    found = {
        each.path: factor for each, factor in zip(model.trainable_weights, factors, strict=True)
    }
    assert {path.split("/")[0]: factor for path, factor in found.items()} == {
        "conv1": 0.25, "norm1": 0.25, "conv2": 0.5, "norm2": 0.5, "probabilities": 1,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_one_step_of_adam_moves_each_stage_at_its_rate(schedule: str) -> None:
    """Adam's first step moves a weight by its rate, whatever the size of its gradient."""
    stage = Stage(1, learning_rate=0.01, depth_factor=0.5, schedule=schedule)
    model = network()
    learner = Learner(model, stage, Recipe((stage,)), steps=1)
    learner.run(batches(1).take(1), seed=1, epoch=1)
    before, after = weights(model), weights(learner.network)
    for path, rate in {
        "conv1/kernel": 0.0025,
        "conv2/kernel": 0.005,
        "probabilities/kernel": 0.01,
    }.items():
        moved = np.abs(after[path] - before[path])
        assert np.median(moved) == pytest.approx(rate, rel=0.01), path


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "decay"), [("adam", 0.0), ("adamw", 0.1), ("sgd", 0.1)])
def test_at_a_factor_of_one_both_ways_agree(optimizer: str, decay: float) -> None:
    """One is Keras' own optimizer; the other's factor is so near 1 that float32 cannot tell."""
    plain = Stage(2, "all", optimizer, 0.01, decay, depth_factor=1.0)
    other = Stage(2, "all", optimizer, 0.01, decay, depth_factor=1 - 1e-12)
    stages = [plain, other]
    kinds = [
        type(Learner(network(), each, Recipe((each,)), steps=3).network.optimizer)
        for each in stages
    ]
    assert kinds[0] in (keras.optimizers.Adam, keras.optimizers.AdamW, keras.optimizers.SGD)
    assert kinds[1] is not kinds[0]
    one, two = (weights(trained(each)) for each in stages)
    for path in one:
        np.testing.assert_allclose(one[path], two[path], rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_pretrained_statistics_stay_bit_for_bit() -> None:
    """Statistics, scale and shift; the convolutions beside them learn. Without it, they move."""
    model = network()
    for layer in model.layers:
        if "norm" in layer.name:
            layer.set_weights([np.random.default_rng(0).uniform(0.5, 2, 4) for _ in range(4)])
    before, config = weights(model), model.get_config()
    recipe = Recipe((Stage(1, "last1", fixed_statistics=True), Stage(1, fixed_statistics=True)))
    training.fit(model, batches, batches(9), recipe, seed=1)
    after = weights(model)
    same = {path for path in before if np.array_equal(before[path], after[path])}
    assert same == {path for path in before if path.startswith("norm")}
    assert model.get_config() == config
    moved = weights(trained(Stage(1)))
    assert not np.array_equal(moved["norm1/moving_mean"], weights(network())["norm1/moving_mean"])


@pytest.mark.slow
def test_fixed_statistics_are_those_that_the_training_uses() -> None:
    """The training's loss is that of the network in inference mode."""
    stage = Stage(1, fixed_statistics=True, learning_rate=1e-8)
    model = network()
    learner = Learner(model, stage, Recipe((stage,)), steps=1)
    images, labels = (np.asarray(each) for each in next(iter(batches(1))))
    loss = learner.run(tf.data.Dataset.from_tensors((images, labels)), seed=1, epoch=1)["loss"]
    probabilities = np.asarray(model(images, training=False))
    assert loss == pytest.approx(-np.log((probabilities * labels).sum(1)).mean(), rel=1e-4)


def test_the_settings_say_both() -> None:
    plain = from_settings(make_settings("full", [])).stages[0]
    assert (plain.depth_factor, plain.fixed_statistics) == (1, False)
    settings = make_settings(
        "full", ["weights=pretrained", "depth_factor=0.4", "stages=probe,last1:2,all:x0.1"]
    )
    for stage in from_settings(settings).stages[1:]:
        assert (stage.depth_factor, stage.fixed_statistics) == (0.4, True)
    with pytest.raises(InputError, match=r"depth_factor=0\.0 is out of range"):
        Stage(1, depth_factor=0.0)
    with pytest.raises(InputError, match=r"depth_factor=1\.5 is out of range"):
        make_settings("full", ["depth_factor=1.5"])


@pytest.mark.parametrize(
    ("overrides", "rate", "random_head"),
    [
        ("stages=all", "0.001", True),
        ("stages=head:2,all", "0.001", False),
        ("stages=probe,last1:2,all:x0.1", "0.001", False),
        ("stages=probe,all depth_factor=0.4", "0.0004", False),
        ("stages=probe,all:x0.1", "", False),
        ("stages=probe,all depth_factor=0.3", "", False),
        ("stages=probe,all optimizer=sgd", "", False),
        ("stages=all:x0.1", "", True),
        ("stages=probe", "", False),
        ("stages=head", "", False),
    ],
)
def test_what_spoils_given_weights_is_said(overrides: str, rate: str, random_head: bool) -> None:
    settings = make_settings("full", ["weights=pretrained", *overrides.split()])
    said = cautions(from_settings(settings))
    assert [line for line in said if f"learn at {rate}, a rate" in line] == said[: bool(rate)]
    assert any("still random" in line for line in said) == random_head
    assert len(said) == bool(rate) + random_head
    assert not cautions(from_settings(make_settings("full", overrides.split())))


@pytest.mark.parametrize("scale", [1 / 255, -1.0, 1.2])
def test_images_that_are_normalised_already_are_refused(scale: float) -> None:
    with pytest.raises(InputError, match=r"values from .* to .*: expected 0…255"):
        training.fit(network(), batches, batches(9, scale), Recipe((Stage(1),)), seed=1)


@pytest.mark.slow
def test_black_images_are_images() -> None:
    training.fit(network(), batches, batches(9, 0.0), Recipe((Stage(1),)), seed=1)
