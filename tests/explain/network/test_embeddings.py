import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain.network import embeddings

layers = keras.layers


def test_vectors_are_what_enters_the_last_layer():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 3))
    x = layers.Dense(5, activation="relu", name="hidden")(layers.Flatten()(inputs))
    outputs = layers.Dense(3, activation="softmax")(layers.Dropout(0.5)(x))
    model = keras.Model(inputs, outputs)
    images = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 3), np.uint8)
    hidden = keras.Model(inputs, x).predict(images, verbose=0)
    np.testing.assert_allclose(embeddings.embed(model, images), hidden, rtol=1e-4)
    assert embeddings.embed(model, images[:0]).shape == (0, 5)


@pytest.mark.parametrize(
    "last", [layers.Softmax, lambda: layers.Activation("sigmoid", dtype="float32")]
)
def test_the_softmax_may_be_a_layer_of_its_own(last):
    model = keras.Sequential(
        [keras.Input((2, 2, 3)), layers.Flatten(), layers.Dense(3, dtype="mixed_float16"), last()]
    )
    images = np.random.default_rng(0).integers(0, 256, (4, 2, 2, 3), np.uint8)
    np.testing.assert_array_equal(embeddings.embed(model, images), images.reshape(4, -1))


def test_another_ending_is_refused():
    images = np.zeros((1, 6, 6, 3))
    mapped = keras.Sequential([keras.Input((6, 6, 3)), layers.ReLU(name="last")])
    says = r"ends in 'last' \(ReLU\): expected a dense layer.*features\.activations"
    with pytest.raises(InputError, match=says):
        embeddings.embed(mapped, images)
    pooled = [layers.GlobalAveragePooling2D(name="pooled"), layers.Softmax()]
    with pytest.raises(InputError, match=r"ends in 'pooled' \(GlobalAveragePooling2D\)"):
        embeddings.embed(keras.Sequential([keras.Input((6, 6, 3)), *pooled]), images)
    inputs = keras.Input((6, 6, 3))
    several = keras.Model(inputs, [layers.ReLU()(inputs), layers.Flatten()(inputs)])
    with pytest.raises(InputError, match="ends in no single layer: expected a dense"):
        embeddings.embed(several, images)


def test_groups_stay_together_and_the_map_is_the_same_each_time():
    groups = np.repeat([0, 1], 20)
    vectors = np.random.default_rng(0).normal(size=(40, 8)) + 30 * groups[:, None]
    found = embeddings.project(vectors, seed=0, perplexity=8)
    assert found.shape == (40, 2)
    near = np.argsort(np.linalg.norm(found[:, None] - found, axis=-1), axis=1)[:, 1:6]
    assert (groups[near] == groups[:, None]).all()
    np.testing.assert_array_equal(found, embeddings.project(vectors, seed=0, perplexity=8))
    assert np.isfinite(embeddings.project(vectors[:4], seed=0)).all()
    assert np.isfinite(embeddings.project(np.ones((6, 1)), seed=0)).all()
    with pytest.raises(InputError, match="at least 4"):
        embeddings.project(vectors[:3], seed=0)


def test_neighbours_by_angle():
    vectors = np.array([[1.0, 0], [100, 1], [0, 5], [1, 1], [0, 0]])
    assert embeddings.neighbours(vectors, np.array([0, 2]), 2).tolist() == [[1, 3], [3, 1]]
    for count in (0, 5):
        with pytest.raises(InputError, match=f"{count} neighbours among 5 .* expected 1 to 4"):
            embeddings.neighbours(vectors, np.array([0]), count)
