"""The golden set: files that every front end must answer alike, made from a seed.

A generator, not a test. ``files`` gives name → bytes: textured pictures like photographs, in every
kind of JPEG and PNG, whole and damaged, and all crafted files, refused ones of every code among
them.
"""

import struct

import crafted
import numpy as np
from PIL import Image, ImageCms, ImageDraw

SEED = 2026
SIZES = ((8, 8), (9, 8), (8, 400), (400, 8), (13, 17), (31, 33), (32, 32), (64, 48), (97, 61),
         (255, 257), (301, 20), (640, 427))  # fmt: skip

Files = dict[str, bytes]


def files(seed: int = SEED) -> Files:
    """Every golden file: name → bytes, the same for the same seed."""
    found: Files = {}
    for stream, part in enumerate((photographs, sizes, turned, jpegs, pngs, damaged)):
        found |= part(np.random.default_rng([seed, stream]))
    return found | {f"crafted {name}": data for name, (data, _) in crafted.files().items()}


def photograph(
    rng: np.random.Generator, width: int = 97, height: int = 61, mode: str = "RGB"
) -> Image.Image:
    """Blurred and sharp at once: noise of every size, larger ones stronger, and a few edges."""
    pixels = np.zeros((height, width, 3), np.float32)
    for cells in (2, 7, 23, 61):
        grid = rng.integers(0, 256, (cells + 1, cells + 1, 3), dtype=np.uint8)
        noise = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        pixels += np.asarray(noise, np.float32) / cells
    pixels *= 255 / pixels.max()
    image = Image.fromarray(pixels.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(3):
        corners = rng.uniform(0, 1, (3, 2)) * (width, height)
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        draw.polygon([tuple(corner) for corner in corners.tolist()], fill=colour)
    grain = rng.integers(-9, 10, (height, width, 3))
    return Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8)).convert(mode)


def photographs(rng: np.random.Generator) -> Files:
    """As cameras and editors write them, up to twelve megapixels."""
    large = photograph(rng, 800, 600).resize((4000, 3000))
    found = {"JPEG photograph of 12 megapixels": crafted.encoded(large, "JPEG")}
    for number in range(40):
        width, height = (int(side) for side in rng.integers(40, 600, 2))
        options = {
            "quality": int(rng.integers(20, 100)),
            "subsampling": int(rng.integers(3)),
            "progressive": bool(rng.integers(2)),
        }
        name = f"JPEG photograph {number}: {width}×{height} {options}"
        found[name] = crafted.encoded(photograph(rng, width, height), "JPEG", **options)
    return found


def sizes(rng: np.random.Generator) -> Files:
    """Odd sides, the smallest and the most oblong, and sides around the network's own."""
    return {
        f"{name} of {width}×{height}": crafted.encoded(photograph(rng, width, height), name)
        for name in ("JPEG", "PNG")
        for width, height in SIZES
    }


def turned(rng: np.random.Generator) -> Files:
    """Every orientation in both byte orders, before and behind a JFIF segment."""
    found = {}
    for order in "<>":
        for turn in range(1, 9):
            segment = crafted.exif(turn, order)
            plain = crafted.encoded(photograph(rng), "JPEG")
            found[f"JPEG turned {turn} {order}"] = crafted.behind_start(plain, segment)
            plain = crafted.encoded(photograph(rng), "JPEG", progressive=True)
            found[f"JPEG turned {turn} {order} behind JFIF"] = plain[:20] + segment + plain[20:]
    entry = crafted.chunk(b"eXIf", crafted.exif(6)[10:])
    return found | {"PNG turned": crafted.png(2, 8, False, entry, width=97, height=61)}


def jpegs(rng: np.random.Generator) -> Files:
    """The rarer kinds of JPEG."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    kinds: dict[str, dict[str, object]] = {
        "plain": {},
        "progressive": {"progressive": True},
        "restart markers": {"restart_marker_blocks": 3},
        "own codes": {"optimize": True},
        "profile": {"icc_profile": profile},
        "profile in two segments": {"icc_profile": profile + bytes(70_000)},
        "comment": {"comment": b"\xff\xd9\xff\xc0" * 99},
    }
    found = {}
    for mode in ("RGB", "L", "CMYK"):
        for kind, options in kinds.items():
            image = photograph(rng, mode=mode)
            found[f"JPEG {mode} {kind}"] = crafted.encoded(image, "JPEG", **options)
    found["JPEG stored as RGB"] = crafted.encoded(photograph(rng), "JPEG", keep_rgb=True)
    cmyk = found["JPEG CMYK plain"]
    adobe = cmyk.index(b"\xff\xee")
    found["JPEG YCCK"] = cmyk[: adobe + 15] + b"\x02" + cmyk[adobe + 16 :]
    found["JPEG CMYK of plain inks"] = cmyk[:adobe] + cmyk[adobe + 16 :]
    plain = found["JPEG RGB plain"]
    found["JPEG before another"] = plain + found["JPEG L plain"]
    found["JPEG without its codes"] = plain.replace(b"\xff\xc4", b"\xff\xfe")
    return found


def pngs(rng: np.random.Generator) -> Files:
    """Every colour type, depth and interlacing; every kind of transparency."""
    found = {}
    for colour, depths in crafted.PNG_KINDS.items():
        for depth in depths:
            for interlaced in (False, True):
                width, height = (int(side) for side in rng.integers(9, 99, 2))
                found[f"PNG colour {colour} depth {depth}{' interlaced' * interlaced}"] = (
                    crafted.png(colour, depth, interlaced, width=width, height=height)
                )
    for colour, key in ((0, b"\0\x05"), (2, b"\0\x05\0\x05\0\x05"), (3, bytes(range(0, 250, 7)))):
        hidden = crafted.chunk(b"tRNS", key)
        found[f"PNG transparent {colour}"] = crafted.png(colour, 8, False, hidden)
    for mode in ("RGB", "L", "P", "1", "LA", "RGBA"):
        image = photograph(rng, mode=mode)
        if mode in ("LA", "RGBA"):
            image.putalpha(photograph(rng, mode="L"))
        found[f"PNG photograph {mode}"] = crafted.encoded(image, "PNG")
    grey = rng.integers(0, 2**16, (61, 97), dtype=np.uint16)
    found["PNG photograph of 16 bits"] = crafted.encoded(Image.fromarray(grey), "PNG")
    gamma = crafted.chunk(b"gAMA", struct.pack(">I", 100_000))
    found["PNG with gamma"] = crafted.png(2, 8, False, gamma)
    return found


def damaged(rng: np.random.Generator) -> Files:
    """Bytes changed or missing behind the header: refused, or decoded in spite of it."""
    found = {}
    for name, options in (("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {})):
        kind = f"{name} progressive" if options else name
        for number in range(8):
            whole = crafted.encoded(photograph(rng), name, **options)
            start = whole.index(b"\xff\xda" if name == "JPEG" else b"IDAT") + 14
            at = int(rng.integers(start, len(whole) - 20))
            found[f"{kind} changed {number}"] = (
                whole[:at] + rng.bytes(1 + number % 3) + whole[at + 1 + number % 3 :]
            )
            found[f"{kind} with a gap {number}"] = whole[:at] + whole[-12:]
    return found
