"""Which copies does the audit find, and what does the search cost?

    python benchmarks/duplicates.py --recall
    python benchmarks/duplicates.py --recall --folder data/raw/cifar10/test
    python benchmarks/duplicates.py --frames 10000
    python benchmarks/duplicates.py --files 60000
    python benchmarks/duplicates.py --rows 1000000

- ``--recall``: the share of planted copies that is found, by what was done to them and by the size
  of the pictures, which are generated or, with ``--folder``, photographs below a folder. *hash* is
  the share that the hash proposes, *found* the share that is also confirmed. Below the table, other
  pictures that must not count as copies: pairs of pictures with near hashes, and pictures into
  which a piece of another one was pasted.
- ``--frames``: a fixed camera: one background, a small thing that moves, noise, written as files.
- ``--files``: generated pictures of 32 pixels, one in twenty a copy.
- ``--rows``: random hashes, one in twenty within ten bits of another one.

What is timed is the CPU of all cores; ``--files`` and ``--frames`` need what is listed in
``audit.pictures`` (copies) and ``audit.findings``, besides ``manifest.build``, which reads every
file whatever it shows.

CIFAR-10: about 3 % of its test images have a near copy in the training images (Barz and Denzler,
"Do We Train on Test Data? Purging CIFAR of Near-Duplicates", 2020). After
``cnnlab fetch cifar10``, ``cnnlab audit cifar10`` counts those that this audit finds
(``near_leak``), and the second line above says which kinds it finds among such pictures.
"""

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from audit import make_images
from memory import peak
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from cnnlab import images
from cnnlab.data import manifest
from cnnlab.data.audit import audit, comparison, duplicates, hash_search
from cnnlab.data.sources.folder_source import FolderSource

MARGIN = 1 / 8  # of the side, on each side: what a shift or a turn brings into the picture
SIZES = (32, 64, 224)
NEAR = 14  # bits; pairs of different pictures that are judged: more than are ever proposed
Result = TypeVar("Result")
Change = Callable[[Image.Image, int], Image.Image | bytes]


def draw(seed: int, side: int) -> Image.Image:
    """A picture with structure at every scale, the coarse ones strongest, as in photographs."""
    random = np.random.default_rng(seed)
    pixels = np.zeros((side, side, 3))
    for cells in (2, 4, 8, 16, 32, 64):
        layer = random.normal(0, 100 / cells**0.7, (cells, cells, 3)).astype(np.float32)
        for channel in range(3):
            scaled = Image.fromarray(layer[:, :, channel]).resize((side, side), Image.BICUBIC)
            pixels[:, :, channel] += scaled
    return Image.fromarray((115 + 100 * np.tanh(pixels / 100)).astype(np.uint8))


def load(folder: Path, count: int, seed: int) -> list[Image.Image]:
    """Return some of the images below a folder."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    chosen = np.random.default_rng(seed).permutation(len(paths))[:count]
    return [Image.open(paths[i]).convert("RGB") for i in chosen]


def window(
    picture: Image.Image, side: int, right: int = 0, down: int = 0, share: float = 1.0
) -> Image.Image:
    """Return the middle of a picture that has a margin, moved by pixels, or a share of it."""
    margin = (picture.width - side) / 2
    size = side * share
    left, top = margin + (side - size) / 2 + right, margin + (side - size) / 2 + down
    return picture.crop((round(left), round(top), round(left + size), round(top + size)))


def encoded(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def noisy(picture: Image.Image, levels: float) -> Image.Image:
    noise = np.random.default_rng(0).normal(0, levels, (*picture.size[::-1], 3))
    return Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))


def framed(picture: Image.Image, side: int) -> Image.Image:
    width = max(1, round(side * 0.05))
    result = Image.new("RGB", picture.size, "white")
    inner = picture.resize((picture.width - 2 * width, picture.height - 2 * width))
    result.paste(inner, (width, width))
    return result


def marked(picture: Image.Image, side: int) -> Image.Image:
    result = picture.copy()
    box = (side * 0.7, side * 0.9, side * 0.95, side * 0.95)
    ImageDraw.Draw(result).rectangle(box, fill=(255, 255, 255))
    return result


def hued(picture: Image.Image, degrees: float) -> Image.Image:
    hsv = np.asarray(picture.convert("HSV")).copy()
    hsv[..., 0] += np.uint8(round(degrees / 360 * 256))
    return Image.fromarray(hsv, "HSV").convert("RGB")


def changes() -> dict[str, Change]:
    """Return what may be done to a picture with a margin: (picture, side) → picture or file."""
    plain: dict[str, Change] = {
        "reduced by half": lambda p, s: p.resize((s // 2, s // 2), Image.BICUBIC),
        "enlarged twice": lambda p, s: p.resize((2 * s, 2 * s), Image.BICUBIC),
        "mirrored": lambda p, s: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "grey": lambda p, s: p.convert("L").convert("RGB"),
        "framed, 5 %": framed,
        "marked": marked,
    }
    for quality in (90, 70, 40, 20):
        plain[f"JPEG, quality {quality}"] = lambda p, s, q=quality: encoded(p, q)
    for factor in (0.7, 0.85, 1.15, 1.3):
        plain[f"brightness × {factor}"] = lambda p, s, f=factor: ImageEnhance.Brightness(p).enhance(
            f
        )
        plain[f"contrast × {factor}"] = lambda p, s, f=factor: ImageEnhance.Contrast(p).enhance(f)
    for share in (1, 2):
        plain[f"blurred, {share} % of the side"] = lambda p, s, f=share: p.filter(
            ImageFilter.GaussianBlur(s * f / 100)
        )
    for levels in (5, 10, 20):
        plain[f"noise, {levels} levels"] = lambda p, s, n=levels: noisy(p, n)
    for degrees in (10, 30):
        plain[f"hue, {degrees}°"] = lambda p, s, d=degrees: hued(p, d)
    result = {
        name: lambda p, s, change=change: change(window(p, s), s) for name, change in plain.items()
    }
    for pixels in (1, 2, 4):
        result[f"shifted, {pixels} px"] = lambda p, s, n=pixels: window(p, s, n)
        result[f"shifted, {pixels}, {pixels} px"] = lambda p, s, n=pixels: window(p, s, n, n)
    for percent in (2, 5, 10):
        result[f"cropped, {percent} %"] = lambda p, s, c=percent: window(p, s, share=1 - c / 100)
    for degrees in (2, 5):
        result[f"turned, {degrees}°"] = lambda p, s, d=degrees: window(
            p.rotate(d, Image.BICUBIC), s
        )
    return dict(sorted(result.items()))


def seen(picture: Image.Image | bytes) -> np.ndarray:
    """Return what the audit sees of a picture: uint8 (64, 64, 3)."""
    if isinstance(picture, bytes):
        return images.decode(picture, comparison.SIDE)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return images.decode(buffer.getvalue(), comparison.SIDE)


def hashed(pictures: np.ndarray) -> np.ndarray:
    """Return the hashes as uint64; 0 stands for none."""
    texts = (duplicates.perceptual_hash(picture) or "0" for picture in pictures)
    return np.array([int(text, 16) for text in texts], np.uint64)


def recall(folder: Path | None, count: int, seed: int, sizes: tuple[int, ...]) -> None:
    """Print the share of copies found: a row a change, a column a size."""
    table: dict[str, list[str]] = {}
    for side in sizes:
        whole = round(side * (1 + 2 * MARGIN))
        if folder is None:
            pictures = [draw(seed + i, whole) for i in range(count)]
        else:
            pictures = [p.resize((whole, whole), Image.BICUBIC) for p in load(folder, count, seed)]
        originals = np.stack([seen(window(picture, side)) for picture in pictures])
        keys = hashed(originals)
        for name, change in changes().items():
            copies = np.stack([seen(change(picture, side)) for picture in pictures])
            near = np.bitwise_count(keys ^ hashed(copies)) <= duplicates.DISTANCES[-1]
            same = comparison.same_pictures(originals, copies) & near & (keys != 0)
            table.setdefault(name, []).append(f"{near.mean():.2f} | {same.mean():.2f}")
        others(originals, keys, side)
    print("\n| done to the copy |" + "".join(f" {s} px: hash | found |" for s in sizes))
    print("|---|" + "---|---|" * len(sizes))
    for name, cells in table.items():
        print(f"| {name} | " + " | ".join(cells) + " |")


def others(pictures: np.ndarray, keys: np.ndarray, side: int) -> None:
    """Print how many pairs of different pictures count as copies."""
    pairs = np.concatenate(
        [np.empty((0, 2), int), *(each for each, _ in hash_search.candidate_pairs(keys, NEAR))]
    )
    false = comparison.same_pictures(pictures[pairs[:, 0]], pictures[pairs[:, 1]]).sum()
    told = [f"{false} of {len(pairs)} pairs within {NEAR} bits"]
    random = np.random.default_rng(side)
    for size in (8, 12, 16, 24):
        pasted = pictures.copy()
        for picture, other in zip(pasted, np.roll(pictures, 1, axis=0), strict=True):
            top, left = random.integers(0, comparison.SIDE - size, 2)
            piece = Image.fromarray(other).resize((size, size), Image.BOX)
            picture[top : top + size, left : left + size] = np.asarray(piece)
        same = comparison.same_pictures(pictures, pasted).mean()
        told.append(f"{same:.2f} with another picture of {size}/64 of the side pasted in")
    print(f"{side} px, other pictures taken for copies: {'; '.join(told)}.", flush=True)


def make_frames(root: Path, count: int, seed: int) -> None:
    """Write frames of 320 × 240 pixels: a background, a moving disc and the sensor's noise."""
    for label in ("day", "night"):
        (root / label).mkdir(parents=True)
    random = np.random.default_rng(seed)
    background = draw(seed, 320).crop((0, 0, 320, 240))
    for number in range(count):
        frame = background.copy()
        left, top = random.integers(0, (300, 220))
        ImageDraw.Draw(frame).ellipse((left, top, left + 20, top + 20), fill=(230, 40, 40))
        noise = random.standard_normal((240, 320, 3), np.float32) * 4
        frame = Image.fromarray((np.asarray(frame) + noise).clip(0, 255).astype(np.uint8))
        frame.save(root / ("day", "night")[number % 2] / f"{number:06}.jpg", quality=85)


def measured(stage: str, work: Callable[[], Result]) -> Result:
    """Return what ``work`` gives; print its seconds by the clock and of all cores, and memory."""
    clock, cpu, memory = time.perf_counter(), time.process_time(), peak()
    result = work()
    print(
        f"| {stage} | {time.perf_counter() - clock:.1f} | {time.process_time() - cpu:.2f} "
        f"| {peak() - memory:.0f} |",
        flush=True,
    )
    return result


def audit_files(make: Callable[[Path], Any]) -> None:
    """Print what an audit of generated files costs."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "images"
        make(root)
        source = FolderSource("generated", root)
        print("| stage | seconds | CPU seconds | grown by, MB |\n|---|---|---|---|")
        files = measured("manifest", lambda: manifest.build(source))
        pictures = measured("copies", lambda: audit.pictures(files, source))
        findings = measured("findings", lambda: audit.findings(files, pictures))
    print(f"\n{len(files)} files, {pictures.nunique()} pictures, findings:",
          findings["kind"].value_counts().to_dict())  # fmt: skip


def search_rows(count: int, seed: int) -> None:
    """Print what the search among hashes costs, and whether it finds what was planted."""
    random = np.random.default_rng(seed)
    rows = random.integers(0, 2**64, count, dtype=np.uint64)
    planted = random.permutation(count)[: count // 20 * 2].reshape(2, -1)
    flips = np.zeros(planted.shape[1], np.uint64)
    for place in np.argsort(random.random((planted.shape[1], 64)), axis=1)[:, :10].T:
        flip = random.random(planted.shape[1]) < 0.6
        flips ^= np.where(flip, np.uint64(1) << place.astype(np.uint64), np.uint64(0))
    rows[planted[1]] = rows[planted[0]] ^ flips

    def search() -> np.ndarray:
        found = hash_search.candidate_pairs(rows, duplicates.DISTANCES[-1])
        return np.concatenate([pairs for pairs, _ in found])

    print("| stage | seconds | CPU seconds | grown by, MB |\n|---|---|---|---|")
    pairs = measured(f"near pairs of {count:,} hashes", search)
    wanted = planted.min(axis=0) * count + planted.max(axis=0)
    share = np.isin(wanted, pairs[:, 0] * count + pairs[:, 1]).mean()
    print(f"\n{len(pairs)} pairs; {share:.4f} of {len(wanted)} planted ones.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recall", action="store_true")
    parser.add_argument("--folder", type=Path, help="photographs; generated ones if left out")
    parser.add_argument("--count", type=int, default=100, help="pictures of each kind of copy")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="pixels")
    parser.add_argument("--frames", type=int, default=0)
    parser.add_argument("--files", type=int, default=0)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.recall:
        recall(options.folder, options.count, options.seed, tuple(options.sizes))
    if options.frames:
        audit_files(lambda root: make_frames(root, options.frames, options.seed))
    if options.files:
        audit_files(lambda root: make_images(root, options.files, 32, 32, options.seed))
    if options.rows:
        search_rows(options.rows, options.seed)


if __name__ == "__main__":
    main()
