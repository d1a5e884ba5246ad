import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain import embeddings

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
    with pytest.raises(InputError, match="does not end in a dense layer"):
        embeddings.embed(keras.Sequential([keras.Input((6, 6, 3)), layers.ReLU()]), images)


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
    with pytest.raises(InputError, match="expected fewer"):
        embeddings.neighbours(vectors, np.array([0]), 5)
