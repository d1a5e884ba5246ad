"""Stages, pooling and description of networks that no registry knows."""

import pytest

from cnnlab import models
from cnnlab.engine import keras

layers = keras.layers


def convolved(x, filters, name, **options):
    return layers.Conv2D(filters, 3, padding="same", name=name, **options)(x)


def sequential(*stack: keras.Layer, size: int | None = 32) -> keras.Model:
    return keras.Sequential([keras.Input((size, size, 3)), *stack], name="stack")


def chain(halvings: int, size: int = 256) -> keras.Model:
    """A convolution at each of so many resolutions, pooled in between."""
    stack = [
        layer
        for number in range(halvings)
        for layer in (layers.Conv2D(2, 3, padding="same", name=f"c{number}"), layers.MaxPooling2D())
    ]
    return sequential(*stack, layers.Flatten(), layers.Dense(2), size=size)


def test_a_stage_ends_with_the_last_layer_of_its_resolution() -> None:
    model = sequential(
        layers.Rescaling(1 / 255, name="scale"),
        layers.Conv2D(2, 3, padding="same", name="a"),
        layers.Conv2D(2, 3, padding="same", name="b"),
        layers.ReLU(name="b_relu"),
        layers.MaxPooling2D(name="pool"),
        layers.SpatialDropout2D(0.5, name="drop"),
        layers.ZeroPadding2D(1, name="pad"),
        layers.Conv2D(2, 3, strides=2, name="c"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(2),
    )
    assert models.stages(model) == ("b_relu", "c")


def test_what_stands_before_the_first_convolution_is_no_stage() -> None:
    model = sequential(
        layers.BatchNormalization(), layers.AveragePooling2D(2), layers.Conv2D(2, 1, name="a")
    )
    assert models.stages(model) == ("a",)


def test_a_gate_and_a_map_of_one_place_end_no_stage() -> None:
    inputs = keras.Input((8, 8, 3))
    x = convolved(inputs, 4, "a")
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(4, 1, activation="sigmoid", name="gate")(gate)
    x = layers.Multiply(name="gated")([x, gate])
    x = convolved(x, 4, "b", strides=8)
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    assert models.stages(model) == ("gated",)
    assert not models.pools_globally(model)
    assert "1 squeeze-excite gate)" in models.describe(model)


def test_at_most_six_stages_evenly_with_the_first_and_the_last() -> None:
    assert models.stages(chain(6)) == ("c0", "c1", "c2", "c3", "c4", "c5")
    assert models.stages(chain(8)) == ("c0", "c1", "c3", "c4", "c6", "c7")


def test_layers_of_a_nested_model_are_named_by_their_path() -> None:
    inner = keras.Input((None, None, 3))
    x = layers.MaxPooling2D()(convolved(inner, 2, "low"))
    backbone = keras.Model(inner, convolved(x, 2, "high"), name="backbone")
    inputs = keras.Input((32, 32, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.ReLU(name="top")(backbone(inputs)))
    model = keras.Model(inputs, layers.Dense(2)(pooled))
    before = [len(layer._inbound_nodes) for layer in (*backbone.layers, *model.layers)]
    assert models.stages(model) == ("backbone/low", "top")
    assert models.pools_globally(model)
    assert [len(layer._inbound_nodes) for layer in (*backbone.layers, *model.layers)] == before


def test_a_network_open_to_every_size_has_stages() -> None:
    convolutions = [layers.Conv2D(2, 3, strides=2, padding="same", name=name) for name in "ab"]
    model = sequential(*convolutions, layers.GlobalMaxPooling2D(), layers.Dense(2), size=None)
    assert models.stages(model) == ("a", "b")
    assert models.pools_globally(model)


def test_a_network_called_like_a_family_but_built_otherwise_has_its_own_stages() -> None:
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(2, 3, name="mine"), layers.Flatten()], name="resnet"
    )
    assert models.stages(model) == ("mine",)


def test_a_network_without_a_graph_has_no_stages() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="own")
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(keras.ops.mean(x, (1, 2)))

    model = Own()
    model(keras.ops.zeros((1, 8, 8, 3)))
    assert models.stages(model) == ()
    assert not models.pools_globally(model)
    assert models.describe(model) == "own has 8 parameters."


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ([layers.GlobalAveragePooling2D()], True),
        ([layers.GlobalMaxPooling2D()], True),
        ([layers.GlobalAveragePooling2D(keepdims=True), layers.Flatten()], True),
        ([layers.Flatten()], False),
        ([layers.AveragePooling2D(8), layers.Flatten()], False),  # 1 × 1 at this size only
        ([layers.Reshape((64, 2))], False),
    ],
)
def test_pooling_over_all_places(tail, expected) -> None:
    model = sequential(layers.Conv2D(2, 3, padding="same"), *tail, size=8)
    assert models.pools_globally(model) is expected


def test_the_sentences_about_the_networks_of_the_registry(network) -> None:
    assert models.describe(network(image_size=64)) == (
        "reference_cnn has 4 convolutions in 4 stages that end with 32, 64, 128 and 256 channels, "
        "at 64 × 64 down to 8 × 8 pixels; then flattening, a hidden layer of 512 units, dropout "
        "and a softmax over 4 classes. It has 2,490,052 parameters, 84% of them behind the "
        "feature maps, a part that grows with the image."
    )
    assert models.describe(network("resnet", options="width=4,blocks=1", dropout=0.0)) == (
        "resnet has 3 convolutions (1 residual sum) in 1 stage that ends with 4 channels, at "
        "32 × 32 pixels; then global average pooling and a softmax over 4 classes. It has 464 "
        "parameters, as many at every image size."
    )
