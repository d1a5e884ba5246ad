"""The manifest: one row for every file found below a source's root, whatever it is.

found = accepted + quarantined + skipped, always. *Accepted* files passed validation and were
decoded to the last pixel. *Quarantined* ones are meant to be images (by extension or content)
and were refused, or show nothing (``blank``). *Skipped* ones are not meant to be images, or nothing
gives them a label. Nothing is moved or deleted. Pipes and devices are listed, never opened; links
are followed, see ``sources.listing``.
"""

import os
import stat
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from cnnlab import hashing, images
from cnnlab.config import InputError
from cnnlab.data import tables
from cnnlab.data.audit import appearance, blank, comparison, duplicates
from cnnlab.data.sources import listing
from cnnlab.data.sources.entries import Entry, Source
from cnnlab.engine import tf

_JPEG_MODES = {1: "grey", 3: "rgb", 4: "cmyk"}  # by number of components
_PNG_MODES = {0: "grey", 2: "rgb", 3: "palette", 4: "grey_alpha", 6: "rgba"}  # by colour type


@dataclass(frozen=True)
class _Row:
    """One file. Text is empty and numbers are 0 where nothing is known."""

    path: str
    split: str = ""
    label: str = ""
    group: str = ""  # declared by the user; empty where none is
    sha256: str = ""
    bytes: int = 0
    format: str = ""
    width: int = 0  # pixels as stored, before the orientation is applied
    height: int = 0
    orientation: int = 0  # EXIF 1…8
    phash: str = ""  # 16 hex digits; empty where the picture is too flat to have one
    status: str = ""
    reason: str = ""
    mode: str = ""  # the stored pixels: grey, grey_alpha, rgb, rgba, palette or cmyk
    brightness: float = 0.0  # these three as appearance.measure says
    contrast: float = 0.0
    sharpness: float = 0.0


COLUMNS = [field.name for field in fields(_Row)]
NAMED = ["path", "split", "label", "sha256", "bytes", "status", "reason"]  # part of the digest
_UNGROUPED = [name for name in COLUMNS if name != "group"]  # of a version without groups
_EARLIER = (_UNGROUPED, _UNGROUPED[: -len(appearance.MEASURES)])  # and one that measured nothing
_KINDS = {int: "int64", float: "float64", str: "str"}
_TYPES = {name: _KINDS[kind] for name, kind in _Row.__annotations__.items()}


def build(source: Source, *, background: str = "white", progress: bool = False) -> pd.DataFrame:
    """Read every file below ``source.root`` once and return the manifest.

    Reasons are short codes: those of ``images.ImageRejected`` and ``hidden``, ``broken_link``,
    ``link_loop``, ``link_to_copy`` (it leads to what the set holds already), ``directory`` (a
    folder called x.jpg), ``unreadable_folder``, ``not_a_regular_file``, ``outside_class_folder``,
    ``unlabelled`` (in a test folder without class folders), ``not_in_table``, ``table`` (it
    declares labels or groups), ``not_an_image``, ``blank`` (see ``audit.blank``),
    ``name_not_utf8``. A name that is not UTF-8 is quarantined, because no table or JSON file could
    carry it; its path is shown with ``\\xNN``.

    Args:
        source: A resolved source.
        background: What transparent pixels are laid over before a picture is measured and hashed.
        progress: Show a bar on standard output.

    Returns:
        A table with ``COLUMNS``, sorted by path, the same for any number of threads.

    Raises:
        InputError: The root is not a folder, or its classes or groups cannot be used.

    Example:
        >>> build(sources.resolve(settings)).status.value_counts()
    """
    source.class_names()
    found, entries = list(listing.walk(source.root)), source.entries()
    unlabelled = source.unlabelled()
    if lost := set(entries) - {path for path, _ in found}:
        raise InputError(
            f"{source.root / min(lost)} vanished, or came, while the folder was read: run the same "
            "again."
        )
    preprocessing = images.Preprocessing(background=background)

    def examine(found_file: tuple[str, str]) -> _Row:
        return _examine(source, entries, unlabelled, *found_file, preprocessing)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoding runs outside Python's lock
        examined = pool.map(examine, found)
        bar = tqdm(examined, "manifest", len(found), unit="file", file=sys.stdout,
                   disable=not progress)  # fmt: skip
        rows = sorted(bar, key=lambda row: row.path)
    return _typed(pd.DataFrame([astuple(row) for row in rows], columns=COLUMNS))


def write(manifest: pd.DataFrame, path: Path) -> None:
    """Write a manifest as CSV; ``read`` gives back the same table."""
    tables.write(manifest, path)


def read(path: Path) -> pd.DataFrame:
    """Return the manifest written by ``write``, by this version or an earlier one.

    Text stays text, a class called "NA" included.

    Raises:
        InputError: The file is missing or has other columns.
    """
    return _typed(tables.read(path, "manifest", COLUMNS, *_EARLIER))


def digest(manifest: pd.DataFrame) -> str:
    """Return the SHA-256 (hex) that names the dataset: path, split, label, content and verdict.

    Also the group, where any was declared. Only of accepted and quarantined files: a stray
    ``.DS_Store`` or other skipped file decides nothing. Raw sizes and hashes are in it, versions of
    libraries are not.
    """
    files = manifest[manifest["status"] != "skipped"]
    named = files[NAMED + ["group"] * bool((files["group"] != "").any())]
    lines = (repr(row) for row in named.itertuples(index=False, name=None))
    return hashing.digest("\n".join(lines).encode())


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    missing = {name: "" if _TYPES[name] == "str" else 0 for name in set(COLUMNS) - set(table)}
    return table.assign(**missing)[COLUMNS].astype(_TYPES)


def _examine(
    source: Source,
    entries: Mapping[str, Entry],
    unlabelled: str,
    path: str,
    trouble: str,
    preprocessing: images.Preprocessing,
) -> _Row:
    """Return the manifest's row of one file: every way out has a status and a reason."""
    row = _Row(listing.text(path), bytes=_size(source.root / path))
    if (entry := entries.get(path)) is None:
        reason = _unlisted(source, unlabelled, path, trouble)
        return replace(row, status="skipped", reason=reason)
    row = replace(row, split=entry.split, label=entry.label, group=entry.group)
    is_copy = not trouble and listing.inner_target(source.root, path) in entries
    if is_copy or trouble == listing.COPY:
        return replace(row, status="skipped", reason=listing.COPY)
    promised = listing.promises_image(path) or trouble == listing.UNREADABLE
    refused = "quarantined" if promised else "skipped"
    if trouble:
        return replace(row, status=refused, reason=trouble)
    try:
        data = images.read_file(source.root / path)
    except images.ImageRejected as rejection:
        return replace(row, status=refused, reason=rejection.code)
    row = replace(row, sha256=hashing.digest(data), bytes=len(data))
    try:
        row = _measured(row, data, preprocessing)
    except images.ImageRejected as rejection:
        if not promised and rejection.code in ("unknown_format", "empty"):
            return replace(row, status="skipped", reason="not_an_image")
        refused_format = images.format_of(data)
        return replace(row, status="quarantined", reason=rejection.code, format=refused_format)
    if row.path != path:
        return replace(row, status="quarantined", reason="name_not_utf8")
    return replace(row, status="quarantined" if row.reason else "accepted")


def _unlisted(source: Source, unlabelled: str, path: str, trouble: str) -> str:
    """Return why a file has no entry."""
    if path in source.tables():
        return "table"
    if listing.is_hidden(path):
        return "hidden"
    is_to_be_predicted = unlabelled and path.startswith(f"{unlabelled}/")
    return trouble or ("unlabelled" if is_to_be_predicted else source.unlisted)


def _measured(row: _Row, data: bytes, preprocessing: images.Preprocessing) -> _Row:
    """Return the row with what header and pixels say; raises ``ImageRejected``."""
    header = images.inspect(data)
    readable = images.transcode(data)
    pixels = images.decode(readable, comparison.SIDE, preprocessing)
    brightness, contrast, sharpness = appearance.measure(pixels)
    return replace(
        row,
        format=header.format,
        width=header.width,
        height=header.height,
        orientation=header.orientation,
        phash=duplicates.perceptual_hash(pixels),
        mode=_mode(readable),
        brightness=brightness,
        contrast=contrast,
        sharpness=sharpness,
        reason=blank.REASON if blank.is_blank(pixels) else "",
    )


def _mode(readable: bytes) -> str:
    """Return how the pixels of a transcoded JPEG or PNG are stored."""
    if readable.startswith(b"\xff\xd8"):
        return _JPEG_MODES[int(tf.image.extract_jpeg_shape(readable).numpy()[2])]
    mode = _PNG_MODES[readable[25]]
    if mode != "rgba" and b"tRNS" in readable[: readable.index(b"IDAT")]:
        return "rgba"  # one colour, or entries of the palette, are transparent
    return mode


def _size(path: Path) -> int:
    """Return a regular file's size in bytes; 0 for anything else."""
    try:
        found = os.lstat(path)
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0
