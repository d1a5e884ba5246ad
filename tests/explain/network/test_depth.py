import numpy as np
import pandas as pd
import pytest

from cnnlab.explain.network import depth

HOLDS = {
    "selective": [0.8, 0.5, 0.4, 0.3],
    "randomized_selective": [0.4, 0.4, 0.4, 0.4],
    "randomized_selective_high": [0.5, 0.9, 0.9, 0.9],
    "frequency": [0.2, 0.15, 0.1, 0.1],
    "randomized_frequency": [0.2, 0.2, 0.16, 0.16],
    "randomized_frequency_low": [0.1, 0.16, 0.12, 0.08],
    "probe": [0.3, 0.5, 0.7, 0.9],
    "probe_low": [0.25, 0.45, 0.65, 0.85],
    "probe_high": [0.35, 0.55, 0.75, 0.95],
    "randomized_probe_high": [0.3, 0.4, 0.4, 0.5],
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
        ({"randomized_selective_high": [0.9, 0.4, 0.4, 0.4]}, 0),  # so are, once, random filters
        ({"frequency": [0.1, 0.1, 0.2, 0.1]}, 1),
        ({"randomized_frequency_low": [0.1, 0.16, 0.1, 0.08]}, 1),  # without learning, once, too
        ({"frequency": [0.2, 0.15, 0.13, 0.1]}, 1),  # coarser than its twins: one stage is not
        ({"probe_high": [0.9, 0.9, 0.9, 0.95]}, 2),  # the intervals meet
        ({"randomized_probe_high": [0.3, 0.4, 0.4, 0.9]}, 2),  # random weights do as well
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
    assert holds(randomized_probe_high=[np.nan] * 4) == [True, True, None, True]
    assert holds(frequency=[0.2, np.nan, np.nan, 0.1]) == [True, None, True, True]
    assert holds(randomized_frequency_low=[0.1, 0.2, np.nan, 0.1]) == [True, None, True, True]


def test_without_a_middle_block_nothing_is_between():
    ends = pd.DataFrame(HOLDS).iloc[[0, -1]]
    assert depth.claims(ends)["holds"].tolist() == [True, None, True, True]


@pytest.mark.parametrize("count", [0, 1])
def test_with_fewer_than_two_stages_nothing_can_be_told(count):
    assert depth.claims(pd.DataFrame(HOLDS)[:count])["holds"].tolist() == [None] * 4


@pytest.fixture
def small():
    """Two stages of random weights."""
    from cnnlab.engine import keras

    layers = [keras.Input((16, 16, 3))]
    for block in (1, 2):
        start = keras.initializers.GlorotUniform(seed=block)
        layers.append(keras.layers.Conv2D(4 * block, 3, kernel_initializer=start))
        layers += [keras.layers.ReLU(name=f"relu{block}"), keras.layers.MaxPooling2D()]
    return keras.Sequential(layers)


def test_tuning_and_probes_of_a_network(small):
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = (rng.integers(0, 60, (40, 16, 16, 3)) + 150 * labels[:, None, None, None]).astype("u1")
    sides = (images[:30], labels[:30]), (images[30:], labels[30:])
    table = depth.tuned(small, ["relu1", "relu2"], size=16).join(
        depth.probed(small, ["relu1", "relu2"], *sides, seed=0)
    )
    assert table["layer"].tolist() == ["relu1", "relu2"]
    assert table["channels"].tolist() == [4, 8]
    assert table["images"].tolist() == [10, 10]
    assert (table["probe"] == 1).all()  # brightness tells them apart, at any depth
    assert table[["answering", "selective"]].stack().between(0, 1).all()


def test_randomizations_differ_and_leave_the_weights_as_they_were(small):
    before = small.get_weights()
    found, again = (
        depth.randomized(small, ["relu1", "relu2"], size=16, seed=0, times=3) for _ in range(2)
    )
    pd.testing.assert_frame_equal(found, again)
    for name in ("randomized_selective", "randomized_frequency"):
        low, mean, high = (found[name + end] for end in ("_low", "", "_high"))
        assert (low < high).any()
        assert ((low <= mean) & (mean <= high)).all()
    for one, other in zip(before, small.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_where_weights_are_all_alike_a_network_is_its_own_twin(small):
    """Randomization changes nothing there: what it shows, it shows without learning."""
    small.set_weights([np.full_like(values, 0.01) for values in small.get_weights()])
    trained = depth.tuned(small, ["relu1", "relu2"], size=16)
    twins = depth.randomized(small, ["relu1", "relu2"], size=16, seed=0, times=2)
    for name in ("selective", "frequency"):
        for end in ("", "_low", "_high"):
            np.testing.assert_array_equal(twins[f"randomized_{name}{end}"], trained[name])
