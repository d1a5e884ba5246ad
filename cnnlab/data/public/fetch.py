"""Public datasets by name: downloaded, checked and unpacked into ``data/raw/<name>``."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm.auto import tqdm

from cnnlab import files, hashing
from cnnlab.config import InputError, home
from cnnlab.config.choices import one_of
from cnnlab.data.public import archives, download
from cnnlab.data.public.catalogue import DATASETS, Archive, Arrays, by_hand, complete, place
from cnnlab.places import CannotWrite

MAX_FILES = 20_000
MAX_BYTES = 2**30  # of the archive, and of what comes out of it


def fetch(name: str, *, progress: bool = False) -> Path:
    """Return the folder of a public dataset; download, check and unpack it where it is missing.

    The folder appears whole or not at all. A download that was cut goes on at the next call. A
    file put by hand where ``by_hand`` says is used instead, and is checked alike.

    Args:
        name: A key of ``DATASETS``.
        progress: Show a bar.

    Raises:
        InputError: An unknown name; no network (the message names the address and the place for
            the file); a file, or images in it, other than expected; a hostile archive.
        CannotWrite: The disk is full, or the folder cannot be written.

    Example:
        >>> fetch("flowers", progress=True)  # doctest: +SKIP
        PosixPath('.../data/raw/flowers')
    """
    if name not in DATASETS:
        raise InputError(f"There is no dataset {name!r}: {one_of(name, DATASETS)}")
    folder, dataset = place(name), DATASETS[name]
    if complete(folder):
        return folder
    try:
        with files.new_folder(folder) as made:
            if isinstance(dataset, Archive):
                unpacked = made.with_name("unpacked")
                unpacked.mkdir()
                os.replace(_unpacked(name, dataset, unpacked, progress), made)
            else:
                _write_arrays(name, dataset, made, progress)
    except CannotWrite:
        raise
    except OSError as error:
        if not complete(folder):  # not another process' result
            raise InputError(f"Cannot write {folder}: {error}.") from None
    _part(name).unlink(missing_ok=True)
    return folder


def content_digest(folder: Path) -> str:
    """Return the SHA-256 over ``<sha256>  <path>`` of every .jpg file below a folder.

    The lines are sorted by the bytes of the POSIX paths relative to ``folder``.
    """
    listed = {
        os.fsencode(path.relative_to(folder).as_posix()): path for path in folder.rglob("*.jpg")
    }
    return hashing.stream_digest(
        f"{hashing.file_digest(path)}  ".encode() + relative + b"\n"
        for relative, path in sorted(listed.items())
    )


def _unpacked(name: str, dataset: Archive, folder: Path, progress: bool) -> Path:
    """Unpack a dataset's file into an empty folder; return where its classes or splits lie."""
    given = by_hand(name)
    archive = given if given.is_file() else _part(name)
    if archive != given:
        files.make_folder(archive.parent)
        try:
            download.download(
                dataset.address, archive, max_bytes=MAX_BYTES, size=dataset.size, progress=progress
            )
        except download.DownloadFailed as error:
            raise InputError(
                f"Cannot download {dataset.address}: {error}. Run `cnnlab fetch {name}` again to "
                f"go on, or put that file by hand at {given} and run it then."
            ) from None
    try:
        _check(dataset.size, archive.stat().st_size, f"{dataset.address}: bytes of the file")
        if dataset.sha256:
            found = hashing.file_digest(archive)
            _check(dataset.sha256, found, f"{dataset.address}: SHA-256 of the file")
        archives.extract(
            archive, folder, max_files=MAX_FILES, max_bytes=MAX_BYTES, progress=progress
        )
        visible = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
        if len(visible) == 1 and visible[0].is_dir():  # all of it in one folder, as usual
            folder = visible[0]
        if dataset.content:
            _check(dataset.content, content_digest(folder), f"{dataset.address}: SHA-256 of images")
    except InputError as error:
        if archive != given:
            archive.unlink()  # going on from these bytes would end here again
            raise
        raise InputError(f"The file put by hand cannot be used: {given}. {error}") from None
    return folder


def _write_arrays(name: str, dataset: Arrays, folder: Path, progress: bool) -> None:
    """Write the pictures that Keras loads as ``<split>/<class>/<number>.png``."""
    for split, (pixels, labels) in zip(("train", "test"), _arrays(name, dataset), strict=True):
        for label in dataset.classes:
            (folder / split / label).mkdir(parents=True)
        numbered = enumerate(zip(pixels, labels.reshape(-1).tolist(), strict=True))
        bar = tqdm(
            numbered,
            f"{name} {split}",
            len(pixels),
            unit="file",
            file=sys.stdout,
            disable=not progress,
        )
        for number, (picture, label) in bar:
            path = folder / split / dataset.classes[label] / f"{number:05}.png"
            Image.fromarray(picture).save(path)


def _arrays(name: str, dataset: Arrays) -> Any:
    """Return what Keras loads: two pairs of uint8 (N, H, W[, 3]) in 0…255 and labels (N,[ 1])."""
    from cnnlab.engine import keras

    try:
        with _bounded_wait():
            return getattr(keras.datasets, name).load_data()
    except Exception as error:  # Keras raises the bare class where the network is down
        raise InputError(
            f"Cannot load {dataset.address}: {' '.join(str(error).split())}. Put it by hand at "
            f"{by_hand(name)} and run `cnnlab fetch {name}` again."
        ) from None


@contextmanager
def _bounded_wait() -> Iterator[None]:
    """Let no connection made in the block wait forever; Keras sets no limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(download.TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _check(expected: str | int | None, found: str | int, what: str) -> None:
    if expected is not None and found != expected:
        raise InputError(f"{what} is {found}, expected {expected}: it is not the file we know.")


def _part(name: str) -> Path:
    return home() / "data" / "downloads" / f"{name}.part"
