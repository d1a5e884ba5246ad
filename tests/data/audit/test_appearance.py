"""Each measure on hand-made pictures, and each kind of outlier among ordinary ones."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnnlab.data import manifest
from cnnlab.data.audit import appearance, audit
from cnnlab.data.sources.folder_source import FolderSource

SIDE = 64


def flat(level):
    return np.full((SIDE, SIDE, 3), level, np.uint8)


def noise(seed=0, low=0, high=256):
    grey = np.random.default_rng(seed).integers(low, high, (SIDE, SIDE, 1), dtype=np.uint8)
    return grey.repeat(3, axis=2)


@pytest.mark.parametrize("level", [0, 12, 255])
def test_a_flat_picture_has_its_level_and_neither_contrast_nor_sharpness(level):
    assert appearance.measure(flat(level)) == (level, 0, 0)


def test_brightness_weighs_the_colours_as_television_does():
    for channel, weight in enumerate((0.299, 0.587, 0.114)):
        pixels = flat(0)
        pixels[:, :, channel] = 200
        assert appearance.measure(pixels)[0] == pytest.approx(200 * weight, abs=0.01)


def test_contrast_is_the_standard_deviation():
    pixels = flat(100)
    pixels[:, ::2] = 140
    assert appearance.measure(pixels)[:2] == (120, 20)


def test_sharpness_of_what_can_be_worked_out():
    board = flat(0)
    board[::2, ::2] = board[1::2, 1::2] = 200
    # Every neighbour of a square differs by 200: Laplacian ±800, grey levels ±100.
    assert appearance.measure(board)[2] == pytest.approx(64, abs=0.001)
    # Of independent values, the Laplacian has 4² + 4 · 1² = 20 times the variance.
    assert appearance.measure(noise())[2] == pytest.approx(20, rel=0.1)
    ramp = flat(0)
    ramp[:] = (np.arange(SIDE) * 4)[:, None, None]
    assert appearance.measure(ramp)[2] == 0


def test_sharpness_does_not_depend_on_light():
    sharp = appearance.measure(noise(0, 0, 200))[2]
    dim = appearance.measure((noise(0, 0, 200) * 0.1).astype(np.uint8))[2]
    assert dim == pytest.approx(sharp, rel=0.05)


def table(**odd):
    """Thirty ordinary images of which the first has odd values."""
    draw = np.random.default_rng(5)
    rows = pd.DataFrame(
        {
            "path": [f"cat/{i:02}.jpg" for i in range(30)],
            "width": 400,
            "height": 300,
            "brightness": draw.normal(121, 12, 30),
            "contrast": draw.normal(55, 6, 30),
            "sharpness": draw.normal(0.3, 0.03, 30),
        }
    )
    for name, value in odd.items():
        rows.loc[0, name] = value
    return rows


@pytest.mark.parametrize(
    ("odd", "detail"),
    [
        ({"width": 100, "height": 75}, "small: size 87, typical 346"),
        ({"width": 1600, "height": 1200}, "large: size 1386, typical 346"),
        ({"width": 600, "height": 200}, "elongated: aspect 3, typical 1.3"),
        ({"brightness": 12}, "dark: brightness 12, typical "),
        ({"brightness": 245}, "bright: brightness 245, typical "),
        ({"contrast": 3}, "low contrast: contrast 3, typical "),
        ({"sharpness": 0.004}, "blurred: sharpness 0.0040, typical 0."),
        ({"sharpness": 20}, "grainy: sharpness 20, typical 0."),
    ],
)
def test_each_measure_tells_what_stands_out(odd, detail):
    ((path, found),) = appearance.outliers(table(**odd))
    assert path == "cat/00.jpg"
    assert found.startswith(detail)


def test_ordinary_images_and_turned_ones_do_not_stand_out():
    assert appearance.outliers(table()) == []
    assert appearance.outliers(table(width=300, height=400)) == []


def test_a_slight_departure_among_equals_is_not_told():
    rows = table(width=420).assign(brightness=121.0, contrast=55.0, sharpness=0.3)
    rows.loc[0, ["brightness", "contrast", "sharpness"]] = [140, 70, 0.5]
    assert appearance.outliers(rows) == []  # the deviation of the others is 0


def test_among_widely_different_images_more_is_needed():
    rows = table(width=1600, height=1200)
    rows["width"] = rows["height"] = np.geomspace(100, 3000, 30).round()
    assert appearance.outliers(rows) == []


def test_few_images_say_nothing_about_what_is_typical():
    assert appearance.outliers(table(brightness=12)[: appearance.ENOUGH]) != []
    assert appearance.outliers(table(brightness=12)[: appearance.ENOUGH - 1]) == []


def test_a_folder_with_one_dark_photograph(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for i in range(12):
            coarse = np.random.default_rng([i, len(label), ord(label[0])]).integers(
                40, 216, (8, 8, 3), dtype=np.uint8
            )
            if (label, i) == ("dog", 7):
                coarse //= 20
            picture = Image.fromarray(coarse).resize((80, 60), Image.Resampling.BICUBIC)
            picture.save(tmp_path / label / f"{i:02}.png")
    source = FolderSource("pictures", tmp_path)
    files = manifest.build(source)
    found = audit.findings(files, audit.pictures(files, source))
    assert set(found["kind"]) == {"outlier"}
    assert set(found["path"]) == {"dog/07.png"}
    assert {"dark", "low contrast"} <= set(found["detail"].str.split(":").str[0])
    faults = pd.DataFrame({"path": ["dog/07.png"], "fault": ["grey"], "other": [""]})
    assert audit.score(found, faults).loc[0, ["found", "extra"]].tolist() == [0, 0]
