"""Headers of JPEG and PNG, read from the bytes without a decoder.

The rules are few and plain on purpose: a server in another language can follow them to the
letter and refuse the same images with the same codes.
"""

import re
import struct
import zlib

from cnnlab.images.limits import MAX_SCANS, Header, ImageRejected

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"

MAX_SEGMENTS = 4096  # before the size is known; no writer comes near, and walking them costs time

# A marker is 0xFF and a byte that is neither 0x00 (stuffing) nor 0xFF (fill).
_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)  # lossless, arithmetic
_BARE = (0x01, *range(0xD0, 0xD8))  # markers without a length
_MISPLACED = (0xD8, 0xD9, 0xDA)  # start, end and scan cannot come before the frame header
_BIT_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


def jpeg_header(image_bytes: bytes) -> Header:
    """Return the header of a JPEG file: the first frame header (SOF0, SOF1 or SOF2) decides.

    Raises:
        ImageRejected: ``corrupt`` (no frame header, or no end-of-image marker after it),
            ``unsupported`` (lossless, arithmetic, 12-bit), ``too_many_scans``.
    """
    marker, position = _frame_marker(image_bytes)
    if marker in _OTHER_FRAMES:
        raise ImageRejected("unsupported", "This kind of JPEG (lossless, arithmetic) is not read.")
    if len(image_bytes) < position + 8:
        raise _corrupt("JPEG", "it ends inside its header")
    precision, height, width, components = struct.unpack_from(">BHHB", image_bytes, position + 2)
    if precision != 8 or components not in (1, 3, 4):
        raise ImageRejected(
            "unsupported",
            f"The JPEG has {components} components of {precision} bits: expected 1, 3 or 4 of 8.",
        )
    # Within compressed data 0xFF is followed by 0x00, so these two are real markers there.
    if image_bytes.find(b"\xff\xd9", position) < 0:
        raise _corrupt("JPEG", "it has no end, as if cut off")
    if marker == 0xC2 and image_bytes.count(b"\xff\xda", position) > MAX_SCANS:
        raise ImageRejected(
            "too_many_scans", f"The progressive JPEG has more than {MAX_SCANS} scans."
        )
    return Header("jpeg", width, height, exif_orientation(image_bytes), 1)


def _frame_marker(image_bytes: bytes) -> tuple[int, int]:
    """Return the first frame marker and the position of its length field."""
    position = 2
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(image_bytes, position)
        if found is None or image_bytes[found.start() + 1] in _MISPLACED:
            break
        marker, position = image_bytes[found.start() + 1], found.end()
        if marker in _FRAMES or marker in _OTHER_FRAMES:
            return marker, position
        if marker in _BARE:
            continue
        length = int.from_bytes(image_bytes[position : position + 2], "big")
        if length < 2:
            break
        position += length
    raise _corrupt("JPEG", "it has no frame header")


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
