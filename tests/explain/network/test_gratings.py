import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain.network import gratings

ANGLES = (30, 120, 75)
WAVES = (1 / 8, 1 / 4, 1 / 8)


def gabor(angle, frequency, size=15):
    """A Gabor filter, brightness changing along ``angle`` (degrees, y down)."""
    y, x = np.mgrid[:size, :size] - size // 2
    along = np.cos(np.deg2rad(angle)) * x + np.sin(np.deg2rad(angle)) * y
    window = np.exp(-(x**2 + y**2) / (2 * 3.5**2))
    plane = window * np.cos(2 * np.pi * frequency * along)
    return plane - window * plane.sum() / window.sum()  # no answer to plain grey


@pytest.fixture(scope="module")
def model():
    """Three Gabor filters, one of mere brightness, one that never answers."""
    planes = [*map(gabor, ANGLES, WAVES), np.zeros((15, 15)), np.zeros((15, 15))]
    planes[3][7, 7] = 1
    kernel = np.repeat(np.stack(planes, axis=-1)[:, :, None], 3, axis=2) / 3
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(5, 15, use_bias=False, name="gabor")(inputs)
    model = keras.Model(inputs, keras.layers.Flatten(name="flat")(keras.layers.ReLU(name="out")(x)))
    model.get_layer("gabor").set_weights([kernel])
    return model


def test_gratings_are_sines_of_that_wavelength_and_direction():
    stripes = gratings.gratings(16, [0, 90], [1 / 8], phases=2)
    assert stripes.shape == (2, 1, 2, 16, 16, 3)
    vertical = stripes[0, 0, 0, :, :, 0]
    np.testing.assert_allclose(vertical, np.broadcast_to(vertical[0], (16, 16)), atol=1e-3)
    np.testing.assert_allclose(vertical[:, 8:], vertical[:, :8], atol=1e-3)  # a cycle of 8 pixels
    np.testing.assert_allclose(stripes[1, 0, 0, :, :, 0], vertical.T, atol=1e-3)
    np.testing.assert_allclose(stripes[0, 0].mean(axis=0), 127.5, atol=1e-3)  # opposite phases
    assert vertical.max() - vertical.min() == pytest.approx(2 * 127.5 * 0.8, rel=0.1)


def test_a_gabor_filter_gets_its_orientation_and_frequency_back(model):
    found = gratings.preferences(gratings.tuning(model, ["out"], size=32)["out"])
    np.testing.assert_allclose(found["orientation"][:3], ANGLES, atol=1)
    np.testing.assert_allclose(found["frequency"][:3], WAVES)
    assert (found["selectivity"][:3] > 0.7).all()
    assert found["selectivity"][3] < 0.05  # brightness has no orientation
    assert found.loc[4, ["orientation", "frequency", "selectivity"]].isna().all()


def test_a_convolution_before_its_rectification_is_tuned_alike(model):
    found = gratings.tuning(model, ["gabor", "out"], size=32)
    np.testing.assert_allclose(found["gabor"][:3], found["out"][:3], rtol=1e-3, atol=1e-2)


def test_selectivity_of_curves_known_in_closed_form():
    orientations = np.arange(0, 180, 15)
    one = (orientations == 45).astype(float)
    cosine = 1 + 0.5 * np.cos(2 * np.deg2rad(orientations - 150))  # |Σ| / Σ = 0.5 / 2
    flat = np.ones(12)
    crossed = ((orientations == 0) | (orientations == 90)).astype(float)
    found = gratings.preferences(
        np.stack([one, cosine, flat, crossed])[:, :, None], frequencies=[1]
    )
    np.testing.assert_allclose(found["selectivity"], [1, 0.25, 0, 0], atol=1e-12)
    np.testing.assert_allclose(found["orientation"][:2], [45, 150])


@pytest.mark.parametrize(
    ("orientations", "frequencies", "phases"),
    [([], [1 / 8], 4), ([0], [], 4), ([0], [1 / 8], 0), ([0], [0.6], 4), ([0], [0], 4)],
)
def test_what_makes_no_stripes_is_refused(orientations, frequencies, phases):
    with pytest.raises(InputError, match="expected at least one of each, frequencies above 0"):
        gratings.gratings(16, orientations, frequencies, phases)


def test_preferences_need_the_axes_they_are_named_by():
    with pytest.raises(InputError, match=r"\(2, 4, 1\): expected \(K, 12, 3\)"):
        gratings.preferences(np.ones((2, 4, 1)))
    assert len(gratings.preferences(np.ones((0, 12, 3)))) == 0


def test_a_layer_without_maps_is_refused(model):
    with pytest.raises(InputError, match="expected maps"):
        gratings.tuning(model, ["flat"], size=32)
