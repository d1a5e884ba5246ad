"""By which camera a photograph was taken, and when: what its EXIF block says."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

_MODEL, _SERIAL, _ORIGINAL, _EXIF = 0x0110, 0xA431, 0x9003, 0x8769
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ASCII = 2
_ENTRIES = 512  # of a directory; cameras write some dozens


class Taken(NamedTuple):
    """Camera and minute of a photograph, such as ``NIKON D90`` and ``2021-03-04 15:30``."""

    camera: str
    minute: str


def read(image_bytes: bytes) -> Taken | None:
    """Return what the EXIF block of a JPEG file says; None without a time of exposure.

    The time is ``DateTimeOriginal``: ``DateTime`` is that of the last change, which a program may
    have made to a thousand files in one minute. The block is looked for where
    ``images.headers.exif_orientation`` looks for it. Damaged blocks are none.

    Source: CIPA DC-008 (Exif 2.32), 4.6; TIFF 6.0, section 2.
    """
    tiff = _block(image_bytes)
    order = _ORDERS.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return None
    first = dict(_directory(tiff, order, int(struct.unpack_from(order + "I", tiff, 4)[0])))
    inner = dict(_directory(tiff, order, int(first.get(_EXIF, "0") or 0)))
    time = inner.get(_ORIGINAL, "")
    digits = time.replace(":", "").replace(" ", "")
    if len(digits) != 14 or not (digits.isascii() and digits.isdigit()) or not int(digits[:4]):
        return None
    minute = f"{digits[:4]}-{digits[4:6]}-{digits[6:8]} {digits[8:10]}:{digits[10:12]}"
    camera = f"{first.get(_MODEL, '')} {inner.get(_SERIAL, '')}".strip()
    return Taken(camera or "unnamed camera", minute)


def _block(image_bytes: bytes) -> bytes:
    """Return the TIFF structure of a JPEG file's EXIF segment; empty where there is none."""
    start = 2
    for _ in range(2):
        if image_bytes[start : start + 2] == b"\xff\xe0":
            start += 2 + int.from_bytes(image_bytes[start + 2 : start + 4], "big")
    head = image_bytes[start : start + 10]
    if image_bytes[:2] != b"\xff\xd8" or head[:2] != b"\xff\xe1" or head[4:] != b"Exif\0\0":
        return b""
    return image_bytes[start + 10 : start + 2 + int.from_bytes(head[2:4], "big")]


def _directory(tiff: bytes, order: str, offset: int) -> Iterator[tuple[int, str]]:
    """Yield tag and value of a directory's entries: text, or the place of a directory."""
    if not 0 < offset <= len(tiff) - 2:
        return
    (count,) = struct.unpack_from(order + "H", tiff, offset)
    end = min(count, _ENTRIES, (len(tiff) - offset - 2) // 12) * 12 + offset + 2
    for place in range(offset + 2, end, 12):
        tag, kind, length, value = struct.unpack_from(order + "HHII", tiff, place)
        if tag == _EXIF:
            yield tag, str(value)
        elif kind == _ASCII and tag in (_MODEL, _SERIAL, _ORIGINAL):
            start = value if length > 4 else place + 8
            text = tiff[start : start + min(length, 64)].split(b"\0")[0]
            yield tag, text.decode("ascii", "replace").strip()
