"""Coloured, textured paper: what the generated pictures are made of.

A texture is a field, float32 (height, width) in about 0…1, that runs through the shades of one
colour. Sizes are (width, height) in pixels, as Pillow has them.
"""

import colorsys

import numpy as np
from PIL import Image

Size = tuple[int, int]


def _smooth_noise(rng: np.random.Generator, size: Size, cell: float) -> np.ndarray:
    """Bicubic value noise with features about ``cell`` pixels wide."""
    columns, rows = (int(side / cell) + 3 for side in size)
    coarse = Image.fromarray(rng.integers(0, 256, (rows, columns), dtype=np.uint8))
    return np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), np.float32) / 255


def _plane(rng: np.random.Generator, size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Two perpendicular coordinates in pixels from the centre, turned at random."""
    angle = rng.uniform(0, np.pi)
    x = np.arange(size[0], dtype=np.float32)[None] - size[0] / 2
    y = np.arange(size[1], dtype=np.float32)[:, None] - size[1] / 2
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cos + y * sin, y * cos - x * sin


def _wave(values: np.ndarray, period: float, sharpness: float) -> np.ndarray:
    """A sine between 0 and 1 whose flanks steepen with ``sharpness``."""
    return 0.5 + 0.5 * np.tanh(sharpness * np.sin(values * np.float32(2 * np.pi / period)))


def gradient(rng: np.random.Generator, size: Size) -> np.ndarray:
    """One even slope across the picture, in a random direction."""
    along, _ = _plane(rng, size)
    return 0.5 + along / np.float32(np.hypot(*size))


def _cloud(rng: np.random.Generator, size: Size) -> np.ndarray:
    cell = rng.uniform(10, 50)
    return 0.65 * _smooth_noise(rng, size, cell) + 0.35 * _smooth_noise(rng, size, cell / 4)


def _stripes(rng: np.random.Generator, size: Size) -> np.ndarray:
    along, _ = _plane(rng, size)
    bent = along + np.float32(rng.uniform(0, 10)) * _smooth_noise(rng, size, 40)
    return _wave(bent, rng.uniform(7, 30), rng.uniform(0.7, 4))


def _checker(rng: np.random.Generator, size: Size) -> np.ndarray:
    along, across = _plane(rng, size)
    step = np.float32(2 * np.pi / rng.uniform(10, 28))
    product = np.sin(along * step) * np.sin(across * step / np.float32(rng.uniform(1, 1.6)))
    return 0.5 + 0.5 * np.tanh(rng.uniform(1, 5) * product)


def _plaid(rng: np.random.Generator, size: Size) -> np.ndarray:
    along, across = _plane(rng, size)
    sharpness = rng.uniform(0.7, 3)
    woven = _wave(along, rng.uniform(8, 30), sharpness)
    return 0.5 * (woven + _wave(across, rng.uniform(8, 30), sharpness))


def _camouflage(rng: np.random.Generator, size: Size) -> np.ndarray:
    field = _smooth_noise(rng, size, rng.uniform(12, 36))
    return 0.5 + 0.5 * np.tanh(rng.uniform(4, 12) * (field - 0.5))


TEXTURES = (gradient, _cloud, _stripes, _checker, _plaid, _camouflage)


def colour(rng: np.random.Generator) -> np.ndarray:
    """Return a random colour, neither near black nor glaring: RGB, float64 (3,) in 0…255."""
    hue, saturation, value = rng.uniform(0, 1), rng.uniform(0.1, 0.72), rng.uniform(0.3, 0.97)
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value)) * 255


def paper(
    rng: np.random.Generator, shade: np.ndarray, size: Size, contrast: tuple[float, float]
) -> Image.Image:
    """Return an RGB image in shades around one colour, with a random texture.

    Args:
        rng: Decides texture, direction, scale and contrast.
        shade: The colour in the middle, RGB, float64 (3,) in 0…255.
        size: Width and height of the image.
        contrast: Smallest and largest difference between the texture's ends, 0…255.
    """
    texture = TEXTURES[rng.integers(len(TEXTURES))]
    field = np.clip(texture(rng, size), 0, 1)
    ends = rng.uniform(*contrast) * rng.choice([-1, 1]) * (1 + rng.uniform(-0.4, 0.4, 3))
    ramp = shade + np.linspace(-0.5, 0.5, 256)[:, None] * ends  # (256, 3)
    shades = np.clip(ramp, 0, 255).astype(np.uint8)
    return Image.fromarray(np.take(shades, (field * 255).astype(np.uint8), axis=0))
