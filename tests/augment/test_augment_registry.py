"""The list of ops: named in the settings, checked against its ranges, described."""

from dataclasses import fields

import numpy as np
import pytest

from cnnlab import augment
from cnnlab.config import InputError
from cnnlab.config.augmentation import AugmentationSettings, further


def named(more: str) -> AugmentationSettings:
    return AugmentationSettings(more_augmentation=more)


def test_the_settings_without_more_name_the_reference_ops() -> None:
    assert augment.strengths(AugmentationSettings()) == {
        "flip": 1.0, "rotation": 20.0, "zoom": 0.2, "brightness": 0.2,
    }  # fmt: skip
    assert augment.strengths(AugmentationSettings(flip=False, zoom=0))["flip"] == 0


def test_more_are_added_in_the_order_in_which_they_act() -> None:
    found = augment.strengths(named("erasing=0.25,translation=0.1"))
    assert list(found) == ["flip", "rotation", "zoom", "translation", "brightness", "erasing"]
    assert (found["erasing"], found["translation"]) == (0.25, 0.1)


def test_ops_with_a_setting_of_their_own_have_its_range_and_share_the_first_stream() -> None:
    own = {each.name: each for each in fields(AugmentationSettings) if each.name in augment.OPS}
    assert set(own) == {name for name, op in augment.OPS.items() if op.shared is not None}
    for name, field in own.items():
        high = 1 if field.type is bool else field.metadata["high"]
        assert augment.OPS[name].high == high


@pytest.mark.parametrize("name", augment.OPS)
def test_an_op_is_whole(name: str) -> None:
    op = augment.OPS[name]
    assert op.name == name
    assert op.meaning
    assert isinstance(op, augment.Affine | augment.Pixel)
    assert name in op.described(0) == f"{name} off"
    assert name in op.described(op.high)
    assert "{" not in op.described(op.high)


@pytest.mark.parametrize("name", [name for name, op in augment.OPS.items() if op.shared is None])
def test_further_ops_take_0_to_their_high_and_nothing_else(name: str) -> None:
    high = augment.OPS[name].high
    for value in (0, high):
        assert augment.strengths(named(f"{name}={value}"))[name] == value
    for value in (-0.01, high * 1.01, float("nan"), float("inf")):
        with pytest.raises(InputError, match=f"{name}=.* is out of range: expected 0 to {high:g}"):
            augment.strengths(named(f"{name}={value}"))


def test_an_unknown_op_is_refused_and_told_which_there_are() -> None:
    with pytest.raises(InputError, match="Unknown op 'translate'") as caught:
        augment.strengths(named("contrast=0.2,translate=0.1"))
    text = str(caught.value)
    assert "\n" not in text
    assert "translation (0 to 0.5)" in text
    assert text.endswith("Did you mean translation?")
    assert "rotation (" not in text  # it has a setting of its own


def test_an_op_put_into_the_registry_is_named_checked_drawn_applied_and_described(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    negative = augment.Pixel(
        name="negative",
        meaning="1 turns half of the images into their negative",
        high=1,
        text="negative of {:.0%}",
        parameters=("negative",),
        draw=lambda uniform, strength: uniform < 0.5 * strength,
        action=lambda images, negative: images + negative[:, :, None, None] * (255 - 2 * images),
    )
    monkeypatch.setitem(augment.OPS, negative.name, negative)
    wanted = named("negative=1,shear=0")
    assert augment.described(wanted).endswith("negative of 100%")
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    usual = augment.transform(named(""), seed=1, epoch=1)(images, np.arange(40)).numpy()
    found = augment.transform(wanted, seed=1, epoch=1)(images, np.arange(40)).numpy()
    drawn = augment.draw(range(40), augment.strengths(wanted), seed=1, epoch=1)["negative"][:, 0]
    assert 5 < drawn.sum() < 35
    np.testing.assert_array_equal(found[~drawn], usual[~drawn])
    np.testing.assert_allclose(found[drawn], 255 - usual[drawn], atol=1e-4)
    with pytest.raises(InputError, match=r"expected 0 to 1 \(1 turns half"):
        augment.strengths(named("negative=2"))


@pytest.mark.parametrize(
    "text",
    ["translation", "translation=", "translation=much", "=0.1", "translation=0.1,", " shear=1",
     "translation:0.1", "shear=0.1,shear=0.2", ","],
)  # fmt: skip
def test_what_is_not_written_so_is_refused_when_it_is_set(text: str) -> None:
    with pytest.raises(InputError, match="expected name=strength,name=strength") as caught:
        named(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["rotation", "flip", "more_augmentation"])
def test_a_setting_of_its_own_is_not_set_twice(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} is a setting of its own"):
        named(f"{name}=1")


def test_further_reads_names_and_numbers() -> None:
    assert further("") == {}
    assert further("translation=.1,erasing=1e-1") == {"translation": 0.1, "erasing": 0.1}


def test_the_ops_in_words() -> None:
    text = augment.described(AugmentationSettings(flip=False, more_augmentation="erasing=0.25"))
    assert text == "flip off, rotation ±20°, zoom ±20%, brightness ±20%, erasing 25% of images"
