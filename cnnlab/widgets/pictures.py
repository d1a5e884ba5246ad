"""Pictures inside the page: a photo made small, the colours of a heatmap, both as data URLs."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cnnlab import images
from cnnlab.plots import heatmap_overlay

BOX = 168  # CSS pixels of a picture's longer side
_DENSITY = 2  # pixels of a photo for one of these: phones and good screens show them
_SIDEWAYS = 5  # EXIF orientations from here on swap width and height


@dataclass(frozen=True)
class Photo:
    """An upright photo.

    Attributes:
        url: It, as a data URL. Its pixels form a square that is to be stretched.
        width: Pixels across in the file, turned upright.
        height: Pixels down.
    """

    url: str
    width: int
    height: int

    @property
    def box(self) -> tuple[float, float]:
        """Width and height to show it with, CSS pixels."""
        scale = BOX / max(self.width, self.height)
        return self.width * scale, self.height * scale


def photo(image_bytes: bytes) -> Photo:
    """Return a photo made small by the decoder that the network's pixels come from.

    Raises:
        ImageRejected: The image is refused.
    """
    header = images.inspect(image_bytes)
    size = (header.width, header.height)
    width, height = size[::-1] if header.orientation >= _SIDEWAYS else size
    pixels = images.decode(image_bytes, BOX * _DENSITY)
    return Photo(_url(pixels, "JPEG", quality=88), width, height)


def heat(heatmap: np.ndarray) -> str:
    """Return the colours of a heatmap, float (S, S) in 0–1, as the data URL of a PNG.

    The page lays them over the photo with the opacity of its slider, which gives what
    ``plots.heatmap_overlay`` computes, and asks nobody when the slider moves.
    """
    black = np.zeros((*np.shape(heatmap), 3), np.uint8)
    return _url(heatmap_overlay(black, heatmap, alpha=1.0), "PNG")


def _url(pixels: np.ndarray, kind: str, **options: int) -> str:
    """Return pixels, uint8 (H, W, 3), as a data URL."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, kind, **options)
    data = base64.b64encode(target.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{data}"
