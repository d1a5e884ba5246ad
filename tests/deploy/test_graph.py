import numpy as np
import pytest

from cnnlab import images
from cnnlab.deploy import artifact
from cnnlab.deploy.graph import Graph
from cnnlab.engine import keras, tf
from cnnlab.images import ImageRejected


@pytest.fixture(scope="module")
def graph(saved):
    return Graph(artifact.load(saved))


def test_one_call_gives_the_bits_of_both_steps(graph, photos):
    for photo in photos:
        admitted = images.admit(photo)
        both = graph.probabilities(graph.pixels(admitted)[None])
        assert (both.shape, both.dtype) == ((1, 3), np.float32)
        assert np.array_equal(graph.answer(admitted), both[0])


def test_what_cannot_be_decoded_is_corrupt(graph, photos):
    torn = photos[3][: len(photos[3]) // 2]
    for ask in (graph.pixels, graph.answer):
        with pytest.raises(ImageRejected) as caught:
            ask(torn)
        assert caught.value.code == "corrupt"


def test_an_answer_of_no_numbers_is_none(tmp_path):
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    centred = layers.Flatten()(layers.Rescaling(1.0, offset=-128.0)(inputs))  # grey is zero
    outputs = layers.Dense(2, "softmax", kernel_initializer=keras.initializers.Constant(1e38))
    model = keras.Model(inputs, outputs(centred))
    artifact.save(model, tmp_path / "model", class_names=["a", "b"], run_id="lab", card="# Card\n")
    graph = Graph(artifact.load(tmp_path / "model"))
    white = np.full((16, 16, 3), 255, "uint8")
    with pytest.raises(artifact.ArtifactDamaged, match="no numbers"):
        graph.probabilities(white[None])
    with pytest.raises(artifact.ArtifactDamaged, match="no numbers"):
        graph.answer(tf.io.encode_png(white).numpy())
