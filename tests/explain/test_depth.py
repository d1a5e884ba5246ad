import numpy as np
import pandas as pd
import pytest

from cnnlab.explain import depth

HOLDS = {
    "selective": [0.8, 0.5, 0.4, 0.3],
    "scrambled_selective": [0.4, 0.4, 0.4, 0.4],
    "frequency": [0.2, 0.15, 0.1, 0.1],
    "probe": [0.3, 0.5, 0.7, 0.9],
    "probe_low": [0.25, 0.45, 0.65, 0.85],
    "probe_high": [0.35, 0.55, 0.75, 0.95],
    "scrambled_probe_high": [0.3, 0.4, 0.4, 0.5],
    "on_object": [0.2, 0.4, 0.6, 0.8],
    "chance_on_object": [0.2, 0.3, 0.3, 0.5],
}


def holds(**changes):
    table = depth.claims(pd.DataFrame(HOLDS | changes))
    assert table["claim"].tolist() == list(depth.CLAIMS)
    return table["holds"].tolist()


def test_each_part_can_hold():
    assert holds() == [True] * 4


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"selective": [0.5, 0.6, 0.9, 0.9]}, 0),  # rises
        ({"scrambled_selective": [0.9, 0.4, 0.4, 0.4]}, 0),  # so are random filters
        ({"frequency": [0.1, 0.1, 0.2, 0.1]}, 1),
        ({"probe_high": [0.9, 0.9, 0.9, 0.95]}, 2),  # the intervals meet
        ({"scrambled_probe_high": [0.3, 0.4, 0.4, 0.9]}, 2),  # random weights do as well
        ({"on_object": [0.8, 0.4, 0.6, 0.8]}, 3),
        ({"chance_on_object": [0.2, 0.3, 0.3, 0.8]}, 3),  # as by chance, in the middle
    ],
)
def test_each_part_can_fail(changes, part):
    found = holds(**changes)
    assert found.pop(part) is False
    assert found == [True] * 3


def test_what_is_unknown_is_neither_true_nor_false():
    assert holds(on_object=[np.nan] * 4) == [True, True, True, None]


def test_readings_of_a_network():
    from cnnlab import models

    model = models.build("baseline", image_size=16, num_classes=2, seed=0, l2=0, dropout=0.5)
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = (rng.integers(0, 60, (40, 16, 16, 3)) + 150 * labels[:, None, None, None]).astype("u1")
    table = depth.readings(
        model, ["relu1", "relu2"], (images[:30], labels[:30]), (images[30:], labels[30:]), seed=0
    )
    assert table["layer"].tolist() == ["relu1", "relu2"]
    assert table["channels"].tolist() == [32, 64]
    assert table["images"].tolist() == [10, 10]
    assert (table["probe"] == 1).all()  # brightness tells them apart, at any depth
    assert table[["answering", "selective"]].stack().between(0, 1).all()
