"""One generated picture: a paper shape lying among scraps on a textured ground.

The class decides the outline and nothing else. Colours, textures, size, angle, place, clutter
and camera come from generators of their own, so that two classes drawn from the same seed
differ only where their shapes lie: a network can succeed by seeing the shape and by nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from cnnlab.data.synthetic import textures

SIDE = 256  # pixels
OVERSAMPLING = 3  # outlines are drawn this much larger, so that their edges come out soft

# How hard the pictures are. Chosen so that the reference network ends between 0.90 and 0.99.
RADIUS = (62.0, 100.0)  # of the target, pixels
WANDER = 14.0  # farthest the target's centre lies from the picture's, pixels along x and y
TURN = 0.35  # largest angle by which the target is turned either way, radians
SQUEEZE = 0.85  # smallest height of a shape relative to its width, before it is turned
PIECES = (3, 6)  # of clutter on the ground, half-open
PIECE = (24.0, 64.0)  # length of a piece of clutter, pixels
OCCLUDED = 0.7  # share of the targets on which another piece is laid
MIN_VISIBLE = 0.6  # a piece that would leave less than this of the target is left out
MIN_DISTANCE = 130.0  # in RGB, between the target's colour and the mean of what lies around it
GROUND_CONTRAST = (7.0, 28.0)  # of textures: of the ground, and of everything that lies on it
PAPER_CONTRAST = (11.0, 42.0)

Outline = np.ndarray  # float64 (N, 2): x, y


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


# The outlines of the classes: centred, about unit radius. ``variation`` is in 0…1.


def _regular(corners: int) -> Outline:
    """A regular polygon, one corner at the top."""
    angles = np.arange(corners) * 2 * np.pi / corners - np.pi / 2
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def _disc(variation: float) -> Outline:
    return _regular(96) * 0.88


def _square(variation: float) -> Outline:
    return _regular(4) @ _rotation(np.pi / 4).T


def _triangle(variation: float) -> Outline:
    return _regular(3) * 1.1


def _star(variation: float) -> Outline:
    radii = np.where(np.arange(10) % 2 == 0, 1.1, 0.44 + 0.11 * variation)
    return _regular(10) * radii[:, None]


def _cross(variation: float) -> Outline:
    arm = 0.28 + 0.08 * variation  # half its width
    quarter = np.array([(-arm, -1.0), (arm, -1.0), (arm, -arm)])
    return np.concatenate([quarter @ _rotation(turn * np.pi / 2).T for turn in range(4)])


Outlines = Mapping[str, Callable[[float], Outline]]

OUTLINES: Outlines = {
    "cross": _cross,
    "disc": _disc,
    "square": _square,
    "star": _star,
    "triangle": _triangle,
}


# Clutter: outlines that nobody takes for one of the classes, ``length`` pixels long.


def _ribbon(rng: np.random.Generator, length: float) -> Outline:
    """A bent band, long and thin."""
    t = np.linspace(0, 1, 24)[:, None]
    line = np.concatenate([t - 0.5, rng.uniform(-2, 2) * t * (1 - t)], 1) * length  # (24, 2)
    along = np.gradient(line, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], 1) / np.linalg.norm(along, axis=1)[:, None]
    half = rng.uniform(1.5, 7.0)
    return np.concatenate([line + across * half, (line - across * half)[::-1]])


def _puddle(rng: np.random.Generator, length: float) -> Outline:
    """A lopsided blob, about twice as long as wide: not to be taken for a disc."""
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = np.ones(48)
    for wave, height in ((2, 0.2), (3, 0.28), (5, 0.12)):
        radius += height * np.cos(wave * angles + rng.uniform(0, 2 * np.pi))
    flat = rng.uniform(0.35, 0.55)
    return np.stack([np.cos(angles), flat * np.sin(angles)], 1) * radius[:, None] * length / 2.4


def _scrap(rng: np.random.Generator, length: float) -> Outline:
    """A torn strip, at least three times as long as wide, its short sides ragged."""
    half = length * rng.uniform(0.1, 0.17)
    edge = np.linspace(-half, half, 6)
    right, left = rng.uniform(-0.18, 0.18, (2, 6)) * length
    ends = [np.stack([length / 2 + right, edge], 1), np.stack([-length / 2 + left, edge[::-1]], 1)]
    return np.concatenate(ends)


CLUTTER = (_ribbon, _puddle, _scrap)


def _rotation(angle: float) -> np.ndarray:
    """Return the matrix that turns column vectors by ``angle`` radians; float64 (2, 2)."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


@dataclass(frozen=True)
class _Layer:
    """The soft coverage of an outline: an "L" image, and its top left corner in the picture."""

    coverage: Image.Image
    corner: tuple[int, int]

    def lay(self, picture: Image.Image, rng: np.random.Generator, shade: np.ndarray) -> None:
        """Put paper of this outline on the picture, a soft shadow underneath."""
        paper = textures.paper(rng, shade, self.coverage.size, PAPER_CONTRAST)
        darkness = (np.arange(256) * rng.uniform(0.1, 0.5)).astype(int).tolist()
        shadow = self.coverage.filter(ImageFilter.BoxBlur(3)).point(darkness)
        picture.paste((12, 10, 16), (self.corner[0] + 2, self.corner[1] + 3), shadow)
        picture.paste(paper, self.corner, self.coverage)

    def covers(self) -> np.ndarray:
        """Return where the layer hides what lies below; bool (SIDE, SIDE)."""
        whole = Image.new("L", (SIDE, SIDE))
        whole.paste(self.coverage, self.corner)
        return np.asarray(whole) >= 128


def _layer(outline: Outline, angle: float, centre: np.ndarray) -> _Layer:
    """Return the coverage of an outline in pixels, turned and moved to its place."""
    placed = outline @ _rotation(angle).T + centre
    corner = np.floor(placed.min(0)).astype(int) - 5  # room for the shadow's blur
    width, height = (np.ceil(placed.max(0)).astype(int) + 6 - corner).tolist()
    large = Image.new("L", (width * OVERSAMPLING, height * OVERSAMPLING))
    points = ((placed - corner) * OVERSAMPLING).ravel().tolist()
    ImageDraw.Draw(large).polygon(points, fill=255)
    return _Layer(large.reduce(OVERSAMPLING), (int(corner[0]), int(corner[1])))


def _piece(rng: np.random.Generator, length: float, centre: np.ndarray) -> _Layer:
    """Return a piece of clutter at any angle."""
    outline = CLUTTER[rng.integers(len(CLUTTER))](rng, length)
    return _layer(outline, rng.uniform(0, 2 * np.pi), centre)


def _ground(rng: np.random.Generator) -> Image.Image:
    """Return a textured ground with clutter anywhere on it."""
    picture = textures.paper(rng, textures.colour(rng), (SIDE, SIDE), GROUND_CONTRAST)
    for _ in range(rng.integers(*PIECES)):
        piece = _piece(rng, rng.uniform(*PIECE), rng.uniform(0, SIDE, 2))
        piece.lay(picture, rng, textures.colour(rng))
    return picture


def _unlike(rng: np.random.Generator, surroundings: np.ndarray) -> np.ndarray:
    """Return a colour that stands out from the mean of the surroundings, (H, W, 3)."""
    mean = surroundings.mean((0, 1))
    while True:  # the colours reach much farther apart, so this ends soon
        shade = textures.colour(rng)
        if np.linalg.norm(shade - mean) >= MIN_DISTANCE:
            return shade


def _photographed(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    """Return the picture as a camera would see it: uneven light, slight blur, grain."""
    blurred = picture.filter(ImageFilter.BoxBlur(rng.uniform(0.1, 0.9)))
    slope = np.float32(rng.uniform(0, 0.25)) * (textures.gradient(rng, (SIDE, SIDE)) - 0.5)
    light = np.float32(rng.uniform(0.9, 1.1)) + slope
    grain = rng.standard_normal((SIDE, SIDE), np.float32) * np.float32(rng.uniform(1, 9))
    pixels = np.asarray(blurred) * light[..., None]  # float32 (SIDE, SIDE, 3)
    pixels += grain[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255, out=pixels).astype(np.uint8))


def draw(label: str, rng: np.random.Generator, outlines: Outlines = OUTLINES) -> Scene:
    """Draw one scene.

    Args:
        label: A name in ``outlines``.
        rng: Decides everything but the outline.
        outlines: Name → centred outline of about unit radius, given a variation in 0…1.

    Example:
        >>> draw("star", np.random.default_rng(0)).picture.size
        (256, 256)
    """
    place, ground, target, above, camera = rng.spawn(5)
    radius = place.uniform(*RADIUS)
    centre = SIDE / 2 + place.uniform(-WANDER, WANDER, 2)
    stretch = np.array([1.0, place.uniform(SQUEEZE, 1.0)])
    outline = outlines[label](place.random()) * radius * stretch
    layer = _layer(outline, place.uniform(-TURN, TURN), centre)
    picture = _ground(ground)
    left, top = (np.maximum(centre - radius, 0)).astype(int)
    right, bottom = (centre + radius).astype(int)
    layer.lay(picture, target, _unlike(target, np.asarray(picture)[top:bottom, left:right]))
    visible = layer.covers()
    if above.random() < OCCLUDED:
        length = above.uniform(0.8, 1.6) * radius
        piece = _piece(above, length, centre + above.normal(0, 0.5, 2) * radius)
        remaining = visible & ~piece.covers()
        if remaining.sum() >= MIN_VISIBLE * visible.sum():
            visible = remaining
            piece.lay(picture, above, textures.colour(above))
    return Scene(_photographed(camera, picture), visible)
