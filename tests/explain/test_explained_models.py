"""Every kind of Keras model can be explained."""

import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import layers as opening
from cnnlab.explain import targets
from cnnlab.explain.methods import cam
from cnnlab.explain.methods.registry import METHODS
from cnnlab.explain.network import features

layers = keras.layers


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)


def parts():
    keras.utils.set_random_seed(5)
    return [
        layers.Rescaling(1 / 255),
        layers.Conv2D(4, 3, padding="same", activation="relu", name="low"),
        layers.Conv2D(5, 3, padding="same", name="high"),
        layers.BatchNormalization(name="norm"),
        layers.ReLU(name="read"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, activation="softmax", name="classes"),
    ]


class Subclassed(keras.Model):
    """The layers are made in another order than they work in."""

    def __init__(self, steps):
        super().__init__()
        self.last_step = steps[-1]
        self.steps = steps[:-1]

    def call(self, inputs, training=None):
        x = inputs
        for step in self.steps:
            x = step(x, training=training) if step.name == "norm" else step(x)
        return self.last_step(x)


class Body(keras.layers.Layer):
    """A layer that is made of layers."""

    def __init__(self, name, steps):
        super().__init__(name=name)
        self.steps = steps

    def call(self, inputs):
        x = inputs
        for step in self.steps:
            x = step(x)
        return x


def kinds():
    """The same network in five forms, with weights from the same seed."""
    start = keras.Input((8, 8, 3))
    sequential = keras.Sequential([start, *parts()])
    x = start
    for step in parts():
        x = step(x)
    functional = keras.Model(start, x)
    subclassed = Subclassed(parts())
    subclassed(np.zeros((1, 8, 8, 3), np.float32))
    steps = parts()
    composite = keras.Model(start, Body("tail", steps[5:])(Body("body", steps[:5])(start)))
    steps = parts()
    inner = Subclassed(steps[:6])
    around = keras.Sequential([start, inner, steps[6]])
    return {
        "functional": functional, "sequential": sequential, "subclassed": subclassed,
        "layer of layers": composite, "subclassed inside": around,
    }  # fmt: skip


@pytest.fixture(scope="module")
def same():
    return kinds()


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["sequential", "subclassed", "layer of layers", "subclassed inside"]
)
@pytest.mark.parametrize("name", ["Grad-CAM", "Score-CAM"])
def test_maps_do_not_depend_on_how_the_model_is_written(same, images, kind, name):
    expected = METHODS[name](same["functional"], images)
    assert expected.max() == 1
    np.testing.assert_allclose(METHODS[name](same[kind], images), expected, atol=1e-5)
    low = METHODS[name](same["functional"], images, layer="low", target=1)
    np.testing.assert_allclose(
        METHODS[name](same[kind], images, layer="low", target=1), low, atol=1e-5
    )


@pytest.mark.parametrize("kind", ["subclassed", "layer of layers"])
def test_layers_with_a_call_of_their_own_are_left_as_they_were(images, kind):
    model = kinds()[kind]  # that nothing has explained before
    before = [sorted(vars(layer)) for layer in model._flatten_layers()]
    cam.hires_cam(model, images, target=lambda outputs: outputs[:, 0])
    assert [sorted(vars(layer)) for layer in model._flatten_layers()] == before
    with pytest.raises(InputError, match="no feature maps"):
        cam.hires_cam(model, images, layer="classes")
    assert [sorted(vars(layer)) for layer in model._flatten_layers()] == before


@pytest.mark.slow
def test_activations_inside_a_subclassed_model(same, images):
    paths = [features.activations(same[kind], images, ["read"])["read"] for kind in same]
    for found in paths[1:]:
        np.testing.assert_allclose(found, paths[0], atol=1e-5)
    composite = same["layer of layers"]
    assert "body/high" in opening.paths(composite)
    whole = features.activations(composite, images, ["body"])[
        "body"
    ]  # it ends in what "read" gives
    np.testing.assert_array_equal(whole, features.activations(composite, images, ["read"])["read"])
    np.testing.assert_array_equal(
        cam.hires_cam(composite, images, layer="body"), cam.hires_cam(composite, images)
    )


def test_a_call_in_a_graph_of_its_own_is_refused(images):
    class Closed(Subclassed):
        @tf.function
        def call(self, inputs):
            return super().call(inputs)

    model = Closed(parts())
    model(np.zeros((1, 8, 8, 3), np.float32))
    with pytest.raises(InputError, match="no feature maps"):
        cam.grad_cam(model, images)
    assert targets.scores(model, images, 1).shape == (3,)  # what needs no layer works


@pytest.mark.slow
def test_a_model_that_does_not_say_what_it_gives_needs_a_function(images):
    class Vague(Subclassed):
        def call(self, inputs):
            return {"scores": super().call(inputs)}

    model = Vague(parts())
    model(np.zeros((1, 8, 8, 3), np.float32))
    with pytest.raises(InputError, match="as a function from the outputs"):
        cam.grad_cam(model, images)
    found = cam.grad_cam(model, images, target=lambda outputs: outputs["scores"][:, 1])
    plain = kinds()["functional"]
    expected = cam.grad_cam(plain, images, target=lambda outputs: outputs[:, 1])
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(images, policy):
    """The maps are float32, and those that do not hang on small differences of scores are close."""
    built = {}
    for dtype in ("float32", policy):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((8, 8, 3))
        x = layers.Conv2D(4, 3, dtype=dtype)(layers.Rescaling(1 / 255)(inputs))
        x = layers.GlobalAveragePooling2D(dtype=dtype)(layers.ReLU(dtype=dtype)(x))
        x = layers.Dense(3, dtype=dtype)(x)
        built[dtype] = keras.Model(inputs, layers.Activation("softmax", dtype="float32")(x))
    for name in ("HiResCAM", "integrated gradients"):
        full, mixed = (METHODS[name](built[one], images, target=1) for one in built)
        assert mixed.dtype == np.float32
        np.testing.assert_allclose(mixed, full, atol=0.05)
    assert METHODS["Score-CAM"](built[policy], images).dtype == np.float32


def test_a_model_from_h5(same, images, tmp_path):
    model = same["functional"]
    model.save(tmp_path / "model.h5")
    again = keras.models.load_model(tmp_path / "model.h5", compile=False)
    np.testing.assert_allclose(cam.grad_cam(again, images), cam.grad_cam(model, images), atol=1e-6)


@pytest.mark.slow
def test_weights_and_layers_of_a_saved_model(images, tmp_path):
    """Its weights, in the order of the model's own, explain the same; itself it is a closed box."""
    keras.utils.set_random_seed(6)
    inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(layers.Rescaling(1 / 255)(inputs)))
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.ReLU()(x))))
    model.export(tmp_path / "saved", verbose=False)
    again = keras.models.clone_model(model)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    assert np.abs(cam.grad_cam(again, images) - cam.grad_cam(model, images)).max() > 0.1
    again.set_weights([variable.numpy() for variable in loaded.variables])
    np.testing.assert_allclose(cam.grad_cam(again, images), cam.grad_cam(model, images), atol=1e-6)
    layer = layers.TFSMLayer(tmp_path / "saved", call_endpoint="serve")
    closed = keras.Sequential([keras.Input((8, 8, 3)), layer])
    np.testing.assert_allclose(
        METHODS["occlusion"](closed, images), METHODS["occlusion"](model, images), atol=1e-4
    )
    with pytest.raises(InputError, match="no Conv2D layer"):
        cam.grad_cam(closed, images)


@pytest.mark.slow
def test_images_of_any_size():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(inputs))
    model = keras.Model(inputs, layers.Dense(2)(x))
    for size in ((6, 9), (9, 6), (12, 12)):
        pixels = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
        assert cam.grad_cam(model, pixels).shape == (2, *size)
        assert cam.eigen_cam(model, pixels).max() == 1


@pytest.mark.parametrize("name", ["Grad-CAM", "CAM", "Score-CAM"])
def test_channels_that_come_first_inside_are_refused(images, name):
    """Their maps have the shape of maps, and would be read along the wrong axes."""
    first = {"data_format": "channels_first"}
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv", **first)(layers.Permute((3, 1, 2))(inputs))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D(**first)(x)))
    with pytest.raises(InputError, match=r"'conv' of model .* has its channels first"):
        METHODS[name](model, images)
    with pytest.raises(InputError, match=r"'conv' of model .* has its channels first"):
        features.activations(model, images, ["conv"])


def test_dropout_that_was_always_on_is_off(images):
    """As in ``predict``: a map must not roll dice."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x), training=True)
    model = keras.Model(inputs, layers.Dense(2)(x))
    pair = [cam.contributions(model, images, target=0) for _ in range(2)]
    np.testing.assert_array_equal(*pair)
    scores = model.predict(images.astype(np.float32), verbose=0)[:, 0]
    np.testing.assert_allclose(pair[0].sum(axis=(1, 2)), scores, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "around"),
    [("MobileNetV3Small", "sequential"), ("EfficientNetB0", "functional")],
)
def test_backbones_of_keras_applications(name, around):
    keras.utils.set_random_seed(0)
    build = getattr(keras.applications, name)
    backbone = build(weights=None, include_top=False, input_shape=(64, 64, 3))
    head = [layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")]
    inputs = keras.Input((64, 64, 3))
    if around == "sequential":
        model = keras.Sequential([inputs, backbone, *head])
    else:
        model = keras.Model(inputs, head[1](head[0](backbone(inputs, training=False))))
    many = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    # What follows the backbone sees only its output: reading its last layer is the same thing.
    last = f"{backbone.name}/{backbone.layers[-1].name}"
    found = cam.grad_cam(model, many)
    np.testing.assert_array_equal(found, cam.grad_cam(model, many, layer=last))
    for name in ("CAM", "HiResCAM", "Eigen-CAM"):
        heatmaps = METHODS[name](model, many)
        assert np.isfinite(heatmaps).all()
        assert heatmaps.max() == 1


@pytest.fixture(scope="module")
def mobile():
    keras.utils.set_random_seed(3)
    given = {"weights": None, "include_top": False, "alpha": 0.35}
    backbone = keras.applications.MobileNetV2(input_shape=(64, 64, 3), **given)

    def ended(inputs, features):
        pooled = layers.GlobalAveragePooling2D()(features)
        return keras.Model(inputs, layers.Dense(3, activation="softmax")(pooled))

    outer, inner = keras.Input((64, 64, 3)), keras.Input((64, 64, 3))
    nested = ended(outer, backbone(layers.Rescaling(1 / 127.5, -1)(outer), training=False))
    scaled = layers.Rescaling(1 / 127.5, -1)(inner)
    flat = ended(inner, keras.applications.MobileNetV2(input_tensor=scaled, **given).output)
    flat.set_weights(nested.get_weights())
    return nested, flat


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_every_method_sees_through_a_nested_backbone(name, mobile):
    """The same MobileNet in one graph, where nothing is nested, gives the same maps."""
    nested, flat = mobile
    few = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), np.uint8)
    quick = {"occlusion": {"patch": 32, "stride": 32}, "integrated gradients": {"steps": 2}}
    options = {"target": np.array([2, 0])} | quick.get(name, {})
    if name not in (*quick, "CAM"):
        options["layer"] = "expanded_conv_project_BN"  # of 16×16 places and 8 channels
    found, expected = (METHODS[name](model, few, **options) for model in (nested, flat))
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert found.max() == 1
