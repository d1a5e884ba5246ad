"""Validation: looks at a file and its first bytes, and says no before anything is decoded."""

import errno
import os
import stat

from cnnlab.images import foreign
from cnnlab.images.headers import (
    JPEG_SIGNATURE,
    PNG_SIGNATURE,
    heif_format,
    jpeg_header,
    png_header,
)
from cnnlab.images.limits import (
    MAX_BYTES,
    Header,
    ImageRejected,
    check_bytes,
    check_header,
    megabytes,
)


def inspect(image_bytes: bytes) -> Header:
    """Return what the header says, or refuse the image; no pixel is decoded.

    Args:
        image_bytes: The whole file. Its format is told by its first bytes; names play no part.

    Raises:
        ImageRejected: See its attribute ``code``.

    Example:
        >>> inspect(b"<html>")
        Traceback (most recent call last):
        cnnlab.images.limits.ImageRejected: These bytes are not an image of a known format: …
    """
    check_bytes(image_bytes)
    image_format = format_of(image_bytes)
    if not image_format:
        raise ImageRejected(
            "unknown_format",
            "These bytes are not an image of a known format: expected JPEG, PNG, GIF, BMP, WebP, "
            "TIFF, AVIF or HEIC.",
        )
    if image_format == "jpeg":
        header = jpeg_header(image_bytes)
    elif image_format == "png":
        header = png_header(image_bytes)
    else:
        header = foreign.header(image_bytes, image_format)
    check_header(header)
    return header


def transcode(image_bytes: bytes) -> bytes:
    """Inspect an image and return it as bytes that ``prepare`` reads: JPEG or PNG.

    JPEG and PNG come back as they are. GIF, BMP, WebP, TIFF, AVIF and, where a reader of it is
    installed, HEIC become PNG: turned upright by their EXIF orientation, with transparency and
    16-bit grey kept.

    Raises:
        ImageRejected: See its attribute ``code``.
    """
    header = inspect(image_bytes)
    if header.format in foreign.FORMATS:
        return foreign.to_png(image_bytes, header.format)
    return image_bytes


def format_of(image_bytes: bytes) -> str:
    """Return the format that the first bytes name, as in ``Header``; "" for an unknown one."""
    head = image_bytes[:12]
    if head.startswith(JPEG_SIGNATURE):
        return "jpeg"
    if head.startswith(PNG_SIGNATURE):
        return "png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head.startswith(b"BM"):
        return "bmp"
    if head.startswith(b"RIFF") and head.endswith(b"WEBP"):
        return "webp"
    if head.startswith((b"II*\0", b"MM\0*")):
        return "tiff"
    return heif_format(image_bytes)


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of an image file without being led astray.

    Pipes and devices, and links to them, are refused without waiting for them: a dataset may hold
    any of these. A link to a regular file is that file.

    Raises:
        ImageRejected: ``not_found``, ``not_a_regular_file``, ``unreadable``, ``too_many_bytes``.
    """
    name = os.fspath(path)
    # Windows has no O_NONBLOCK: there the kind of file is checked after opening only.
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(name, os.O_RDONLY | flags)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ImageRejected("not_a_regular_file", f"{name} is not a regular file.")
            with open(descriptor, "rb", closefd=False) as file:
                image_bytes = file.read(MAX_BYTES + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise ImageRejected("not_found", f"{name} does not exist.") from None
    except OSError as error:
        if error.errno in (
            errno.ELOOP,
            errno.ENXIO,
            errno.EISDIR,
        ):  # a loop, a socket, a folder
            raise ImageRejected("not_a_regular_file", f"{name} is not a regular file.") from None
        raise ImageRejected("unreadable", f"{name} cannot be read: {error.strerror}.") from None
    if len(image_bytes) > MAX_BYTES:
        raise ImageRejected(
            "too_many_bytes",
            f"{name} is too large: at most {megabytes(MAX_BYTES)} MB are accepted.",
        )
    return image_bytes
