import numpy as np
import pandas as pd
import pytest

from cnnlab.data.audit import picture_size
from cnnlab.data.audit.picture_size import PictureSizes


def measured(*sizes, at=(100,)):
    widths, heights = np.array(sizes).T
    return picture_size.measure(widths, heights, at)


def test_what_is_kept_by_hand():
    found = measured((400, 300), at=[100])
    assert found.sizes[0].kept == pytest.approx(100 * 100 / (400 * 300))
    assert measured((200, 50), at=[100]).sizes[0].kept == 0.5  # only the width shrinks
    assert measured((100, 100), at=[100]).sizes[0] == picture_size.AtSize(100, 1.0, 1.0, 0.0)


def test_smaller_images_are_only_enlarged():
    found = measured((100, 100), (100, 90), (40, 60), (101, 20), at=[100])
    assert found.sizes[0].enlarged == 0.5  # neither the one that fits nor the one that shrinks
    assert found.sizes[0].kept == 1


def test_kept_by_a_tenth():
    found = measured(*[(50, 50)] * 9, *[(1000, 1000)] * 2, at=[100])
    assert found.sizes[0].kept == 1
    assert found.sizes[0].kept_tenth == pytest.approx(0.01)


def test_sizes_are_sorted_and_distinct():
    assert [each.size for each in measured((9, 9), at=(160, 96, 160)).sizes] == [96, 160]


def test_distortion_and_what_would_be_lost():
    found = measured((200, 100), (100, 100), (100, 150))
    assert (found.width, found.height) == (100, 150)
    assert found.ratio == 1.5
    assert found.lost == pytest.approx(1 / 3)  # a 100 × 150 picture in a square of 150 × 150
    assert found.ratio_tenth == pytest.approx(1.5 + 0.8 * 0.5)  # between the second and the third
    assert (found.portrait, found.landscape) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert found.beyond == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("size", "beyond"), [((400, 533), 0), ((534, 400), 0), ((400, 535), 1), ((20, 27), 0)]
)
def test_rounding_to_pixels_is_no_distortion(size, beyond):
    assert measured(size).beyond == beyond


def test_sizes_count_upright_and_only_of_accepted_images():
    table = pd.DataFrame(
        {
            "status": ["accepted", "accepted", "quarantined"],
            "width": [300, 300, 9000],
            "height": [100, 100, 10],
            "orientation": [6, 3, 1],
        }
    )
    widths, heights = picture_size.upright(table.iloc[:2])
    assert (widths.tolist(), heights.tolist()) == ([100, 300], [300, 100])
    found = picture_size.of_manifest(table, 64)
    assert (found.portrait, found.landscape) == (0.5, 0.5)
    assert [each.size for each in found.sizes] == [64, 96, 128, 160, 224]
    assert picture_size.of_manifest(table.iloc[2:]) is None


def test_the_record_is_json_and_back():
    found = measured((200, 100), (30, 40))
    assert PictureSizes.from_json(found.to_json()) == found


def test_tables_as_text():
    found = measured((400, 300), at=[10, 100])
    assert picture_size.size_table(found).to_numpy().tolist() == [
        ["10 × 10", "under 1%", "under 1%", "0%"],
        ["100 × 100", "8%", "8%", "0%"],
    ]
    for fit in ("stretch", "pad", "crop"):
        table = picture_size.fit_table(found, fit)
        assert table[["fit", "median"]].to_numpy().tolist() == [
            ["stretch", "1.33 : 1"],
            ["pad", "25%"],
            ["crop", "25%"],
        ]
        assert table["fit"][table["costs"].str.startswith("as here")].tolist() == [fit]


@pytest.mark.parametrize(
    ("sizes", "about_size", "about_fit"),
    [
        ([(32, 32)], "already only enlarged", "about square"),
        ([(120, 110)], "From 128 × 128 on 100% of the images", "about square"),
        ([(400, 533)], "only a trial tells", "distorts 0% of the images"),
        ([(400, 533)] * 8 + [(533, 400)] * 2, "keeps 4% of them", "20% are broad"),
        ([(400, 800)], "keeps 3% of them", "distorts 100% of the images"),
    ],
)
def test_conclusions_follow_from_the_figures(sizes, about_size, about_fit):
    found = measured(*sizes, at=picture_size.SIZES)
    first, second = picture_size.conclusions(found)
    assert about_size in first
    assert about_fit in second


def test_what_is_said_is_about_the_fit_of_the_settings():
    found = measured(*[(400, 800)] * 8, *[(400, 1600)] * 2, at=picture_size.SIZES)
    said = {fit: picture_size.conclusions(found, fit)[1] for fit in ("stretch", "pad", "crop")}
    assert "then --set fit=pad or fit=crop" in said["stretch"]
    assert "fills 50% of the median image's square with background, and 75% or more" in said["pad"]
    assert "cuts 50% off the median image, and 75% or more off a tenth" in said["crop"]
    square = measured((100, 100), at=picture_size.SIZES)
    assert "changes little" in picture_size.conclusions(square, "crop")[1]
