"""Residual sums, gates, swish, depthwise convolutions, global pooling: explained by stages."""

import numpy as np
import pytest

from cnnlab import models
from cnnlab.config import InputError
from cnnlab.config.model import MODULES
from cnnlab.engine import keras, tf
from cnnlab.explain import layers
from cnnlab.explain.methods import cam
from cnnlab.explain.methods.registry import METHODS, fitting
from cnnlab.explain.network import (
    depth,
    description,
    embeddings,
    features,
    gratings,
    maximisation,
    patches,
)
from cnnlab.explain.network.receptive_field import receptive_field
from cnnlab.explain.quality import randomization

STAGES = {"reference_cnn": 4, "tiny_residual": 3, "tiny_gated": 3}


def stages_of(model):
    found = models.stages(model)
    assert len(found) == STAGES[model.name]
    return found


@pytest.mark.slow
def test_every_method_that_fits_gives_heatmaps(network, photos):
    methods, others = fitting(network)
    pooled = models.pools_globally(network)
    assert set(METHODS) - set(methods) == set(others) == (set() if pooled else {"CAM"})
    for sentence in others.values():
        assert network.name in sentence
    for name, method in methods.items():
        found = method(network, photos)
        assert (found.dtype, found.shape) == (np.float32, (4, 16, 16)), name
        assert np.isfinite(found).all(), name
        assert found.min() >= 0, name
        peaks = found.max(axis=(1, 2))
        assert set(peaks) <= {0, 1}, name  # 0: nothing speaks for the class
        assert peaks.any() or name not in ("HiResCAM", "occlusion", "integrated gradients"), name


@pytest.mark.slow
def test_heatmaps_read_the_end_of_the_last_stage(network, photos):
    """A gradient taken by hand, of the score before softmax."""
    last = stages_of(network)[-1]
    dense = network.layers[-1]
    both = keras.Model(network.inputs[0], [network.get_layer(last).output, dense.input])
    pixels = tf.constant(photos, tf.float32)
    with tf.GradientTape() as tape:
        maps, vectors = both(pixels)
        scores = tf.matmul(vectors, dense.kernel)[:, 2]
    gradients = tape.gradient(scores, maps)
    product = np.einsum("bhwk,bhwk->bhw", maps, gradients)
    found = cam.contributions(network, photos, target=2)
    np.testing.assert_allclose(found, product, atol=1e-5)
    weights = tf.reduce_mean(gradients, axis=(1, 2))
    sums = np.maximum(np.einsum("bhwk,bk->bhw", maps, weights), 0)
    found = cam.grad_cam(network, photos, target=2)
    expected = tf.image.resize(sums[..., None], (16, 16))[..., 0].numpy()
    peaks = expected.max(axis=(1, 2), keepdims=True)
    expected = np.divide(expected, peaks, out=np.zeros_like(expected), where=peaks > 0)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.slow
def test_behind_pooling_and_one_dense_layer_three_methods_are_one(network, photos):
    if not models.pools_globally(network):
        with pytest.raises(InputError, match="pool"):
            METHODS["CAM"](network, photos)
        return
    expected = METHODS["CAM"](network, photos, target=1, signed=True)
    for name in ("Grad-CAM", "HiResCAM"):
        found = METHODS[name](network, photos, target=1, signed=True)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_field_of_every_stage_is_what_changes_it(network):
    """Seen is what changes a place, where all weights are positive and the gates stand still."""
    positive = keras.models.clone_model(network)
    positive.set_weights([np.full_like(weight, 0.5) for weight in network.get_weights()])
    for layer in positive.layers:
        if layers.activation(layer) == "sigmoid":
            layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    images = np.full((33, 16, 16, 3), 200, np.float32)  # one as it is, one for each row and column
    for line in range(16):
        images[1 + line, line] += 1e7  # so that float32 knows how little reaches the outermost
        images[17 + line, :, line] += 1e7
    for name in stages_of(network):
        field = receptive_field(network, name, 16)
        assert field.gated == (network.name == "tiny_gated" and name != stages_of(network)[0])
        maps = keras.Model(positive.inputs[0], positive.get_layer(name).output)(images).numpy()
        row, column = maps.shape[1] // 2, maps.shape[2] // 2
        changed = maps[1:, row, column, 0] != maps[0, row, column, 0]
        pairs = (field.height, row, changed[:16]), (field.width, column, changed[16:])
        for axis, place, lines in pairs:
            start, seen = axis.start + place * axis.step, np.flatnonzero(lines)
            assert (max(start, 0), min(start + axis.size, 16)) == (seen[0], seen[-1] + 1)


@pytest.mark.slow
def test_patches_probes_gratings_and_maximisation_of_every_stage(network):
    names = stages_of(network)
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 2
    images = rng.integers(0, 80, (24, 16, 16, 3)) + 170 * labels[:, None, None, None]
    images = images.astype(np.uint8)
    for name in names:
        found = patches.strongest(network, images, name, channels=2, count=3)
        sizes = [min(axis.size, 16) for axis in receptive_field(network, name, 16).axes]
        assert list(found.pictures.shape[2:4]) == sizes
        pictures = maximisation.maximised(network, name, found.channels, size=16, seed=0, steps=2)
        assert pictures.shape == (len(found.channels), 16, 16, 3)
    sides = (images[:16], labels[:16]), (images[16:], labels[16:])
    table = depth.tuned(network, names, size=16).join(depth.probed(network, names, *sides, seed=0))
    assert table["layer"].tolist() == list(names)
    assert (table["probe"] == 1).all()  # brightness tells them apart
    again = depth.randomized(network, names, size=16, seed=0, times=2)
    assert again.notna().all(axis=None)
    assert set(gratings.tuning(network, names, size=16)) == set(names)


@pytest.mark.slow
def test_randomization_stops_at_layers_with_weights(network, photos):
    stops = randomization.landmarks(network)
    methods = {"Grad-CAM": cam.grad_cam}
    found = randomization.similarities(network, photos, methods, seed=0, down_to=stops)
    assert list(found["Grad-CAM"]) == stops
    assert stops[0] == network.layers[-1].name
    first = next(one for one in network.layers if isinstance(one, keras.layers.Conv2D))
    assert stops[-1] == first.name
    if network.name == "reference_cnn":
        assert stops == ["probabilities", "conv4", "conv1"]


def test_embeddings_and_first_filters(network, photos):
    vectors = embeddings.embed(network, photos)
    assert vectors.shape == (4, network.layers[-1].input.shape[1])
    kernels = features.first_filters(network)
    assert kernels.shape[:3] == (3, 3, 3)


def test_the_sentences_are_about_this_network(network):
    table = description.stages(network, 16)
    assert table["layer"].tolist() == list(stages_of(network))
    smooth = network.name == "tiny_gated"
    assert table["rectified"].tolist() == [not smooth] * len(table)
    assert table["gated"].tolist() == [False] + [smooth] * (len(table) - 1)
    text, pooled = " ".join(description.notes(network, table)), models.pools_globally(network)
    assert ("pools its last maps" in text) == pooled
    assert ("Grad-CAM averages" in text) != pooled
    assert ("Gates weigh" in text) == ("have negative values" in text) == smooth
    single = table.assign(places=[*table["places"][:-1], "1 × 1"])
    assert f"a single place is left in {table['layer'].iloc[-1]}:" in "".join(
        description.notes(network, single)
    )
    irregular = "".join(description.notes(network, table.assign(sees="")))
    assert f"is not regular in {', '.join(table['layer'])}: whole images" in irregular
    assert "Stages found: 1." in "".join(description.notes(network, table[:1]))
    assert "Stages found: 0." in "".join(description.notes(network, table[:0]))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*MODULES, "mobilenet_v2"])
def test_every_registered_network_is_explained(name):
    """At few pixels, where its last stage may have a single place."""
    size = 32
    model = models.build(name, image_size=size, num_classes=3, seed=0, l2=0.0, dropout=0.5)
    images = np.random.default_rng(0).integers(0, 256, (6, size, size, 3), np.uint8)
    names = list(models.stages(model))
    assert 2 <= len(names) <= 6
    table = description.stages(model, size)
    assert (table["sees"] != "").all()
    assert description.notes(model, table)
    for method in fitting(model)[0].values():
        found = method(model, images[:1])
        assert (found.dtype, found.shape) == (np.float32, (1, size, size))
        assert np.isfinite(found).all()
    for stage in names:
        found = patches.strongest(model, images, stage, channels=2, count=2)
        assert max(found.pictures.shape[2:4]) <= size
    assert maximisation.maximised(model, names[-1], [0], size=size, seed=0, steps=1).any()
    sides = (images, np.arange(6) % 2), (images, np.arange(6) % 2)
    assert depth.probed(model, names, *sides, seed=0)["probe"].between(0, 1).all()
    with randomization.randomized(model, seed=0):
        assert depth.tuned(model, names, size=size)["selective"].between(0, 1).all()
    assert len(randomization.landmarks(model)) == 3
    assert len(embeddings.embed(model, images)) == 6
    assert features.first_filters(model).shape[2] == 3
