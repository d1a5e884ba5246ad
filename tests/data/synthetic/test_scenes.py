import numpy as np
import pytest
from PIL import Image

from cnnlab.data.synthetic import scenes, textures


def grown(mask: np.ndarray, by: int) -> np.ndarray:
    """Mark every pixel at most ``by`` rows or columns away from the mask."""
    result = mask.copy()
    for axis in (0, 1):
        for step in range(1, by + 1):
            result |= np.roll(mask, step, axis) | np.roll(mask, -step, axis)
        mask = result.copy()
    return result


def test_box_is_half_open_around_the_visible_pixels():
    visible = np.zeros((256, 256), bool)
    visible[10, 200] = visible[40, 190] = True
    assert scenes.Scene(Image.new("RGB", (256, 256)), visible).box() == (190, 10, 201, 41)


@pytest.mark.parametrize("label", scenes.OUTLINES)
def test_every_class_shows_most_of_a_large_target(label):
    for seed in range(12):
        scene = scenes.draw(label, np.random.default_rng(seed))
        assert scene.picture.size == (256, 256)
        assert scene.picture.mode == "RGB"
        assert scene.visible.shape == (256, 256)
        assert 0.05 < scene.visible.mean() < 0.5
        left, top, right, bottom = scene.box()
        assert min(right - left, bottom - top) > 60


def test_the_same_generator_state_gives_the_same_scene_and_another_a_different_one():
    first, again, other = (scenes.draw("star", np.random.default_rng(s)) for s in (4, 4, 5))
    assert first.picture.tobytes() == again.picture.tobytes()
    assert np.array_equal(first.visible, again.visible)
    assert first.picture.tobytes() != other.picture.tobytes()


@pytest.mark.parametrize("seed", range(6))
def test_classes_differ_only_where_their_shapes_lie(monkeypatch, seed):
    monkeypatch.setattr(scenes, "OCCLUDED", 0.0)
    drawn = {
        label: scenes.draw(label, np.random.default_rng(seed)) for label in ("cross", "triangle")
    }
    pixels = [np.asarray(scene.picture) for scene in drawn.values()]
    apart = np.any(pixels[0] != pixels[1], axis=-1)
    shapes = drawn["cross"].visible | drawn["triangle"].visible
    assert apart.any()
    assert not (apart & ~grown(shapes, 9)).any()  # the shadow and the blur reach 9 pixels at most


def test_target_colour_stands_out_from_its_ground(monkeypatch):
    monkeypatch.setattr(scenes, "OCCLUDED", 0.0)
    for seed in range(12):
        scene = scenes.draw("disc", np.random.default_rng(seed))
        pixels = np.asarray(scene.picture, float)
        around = grown(scene.visible, 40) & ~grown(scene.visible, 9)
        distance = np.linalg.norm(pixels[scene.visible].mean(0) - pixels[around].mean(0))
        assert distance > 60, seed


def test_an_occluder_hides_at_most_the_allowed_part(monkeypatch):
    hidden = 0
    for seed in range(30):
        monkeypatch.setattr(scenes, "OCCLUDED", 0.0)
        whole = scenes.draw("square", np.random.default_rng(seed)).visible
        monkeypatch.setattr(scenes, "OCCLUDED", 1.0)
        visible = scenes.draw("square", np.random.default_rng(seed)).visible
        assert not (visible & ~whole).any()
        assert visible.sum() >= scenes.MIN_VISIBLE * whole.sum()
        hidden += int(visible.sum() < whole.sum())
    assert hidden > 10


@pytest.mark.parametrize("label", scenes.OUTLINES)
def test_outlines_are_centred_and_enclose_the_area_of_their_geometry(label):
    outline = scenes.OUTLINES[label](0.5)
    x, y = outline.T
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2  # shoelace formula
    expected = {
        "cross": 4 * 0.32 * 2 - (2 * 0.32) ** 2,  # two bars of 2 × 0.64, their overlap once
        "disc": np.pi * 0.88**2,
        "square": 2.0,
        "star": 5 * 1.1 * 0.495 * np.sin(np.pi / 5),
        "triangle": 0.75 * np.sqrt(3) * 1.1**2,
    }[label]
    assert area == pytest.approx(expected, rel=2e-3)
    assert outline.mean(0) == pytest.approx([0, 0], abs=1e-9)


@pytest.mark.parametrize("texture", textures.TEXTURES)
def test_textures_fill_any_size_and_stay_near_the_unit_range(texture):
    for size in ((256, 256), (40, 90), (7, 5)):
        field = texture(np.random.default_rng(1), size)
        assert field.shape == size[::-1]
        assert field.dtype == np.float32
        assert field.min() > -0.3
        assert field.max() < 1.3


def test_paper_keeps_its_colour_and_its_contrast():
    shade = np.array([120.0, 130.0, 110.0])
    for seed in range(20):
        image = textures.paper(np.random.default_rng(seed), shade, (128, 128), (20, 40))
        pixels = np.asarray(image, float)
        assert np.abs(pixels - shade).max() <= 40 * 1.4 / 2 + 1
        assert np.ptp(pixels) > 4
