"""One generated picture: a paper shape lying among scraps on a textured ground.

Everything is drawn from the generator it is given. The class decides the outline and nothing
else: colours, textures, size, angle, place, clutter and noise have the same distribution for
every class, so a network can only succeed by seeing the shape.
"""

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 256  # pixels
OVERSAMPLING = 3  # outlines are drawn this much larger, so that edges come out soft
MIN_VISIBLE = 0.7  # an occluder that would leave less of the target is left out
MIN_CONTRAST = 75.0  # RGB distance between the target's colour and what lies around it

Outline = np.ndarray  # float64 (N, 2): x, y in pixels


@dataclass(frozen=True)
class Scene:
    """A picture and where its target shows.

    ``picture`` is an RGB image of 256×256; ``visible`` is bool (256, 256), true on the pixels
    of the target that nothing covers.
    """

    picture: Image.Image
    visible: np.ndarray

    def box(self) -> tuple[int, int, int, int]:
        """Return left, top, right, bottom of the visible target, half-open."""
        rows, columns = np.nonzero(self.visible.any(1))[0], np.nonzero(self.visible.any(0))[0]
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


# --- outlines: unit size, centred; float64 (N, 2) ------------------------------------------------


def _regular(points: int) -> Outline:
    angles = np.arange(points) * 2 * np.pi / points - np.pi / 2
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def _disc(rng: np.random.Generator) -> Outline:
    return _regular(96) * 0.88


def _square(rng: np.random.Generator) -> Outline:
    return _regular(4)


def _triangle(rng: np.random.Generator) -> Outline:
    return _regular(3) * 1.1


def _star(rng: np.random.Generator) -> Outline:
    radii = np.where(np.arange(10) % 2 == 0, 1.1, 1.1 * rng.uniform(0.4, 0.5))
    return _regular(10) * radii[:, None]


def _cross(rng: np.random.Generator) -> Outline:
    a = rng.uniform(0.28, 0.36)
    quarter = np.array([(-a, -1.0), (a, -1.0), (a, -a)])
    return np.concatenate([quarter @ _turn(k * np.pi / 2).T for k in range(4)])


def _turn(angle: float) -> np.ndarray:
    """Return the matrix that turns column vectors by ``angle`` radians; float64 (2, 2)."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


OUTLINES: dict[str, Callable[[np.random.Generator], Outline]] = {
    "cross": _cross,
    "disc": _disc,
    "square": _square,
    "star": _star,
    "triangle": _triangle,
}


def _ribbon(rng: np.random.Generator, length: float) -> Outline:
    """A bent band, long and thin."""
    t = np.linspace(0, 1, 24)[:, None]
    bend = rng.uniform(-0.5, 0.5)
    line = np.concatenate([t - 0.5, bend * 4 * t * (1 - t)], 1) * length  # (24, 2)
    along = np.gradient(line, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], 1) / np.linalg.norm(along, axis=1)[:, None]
    half = rng.uniform(1.5, 7.0)
    return np.concatenate([line + across * half, (line - across * half)[::-1]])


def _blob(rng: np.random.Generator, length: float) -> Outline:
    """A lopsided puddle, at least 1.7 times as long as wide: not to be taken for a disc."""
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = np.ones(48)
    for wave, height in ((2, 0.2), (3, 0.28), (5, 0.12)):
        radius += height * np.cos(wave * angles + rng.uniform(0, 2 * np.pi))
    flat = rng.uniform(0.35, 0.55)
    return np.stack([np.cos(angles), flat * np.sin(angles)], 1) * radius[:, None] * length / 2.4


def _scrap(rng: np.random.Generator, length: float) -> Outline:
    """A torn strip: long sides nearly straight, short sides ragged."""
    half = length * rng.uniform(0.1, 0.17)
    edge = np.linspace(-half, half, 6)
    ends = [rng.uniform(-0.18, 0.18, 6) * length for _ in range(2)]
    right = np.stack([length / 2 + ends[0], edge], 1)
    left = np.stack([-length / 2 + ends[1], edge[::-1]], 1)
    return np.concatenate([right, left])


CLUTTER = (_ribbon, _blob, _scrap)


# --- textures: float32 (H, W) in 0…1 -------------------------------------------------------------


def _smooth_noise(rng: np.random.Generator, width: int, height: int, cell: float) -> np.ndarray:
    """Bicubic value noise with features about ``cell`` pixels wide."""
    columns, rows = int(width / cell) + 3, int(height / cell) + 3
    coarse = Image.fromarray(rng.integers(0, 256, (rows, columns), dtype=np.uint8))
    fine = coarse.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(fine, np.float32) / 255


def _plane(rng: np.random.Generator, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Two perpendicular coordinates in pixels, turned at random; float32 (H, W) each."""
    angle = rng.uniform(0, np.pi)
    x = np.arange(width, dtype=np.float32)[None] - width / 2
    y = np.arange(height, dtype=np.float32)[:, None] - height / 2
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cos + y * sin, y * cos - x * sin


def _wave(values: np.ndarray, period: float, sharpness: float) -> np.ndarray:
    """A sine between 0 and 1 whose flanks steepen with ``sharpness``."""
    return 0.5 + 0.5 * np.tanh(sharpness * np.sin(values * np.float32(2 * np.pi / period)))


def _gradient(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    along, _ = _plane(rng, width, height)
    return 0.5 + along / np.float32(np.hypot(width, height))


def _noise(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    cell = rng.uniform(10, 50)
    coarse = _smooth_noise(rng, width, height, cell)
    return 0.65 * coarse + 0.35 * _smooth_noise(rng, width, height, cell / 4)


def _stripes(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    along, _ = _plane(rng, width, height)
    bent = along + rng.uniform(0, 10) * _smooth_noise(rng, width, height, 40)
    return _wave(bent, rng.uniform(7, 30), rng.uniform(0.7, 4))


def _checker(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    along, across = _plane(rng, width, height)
    period, step = rng.uniform(10, 28), np.float32(2 * np.pi)
    product = np.sin(along * step / period) * np.sin(across * step / (period * rng.uniform(1, 1.6)))
    return 0.5 + 0.5 * np.tanh(rng.uniform(1, 5) * product)


def _plaid(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    along, across = _plane(rng, width, height)
    sharpness = rng.uniform(0.7, 3)
    woven = _wave(along, rng.uniform(8, 30), sharpness)
    return 0.5 * (woven + _wave(across, rng.uniform(8, 30), sharpness))


def _blobs(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    field = _smooth_noise(rng, width, height, rng.uniform(12, 36))
    return 0.5 + 0.5 * np.tanh(rng.uniform(4, 12) * (field - 0.5))


TEXTURES = (_gradient, _noise, _stripes, _checker, _plaid, _blobs)


def _colour(rng: np.random.Generator) -> np.ndarray:
    """A random colour, neither near black nor glaring; float64 (3,) in 0…255."""
    hue, saturation, value = rng.uniform(0, 1), rng.uniform(0.15, 0.85), rng.uniform(0.3, 0.98)
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value)) * 255


def _paper(rng: np.random.Generator, colour: np.ndarray, width: int, height: int) -> Image.Image:
    """Return an RGB image in shades around ``colour`` with a random texture."""
    texture = TEXTURES[rng.integers(len(TEXTURES))]
    field = np.clip(texture(rng, width, height), 0, 1)
    swing = rng.uniform(18, 55) * rng.choice([-1, 1]) + rng.uniform(-22, 22, 3)
    ramp = colour + np.linspace(-0.5, 0.5, 256)[:, None] * swing * 1.4  # (256, 3)
    return Image.fromarray(np.clip(ramp, 0, 255).astype(np.uint8)[(field * 255).astype(np.uint8)])


# --- layers --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layer:
    """The soft coverage of an outline: an "L" image and its top left corner in the picture."""

    coverage: Image.Image
    corner: tuple[int, int]

    def lay(self, picture: Image.Image, paper: Image.Image, shadow: float) -> None:
        """Paste the paper onto the picture, with a soft shadow underneath."""
        soft = self.coverage.filter(ImageFilter.BoxBlur(3)).point(lambda v: int(v * shadow))
        picture.paste((12, 10, 16), (self.corner[0] + 2, self.corner[1] + 3), soft)
        picture.paste(paper, self.corner, self.coverage)

    def covers(self) -> np.ndarray:
        """Return where the layer hides what lies below; bool (SIDE, SIDE)."""
        whole = Image.new("L", (SIDE, SIDE))
        whole.paste(self.coverage, self.corner)
        return np.asarray(whole) >= 128


def _layer(outline: Outline) -> _Layer:
    corner = np.floor(outline.min(0)).astype(int) - 5  # room for the shadow's blur
    width, height = (np.ceil(outline.max(0)).astype(int) + 6 - corner).tolist()
    large = Image.new("L", (width * OVERSAMPLING, height * OVERSAMPLING))
    points = ((outline - corner) * OVERSAMPLING).ravel().tolist()
    ImageDraw.Draw(large).polygon(points, fill=255)
    return _Layer(large.reduce(OVERSAMPLING), (int(corner[0]), int(corner[1])))


def _placed(rng: np.random.Generator, outline: Outline, centre: np.ndarray) -> Outline:
    return outline @ _turn(rng.uniform(0, 2 * np.pi)).T + centre


def _scatter(rng: np.random.Generator, picture: Image.Image, count: int) -> None:
    """Lay ``count`` pieces of clutter anywhere on the picture."""
    for _ in range(count):
        piece = CLUTTER[rng.integers(len(CLUTTER))](rng, rng.uniform(28, 90))
        layer = _layer(_placed(rng, piece, rng.uniform(0, SIDE, 2)))
        layer.lay(picture, _paper(rng, _colour(rng), *layer.coverage.size), rng.uniform(0.1, 0.5))


def _contrasting(rng: np.random.Generator, surroundings: np.ndarray) -> np.ndarray:
    """Return a colour at least ``MIN_CONTRAST`` away from the surroundings' mean."""
    while True:
        colour = _colour(rng)
        if np.linalg.norm(colour - surroundings) >= MIN_CONTRAST:
            return colour


def _photographed(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    """Return the picture as a camera would see it: uneven light, slight blur, grain."""
    blurred = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.1)))
    light = rng.uniform(0.9, 1.1) + rng.uniform(0, 0.25) * (_gradient(rng, SIDE, SIDE) - 0.5)
    grain = rng.standard_normal((SIDE, SIDE), np.float32) * np.float32(rng.uniform(1, 9))
    pixels = np.asarray(blurred, np.float32) * light.astype(np.float32)[..., None]
    pixels += grain[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def draw(label: str, rng: np.random.Generator) -> Scene:
    """Draw one scene.

    Args:
        label: A name in ``OUTLINES``.
        rng: Decides everything but the outline.

    Example:
        >>> draw("star", np.random.default_rng(0)).picture.size
        (256, 256)
    """
    picture = _paper(rng, _colour(rng), SIDE, SIDE)
    _scatter(rng, picture, int(rng.integers(3, 8)))
    radius = rng.uniform(44, 84)
    centre = rng.uniform(0.9 * radius, SIDE - 0.9 * radius, 2)
    stretch = np.array([1.0, rng.uniform(0.85, 1.0)])
    target = _layer(_placed(rng, OUTLINES[label](rng) * radius * stretch, centre))
    visible = target.covers()
    colour = _contrasting(rng, np.asarray(picture)[visible].mean(0))
    target.lay(picture, _paper(rng, colour, *target.coverage.size), rng.uniform(0.1, 0.5))
    if rng.random() < 0.7:
        piece = CLUTTER[rng.integers(len(CLUTTER))](rng, rng.uniform(0.8, 1.6) * radius)
        offset = rng.normal(0, 0.5 * radius, 2)
        occluder = _layer(_placed(rng, piece, centre + offset))
        left = visible & ~occluder.covers()
        if left.sum() >= MIN_VISIBLE * visible.sum():
            visible = left
            paper = _paper(rng, _colour(rng), *occluder.coverage.size)
            occluder.lay(picture, paper, rng.uniform(0.1, 0.5))
    return Scene(_photographed(rng, picture), visible)
