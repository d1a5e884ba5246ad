"""The palette is told apart without colour vision; texts are fitted without losing their start."""

import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from cnnlab.plots.style import (
    HEAT,
    PALETTE,
    SEQUENTIAL,
    displayed,
    fitted,
    series_style,
    split_colour,
)

# Machado, Oliveira and Fernandes (2009), severity 1.0, for linear RGB.
DEUTERANOPIA = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)
PROTANOPIA = np.array(
    [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]
)
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def _lab(colour: object, vision: np.ndarray) -> np.ndarray:
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(vision @ linear, 0, 1) / np.array([0.9505, 1, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", [np.eye(3), DEUTERANOPIA, PROTANOPIA])
def test_palette_is_told_apart_and_stands_out_from_paper(vision):
    for first, second in itertools.combinations(PALETTE, 2):
        assert np.linalg.norm(_lab(first, vision) - _lab(second, vision)) > 10, (first, second)
    for colour in PALETTE:
        assert np.linalg.norm(_lab(colour, vision) - _lab("white", vision)) > 30


@pytest.mark.parametrize(("name", "sign"), [(SEQUENTIAL, -1), (HEAT, 1)])
def test_maps_change_lightness_in_one_direction(name, sign):
    shades = matplotlib.colormaps[name](np.linspace(0, 1, 64))[:, :3]
    lightness = np.array([_lab(tuple(shade), np.eye(3))[0] for shade in shades])
    assert (sign * np.diff(lightness) > 0).all()


def test_twenty_four_lines_are_distinct():
    styles = {(s["color"], str(s["linestyle"])) for s in map(series_style, range(24))}
    assert len(styles) == 24


def test_splits_keep_their_colour_wherever_they_stand():
    assert split_colour("test", 0) == split_colour("test", 5)
    assert len({split_colour(split) for split in ("train", "validation", "test")}) == 3


@pytest.mark.parametrize(
    ("text", "characters", "expected"),
    [
        ("circle", 10, "circle"),
        ("a\nb", 10, "a\nb"),
        ("one two three", 7, "one two\nthree"),
        ("one two three four five", 7, "one two\nthree…"),
        ("abcdefghijkl", 5, "abcde\nfghi…"),
        ("", 5, ""),
    ],
)
def test_fitted(text, characters, expected):
    result = fitted(text, characters)
    assert result == expected
    assert all(len(line) <= characters for line in result.split("\n"))


def test_displayed_rounds_clips_and_copies():
    image = np.array([[[-3.0, 254.6, 400.0]]], np.float32)
    assert displayed(image).tolist() == [[[0, 255, 255]]]
    grey = np.full((2, 2), 7, np.uint8)
    assert displayed(grey).shape == (2, 2, 3)
    same = np.zeros((1, 1, 3), np.uint8)
    displayed(same)[:] = 9
    assert same.max() == 0
