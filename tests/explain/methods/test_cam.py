import importlib
import warnings

import numpy as np
import pytest
from PIL import Image

from cnnlab import models
from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import maps
from cnnlab.explain.methods import cam

layers = keras.layers

# A network whose maps are known by hand: two feature maps, the red and the green plane; three
# classes with these weights on the planes' means.
WEIGHTS = np.array([[1.0, 2.0, -1.0], [-1.0, 1.0, -1.0]], np.float32)
IMAGE = np.zeros((1, 2, 2, 3), np.float32)
IMAGE[0, :, :, 0] = [[4, 0], [0, 0]]
IMAGE[0, :, :, 1] = [[0, 0], [2, 2]]
KERNEL = np.zeros((1, 1, 3, 2), np.float32)
KERNEL[0, 0, 0, 0] = KERNEL[0, 0, 1, 1] = 1


def known_network(ending="dense", weights=WEIGHTS):
    """The known network; ``ending`` says how the softmax is attached."""
    inputs = keras.Input((2, 2, 3))
    x = layers.Conv2D(2, 1, use_bias=False, name="planes")(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    softmax = "softmax" if ending == "dense" else None
    outputs = layers.Dense(3, use_bias=False, activation=softmax, name="classes")(x)
    if ending == "layer":
        outputs = layers.Softmax()(outputs)
    if ending == "activation":
        outputs = layers.Activation("linear")(layers.Activation("softmax")(outputs))
    if ending == "operation":
        outputs = keras.ops.softmax(outputs)
    if ending == "nested":
        head = keras.Sequential([keras.Input((3,)), layers.Softmax()], name="head")
        outputs = head(outputs)
    model = keras.Model(inputs, outputs)
    model.get_layer("planes").set_weights([KERNEL])
    model.get_layer("classes").set_weights([weights])
    return model


@pytest.fixture(scope="module")
def known():
    return known_network()


@pytest.fixture(scope="module")
def reference():
    return models.build("reference_cnn", image_size=32, num_classes=4, seed=3, l2=1e-4, dropout=0.5)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)


EACH = pytest.mark.parametrize(
    "method", [cam.grad_cam, cam.grad_cam_plus_plus, cam.hires_cam, cam.layer_cam]
)


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        # Weights (1, -1)/4: red less green, and green is cut off.
        (cam.grad_cam, 0, [[1, 0], [0, 0]]),
        # Weights (2, 1)/4: (8, 2, 2)/4, divided by the largest.
        (cam.grad_cam, 1, [[1, 0], [1 / 4, 1 / 4]]),
        (cam.grad_cam_plus_plus, 0, [[1, 0], [0, 0]]),
        # Both planes have mean 1: weights 2/(2 + 2) and 1/(2 + 1); (4/2, 2/3, 2/3) by the largest.
        (cam.grad_cam_plus_plus, 1, [[1, 0], [1 / 3, 1 / 3]]),
        # Behind a mean over the plane every place has the same gradient: equal to Grad-CAM.
        (cam.hires_cam, 0, [[1, 0], [0, 0]]),
        (cam.hires_cam, 1, [[1, 0], [1 / 4, 1 / 4]]),
        # Behind the mean, only the channels with a positive gradient: red alone, and both.
        (cam.layer_cam, 0, [[1, 0], [0, 0]]),
        (cam.layer_cam, 1, [[1, 0], [1 / 4, 1 / 4]]),
        # Nothing speaks for the last class.
        (cam.layer_cam, 2, [[0, 0], [0, 0]]),
        (cam.grad_cam, 2, [[0, 0], [0, 0]]),
        (cam.grad_cam_plus_plus, 2, [[0, 0], [0, 0]]),
        (cam.hires_cam, 2, [[0, 0], [0, 0]]),
    ],
)
def test_map_known_by_hand(known, method, target, expected):
    heatmap = method(known, IMAGE, target=target)
    assert heatmap.shape == (1, 2, 2)
    assert heatmap.dtype == np.float32
    np.testing.assert_allclose(heatmap[0], expected, atol=1e-6)


@pytest.mark.parametrize("method", [cam.grad_cam, cam.hires_cam])
def test_signed_maps_keep_what_speaks_against_the_class(known, method):
    signed = method(known, IMAGE, target=0, signed=True)[0]  # weights (1, -1)/4
    np.testing.assert_allclose(signed, [[1, 0], [-1 / 2, -1 / 2]], atol=1e-6)
    against = method(known, IMAGE, target=2, signed=True)[0]  # weights (-1, -1)/4
    np.testing.assert_allclose(against, [[-1, 0], [-1 / 2, -1 / 2]], atol=1e-6)
    np.testing.assert_allclose(method(known, IMAGE, target=0)[0], np.maximum(signed, 0))


def flattened(weights):
    """The two planes behind ``Flatten`` and a linear layer: place by place (row major)."""
    inputs = keras.Input((2, 2, 3))
    x = layers.Conv2D(2, 1, use_bias=False, name="planes")(inputs)
    outputs = layers.Dense(2, name="scores")(layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    model.get_layer("planes").set_weights([KERNEL])
    model.get_layer("scores").set_weights([weights, np.array([0.5, -3])])
    return model


def test_hires_cam_is_the_exact_decomposition_behind_flatten():
    """On a linear head the plane and the bias sum to the score; Grad-CAM's weights erase it."""
    weights = np.zeros((8, 2), np.float32)  # rows: place by place, red then green
    weights[:, 0] = [1, 0, -1, 3, 0, 2, 0, 0]  # red speaks for class 0 up left, against up right
    model = flattened(weights)
    contributions = np.array([[4 * 1, 0], [2 * 2, 0]])  # value × weight at each place
    found = cam.contributions(model, IMAGE, target=0)[0]
    np.testing.assert_allclose(found, contributions)
    assert found.sum() + 0.5 == float(model(IMAGE)[0, 0])
    heatmap = cam.hires_cam(model, IMAGE, target=0)[0]
    np.testing.assert_allclose(heatmap, contributions / contributions.max())
    assert cam.grad_cam(model, IMAGE, target=0)[0].tolist() != heatmap.tolist()


def test_planes_and_bias_sum_to_the_score_of_any_image():
    weights = np.random.default_rng(1).normal(size=(8, 2)).astype(np.float32)
    model = flattened(weights)
    many = np.random.default_rng(2).random((40, 2, 2, 3), np.float32)  # over several batches
    sums = cam.contributions(model, many, target=1).sum(axis=(1, 2))
    np.testing.assert_allclose(sums - 3, model(many)[:, 1], rtol=1e-5)


def test_half_precision_resolves_a_mean_over_a_large_plane():
    """Behind 224×224 places a gradient is about 2⁻²⁴, the smallest number of float16."""
    inputs = keras.Input((224, 224, 3))
    x = keras.layers.Conv2D(1, 1, dtype="mixed_float16")(inputs)
    x = keras.layers.GlobalAveragePooling2D(dtype="mixed_float16")(x)
    model = keras.Model(inputs, keras.layers.Dense(2, dtype="mixed_float16")(x))
    head = [np.array([[0.004, 1.0]]), np.zeros(2)]
    model.set_weights([np.ones((1, 1, 3, 1)) / 3, np.zeros(1), *head])
    image = np.full((1, 224, 224, 3), 100, np.uint8)
    for target, weight in enumerate(head[0][0]):
        found = cam.contributions(model, image, target=target)
        np.testing.assert_allclose(found, 100 * weight / 224**2, rtol=0.01)


def test_layer_cam_drops_negative_gradients_place_by_place():
    weights = np.zeros((8, 2), np.float32)
    weights[:, 0] = [1, 0, 0, 0, 0, -2, 0, 3]  # red up left +1; green down left -2, right +3
    expected = np.array([[4 * 1, 0], [0, 2 * 3]]) / 6
    found = cam.layer_cam(flattened(weights), IMAGE, target=0)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def singular_map(features):
    """Muhammad and Yeasin as printed: (h, w, K) → A·v₁, its sum made positive."""
    rows = features.reshape(-1, features.shape[-1]).astype(np.float64)
    projected = rows @ np.linalg.svd(rows)[2][0]
    return (projected * np.sign(projected.sum())).reshape(features.shape[:2])


@pytest.mark.parametrize("channels", [3, 40])  # fewer channels than places, and more
def test_eigen_cam_against_singular_vectors(channels):
    keras.utils.set_random_seed(4)
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(channels, 3, padding="same", name="last")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    many = np.random.default_rng(5).integers(0, 256, (4, 6, 6, 3), np.uint8)
    features = model.get_layer("last")(many.astype(np.float32)).numpy()
    for found, maps_of_image in zip(cam.eigen_cam(model, many), features, strict=True):
        expected = np.maximum(singular_map(maps_of_image), 0)
        np.testing.assert_allclose(found, expected / expected.max(), atol=1e-4)
    by_class = [cam.eigen_cam(model, many, target=target) for target in (0, 1)]
    np.testing.assert_allclose(*by_class)


@pytest.mark.parametrize("ending", ["layer", "activation", "operation", "nested", "none"])
@pytest.mark.slow
def test_the_score_is_the_one_before_softmax(known, ending):
    expected = cam.contributions(known, IMAGE, target=1)
    np.testing.assert_allclose(cam.contributions(known_network(ending), IMAGE, target=1), expected)


@EACH
def test_a_sure_network_still_has_a_map(method):
    sure = known_network(weights=1000 * WEIGHTS)
    assert sure(IMAGE).numpy()[0, 1] == 1  # the gradient of this probability is zero
    assert method(sure, IMAGE).max() == 1


@pytest.fixture(scope="module")
def same_size():
    """A network whose last convolution has the image's size: nothing is enlarged."""
    keras.utils.set_random_seed(6)
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(5, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(inputs))
    x = layers.Conv2D(7, 3, padding="same", activation="relu", name="last")(x)
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(layers.MaxPooling2D()(x))))


@pytest.mark.parametrize(
    ("method", "module", "name"),
    [(cam.grad_cam, "gradcam", "Gradcam"), (cam.layer_cam, "layercam", "Layercam")],
)
def test_maps_against_another_library(same_size, method, module, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its imports are deprecated by SciPy
        other = getattr(importlib.import_module(f"tf_keras_vis.{module}"), name)(same_size)
    many = np.random.default_rng(7).integers(0, 256, (6, 12, 12, 3), np.uint8)
    targets = [0, 1, 2, 3, 0, 1]
    expected = other(
        lambda outputs: [outputs[i, target] for i, target in enumerate(targets)],
        many.astype(np.float32), penultimate_layer="last", normalize_cam=False,
    )  # fmt: skip
    peaks = expected.max(axis=(1, 2), keepdims=True)
    found = method(same_size, many, target=np.array(targets))
    np.testing.assert_allclose(found * peaks, expected, atol=1e-6)
    assert (peaks > 0).any()


def test_grad_cam_plus_plus_of_another_library_differs_by_one_division(same_size):
    """It divides each α by the plane's sum; without that its map is the printed one, and ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its imports are deprecated by SciPy
        other = importlib.import_module("tf_keras_vis.gradcam_plus_plus").GradcamPlusPlus(same_size)
    many = np.random.default_rng(7).integers(0, 256, (3, 12, 12, 3), np.uint8).astype(np.float32)
    theirs = other(
        lambda outputs: outputs[:, 1], many, penultimate_layer="last", normalize_cam=False
    )
    features = keras.Model(same_size.input, same_size.get_layer("last").output)(many)
    with tf.GradientTape() as tape:
        tape.watch(features)
        outputs = features
        for layer in same_size.layers[-3:]:  # pooling, flattening, the scores
            outputs = layer(outputs)
        score = outputs[:, 1]
    gradients, features = tape.gradient(score, features).numpy(), features.numpy()
    below = 2 * gradients**2 + features.sum(axis=(1, 2), keepdims=True) * gradients**3
    printed = np.divide(gradients**2, below, out=np.zeros_like(below), where=gradients != 0)
    sums = printed.sum(axis=(1, 2), keepdims=True)
    divided = np.divide(printed, sums, out=np.zeros_like(printed), where=sums != 0)
    found = cam.grad_cam_plus_plus(same_size, many, target=1)
    for alpha, expected in ((printed, found), (divided, theirs)):
        weights = (alpha * np.maximum(gradients, 0)).sum(axis=(1, 2), keepdims=True)
        planes = np.maximum((weights * features).sum(axis=-1), 0)
        peaks = [maps.max(axis=(1, 2), keepdims=True) for maps in (planes, expected)]
        np.testing.assert_allclose(planes / peaks[0], expected / peaks[1], atol=1e-4)


def test_default_target_is_the_predicted_class(reference, images):
    predicted = reference.predict(images, verbose=0).argmax(axis=1)
    np.testing.assert_array_equal(
        cam.grad_cam(reference, images), cam.grad_cam(reference, images, target=predicted)
    )


def test_a_target_for_each_image(reference, images):
    targets = np.array([0, 1, 2, 3, 0])
    together = cam.grad_cam(reference, images, target=targets)
    for i, target in enumerate(targets):
        alone = cam.grad_cam(reference, images[i : i + 1], target=int(target))
        np.testing.assert_allclose(together[i : i + 1], alone, atol=1e-5)
    assert not np.allclose(together[1], cam.grad_cam(reference, images, target=0)[1], atol=1e-3)


def literal_maps(model, images, target):
    """Selvaraju eq. 1–2 and Chattopadhay eq. 11, 19, 20 as printed, on a second model."""
    dense = model.get_layer("probabilities")
    maps = keras.Model(model.input, model.get_layer("relu4").output)(images.astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(maps)
        x = model.get_layer("pool4")(model.get_layer("norm4")(maps))
        x = model.get_layer("dense")(layers.Flatten()(x))
        score = (x @ dense.kernel + dense.bias)[:, target]
    gradient, maps = tape.gradient(score, maps).numpy(), maps.numpy()
    plain = np.maximum(np.sum(gradient.mean(axis=(1, 2), keepdims=True) * maps, axis=-1), 0)
    total = maps.sum(axis=(1, 2), keepdims=True)
    below = 2 * gradient**2 + total * gradient**3
    alpha = np.divide(gradient**2, below, out=np.zeros_like(below), where=gradient != 0)
    weights = (alpha * np.maximum(gradient, 0)).sum(axis=(1, 2), keepdims=True)
    return plain, np.maximum(np.sum(weights * maps, axis=-1), 0)


@pytest.mark.parametrize("index", [0, 1])
def test_reference_network_against_the_printed_equations(reference, images, index):
    method = (cam.grad_cam, cam.grad_cam_plus_plus)[index]
    expected = literal_maps(reference, images, 2)[index]
    found = method(reference, images, target=2)
    for heatmap, small in zip(found, expected, strict=True):
        enlarged = np.asarray(
            Image.fromarray(small / small.max()).resize((32, 32), Image.Resampling.BILINEAR)
        )
        np.testing.assert_allclose(heatmap, enlarged / enlarged.max(), atol=1e-4)
        assert heatmap.min() >= 0
        assert heatmap.max() == 1


def test_batches_do_not_matter(reference, images, monkeypatch):
    expected = cam.grad_cam(reference, images, target=1)
    monkeypatch.setattr(maps, "BATCH", 2)
    np.testing.assert_allclose(cam.grad_cam(reference, images, target=1), expected, atol=1e-5)
    assert cam.grad_cam(reference, images[:0]).shape == (0, 32, 32)


def test_uint8_and_float_images_give_the_same_map(reference, images):
    np.testing.assert_array_equal(
        cam.grad_cam(reference, images), cam.grad_cam(reference, images.astype(np.float32))
    )


@pytest.mark.slow
def test_the_last_stage_with_more_than_one_place_is_read(reference, images):
    np.testing.assert_array_equal(
        cam.hires_cam(reference, images), cam.hires_cam(reference, images, layer="relu4")
    )
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="plane")(inputs)
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    dense_like = keras.Model(inputs, layers.Flatten()(layers.Conv2D(3, 1)(x)))
    small = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    found = cam.hires_cam(dense_like, small, signed=True)
    np.testing.assert_array_equal(
        found, cam.hires_cam(dense_like, small, layer="plane", signed=True)
    )
    assert found.std() > 0


def convolution_then(block):
    """A model of two convolutions with ``block`` behind the second, and that block's output."""
    inputs = keras.Input((8, 8, 3))
    first = layers.Conv2D(4, 3, padding="same", name="first")(inputs)
    x = layers.Conv2D(4, 3, padding="same", name="second")(first)
    x = {
        "relu": lambda: layers.ReLU(name="read")(layers.Dropout(0.5)(x)),
        "norm": lambda: layers.Activation("relu", name="read")(layers.BatchNormalization()(x)),
        "residual": lambda: layers.ReLU(name="read")(layers.Add()([first, x])),
        "operation": lambda: layers.Identity(name="read")(keras.ops.relu(x)),
    }[block]()
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D()(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


@pytest.mark.parametrize("block", ["relu", "norm", "residual", "operation"])
def test_a_convolution_is_read_behind_its_activation(block):
    keras.utils.set_random_seed(1)
    model = convolution_then(block)
    small = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    expected = cam.grad_cam(model, small, layer="read")
    np.testing.assert_array_equal(cam.grad_cam(model, small), expected)
    np.testing.assert_array_equal(cam.grad_cam(model, small, layer="second"), expected)


def test_a_convolution_without_activation_is_read_itself():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 3))
    features = layers.Conv2D(4, 3, name="first")(inputs)
    x = layers.Conv2D(4, 3, name="second")(features)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    small = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    inner = keras.Model(features, model.output)
    maps = model.get_layer("first")(small)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        score = inner(maps)[:, 0]
    gradient = tape.gradient(score, maps).numpy()
    expected = np.maximum((gradient.mean(axis=(1, 2)) * maps.numpy()).sum(-1, keepdims=True), 0)
    expected = tf.image.resize(expected, (8, 8)).numpy()[..., 0]
    found = cam.grad_cam(model, small, target=0, layer="first")
    np.testing.assert_allclose(found, expected / expected.max(), atol=1e-5)


def nested_and_flat():
    """The same network twice: its convolutions inside a nested backbone, and all in one graph."""
    keras.utils.set_random_seed(2)

    def body(x):
        x = layers.Conv2D(4, 3, activation="relu", name="low")(x)
        return layers.Conv2D(5, 3, name="high")(x)

    def head(x):
        return layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))

    inner = keras.Input((12, 12, 3))
    backbone = keras.Model(inner, body(inner), name="backbone")
    outer, flat = keras.Input((12, 12, 3)), keras.Input((12, 12, 3))
    nested = keras.Model(outer, head(layers.ReLU()(backbone(layers.Rescaling(1 / 255)(outer)))))
    flat = keras.Model(flat, head(layers.ReLU()(body(layers.Rescaling(1 / 255)(flat)))))
    flat.set_weights(nested.get_weights())
    return nested, flat


@pytest.mark.slow
def test_layers_inside_a_nested_model():
    method = cam.grad_cam
    nested, flat = nested_and_flat()
    small = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3), np.uint8)
    for name in (None, "low", "high"):
        expected = method(flat, small, layer=name)
        assert expected.max() == 1
        np.testing.assert_allclose(method(nested, small, layer=name), expected, atol=1e-6)
    np.testing.assert_array_equal(
        method(nested, small, layer="backbone/low"), method(nested, small, layer="low")
    )
    # A sequential model around it, and one level more.
    twice = keras.Sequential([keras.Input((12, 12, 3)), nested])
    np.testing.assert_allclose(method(twice, small), method(flat, small), atol=1e-6)


def test_a_wrong_layer_name_lists_the_possible_ones(known):
    with pytest.raises(InputError, match=r"No layer 'conv9'.*planes.*classes"):
        cam.grad_cam(known, IMAGE, layer="conv9")


@pytest.mark.parametrize("name", ["classes", "images"])
def test_a_layer_without_maps_is_refused(name):
    inputs = keras.Input((2, 2, 3), name="images")
    x = layers.Flatten()(layers.Conv2D(2, 1, name="planes")(inputs))
    model = keras.Model(inputs, layers.Dense(3, name="classes")(x))
    with pytest.raises(InputError, match=rf"Layer '{name}' has no feature maps.*planes"):
        cam.grad_cam(model, IMAGE, layer=name)


def test_a_network_without_convolution_is_refused():
    model = keras.Sequential([keras.Input((2, 2, 3)), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(InputError, match="no Conv2D layer"):
        cam.grad_cam(model, IMAGE)


@pytest.mark.parametrize("target", [3, -1, 0.5, [0, 1], "cat"])
def test_a_target_that_does_not_fit_is_refused(known, target):
    with pytest.raises(InputError, match=r"expected None, a class index or 1 of them, in 0…2"):
        cam.grad_cam(known, IMAGE, target=target)
