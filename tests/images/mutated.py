"""Mutated image files, and the program that puts a share of them through the gate.

Run as ``python mutated.py FIRST STEP COUNT PROGRESS``: it mutates and decodes the files FIRST,
FIRST + STEP, … below COUNT and prints a JSON report. Before each file its number is written to
the file PROGRESS, so that whoever started the program can name the file that ended it.
"""

import contextlib
import json
import os
import resource
import signal
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path

import crafted
import numpy as np

from cnnlab.images import ImageRejected, decode, inspect, transcode

SIZE = 32
SECONDS = 2  # of computing: a busy machine must not fail a file
GRACE = 30  # seconds by the clock, for one that waits and does not compute
MEGABYTES = 300
EDGES = (0, 1, 2, 7, 8, 127, 128, 255, 256, 5000, 10_000, 32_767, 65_535, 2**31 - 1, 2**32 - 1)


def seeds() -> list[bytes]:
    """Small files of every format, the rarer kinds included."""
    small = crafted.picture(24, 16)
    found = [crafted.encoded(small, name) for name in crafted.FORMATS]
    found += [crafted.encoded(crafted.translucent(24, 16), "WEBP", lossless=True)]
    found += [crafted.encoded(crafted.translucent(24, 16), name) for name in ("AVIF", "TIFF")]
    for mode in ("L", "CMYK"):
        found.append(crafted.encoded(small.convert(mode), "JPEG"))
    progressive = crafted.encoded(small, "JPEG", progressive=True)
    found += [progressive, crafted.behind_start(progressive, crafted.exif(6, ">"))]
    found += [
        crafted.encoded(small, "TIFF", compression=kind)
        for kind in ("tiff_lzw", "tiff_deflate", "tiff_jpeg", "packbits")
    ]
    found += [crafted.png(*kind) for kind in ((0, 1, True), (3, 2, False), (4, 16, False))]
    found += [crafted.png(6, 8, True), crafted.encoded(small.convert("P"), "BMP")]
    return found + [data for data, _ in crafted.animations().values()]


def mutated(number: int, files: list[bytes]) -> bytes:
    """Return mutation ``number``: the same bytes every time."""
    rng = np.random.default_rng([2026, number])
    data = bytearray(files[number % len(files)])
    for _ in range(rng.integers(1, 4)):
        mutation = (_flip, _cut, _splice, _overwrite, _overwrite)[rng.integers(5)]
        data = mutation(data, rng, files) or data
    if data.startswith(crafted.PNG_SIGNATURE) and rng.random() < 0.7:
        _repair(data)
    return bytes(data)


def _flip(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    """Flip up to eight bits."""
    for _ in range(rng.integers(1, 9)):
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    return data


def _cut(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    """Cut the end off, or take a stretch out."""
    start, end = sorted(rng.integers(len(data), size=2))
    return data[:end] if rng.random() < 0.5 else data[:start] + data[end:]


def _splice(data: bytearray, rng: np.random.Generator, files: list[bytes]) -> bytearray:
    """Go on with the end of another file, or repeat a stretch of this one."""
    at = rng.integers(len(data))
    if rng.random() < 0.5:
        other = files[rng.integers(len(files))]
        return data[:at] + other[rng.integers(len(other)) :]
    start, end = sorted(rng.integers(len(data), size=2))
    return data[:at] + data[start:end] * rng.integers(1, 5) + data[at:]


def _overwrite(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    """Put a number that matters into the header, or into a TIFF's directory behind the pixels."""
    reach = len(data) if rng.random() < 0.3 else min(len(data), 128)
    at = int(rng.integers(reach))
    kind = (">H", "<H", ">I", "<I")[rng.integers(4)]
    value = EDGES[rng.integers(len(EDGES))] % 2 ** (8 * struct.calcsize(kind))
    data[at : at + struct.calcsize(kind)] = struct.pack(kind, value)
    return data


def _repair(data: bytearray) -> None:
    """Make the checksums of a PNG right again, so that the damage reaches the decoder."""
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + length > len(data):
            return
        checksum = zlib.crc32(data[at + 4 : at + 8 + length])
        data[at + 8 + length : at + 12 + length] = struct.pack(">I", checksum)
        at += 12 + length


def ending(image_bytes: bytes) -> str:
    """Return how a file ends: accepted, a code, or what it broke."""
    try:
        for step in (inspect, transcode):
            step(image_bytes)
        pixels = decode(image_bytes, SIZE)
    except ImageRejected as rejection:
        return rejection.code
    except BaseException as error:
        return f"broken: {type(error).__name__}: {error}"
    fits = (pixels.dtype, pixels.shape) == (np.uint8, (SIZE, SIZE, 3))
    return crafted.ACCEPTED if fits else f"broken: {pixels.dtype} {pixels.shape}"


def peak() -> float:
    """Return the most memory that this process has held since ``forget_peak``, in MB."""
    with contextlib.suppress(OSError):  # what getrusage says is never below the parent's memory
        return (
            int(Path("/proc/self/status").read_text("ascii").split("VmHWM:")[1].split()[0]) / 1024
        )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def forget_peak() -> None:
    """Start the measurement anew, where the system can: proc(5), clear_refs."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")


def run(first: int, step: int, count: int, progress: int) -> dict[str, object]:
    """Decode a share of the files; return how many ended how, what broke, and the cost."""
    files = seeds()
    for data in files:
        ending(data)  # traces the graph and loads the plugins
    forget_peak()
    start = peak()
    endings: Counter[str] = Counter()
    broken: list[str] = []
    slowest, largest, kept = (0.0, -1), (0.0, -1), 0.0
    for number in range(first, count, step):
        data = mutated(number, files)
        os.pwrite(progress, b"%12d" % number, 0)
        forget_peak()
        held, began = peak(), time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # both kill the process, in C code too
        signal.setitimer(signal.ITIMER_REAL, GRACE)
        end = ending(data)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        slowest = max(slowest, (time.process_time() - began, number))
        largest, kept = max(largest, (peak() - held, number)), held - start
        if end.startswith("broken"):
            broken.append(f"{number}: {end}")
        endings[end.split(":")[0]] += 1
    return {"endings": endings, "broken": broken, "slowest": slowest, "largest": largest,
            "kept": kept}  # fmt: skip


def main() -> None:
    first, step, count = map(int, sys.argv[1:4])
    progress = os.open(sys.argv[4], os.O_WRONLY | os.O_CREAT)
    with tempfile.TemporaryFile() as held:  # the libraries complain of every file on 2
        saved = os.dup(2)
        os.dup2(held.fileno(), 2)
        report = run(first, step, count, progress)
        os.dup2(saved, 2)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
