"""Pictures of one colour: found, left out, and never called copies of each other."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cnnlab.config import InputError, make_settings
from cnnlab.data import manifest, splits
from cnnlab.data.audit import audit, blank
from cnnlab.data.sources import selection
from cnnlab.report.data_card import DECISIONS

FLAT = np.full((64, 64, 3), 128, np.uint8)


@pytest.mark.parametrize(
    ("place", "levels", "expected"),
    [
        ((3, 5), 0, True),
        ((3, 5), blank.LEVELS, True),
        ((3, 5), blank.LEVELS + 1, False),  # a single pixel, of every channel
        ((3, 5, 2), blank.LEVELS + 1, False),  # and of one
    ],
)
def test_a_picture_is_blank_up_to_a_number_of_levels(place, levels, expected):
    pixels = FLAT.copy()
    pixels[place] += levels
    assert blank.is_blank(pixels) == expected
    assert blank.is_blank(255 - pixels) == expected


def test_two_colours_of_one_brightness_are_structure():
    pixels = FLAT.copy()
    pixels[:32] = (200, 60, 120)
    pixels[32:] = (60, 131, 120)
    assert np.ptp(pixels @ np.array([0.299, 0.587, 0.114])) < 1
    assert not blank.is_blank(pixels)


def drawing(number, *, ink, ground=(0, 0, 0, 0)):
    """A figure of lines, another one for each number."""
    image = Image.new("RGBA", (96, 96), ground)
    rng = np.random.default_rng(number)
    for _ in range(4):
        ImageDraw.Draw(image).line(rng.integers(8, 88, 4).tolist(), fill=ink, width=5)
    return image


@pytest.fixture
def drawings(tmp_path):
    """Ten drawings a class on transparent ground: cats in black ink, dogs in white."""
    for number in range(20):
        label, ink = (("cat", "black"), ("dog", "white"))[number % 2]
        (tmp_path / label).mkdir(exist_ok=True)
        drawing(number, ink=ink).save(tmp_path / label / f"{number:02}.png")
    return tmp_path


def looked_through(folder):
    source = selection.resolve(make_settings("quick", (), source=str(folder)))
    files = manifest.build(source)
    pictures = audit.pictures(files, source)
    return files, pictures, audit.findings(files, pictures)


def test_white_drawings_on_transparent_ground_are_blank_and_no_copies(drawings):
    files, pictures, findings = looked_through(drawings)
    dogs = files["label"] == "dog"
    assert set(files.loc[dogs, "status"]) == {"quarantined"}
    assert set(files.loc[dogs, "reason"]) == {"blank"}
    assert set(files.loc[~dogs, "status"]) == {"accepted"}
    assert (files.loc[dogs, ["width", "height"]] == 96).all(axis=None)
    assert set(pictures.index) == set(files.loc[~dogs, "path"])
    assert set(findings["kind"]) - {"unusual", "outlier"} == {"quarantined"}
    assert set(findings.loc[findings["kind"] == "quarantined", "detail"]) == {"blank"}
    assert "quarantined" in DECISIONS
    told = audit.summary(files, findings)
    assert told["files"] == {"accepted": 10, "quarantined": 10, "skipped": 0, "found": 20}
    assert told["reasons"]["quarantined"] == {"blank": 10}
    assert told["warnings"] == []
    (warning,) = blank.described(files, drawings)
    assert warning.startswith("class 'dog': 10 of 10 images are blank, white all over, such as ")
    assert warning.endswith("choose --set background=grey")  # the cats are black
    with pytest.raises(InputError, match=r"^Class 'dog': 10 of 10 .* --set background=grey\.$"):
        blank.refuse(files, drawings)


def test_without_other_drawings_the_cure_is_the_opposite_background(drawings):
    for path in (drawings / "cat").iterdir():
        drawing(int(path.stem), ink="red", ground="green").save(path)
    assert blank.described(looked_through(drawings)[0], drawings)[0].endswith("background=black")


def test_fewer_than_half_of_a_class_are_left_out_and_no_reason_to_stop(drawings):
    for number in range(20, 32):
        drawing(number, ink="red").save(drawings / "dog" / f"{number}.png")
    for number in range(3):  # equal bytes, too
        Image.new("RGB", (40, 40), "black").save(drawings / "cat" / f"dark{number}.png")
    files, pictures, findings = looked_through(drawings)
    blank.refuse(files, drawings)
    assert blank.described(files, drawings) == []
    assert (files["reason"] == "blank").sum() == 13
    assert not findings["kind"].isin(audit.COPIES).any()
    table = splits.assign(files, pictures, make_settings("quick"))
    assert set(table["path"]) == set(files.loc[files["status"] == "accepted", "path"])
    assert len(table) == 22


@pytest.mark.parametrize(
    ("mode", "colour", "says"),
    [
        ("RGB", "white", "white all over.*no background would show more"),
        ("RGBA", (0, 0, 0, 255), "black all over.*no background would show more"),
        ("RGBA", (0, 0, 0, 0), "white all over.*no background would show more"),
        ("RGB", (90, 10, 200), "of one colour all over"),
    ],
)
def test_the_cure_is_that_of_the_colour(drawings, mode, colour, says):
    for path in (drawings / "dog").iterdir():
        Image.new(mode, (40, 40), colour).save(path)
    files = looked_through(drawings)[0]
    with pytest.raises(InputError, match=says):
        blank.refuse(files, drawings)
