import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain.network import probes


def test_fields_are_averaged_each_by_itself():
    maps = np.arange(16.0).reshape(1, 4, 4, 1)
    np.testing.assert_allclose(probes.averaged(maps, 2), [[2.5, 4.5, 10.5, 12.5]])
    np.testing.assert_allclose(probes.averaged(maps, 1), [[7.5]])
    odd = np.arange(9.0).reshape(1, 3, 3, 1)  # the middle line belongs to both
    np.testing.assert_allclose(probes.averaged(odd, 2), [[2, 3, 5, 6]])
    single = np.arange(3.0).reshape(1, 1, 3, 1)  # one field where a line has one place
    np.testing.assert_allclose(probes.averaged(single, 2), [[1]])
    with pytest.raises(InputError, match=r"\(3, 3\): expected \(b, h, w, K\)"):
        probes.averaged(odd[0, :, :, 0], 2)


def test_pooled_reads_the_layers_themselves():
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.ReLU(name="same")])
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 3), np.uint8)
    found = probes.pooled(model, images, ["same"], side=1)["same"]
    np.testing.assert_allclose(found, images.mean(axis=(1, 2)), rtol=1e-5)


@pytest.fixture(scope="module")
def clouds():
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    return rng.normal(size=(300, 5)), labels


def test_what_is_separable_is_read_and_noise_is_not(clouds):
    noise, labels = clouds
    apart = noise + 8 * np.eye(3, 5)[labels]
    found = probes.hits(apart[:200], labels[:200], apart[200:], labels[200:], seed=0)
    assert found.shape == (100,)
    assert found.dtype == bool
    assert found.mean() > 0.98
    chance = probes.hits(noise[:200], labels[:200], noise[200:], labels[200:], seed=0)
    assert chance.mean() < 0.5


def test_a_small_difference_beside_a_large_common_swing_is_read():
    """Only a large weight on the small difference tells the classes apart: a weak penalty."""
    rng = np.random.default_rng(1)
    labels = np.arange(600) % 2
    swing = rng.normal(size=600)
    rows = np.stack([swing, swing + 0.02 * (labels - 0.5) + 0.004 * rng.normal(size=600)], axis=1)
    found = probes.hits(rows[:400], labels[:400], rows[400:], labels[400:], seed=0)
    assert found.mean() > 0.95


def test_wrong_labels_are_not_learned_by_heart():
    """One in four is wrong, among almost as many numbers as images: a strong penalty."""
    rng = np.random.default_rng(2)
    labels = np.arange(1200) % 2
    rows = rng.normal(size=(1200, 100)) + 0.4 * (labels[:, None] - 0.5)
    told = np.where(rng.random(1200) < 0.25, 1 - labels, labels)
    found = probes.hits(rows[:200], told[:200], rows[200:], labels[200:], seed=0)
    assert found.mean() > 0.83


def test_the_held_out_labels_decide_nothing_but_the_verdict(clouds):
    noise, labels = clouds
    rows = noise + np.eye(3, 5)[labels]
    right = probes.hits(rows[:200], labels[:200], rows[200:], labels[200:], seed=0)
    said = probes.hits(rows[:200], labels[:200], rows[200:], np.zeros(100), seed=0)
    assert ((labels[200:] == 0) & said == (labels[200:] == 0) & right).all()


def test_one_class_is_refused():
    with pytest.raises(InputError, match="two classes"):
        probes.hits(np.ones((8, 2)), np.zeros(8), np.ones((2, 2)), np.zeros(2), seed=0)
