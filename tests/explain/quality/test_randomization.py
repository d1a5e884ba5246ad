import numpy as np
import pytest
from scipy.stats import spearmanr

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain.methods import cam
from cnnlab.explain.quality import randomization

layers = keras.layers


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    backbone = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Conv2D(8, 3, name="low"),
            layers.BatchNormalization(name="n"),
        ],
        name="backbone",
    )
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(8, 3, activation="relu", name="high")(layers.ReLU()(backbone(inputs)))
    return keras.Model(
        inputs, layers.Dense(3, activation="softmax", name="top")(layers.Flatten()(x))
    )


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 12, 12, 3), np.uint8)


def test_it_goes_from_the_top_down_and_everything_comes_back(model):
    before = [weight.copy() for weight in model.get_weights()]
    reached = []
    for path in randomization.cascade(model, seed=0):
        reached.append(path)
        changed = [(a != b).any() for a, b in zip(model.get_weights(), before, strict=True)]
        if path == "top":
            assert changed == [False] * (len(before) - 2) + [True, False]  # zeros stay zeros
    assert reached == ["top", "high", "backbone/n", "backbone/low"]
    assert all((a == b).all() for a, b in zip(model.get_weights(), before, strict=True))


def test_weights_keep_their_values_and_lose_their_places(model):
    kernel = model.get_layer("high").kernel
    before = kernel.numpy().copy()
    with randomization.randomized(model, seed=0):
        inside = kernel.numpy().copy()
        assert (inside != before).mean() > 0.9
        np.testing.assert_array_equal(np.sort(inside.ravel()), np.sort(before.ravel()))
    np.testing.assert_array_equal(kernel.numpy(), before)
    with randomization.randomized(model, seed=0):
        np.testing.assert_array_equal(kernel.numpy(), inside)


class Block(layers.Layer):
    """Layers of one name, and weights that belong to the block itself."""

    def __init__(self):
        super().__init__(name="block")
        self.steps = [layers.Conv2D(3, 1, name="same", use_bias=False) for _ in range(2)]
        self.scale = self.add_weight(shape=(3,), name="scale")
        self.scale.assign([1.0, 2.0, 3.0])

    def call(self, inputs):
        for step in self.steps:
            inputs = step(inputs)
        return inputs * self.scale


class Whole(keras.Model):
    """A model that has weights of its own, and a name that one of its layers has too."""

    def __init__(self, name):
        super().__init__(name=name)
        self.block, self.last = Block(), layers.Conv2D(3, 1, name="last", use_bias=False)
        self.shift = self.add_weight(shape=(3,), name="shift")
        self.shift.assign([1.0, 2.0, 3.0])

    def call(self, inputs):
        return self.last(self.block(inputs)) + self.shift


@pytest.mark.parametrize("name", ["whole", "last"])
def test_every_weight_is_randomized_once(name, monkeypatch):
    model = Whole(name)
    model(np.zeros((1, 4, 4, 3), np.float32))
    # A shuffling that surely moves everything, and that no second one would undo.
    monkeypatch.setattr(
        randomization.np.random, "default_rng", lambda seed: type("", (), {"permutation": rolled})
    )
    before = [weight.copy() for weight in model.get_weights()]
    reached = ["last", "block/same#2", "block/same#1", "block", "whole"]
    assert list(randomization.cascade(model, seed=0)) == (
        reached if name == "whole" else reached[:-1]
    )
    with randomization.randomized(model, seed=0):
        for found, original in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(found.ravel(), rolled(original.ravel()))
    assert all((a == b).all() for a, b in zip(model.get_weights(), before, strict=True))


def rolled(values):
    return np.roll(values, 1)


def test_they_come_back_after_a_failure_and_a_break(model):
    before = [weight.copy() for weight in model.get_weights()]

    def failing():
        with randomization.randomized(model, seed=0):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    for _ in randomization.cascade(model, seed=0):
        break
    assert all((a == b).all() for a, b in zip(model.get_weights(), before, strict=True))


def test_a_method_that_ignores_the_weights_is_found_out(model, images):
    def brightness(model, images, target):
        return images.mean(axis=-1)

    methods = {"brightness": brightness, "HiResCAM": cam.hires_cam}
    found = randomization.similarities(
        model, images, methods, seed=0, down_to=["top", "backbone/low"]
    )
    assert list(found["HiResCAM"]) == ["top", "backbone/low"]
    np.testing.assert_allclose(found["brightness"]["backbone/low"], 1)
    assert abs(np.nanmean(found["HiResCAM"]["backbone/low"])) < 0.5


def test_the_class_stays_the_one_predicted_by_the_whole_model(model, images):
    seen = []

    def method(model, images, target):
        seen.append(target)
        return images[..., 0]

    randomization.similarities(model, images, {"m": method}, seed=0)
    expected = model.predict(images, verbose=0).argmax(axis=1)
    assert len(seen) == 5  # before, and once a layer
    assert all((target == expected).all() for target in seen)


def test_rank_correlations_are_spearmans():
    rng = np.random.default_rng(0)
    some, others = rng.integers(0, 9, (2, 4, 5, 6))  # with ties
    found = randomization.rank_correlations(some, others)
    expected = [
        spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(some, others, strict=True)
    ]
    np.testing.assert_allclose(found, expected)
    big = rng.random((2, 3, 40, 40))
    assert (abs(randomization.rank_correlations(*big)) < 0.1).all()
    assert np.isnan(randomization.rank_correlations(np.zeros((1, 3, 3)), some[:1, :3, :3])).all()


def test_a_layer_without_weights_is_refused(model, images):
    with pytest.raises(InputError, match="No weights in flatten"):
        randomization.similarities(model, images, {}, seed=0, down_to=["flatten"])


def test_the_summary_names_maps_that_ignore_the_weights():
    same, other = np.full(10, 0.9), np.linspace(-0.3, 0.3, 10)
    found = {
        "fixed": {"top": same, "low": same},
        "honest": {"top": same, "low": other},
        "silent": {"top": other, "low": np.full(10, np.nan)},
        "mostly silent": {"top": other, "low": np.where(np.arange(10) < 1, np.nan, same)},
    }
    table = randomization.summary(found, seed=0).set_index(["method", "down_to"])
    assert table["ignores_weights"].tolist() == [None, True, None, False] + [None] * 4
    assert table["images"].tolist() == [10, 10, 10, 10, 10, 0, 10, 9]
    low, high = table.loc[("honest", "low"), ["low", "high"]]
    assert low < 0 < high
    assert table.loc[("fixed", "top"), "mean"] == pytest.approx(0.9)
