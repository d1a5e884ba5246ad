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
        url: It, as a data URL: a square, fitted as the network's pixels are.
        width: Pixels across in the file, turned upright.
        height: Pixels down.
        fit: How it became a square, see ``images.Preprocessing``.
    """

    url: str
    width: int
    height: int
    fit: str = "stretch"

    @property
    def box(self) -> tuple[float, float]:
        """Width and height to show it with, CSS pixels.

        What was stretched is shown in its own proportions again, and so is the heatmap over it;
        of what was padded or cropped the square itself is shown.
        """
        if self.fit != "stretch":
            return float(BOX), float(BOX)
        scale = BOX / max(self.width, self.height)
        return self.width * scale, self.height * scale


def photo(image_bytes: bytes, preprocessing: images.Preprocessing = images.STANDARD) -> Photo:
    """Return a photo made small by the decoder that the network's pixels come from.

    Args:
        image_bytes: A whole file.
        preprocessing: That of the network, so that a heatmap lies where it belongs.

    Raises:
        ImageRejected: The image is refused.
    """
    header = images.inspect(image_bytes)
    size = (header.width, header.height)
    width, height = size[::-1] if header.orientation >= _SIDEWAYS else size
    pixels = images.decode(image_bytes, BOX * _DENSITY, preprocessing)
    return Photo(_url(pixels, "JPEG", quality=88), width, height, preprocessing.fit)


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
