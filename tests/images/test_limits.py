"""The limits are where they say, and what they let in is decoded in bounded memory."""

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import crafted
import mutated
import numpy as np
import pytest
from PIL import Image

from cnnlab.images import MAX_BYTES, MAX_FOREIGN_PIXELS, MAX_PIXELS, Header, ImageRejected
from cnnlab.images.limits import check_header

FOREIGN = ("gif", "bmp", "webp", "tiff", "avif")
# A child for each file, forked before TensorFlow starts its threads, so that it is imported once.
# The small files come first, so that neither the library nor the graph counts as memory of one.
PROGRAM = """
import json, os, sys
from pathlib import Path
import mutated
small = mutated.seeds()
for path in sorted(Path(sys.argv[1]).iterdir()):
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0, path.name
        continue
    for data in small:
        mutated.ending(data)
    data = path.read_bytes()
    mutated.forget_peak()
    before = mutated.peak()
    end = mutated.ending(data)
    print(json.dumps([path.name, [end, mutated.peak() - before]]), flush=True)
    os._exit(0)
"""


@pytest.mark.parametrize("name", ["jpeg", "png", *FOREIGN])
def test_the_most_pixels_of_a_format_are_accepted_and_no_more(name):
    most = MAX_FOREIGN_PIXELS if name in FOREIGN else MAX_PIXELS
    check_header(Header(name, most // 5000, 5000, 1, 1))
    with pytest.raises(ImageRejected, match=f"at most {most:,}") as caught:
        check_header(Header(name, most // 5000 + 1, 5000, 1, 1))
    assert caught.value.code == "too_many_pixels"


def picture(pixels, mode):
    """A square with nearly so many pixels, noisy or not, transparent in places."""
    side = int(pixels**0.5)
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (50, 50, 3), dtype=np.uint8))
    image = coarse.resize((side, side), Image.Resampling.BICUBIC)
    if mode.startswith("noisy"):
        noise = rng.integers(0, 24, (side, side, 3), dtype=np.uint8)
        image = Image.fromarray((np.asarray(image) // 8 * 7) + noise)
    else:
        image = Image.fromarray(np.asarray(image) // 32 * 32)
    kind = mode.split()[-1]
    if kind == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize((side, side)))
    return image.quantize(16) if kind == "P" else image.convert(kind)


def deep_png(side):
    """A transparent PNG with 16 bits a sample, interlaced: the whole of it is decoded at once."""
    sizes = [(len(range(x, side, dx)), len(range(y, side, dy))) for x, y, dx, dy in crafted.ADAM7]
    rows = bytes(sum((8 * width + 1) * height for width, height in sizes))
    header = struct.pack(">IIBBBBB", side, side, 16, 6, 0, 0, 1)
    return crafted.png_around(header, crafted.chunk(b"IDAT", zlib.compress(rows, 1)))


LARGEST = {
    "JPEG": ("noisy RGB", {"quality": 75, "subsampling": "4:4:4"}),
    "progressive JPEG": ("noisy RGB", {"progressive": True, "subsampling": "4:4:4"}),
    "progressive CMYK JPEG": ("noisy CMYK", {"progressive": True, "quality": 50}),
    "PNG": ("RGB", {}),
    "transparent PNG": ("RGBA", {}),
    "palette PNG": ("P", {"transparency": 3}),
    "deep PNG": ("", {}),
    "WEBP": ("noisy RGB", {"quality": 80, "method": 0}),
    "transparent WEBP": ("RGBA", {"lossless": True, "quality": 0, "method": 0}),
    "GIF": ("P", {"transparency": 3}),
    "BMP": ("1", {}),
    "TIFF": ("noisy RGB", {"compression": "jpeg"}),
    "transparent TIFF": ("RGBA", {"compression": "tiff_deflate"}),
    "CMYK TIFF": ("CMYK", {"compression": "tiff_deflate"}),
    "transparent AVIF": ("noisy RGBA", {"speed": 10, "quality": 60}),
}


@pytest.fixture(scope="module")
def decoded(tmp_path_factory):
    """Name → how the file ends and the megabytes that it takes, of each of the largest."""
    folder = tmp_path_factory.mktemp("largest")
    for name, (mode, options) in LARGEST.items():
        kind = name.split()[-1]
        if name == "deep PNG":
            data = deep_png(5000)
        else:
            most = MAX_PIXELS if kind in ("JPEG", "PNG") else MAX_FOREIGN_PIXELS
            data = crafted.encoded(picture(most, mode), kind, **options)
        assert len(data) <= MAX_BYTES, name
        (folder / name).write_bytes(data)
    folders = (str(Path(mutated.__file__).parent), os.getcwd())
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, folder],
        capture_output=True,
        text=True,
        check=True,
        # A graphics card is not shared with forked children, and decodes nothing.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders), "CUDA_VISIBLE_DEVICES": ""},
    )
    return dict(map(json.loads, found.stdout.splitlines()))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures as Linux can")
@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_files_take_bounded_memory(decoded, name):
    end, megabytes = decoded[name]
    assert end == crafted.ACCEPTED
    assert 0 < megabytes <= mutated.MEGABYTES
