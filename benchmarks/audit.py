"""How fast is the audit, and how much memory does it take?

    python benchmarks/audit.py --images 1000 --hashes 100000

Every measurement has a process of its own, and other work on the machine slows the clock but
hardly the CPU seconds: compare those. A stage that keeps both of two cores busy takes about two
CPU seconds a second.

- *manifest*: every file read, checked, decoded once, hashed and measured (``manifest.build``).
- *pictures*: copies proposed by their hashes and compared on their pixels (``audit.pictures``).
- *findings*: the table of what was found (``audit.findings``).
- *near pairs*: those of ``--hashes`` random hashes that are near each other.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from memory import peak
from PIL import Image

from cnnlab.data import manifest
from cnnlab.data.audit import audit, hash_search
from cnnlab.data.audit.duplicates import DISTANCES
from cnnlab.data.sources.folder_source import FolderSource

AIMS = {"audit": 60.0, "near pairs": 30.0}  # seconds, for 10,000 images and 100,000 hashes
AIM_COUNTS = {"audit": 10_000, "near pairs": 100_000}
COPIED = 20  # one image in so many is another one, compressed once more
SHRUNK = (80, 20, 5, 1)  # a picture's scales, coarse to fine: photographs have structure in each
CONTRAST = 50.0  # grey levels of the coarsest structure; each finer one has half as much
Result = TypeVar("Result")


def make_images(root: Path, count: int, width: int, height: int, seed: int) -> int:
    """Write ``count`` JPEGs, photograph-like in their spectrum, and return how many are copies."""
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)

    def write(number: int) -> None:
        copy = number % COPIED == COPIED - 1
        random = np.random.default_rng([seed, number - copy])
        picture = Image.new("RGB", (1, 1), (128, 128, 128))
        for step, shrunk in enumerate(SHRUNK):
            picture = picture.resize((-(-width // shrunk), -(-height // shrunk)))
            shape = (picture.height, picture.width, 3)
            noise = random.standard_normal(shape, np.float32) * (CONTRAST / 2**step)
            pixels = (np.asarray(picture) + noise).clip(0, 255)
            picture = Image.fromarray(pixels.astype(np.uint8))
        label = ("cat", "dog")[number // COPIED % 2]
        picture.save(root / label / f"{number:06}.jpg", quality=60 if copy else 90)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, range(count)))
    return count // COPIED


def measured(stage: str, work: Callable[[], Result]) -> tuple[Result, dict[str, Any]]:
    """Return what ``work`` gives, and the stage with its seconds by the clock and of all cores."""
    clock, cpu = time.perf_counter(), time.process_time()
    result = work()
    row = {"stage": stage, "seconds": time.perf_counter() - clock}
    return result, row | {"cpu_seconds": time.process_time() - cpu}


def audit_images(root: Path) -> list[dict[str, Any]]:
    """Return the rows of the three stages; the last one knows how many copies were found."""
    source = FolderSource("photographs", root)
    files, first = measured("manifest", lambda: manifest.build(source))
    pictures, second = measured("pictures", lambda: audit.pictures(files, source))
    found, third = measured("findings", lambda: audit.findings(files, pictures))
    third["copies"] = int(found["kind"].isin(audit.COPIES).sum())
    return [row | {"count": len(files)} for row in (first, second, third)]


def search_pairs(count: int, seed: int) -> list[dict[str, Any]]:
    """Return the row of the search for near pairs of ``count`` random hashes."""
    hashes = np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)

    def search() -> int:
        return sum(len(pairs) for pairs, _ in hash_search.candidate_pairs(hashes, DISTANCES[-1]))

    pairs, row = measured("near pairs", search)
    return [row | {"count": count, "pairs": pairs}]


def in_process(*arguments: str) -> list[dict[str, Any]]:
    """Return the rows that a fresh process measures, each with that process' growth in memory."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def show(rows: list[dict[str, Any]], copies: int) -> None:
    """Print the table, and whether the aims are met for as many as they are set for."""
    print("| stage | count | seconds | CPU seconds | per second | grown by, MB |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['stage']} | {row['count']:,} | {row['seconds']:.2f} "
            f"| {row['cpu_seconds']:.2f} | {row['count'] / row['seconds']:,.0f} "
            f"| {row['grown_megabytes']:.0f} |"
        )
    print(f"\n{rows[2]['copies']} of {copies} copies reported.")
    for name, chosen in (("audit", rows[:3]), ("near pairs", rows[3:])):
        seconds = sum(row["seconds"] for row in chosen)
        cpu = sum(row["cpu_seconds"] for row in chosen)
        line = f"{name}: {seconds:.1f} s, {cpu:.1f} CPU seconds"
        if chosen[0]["count"] >= AIM_COUNTS[name]:
            line += f"; aim {AIMS[name]:.0f} s: {'met' if seconds <= AIMS[name] else 'NOT met'}"
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--width", type=int, default=320, help="pixels")
    parser.add_argument("--height", type=int, default=240, help="pixels")
    parser.add_argument("--hashes", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        before = peak()
        root = Path(options.child)
        rows = audit_images(root) if options.child else search_pairs(options.hashes, options.seed)
        print(json.dumps([row | {"grown_megabytes": peak() - before} for row in rows]))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "images"
        sizes = options.images, options.width, options.height
        copies = make_images(root, *sizes, options.seed)
        rows = in_process("--child", str(root))
    rows += in_process("--child", "", "--hashes", str(options.hashes), "--seed", str(options.seed))
    show(rows, copies)
    about = {
        name: getattr(options, name) for name in ("images", "width", "height", "hashes", "seed")
    }
    about |= {"cores": os.cpu_count(), "python": platform.python_version(), "copies": copies}
    options.output.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
