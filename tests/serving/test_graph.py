import numpy as np
import pytest

from cnnlab import images
from cnnlab.artifact import model_folder
from cnnlab.engine import keras, tf
from cnnlab.images import ImageRejected
from cnnlab.serving.graph import Graph


@pytest.fixture(scope="module")
def graph(saved):
    return Graph(model_folder.load(saved))


def test_one_call_gives_the_bits_of_both_steps(graph, photos):
    for photo in photos:
        transcoded = images.transcode(photo)
        both = graph.probabilities(graph.pixels(transcoded)[None])
        assert (both.shape, both.dtype) == ((1, 3), np.float32)
        assert np.array_equal(graph.predict(transcoded), both[0])


def test_what_cannot_be_decoded_is_corrupt(graph, photos):
    torn = photos[3][: len(photos[3]) // 2]
    for ask in (graph.pixels, graph.predict):
        with pytest.raises(ImageRejected) as caught:
            ask(torn)
        assert caught.value.code == "corrupt"


@pytest.mark.slow
def test_an_answer_of_no_numbers_is_none(tmp_path):
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    centred = layers.Flatten()(layers.Rescaling(1.0, offset=-128.0)(inputs))  # grey is zero
    outputs = layers.Dense(2, "softmax", kernel_initializer=keras.initializers.Constant(1e38))
    model = keras.Model(inputs, outputs(centred))
    model_folder.save(
        model, tmp_path / "model", class_names=["a", "b"], run_id="lab", card="# Card\n"
    )
    graph = Graph(model_folder.load(tmp_path / "model"))
    white = np.full((16, 16, 3), 255, "uint8")
    with pytest.raises(model_folder.ArtifactDamaged, match="no numbers"):
        graph.probabilities(white[None])
    with pytest.raises(model_folder.ArtifactDamaged, match="no numbers"):
        graph.predict(tf.io.encode_png(white).numpy())
