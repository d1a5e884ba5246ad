"""Crafted image files: over a hundred, named by what they are, each with how it must end.

A generator, not a test. ``files`` gives name → (bytes, expected): ``ACCEPTED`` or the code of
the refusal. PNG is written by hand, because no encoder writes all of its kinds.
"""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from cnnlab.images import MAX_BYTES, MAX_SCANS, foreign

ACCEPTED = "accepted"
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF")
HEIC = ("heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs")  # brands
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_KINDS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
         (0, 1, 1, 2))  # fmt: skip

Files = dict[str, tuple[bytes, str]]


def picture(width: int = 40, height: int = 28, mode: str = "RGB") -> Image.Image:
    """A smooth picture with one sharp square, the same every time."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    pixels = np.stack([x, y, 255 - x], axis=2).astype(np.uint8)
    pixels[: height // 3, : width // 3] = (255, 0, 0)
    return Image.fromarray(pixels).convert(mode)


def translucent(width: int = 40, height: int = 28) -> Image.Image:
    image = picture(width, height, "RGBA")
    image.putalpha(Image.linear_gradient("L").resize((width, height)))
    return image


def encoded(image: Image.Image, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_around(ihdr: bytes, *chunks: bytes) -> bytes:
    return PNG_SIGNATURE + chunk(b"IHDR", ihdr) + b"".join(chunks) + chunk(b"IEND", b"")


def png(
    colour: int, depth: int, interlaced: bool, *chunks: bytes, width: int = 21, height: int = 13
) -> bytes:
    """A PNG of any kind that exists, filled with a ramp."""
    shape = (height, width, CHANNELS[colour])
    samples = np.arange(np.prod(shape)).reshape(shape) * 37 % 2**depth
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    rows = [row for x, y, dx, dy in passes if x < width for row in samples[y::dy, x::dx]]
    data = b"".join(b"\0" + _packed(row.ravel(), depth) for row in rows)
    ihdr = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    palette = (chunk(b"PLTE", bytes(range(3 * 2**depth % 256)) or bytes(768)),)
    first = palette if colour == 3 else ()
    return png_around(ihdr, *first, *chunks, chunk(b"IDAT", zlib.compress(data)))


def _packed(row: np.ndarray, depth: int) -> bytes:
    if depth == 16:
        return row.astype(">u2").tobytes()
    bits = np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - depth :]
    return np.packbits(bits).tobytes()


def heif(major: str, *compatible: str, box: int | None = None) -> bytes:
    """The file type box of a HEIF file, and zeros."""
    brands = "".join(compatible).encode()
    size = 16 + len(brands) if box is None else box
    return struct.pack(">I4s4sI", size, b"ftyp", major.encode(), 0) + brands + bytes(99)


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises any size and holds next to nothing."""
    ihdr = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return png_around(ihdr, chunk(b"IDAT", zlib.compress(bytes(99))))


def exif(value: int, order: str = "<", *, kind: int = 3, tag: int = 0x0112) -> bytes:
    """An EXIF segment with one entry."""
    tiff = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    tiff += struct.pack(order + "HHHIHHI", 1, tag, kind, 1, value, 0, 0)
    return b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff


def behind_start(image_bytes: bytes, segment: bytes) -> bytes:
    """The JPEG with a segment right behind its start marker."""
    return image_bytes[:2] + segment + image_bytes[2:]


def resized(image_bytes: bytes, width: int, height: int) -> bytes:
    """The JPEG with another size in its frame header."""
    at = max(image_bytes.find(b"\xff\xc0"), image_bytes.find(b"\xff\xc2")) + 5
    return image_bytes[:at] + struct.pack(">HH", height, width) + image_bytes[at + 4 :]


def files() -> Files:
    """Every crafted file: name → (bytes, expected)."""
    found: Files = {}
    for part in (jpegs, pngs, others, animations, bombs, truncated, sizes, strangers):
        found |= part()
    return found


def jpegs() -> Files:
    plain, grey, cmyk = (encoded(picture(mode=mode), "JPEG") for mode in ("RGB", "L", "CMYK"))
    adobe = cmyk.index(b"Adobe") + 11
    ycck = cmyk[:adobe] + b"\x02" + cmyk[adobe + 1 :]
    accepted = {"rgb": plain, "grey": grey, "cmyk": cmyk, "ycck": ycck}
    for mode in ("RGB", "L", "CMYK"):
        accepted[f"progressive {mode}"] = encoded(picture(mode=mode), "JPEG", progressive=True)
    for subsampling in range(3):
        accepted[f"subsampling {subsampling}"] = encoded(picture(), "JPEG", subsampling=subsampling)
    for quality in (1, 100):
        accepted[f"quality {quality}"] = encoded(picture(), "JPEG", quality=quality)
    accepted["restart markers"] = encoded(picture(), "JPEG", restart_marker_blocks=1)
    accepted["colour profile"] = encoded(picture(), "JPEG", icc_profile=bytes(70_000))
    accepted["comment"] = encoded(picture(), "JPEG", comment=b"\xff\xd9" * 99)
    accepted["film behind the end"] = plain + b"\0\0\0\x18ftypmp42" + bytes(999)
    accepted["second picture behind the end"] = plain + plain
    for order in "<>":
        for turn in range(1, 9):
            accepted[f"EXIF {turn} {order}"] = behind_start(plain, exif(turn, order))
        for turn in (0, 9, 65535):
            accepted[f"EXIF without meaning {turn} {order}"] = behind_start(
                plain, exif(turn, order)
            )
    accepted["EXIF of another type"] = behind_start(plain, exif(6, kind=4))
    accepted["EXIF without orientation"] = behind_start(plain, exif(6, tag=0x0100))
    accepted["EXIF cut short"] = behind_start(plain, b"\xff\xe1\0\x0cExif\0\0II*\0")
    accepted["EXIF with a far offset"] = behind_start(
        plain, b"\xff\xe1\0\x10Exif\0\0II*\0\xff\xff\xff\xff"
    )
    found = {f"JPEG {name}": (data, ACCEPTED) for name, data in accepted.items()}
    for marker in (0xC3, 0xC5, 0xC9, 0xCB, 0xCF):
        data = plain.replace(b"\xff\xc0", bytes([0xFF, marker]), 1)
        found[f"JPEG lossless or arithmetic {marker:x}"] = data, "unsupported"
    at = plain.index(b"\xff\xc0") + 4
    found["JPEG 12 bits"] = plain[:at] + b"\x0c" + plain[at + 1 :], "unsupported"
    found["JPEG two components"] = plain[: at + 5] + b"\x02" + plain[at + 6 :], "unsupported"
    found["JPEG without frame"] = plain.replace(b"\xff\xc0", b"\xff\xfe", 1), "corrupt"
    found["JPEG without its quantisers"] = plain.replace(b"\xff\xdb", b"\xff\xfe"), "corrupt"
    # Film frames leave the standard codes out: decoders know them by heart.
    found["JPEG without its codes"] = plain.replace(b"\xff\xc4", b"\xff\xfe"), ACCEPTED
    found["JPEG endless segments"] = b"\xff\xd8" + b"\xff\xfe\0\x02" * 5000 + plain[2:], "corrupt"
    found["JPEG start and end"] = b"\xff\xd8\xff\xd9", "corrupt"
    return found


def pngs() -> Files:
    found = {
        f"PNG colour {colour} depth {depth}{' interlaced' * interlaced}":
            (png(colour, depth, interlaced), ACCEPTED)
        for colour, depths in PNG_KINDS.items() for depth in depths for interlaced in (False, True)
    }  # fmt: skip
    for colour, data in ((0, b"\0\x05"), (2, b"\0\x05\0\x05\0\x05"), (3, b"\0\x80\xff")):
        found[f"PNG transparent {colour}"] = png(colour, 8, False, chunk(b"tRNS", data)), ACCEPTED
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(50_000_000), 9))
    found["PNG with a text bomb"] = png(2, 8, False, bomb), ACCEPTED
    found["PNG of one frame"] = (
        png(2, 8, False, chunk(b"acTL", bytes([0, 0, 0, 1, *[0] * 4]))),
        (ACCEPTED),
    )
    good = png(2, 8, False)
    found["PNG wrong header checksum"] = good[:20] + b"\x07" + good[21:], "corrupt"
    found["PNG wrong data checksum"] = good[:50] + bytes([good[50] ^ 1]) + good[51:], "corrupt"
    found["PNG without data"] = png_around(good[16:29]), "corrupt"
    found["PNG without palette"] = good.replace(good[:33], png(3, 8, False)[:33]), "corrupt"
    kinds = {"depth 3": (3, 0, 0, 0, 0), "colour 5": (8, 5, 0, 0, 0),
             "compression 1": (8, 2, 1, 0, 0), "interlace 2": (8, 2, 0, 0, 2)}  # fmt: skip
    for name, fields in kinds.items():
        ihdr = struct.pack(">IIBBBBB", 21, 13, *fields)
        found[f"PNG {name}"] = png_around(ihdr, good[33:-12]), "corrupt"
    return found


def others() -> Files:
    """The formats that Pillow reads: still pictures of every mode."""
    found = {}
    for name in ("GIF", "BMP", "WEBP", "TIFF", "AVIF"):
        for mode in ("RGB", "L", "P", "1"):
            image = picture(mode=mode if name not in ("WEBP", "AVIF") else "RGB").convert(mode)
            if name in ("WEBP", "AVIF") and mode in ("P", "1"):
                continue
            found[f"{name} {mode}"] = encoded(image, name)
        found[f"{name} transparent"] = encoded(translucent(), name)
    found["WEBP lossless"] = encoded(translucent(), "WEBP", lossless=True)
    for compression in ("tiff_lzw", "tiff_deflate", "packbits", "tiff_jpeg"):
        found[f"TIFF {compression}"] = encoded(picture(), "TIFF", compression=compression)
    found["TIFF fax"] = encoded(picture(mode="1"), "TIFF", compression="group4")
    found["TIFF CMYK"] = encoded(picture(mode="CMYK"), "TIFF")
    found["TIFF 16 bits"] = encoded(picture(mode="I;16"), "TIFF")
    refused = {f"TIFF {mode}": encoded(picture(mode=mode), "TIFF") for mode in "IF"}
    return {name: (data, ACCEPTED) for name, data in found.items()} | {
        name: (data, "unsupported") for name, data in refused.items()
    }


def animations() -> Files:
    frames = [picture().rotate(90 * turn) for turn in range(3)]
    return {
        f"{name} of three frames": (
            encoded(frames[0], name, save_all=True, append_images=frames[1:]), "animated"
        )
        for name in ("GIF", "PNG", "WEBP", "TIFF", "AVIF")
    }  # fmt: skip


def bombs() -> Files:
    """Small files that promise, or cost, far too much."""
    baseline = encoded(picture(), "JPEG")
    progressive = encoded(picture(), "JPEG", progressive=True)
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    gif, bmp, webp = (encoded(picture(), name) for name in ("GIF", "BMP", "WEBP"))
    frame = webp.index(b"\x9d\x01\x2a") + 3
    tiff = encoded(picture(), "TIFF")
    huge = struct.pack("<HHII", 256, 4, 1, 60_000)
    width = tiff.index(huge[:4])
    return {
        "PNG bomb": (png_header(2**31 - 1, 2**31 - 1), "side_too_large"),
        "PNG of 81 million pixels": (png_header(9000, 9000), "too_many_pixels"),
        "PNG that promises 25 million": (png_header(5000, 5000), "corrupt"),
        "PNG of no width": (png_header(0, 99), "side_too_small"),
        "JPEG bomb": (resized(baseline, 65500, 65500), "side_too_large"),
        "JPEG of 81 million pixels": (resized(baseline, 9000, 9000), "too_many_pixels"),
        "JPEG of no height": (resized(baseline, 40, 0), "side_too_small"),
        "JPEG scan bomb": (progressive[:-2] + scan * MAX_SCANS + b"\xff\xd9", "too_many_scans"),
        "GIF bomb": (gif[:6] + b"\xff\xff\xff\xff" + gif[10:], "too_many_pixels"),
        "BMP bomb": (bmp[:18] + struct.pack("<ii", 60_000, 60_000) + bmp[26:], "too_many_pixels"),
        "WEBP bomb": (webp[:frame] + b"\xff\x3f\xff\x3f" + webp[frame + 4 :], "too_many_pixels"),
        "TIFF bomb": (tiff[:width] + huge + tiff[width + 12 :], "side_too_large"),
    }


def truncated() -> Files:
    found: Files = {}
    for name in FORMATS:
        image_bytes = encoded(picture(64, 48), name)
        for percent in (5, 20, 40, 60, 80, 90):
            length = max(16, len(image_bytes) * percent // 100)
            found[f"{name} cut at {percent} %"] = image_bytes[:length], "corrupt"
    return found


def sizes() -> Files:
    found: Files = {"empty": (b"", "empty")}
    found["one byte too many"] = bytes(MAX_BYTES + 1), "too_many_bytes"
    found["JPEG and one byte too many"] = (
        encoded(picture(), "JPEG").ljust(MAX_BYTES + 1, b"\0"), "too_many_bytes"
    )  # fmt: skip
    for name in FORMATS:
        found[f"{name} of 7 pixels"] = encoded(picture(7, 20), name), "side_too_small"
        found[f"{name} of 8 pixels"] = encoded(picture(8, 8), name), ACCEPTED
        found[f"{name} like a thread"] = encoded(picture(8, 401), name), "aspect_ratio"
    found["PNG of 10,001 pixels"] = encoded(picture(10_001, 250), "PNG"), "side_too_large"
    return found


EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 28\n%%EndComments\n"
    b"(%pipe%touch cnnlab-was-here) (w) file\nshowpage\n%%EOF\n"
)


def strangers() -> Files:
    """What is no image at all, or none that is read here, whatever it is called."""
    unknown = {
        "EPS": EPS,
        "EPS by Pillow": encoded(picture(), "EPS"),
        "EPS with a preview": b"\xc5\xd0\xd3\xc6" + struct.pack("<6I", 30, 99, 0, 0, 0, 0) + EPS,
        "PostScript": b"%!\nshowpage\n",
        "PDF": encoded(picture(), "PDF"),
        "SVG": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
        "HTML": b"<!DOCTYPE html><html><body>404</body></html>",
        "JSON": b'{"error": "not found"}',
        "text": b"These are not the pixels you are looking for.",
        "ZIP": b"PK\x03\x04" + bytes(99),
        "gzip": b"\x1f\x8b\x08" + bytes(99),
        "program": b"\x7fELF" + bytes(99),
        "film": b"\0\0\0\x18ftypmp42" + bytes(99),
        "film that names a picture": heif("mp42", "heic"),
        "unfinished brand": heif("heic")[:11],
        "sound": b"RIFF\x24\0\0\0WAVEfmt " + bytes(99),
        "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99),
        "JPEG XL": b"\xff\x0a" + bytes(99),
        "Photoshop": b"8BPS\0\x01" + bytes(99),
        "large TIFF": b"II+\0" + bytes(99),
        "ICO": encoded(picture(), "ICO"),
        "PPM": encoded(picture(), "PPM"),
        "TGA": encoded(picture(), "TGA"),
        "zeros": bytes(999),
        "one byte": b"\xff",
        "JPEG behind a line break": b"\n" + encoded(picture(), "JPEG"),
        "PNG behind a byte order mark": b"\xef\xbb\xbf" + png(2, 8, False),
        "PNG sent as text": png(2, 8, False).replace(b"\r\n", b"\n"),
    }
    found = {name: (data, "unknown_format") for name, data in unknown.items()}
    # Brands and nothing else: without a reader of HEIC that is all that is looked at.
    code = "corrupt" if foreign.heic_reader() else "unsupported"
    for major in HEIC:
        found[f"HEIC of brand {major}"] = heif(major), code
    found["HEIC by a compatible brand"] = heif("mif1", "miaf", "heic"), code
    found["HEIF of no coding"] = heif("msf1", "mif1"), code
    for brands in (("avif",), ("avis",), ("mif1", "miaf", "avif"), ("msf1", "avis", "heic")):
        found[f"AVIF of brands {' '.join(brands)}"] = heif(*brands), "corrupt"
    signatures = {
        "JPEG": b"\xff\xd8\xff", "PNG": PNG_SIGNATURE, "GIF": b"GIF89a", "BMP": b"BM",
        "WEBP": b"RIFF\x99\0\0\0WEBP", "TIFF": b"II*\0", "AVIF": b"\0\0\0\x1cftypavif",
    }  # fmt: skip
    for name, signature in signatures.items():
        found[f"{name} signature alone"] = signature, "corrupt"
        found[f"{name} signature before EPS"] = signature + EPS, "corrupt"
    return found
