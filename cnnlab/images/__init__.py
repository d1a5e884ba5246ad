"""Images: validation looks at the bytes first; the one decoder makes pixels of them.

``inspect`` reads the header only and refuses what is not to be decoded; ``transcode`` also turns
the rarer formats into PNG bytes; ``prepare`` makes pixels of JPEG or PNG bytes in TensorFlow ops,
so that training, evaluation and serving see the same ones; ``decode`` is all of it for one image.

Example:
    >>> pixels = decode(read_file("photo.jpg"), 224)  # uint8 (224, 224, 3), RGB, upright
"""

from cnnlab.images.limits import (
    MAX_BYTES,
    MAX_FOREIGN_PIXELS,
    MAX_PIXELS,
    MAX_RATIO,
    MAX_SCANS,
    MAX_SIDE,
    MIN_SIDE,
    Header,
    ImageRejected,
    too_many_bytes,
)
from cnnlab.images.orientation import orientation
from cnnlab.images.pixels import decode, prepare
from cnnlab.images.preprocessing import PREPROCESSING_VERSION, STANDARD, Preprocessing
from cnnlab.images.validation import format_of, inspect, read_file, transcode

__all__ = [
    "MAX_BYTES",
    "MAX_FOREIGN_PIXELS",
    "MAX_PIXELS",
    "MAX_RATIO",
    "MAX_SCANS",
    "MAX_SIDE",
    "MIN_SIDE",
    "PREPROCESSING_VERSION",
    "STANDARD",
    "Header",
    "ImageRejected",
    "Preprocessing",
    "decode",
    "format_of",
    "inspect",
    "orientation",
    "prepare",
    "read_file",
    "too_many_bytes",
    "transcode",
]
