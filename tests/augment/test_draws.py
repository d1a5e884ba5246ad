"""What a draw may depend on: seed, epoch, image index and op, and nothing else."""

import numpy as np
import pytest

from cnnlab import augment
from cnnlab.config import child_seed
from cnnlab.engine import tf

STRENGTHS = dict.fromkeys(augment.OPS, 0.2) | {"rotation": 20.0, "flip": 1.0, "erasing": 0.7}

each_op = pytest.mark.parametrize("name", augment.OPS)


def drawn(indices: object, seed: int = 1, epoch: int = 1, **strengths: float) -> np.ndarray:
    """The draws of all ops as float64 (parameters, B)."""
    found = augment.draw(indices, STRENGTHS | strengths, seed=seed, epoch=epoch)
    return np.concatenate([values.T.astype(np.float64) for values in found.values()])


def test_a_draw_has_a_row_an_image_and_a_column_a_parameter() -> None:
    found = augment.draw(tf.constant([3, 9]), STRENGTHS, seed=1, epoch=1)
    assert list(found) == list(STRENGTHS)
    assert {name: values.shape for name, values in found.items()} == {
        name: (2, len(op.parameters)) for name, op in augment.OPS.items()
    }


def test_it_does_not_depend_on_order_or_batch() -> None:
    together = drawn(range(20))
    order = np.random.default_rng(0).permutation(20)
    np.testing.assert_array_equal(drawn(order), together[:, order])
    for index in (0, 7, 19):
        np.testing.assert_array_equal(drawn([index])[:, 0], together[:, index])


@each_op
def test_it_depends_on_seed_epoch_and_index(name: str) -> None:
    """No two draws are equal, so neither is epoch 2 a shifted epoch 1, nor seed 2 a shifted 1."""
    places = [(range(50), 1, 1), (range(50), 2, 1), (range(50), 1, 2), (range(50, 100), 1, 1)]
    strengths = {name: 1.0}  # every image is erased
    found = [augment.draw(rows, strengths, seed=s, epoch=e)[name] for rows, s, e in places]
    if name == "flip":
        assert len({values.tobytes() for values in found}) == 4
    else:
        assert len(np.unique(np.concatenate(found), axis=0)) == 200


@each_op
def test_it_does_not_depend_on_the_other_ops(name: str) -> None:
    together = augment.draw(range(20), STRENGTHS, seed=1, epoch=1)[name]
    alone = augment.draw(range(20), {name: STRENGTHS[name]}, seed=1, epoch=1)[name]
    np.testing.assert_array_equal(together, alone)


def test_no_two_parameters_are_correlated() -> None:
    count = 4000
    found = drawn(np.arange(count), erasing=1.0)
    correlation = np.corrcoef(found) - np.eye(len(found))
    # A rectangle's area and aspect decide its width and height, and these where it may begin.
    correlation[-4:, -4:] = 0
    assert np.all(abs(correlation) < 5 / np.sqrt(count))


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("rotation", -20, 20), ("zoom", 0.8, 1.2), ("brightness", 0.8, 1.2), ("shear", -0.2, 0.2),
     ("translation", -0.2, 0.2), ("contrast", 0.8, 1.2), ("saturation", 0.8, 1.2)],
)  # fmt: skip
def test_it_is_uniform_in_its_range(name: str, low: float, high: float) -> None:
    count = 4000
    for values in augment.draw(np.arange(count), STRENGTHS, seed=1, epoch=1)[name].T:
        assert low - 1e-6 <= values.min() < values.max() <= high + 1e-6
        tenths = np.bincount(((values - low) / (high - low) * 10).astype(int).clip(0, 9))
        # 400 ± 19 in each tenth: five standard deviations never fail by chance of the seed.
        assert np.all(abs(tenths - count / 10) < 5 * 19)


def test_half_of_the_images_are_flipped_or_none() -> None:
    flipped = augment.draw(np.arange(4000), {"flip": 1.0}, seed=1, epoch=1)["flip"]
    assert flipped.dtype == bool
    assert abs(flipped.mean() - 0.5) < 5 * 0.5 / np.sqrt(4000)
    assert not augment.draw(np.arange(4000), {"flip": 0.0}, seed=1, epoch=1)["flip"].any()


def test_the_first_four_share_one_stream_in_this_order() -> None:
    """So that runs made when there were only these four are drawn as they were."""
    shared = {op.shared: name for name, op in augment.OPS.items() if op.shared is not None}
    assert shared == {0: "rotation", 1: "flip", 2: "zoom", 3: "brightness"}


def test_rotation_of_an_image_in_plain_integers() -> None:
    """An oracle in Python's integers: terms 4i + 1 to 4i + 4 of the stream of the epoch."""
    modulus, gamma = 2**64, 0x9E3779B97F4A7C15

    def mixed(bits: int) -> int:
        bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 % modulus
        bits = (bits ^ bits >> 27) * 0x94D049BB133111EB % modulus
        return bits ^ bits >> 31

    start = mixed((child_seed(5, "augment/2") + gamma) % modulus)
    found = augment.draw([7], STRENGTHS, seed=5, epoch=2)
    numbers = [(mixed((start + (4 * 7 + k) * gamma) % modulus) >> 40) / 2**24 for k in range(1, 5)]
    assert found["rotation"][0, 0] == pytest.approx(20 * (2 * numbers[0] - 1), abs=1e-5)
    assert found["flip"][0, 0] == (numbers[1] < 0.5)
    assert found["zoom"][0, 0] == pytest.approx(1 + 0.2 * (2 * numbers[2] - 1), abs=1e-6)
    assert found["brightness"][0, 0] == pytest.approx(1 + 0.2 * (2 * numbers[3] - 1), abs=1e-6)
    own = mixed((child_seed(5, "augment/2/shear") + gamma) % modulus)
    slope = (mixed((own + 8 * gamma) % modulus) >> 40) / 2**24
    assert found["shear"][0, 0] == pytest.approx(0.2 * (2 * slope - 1), abs=1e-6)


@each_op
def test_a_sweep_goes_from_one_end_to_the_other(name: str) -> None:
    swept = augment.sweep({name: STRENGTHS[name]}, 7)[name]
    many = augment.draw(np.arange(4000), {name: STRENGTHS[name]}, seed=1, epoch=1)[name]
    assert swept.shape == (7, many.shape[1])
    assert swept.dtype == many.dtype
    np.testing.assert_allclose(
        [swept[:, 0].min(), swept[:, 0].max()],
        [many[:, 0].min(), many[:, 0].max()],
        atol=0.05 if name != "erasing" else 1,
        rtol=1e-3,
    )
    if name not in ("flip", "erasing"):
        np.testing.assert_allclose(np.diff(swept[:, 0]), np.diff(swept[:, 0])[0], rtol=1e-3)
