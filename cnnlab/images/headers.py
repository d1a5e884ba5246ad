"""Headers of JPEG and PNG, and the brands of HEIF files, read from the bytes without a decoder.

The rules are few and plain on purpose: a server in another language can follow them to the
letter and refuse the same images with the same codes.
"""

import re
import struct
import zlib
from collections.abc import Iterator

from cnnlab.images.limits import MAX_SCANS, Header, ImageRejected

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"

MAX_SEGMENTS = 4096  # no writer comes near it, and each one costs time
MAX_BRANDS = 64  # compatible ones of a HEIF file; writers list up to ten

# HEIF is a container: the brand says how the picture in it is coded.
_BRANDS = {
    **dict.fromkeys(
        (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "heic"
    ),
    **dict.fromkeys((b"avif", b"avis"), "avif"),
}
_ANY_CODING = (b"mif1", b"msf1")

# A marker is 0xFF and a byte other than 0x00 (stuffing), 0xFF (fill) and those without a length
# that count for nothing: 0x01 and the restart markers 0xD0…0xD7.
_MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]", re.DOTALL)
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)  # lossless, arithmetic
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_BIT_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


def heif_format(image_bytes: bytes) -> str:
    """Return how the picture in a HEIF file is coded: ``avif``, ``heic``, ``heif`` or "".

    The major brand says so; where it is ``mif1`` or ``msf1``, which stand for any coding, the first
    compatible brand that names one does. ``heif``: none does. "": these bytes are no HEIF file.

    Source: ISO/IEC 14496-12, 4.3 (the file type box); ISO/IEC 23008-12, 10 and annexes B and C.
    """
    if image_bytes[4:8] != b"ftyp" or len(image_bytes) < 12:
        return ""
    major = image_bytes[8:12]
    if major not in _ANY_CODING:
        return _BRANDS.get(major, "")
    end = min(int.from_bytes(image_bytes[:4], "big"), len(image_bytes), 16 + 4 * MAX_BRANDS)
    compatible = (image_bytes[at : at + 4] for at in range(16, end - 3, 4))
    return next((_BRANDS[brand] for brand in compatible if brand in _BRANDS), "heif")


def jpeg_header(image_bytes: bytes) -> Header:
    """Return the header of a JPEG file: what its first frame header (SOF0, SOF1, SOF2) says.

    The segments are walked to the end marker; the compressed data between them is not decoded.

    Raises:
        ImageRejected: ``corrupt`` (no frame header before the data, or no end),
            ``unsupported`` (lossless, arithmetic, 12-bit), ``too_many_scans``.
    """
    size: tuple[int, int] | None = None
    scans = 0
    for marker, position in _segments(image_bytes):
        if size is None and (marker in _FRAMES or marker in _OTHER_FRAMES):
            size = _frame_size(marker, image_bytes[position : position + 8])
        elif marker == _SCAN:
            scans += 1
        if scans and size is None:
            break
        if scans > MAX_SCANS:
            raise ImageRejected("too_many_scans", f"The JPEG has more than {MAX_SCANS} scans.")
    if size is None:
        raise _corrupt("JPEG", "it has no frame header")
    return Header("jpeg", *size, exif_orientation(image_bytes), 1)


def _segments(image_bytes: bytes) -> Iterator[tuple[int, int]]:
    """Yield the marker of each segment and the position of its length field, up to the end."""
    position = 2
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(image_bytes, position)
        if found is None:
            raise _corrupt("JPEG", "it has no end, as if cut off")
        marker, position = image_bytes[found.start() + 1], found.end()
        if marker == _END:
            return
        length = int.from_bytes(image_bytes[position : position + 2], "big")
        if marker == _START or length < 2:
            break
        yield marker, position
        position += length
    raise _corrupt("JPEG", "its segments make no sense")


def _frame_size(marker: int, fields: bytes) -> tuple[int, int]:
    """Return width and height from a frame header of a kind that can be decoded."""
    if marker in _OTHER_FRAMES:
        raise ImageRejected("unsupported", "This kind of JPEG (lossless, arithmetic) is not read.")
    if len(fields) < 8:
        raise _corrupt("JPEG", "it ends inside its header")
    precision, height, width, components = struct.unpack(">BHHB", fields[2:])
    if precision != 8 or components not in (1, 3, 4):
        raise ImageRejected(
            "unsupported",
            f"The JPEG has {components} components of {precision} bits: expected 1, 3 or 4 of 8.",
        )
    return width, height


def exif_orientation(image_bytes: bytes) -> int:
    """Return the EXIF orientation of a JPEG file, 1…8; 1 where there is none or it is damaged.

    The EXIF block is looked for only where the standards put it: right after the start marker,
    or after one or two APP0 segments (JFIF, and its thumbnail). In its first directory the entry
    with tag 0x0112, type SHORT and one value counts; of several the largest. XMP is not read.

    Source: CIPA DC-008 (Exif 2.32), 4.5.4 and 4.6.4; TIFF 6.0, section 2.
    """
    start = 2
    for _ in range(2):
        if image_bytes[start : start + 2] == b"\xff\xe0":
            start += 2 + int.from_bytes(image_bytes[start + 2 : start + 4], "big")
    head = image_bytes[start : start + 10]
    if head[:2] != b"\xff\xe1" or head[4:] != b"Exif\0\0":
        return 1
    tiff = image_bytes[start + 10 : start + 2 + int.from_bytes(head[2:4], "big")]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 10:
        return 1
    (offset,) = struct.unpack_from(order + "I", tiff, 4)
    if offset + 2 > len(tiff):
        return 1
    (count,) = struct.unpack_from(order + "H", tiff, offset)
    entries = min(count, (len(tiff) - offset - 2) // 12)
    value = max(
        (
            value
            for tag, kind, values, value, _ in struct.iter_unpack(
                order + "HHIHH", tiff[offset + 2 : offset + 2 + 12 * entries]
            )
            if (tag, kind, values) == (0x0112, 3, 1)
        ),
        default=1,
    )
    return value if 1 <= value <= 8 else 1


def png_header(image_bytes: bytes) -> Header:
    """Return the header of a PNG file; its frames are what an ``acTL`` chunk before the data says.

    PNG pixels are taken as stored: the orientation is 1 even where an ``eXIf`` chunk says
    otherwise, because the decoder would have to search the whole file for that rare chunk.

    Raises:
        ImageRejected: ``corrupt``.
    """
    kind, ihdr = image_bytes[12:16], image_bytes[16:29]
    if image_bytes[8:12] != b"\0\0\0\x0d" or kind != b"IHDR" or len(image_bytes) < 33:
        raise _corrupt("PNG", "it does not start with a header chunk")
    if zlib.crc32(kind + ihdr) != int.from_bytes(image_bytes[29:33], "big"):
        raise _corrupt("PNG", "the checksum of its header is wrong")
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(
        ">IIBBBBB", ihdr
    )
    known = depth in _BIT_DEPTHS.get(colour, ()) and (compression, filtering) == (0, 0)
    if not known or interlace > 1:
        raise _corrupt("PNG", "its header names a kind of pixel that does not exist")
    frames, position = 1, 33
    for _ in range(MAX_SEGMENTS):
        chunk = image_bytes[position : position + 12]
        if len(chunk) < 12:
            break
        length, kind = int.from_bytes(chunk[:4], "big"), chunk[4:8]
        if kind == b"IDAT":
            return Header("png", width, height, 1, frames)
        if kind == b"acTL":
            frames = max(1, int.from_bytes(chunk[8:], "big"))
        position += 12 + length
    raise _corrupt("PNG", "it holds no image data")


def _corrupt(name: str, reason: str) -> ImageRejected:
    return ImageRejected("corrupt", f"The {name} file is damaged: {reason}.")
