"""What every network of the registry keeps to."""

import dataclasses

import numpy as np
import pytest

from cnnlab import models
from cnnlab.config import InputError
from cnnlab.config.model import APPLICATIONS, MODULES
from cnnlab.config.section import Section
from cnnlab.engine import keras, tf

# Of the table of applications one row; the others are in test_applications.py.
LARGE = (*MODULES[2:], "mobilenet_v2")  # they take seconds
TRIED = (*MODULES[:2], *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE))
FAMILIES = [models.architecture(name) for name in (*MODULES[:2], *LARGE)]
COUNTS = [
    pytest.param(family.name, known, marks=pytest.mark.slow if "3-4-6-3" in known.options else ())
    for family in FAMILIES
    for known in family.parameters
]
every_network = pytest.mark.parametrize("name", TRIED)


@pytest.fixture(scope="module", params=TRIED)
def model(request) -> keras.Model:
    """A network of each family for 4 classes at 32 pixels; not to be changed."""
    return models.build(request.param, image_size=32, num_classes=4, seed=0, l2=0.01, dropout=0.4)


@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_a_family_says_what_the_registry_wants_to_know(name) -> None:
    family = models.architecture(name)
    assert family.name == name
    assert family.summary.endswith(".")
    assert issubclass(family.options, Section)
    assert dataclasses.is_dataclass(family.options)
    assert family.options.__dataclass_params__.frozen
    assert all(each.metadata["meaning"] for each in dataclasses.fields(family.options))
    assert 1 <= len(family.stages) <= 6
    assert family.parameters or name in APPLICATIONS  # whose table says them in millions


@pytest.mark.parametrize(("name", "known"), COUNTS, ids=str)
@pytest.mark.slow
def test_parameter_counts(name, known, network) -> None:
    model = network(
        name,
        image_size=known.image_size,
        num_classes=known.num_classes,
        options=known.options,
    )
    counted = [sum(int(np.prod(weight.shape)) for weight in weights) for weights in
               (model.trainable_weights, model.non_trainable_weights)]  # fmt: skip
    assert counted == [known.trainable, known.fixed]


def test_it_takes_pixels_and_gives_probabilities(model, photographs) -> None:
    assert model.name in models.ARCHITECTURES
    assert model.input_shape == (None, 32, 32, 3)
    assert model.output_shape == (None, 4)
    assert model.inputs[0].dtype == model.outputs[0].dtype == "float32"
    assert model.layers[-1].activation is keras.activations.softmax
    images = photographs()
    probabilities = np.asarray(model(images, training=False))
    assert np.all(probabilities > 0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(model(images[:1], training=False), probabilities[:1], atol=1e-5)


def test_it_normalises_pixels_itself(model, photographs) -> None:
    scaled = [layer for layer in model.layers if isinstance(layer, keras.layers.Rescaling)]
    view = keras.Model(model.inputs[0], scaled[-1].output)
    values = np.asarray(view(photographs()))
    assert -1 <= values.min() < values.max() <= 1
    assert values.max() - values.min() > 0.9


def test_it_is_flat(model) -> None:
    """A nested model would hide its layers behind paths."""
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert all(isinstance(operation, keras.Layer) for operation in model.operations)


@every_network
def test_probabilities_stay_float32_under_mixed_precision(name, network, photographs) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = network(name)
    finally:
        keras.config.set_dtype_policy(before)
    assert {layer.compute_dtype for layer in model.layers if "conv" in layer.name} == {"bfloat16"}
    probabilities = model(photographs(), training=False)
    assert probabilities.dtype == tf.float32
    np.testing.assert_allclose(np.sum(probabilities, axis=1), 1, atol=1e-6)


@every_network
@pytest.mark.slow
def test_the_seed_decides_the_weights_and_nothing_else_does(name, network) -> None:
    keras.utils.set_random_seed(1)
    first = network(name, seed=5)
    keras.utils.set_random_seed(2)
    second = network(name, seed=5)
    assert first.get_config() == second.get_config()  # no name counts what was built before
    one, again = first.get_weights(), second.get_weights()
    other = network(name, seed=6).get_weights()
    assert all(map(np.array_equal, one, again))
    kernels = [position for position, weight in enumerate(one) if weight.ndim > 1]
    assert len(kernels) > 1
    assert not any(np.array_equal(one[position], other[position]) for position in kernels)
    drawn = {one[position].tobytes() for position in kernels}
    assert len(drawn) == len(kernels)  # no two layers begin alike


def test_its_stages_are_layers_in_order_and_grow_coarser(model) -> None:
    names = models.stages(model)
    order = [layer.name for layer in model.layers]
    assert 2 <= len(names) <= 6
    assert [*names] == sorted(names, key=order.index)
    sides = [model.get_layer(stage).output.shape[1] for stage in names]
    assert sides == sorted(set(sides), reverse=True)
    assert names == models.architecture(model.name).stages


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_it_is_the_same_when_it_comes_back_from_a_file(
    suffix, model, photographs, tmp_path
) -> None:
    path = tmp_path / f"model.{suffix}"
    model.save(path)
    loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
    images = photographs()
    assert np.array_equal(loaded(images, training=False), model(images, training=False))
    assert models.stages(loaded) == models.stages(model)
    assert models.pools_globally(loaded) == models.pools_globally(model)


@every_network
def test_a_step_reaches_every_weight(name, network, photographs) -> None:
    model, images = network(name, dropout=0.0), photographs(count=8)
    labels = np.eye(4, dtype=np.float32)[np.arange(8) % 4]
    with tf.GradientTape() as tape:
        answers = model(images, training=True)
        loss = tf.reduce_mean(keras.losses.categorical_crossentropy(labels, answers))
    slopes = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    for weight, slope in zip(model.trainable_weights, slopes, strict=True):
        assert slope is not None, weight.path
        assert np.isfinite(slope).all(), weight.path
        assert np.any(slope), weight.path


@every_network
def test_one_that_pools_globally_has_the_same_weights_at_every_size(
    name, network, photographs
) -> None:
    small, large = network(name), network(name, image_size=48, seed=1)
    shapes = [[weight.shape for weight in model.weights] for model in (small, large)]
    assert models.pools_globally(small) == (shapes[0] == shapes[1])
    if models.pools_globally(small):
        large.set_weights(small.get_weights())
        assert [w.path for w in small.weights] == [w.path for w in large.weights]
        assert np.asarray(large(photographs(48), training=False)).shape == (3, 4)


@every_network
def test_the_smallest_image_will_do(name, network, photographs) -> None:
    side = 16 if name in MODULES else models.architecture(name).pretrained.smallest
    answers = network(name, image_size=side)(photographs(side), training=False)
    np.testing.assert_allclose(np.sum(answers, axis=1), 1, atol=1e-6)


def test_the_penalty_is_that_of_the_kernels_of_convolutions(model) -> None:
    kernels = [
        layer.kernel.numpy().astype(np.float64)
        for layer in model.layers
        if type(layer) is keras.layers.Conv2D
    ]
    penalty = 0.01 * sum(np.sum(kernel**2) for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(penalty, rel=1e-5)


def test_it_drops_features_in_training_only(model, photographs) -> None:
    layer = model.get_layer("dropout")
    assert layer.rate == 0.4
    features = np.ones((3, layer.input.shape[-1]), np.float32)
    assert np.array_equal(layer(features, training=False), features)
    assert 0.2 < np.mean(np.asarray(layer(features, training=True)) == 0) < 0.6
    images = photographs()
    assert np.array_equal(model(images, training=False), model(images, training=False))


@every_network
def test_options_are_checked(name, network) -> None:
    with pytest.raises(InputError, match=f"cannot set 'colour=red' of {name}: expected name=value"):
        network(name, options="colour=red")
    known = dataclasses.fields(models.architecture(name).options)[0].name
    for odd in (known, f"{known}=", f"{known}=-1", f"{known}=x", f"{known}=1,{known}=1", ",", " "):
        with pytest.raises(InputError) as caught:
            models.check_options(name, odd)
        assert "\n" not in str(caught.value)


def test_unknown_names_and_single_classes_are_refused(network) -> None:
    with pytest.raises(
        InputError, match="Unknown architecture 'vgg': expected one of reference_cnn"
    ):
        network("vgg")
    with pytest.raises(InputError, match="at least two classes; got 1"):
        network(num_classes=1)
