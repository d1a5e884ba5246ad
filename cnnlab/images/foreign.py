"""Formats that TensorFlow does not decode here: Pillow reads them once, at the door.

Only the plugin of the format that the first bytes name is ever tried, so bytes cannot pick a
reader that starts other programs (EPS). Refusals are made from the header, before any pixel.
"""

import functools
import importlib
import importlib.util
import io
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from cnnlab.images.limits import Header, ImageRejected

FORMATS = ("gif", "bmp", "webp", "tiff", "avif", "heic", "heif")

# Packages that teach Pillow HEIC, the first that is installed. None is a dependency of cnnlab: the
# wheels of pi-heif hold libraries under the LGPL, those of pillow-heif also x265 under the GPL.
HEIC_READERS = ("pi_heif", "pillow_heif")
HEIC_CURE = "convert {} to JPEG, or run: pip install pi-heif (decoders under the LGPL)"

HEIF = ("heic", "heif")

# Python's warning filters belong to the process: two threads must not change them at once.
_LOCK = threading.Lock()
_NO_RANGE = ("I", "F")  # 32-bit numbers: nothing says which one is white


def header(image_bytes: bytes, image_format: str) -> Header:
    """Return the header of an image in one of ``FORMATS``.

    Raises:
        ImageRejected: ``corrupt``, ``too_many_pixels``; ``unsupported`` where HEIC is not read.
    """
    with _opened(image_bytes, image_format) as image:
        return _header(image, image_format)


def to_png(image_bytes: bytes, image_format: str) -> bytes:
    """Return the image of an inspected file as PNG bytes: upright, with transparency, 16-bit grey.

    Raises:
        ImageRejected: ``corrupt``; ``unsupported`` for pixels without a known range.
    """
    with _opened(image_bytes, image_format) as image:
        if image.mode in _NO_RANGE:
            raise ImageRejected(
                "unsupported", f"The {image_format.upper()} file has 32-bit pixels: expected 8."
            )
        ImageOps.exif_transpose(image, in_place=True)  # a copy would double the memory
        png = io.BytesIO()
        # Read once: speed over size.
        _plain(image).save(png, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
        return png.getvalue()


def _header(image: Image.Image, image_format: str) -> Header:
    """Return the header of an opened image; more than one frame counts as two, uncounted."""
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if image_format == "tiff" or orientation not in range(1, 9):
        orientation = 1  # Pillow turns TIFF itself, and gives the size after turning
    frames = 2 if getattr(image, "is_animated", False) else 1
    return Header(image_format, image.width, image.height, orientation, frames)


def _plain(image: Image.Image) -> Image.Image:
    """Return the image in a mode that PNG stores and that needs no palette: L, RGB, RGBA, I;16."""
    if image.mode.startswith("I;16"):  # either byte order; Pillow's own conversion would clip it
        return image
    if image.mode in ("1", "L") and not image.has_transparency_data:
        mode = "L"
    else:
        mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)  # which copies even to the same


@contextmanager
def _opened(image_bytes: bytes, image_format: str) -> Iterator[Image.Image]:
    """Open bytes with the one plugin; whatever Pillow raises on bad bytes becomes a refusal."""
    name = image_format.upper()
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notes on odd metadata
        if image_format in HEIF and not heic_reader():
            what = "An iPhone HEIC photo" if image_format == "heic" else "A HEIF image"
            cure = HEIC_CURE.format("it")
            raise ImageRejected("unsupported", f"{what}, which nothing here reads: {cure}.")
        plugin = "HEIF" if image_format in HEIF else name
        try:
            with Image.open(io.BytesIO(image_bytes), formats=[plugin]) as image:
                yield image
        except ImageRejected:
            raise
        except UnidentifiedImageError:
            raise ImageRejected("corrupt", f"The header of the {name} is damaged.") from None
        except Image.DecompressionBombError:
            raise ImageRejected(
                "too_many_pixels", f"The {name} file has too many pixels."
            ) from None
        except Exception as error:  # the plugins raise nearly every kind on damaged bytes
            raise ImageRejected("corrupt", f"The {name} cannot be read: {error}.") from None


@functools.cache
def heic_reader() -> str:
    """Return the package that reads HEIC here, made known to Pillow; "" if none is installed."""
    for name in HEIC_READERS:
        if importlib.util.find_spec(name):
            importlib.import_module(name).register_heif_opener()
            return name
    return ""
