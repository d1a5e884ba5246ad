import dataclasses
import gc
import weakref

import numpy as np
import pytest

from cnnlab.engine import keras, tf
from cnnlab.explain import targets, traced
from cnnlab.explain.methods import cam, integrated_gradients, occlusion, score_cam

layers = keras.layers


def network():
    inputs = keras.Input((4, 4, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3, name="conv")(inputs))
    return keras.Model(inputs, layers.Dense(2)(x))


@pytest.fixture
def built(monkeypatch):
    """Count how often a graph is built."""
    built = []
    plain = traced._traced

    def counting(model, function, body, signature):
        def counted(*arguments):
            built.append(body)
            return body(*arguments)

        return plain(model, function, counted, signature)

    monkeypatch.setattr(traced, "_traced", counting)
    return built


def test_a_graph_is_built_once_for_all_batches_and_classes(built):
    model = network()
    images = np.zeros((70, 4, 4, 3), np.uint8)
    for count, target in ((70, None), (1, 1), (3, np.array([0, 1, 0])), (0, 0)):
        cam.grad_cam(model, images[:count], target=target)
    assert len(built) == 1
    cam.grad_cam(model, images, layer="conv")
    cam.hires_cam(model, images)
    assert len(built) == 3

    def score(outputs):
        return outputs[:, 0]

    for count in (2, 5):
        cam.grad_cam(model, images[:count], target=score)
    assert len(built) == 4


def test_many_graphs_are_no_reason_to_warn(monkeypatch):
    warned = []
    monkeypatch.setattr(tf.get_logger(), "warning", lambda *words: warned.append(words))
    model, images = network(), np.zeros((1, 4, 4, 3), np.uint8)
    for index in range(8):
        targets.scores(model, images, lambda outputs, index=index: outputs[:, index % 2])
    assert warned == []


def test_new_weights_count_at_once():
    model = network()
    images = np.random.default_rng(0).random((2, 4, 4, 3), np.float32)
    first = cam.contributions(model, images, target=0)
    model.set_weights([2 * weights for weights in model.get_weights()])
    np.testing.assert_allclose(cam.contributions(model, images, target=0), 4 * first, rtol=1e-5)


@pytest.mark.slow
def test_neither_model_nor_function_is_kept_alive():
    model = network()

    def score(outputs):
        return outputs[:, 0]

    images = np.zeros((2, 4, 4, 3), np.uint8)
    for target in (None, score):
        cam.grad_cam(model, images, target=target)
        score_cam.score_cam(model, images, target=target)
        occlusion.occlusion(model, images, target=target, patch=4)
        integrated_gradients.integrated_gradients(model, images, target=target, steps=1)
    kept = len(traced._TRACES)
    gone = [weakref.ref(one) for one in (model, score, model.get_layer("conv"))]
    del score, target
    gc.collect()
    assert gone[1]() is None
    del model
    gc.collect()
    assert [one() for one in gone] == [None] * 3
    assert len(traced._TRACES) < kept


def test_functions_that_cannot_be_remembered_are_traced_anew(built):
    @dataclasses.dataclass
    class Score:  # compares by value, so it cannot be a key
        index: int

        def __call__(self, outputs):
            return outputs[:, self.index]

    model = network()
    images = np.random.default_rng(0).random((2, 4, 4, 3), np.float32)
    for index in (0, 1, 0):
        np.testing.assert_allclose(
            targets.scores(model, images, Score(index)), targets.scores(model, images, index)
        )
    assert len(built) == 4
