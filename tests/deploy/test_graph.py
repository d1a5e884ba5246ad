import numpy as np
import pytest

from cnnlab import images
from cnnlab.deploy import artifact
from cnnlab.deploy.graph import Graph
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
