"""HDF5 files that nobody has reason to trust: looked through before anything reads them.

A file of this format may name other files (external links, external storage, virtual datasets),
hold gigabytes in a few bytes (compression, space that was never written) and point from many places
to one. Keras' files of weights do nothing of that.

Not bounded is a list of up to ``MOST_TEXTS`` texts in an attribute, as Keras writes for the names
of layers: HDF5 reads it as a whole, and all of them may be one text as long as the file.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

MOST_TEXTS = 4096  # of variable length in one attribute: no object header holds more


def check(path: Path, *, most: int | None = None) -> None:
    """Raise ValueError, in words, where reading a file may lead elsewhere or fill the memory.

    Args:
        path: The file. It is not loaded.
        most: Bytes that all values together may take; None for the size of the file, as it is
            where nothing is compressed.

    Raises:
        ValueError: There is a link, a dataset in other files, a value that is no number, an object
            that is reached in two ways, or there are more bytes.
        OSError: It is no HDF5 file, or damaged.
    """
    limit = os.path.getsize(path) if most is None else most
    with h5py.File(path, "r") as file:
        _check_attributes(file, limit)
        total = sum(_checked(file, limit))
    if total > limit:
        raise ValueError(
            f"It holds {total / 1e6:,.0f} MB of values; expected {limit / 1e6:,.0f} at most."
        )


def _checked(group: h5py.Group, limit: int) -> Iterator[int]:
    """Yield the bytes of each dataset below a group; refuse what else there is."""
    groups = [group]
    while groups:
        group = groups.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise ValueError(f"{_place(group, name)} is a link, {type(link).__name__}.")
            found = group[name]
            if h5py.h5o.get_info(found.id).rc != 1:
                raise ValueError(f"{_place(group, name)} is reached in two ways.")
            _check_attributes(found, limit)
            if isinstance(found, h5py.Group):
                groups.append(found)
            elif isinstance(found, h5py.Dataset):
                yield _dataset_bytes(found, _place(group, name), limit)
            else:
                raise ValueError(f"{_place(group, name)} is neither a group nor a dataset.")


def _dataset_bytes(dataset: h5py.Dataset, place: str, limit: int) -> int:
    """Return the bytes of the values of a dataset, counted without reading them."""
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{place} lies in another file.")
    if dataset.dtype.hasobject:
        raise ValueError(f"{place} holds {dataset.dtype}: expected numbers.")
    # One chunk is unpacked as a whole, however little of it the dataset uses.
    if math.prod(dataset.chunks or ()) * dataset.dtype.itemsize > limit:
        raise ValueError(f"{place} is packed in pieces of more than {limit / 1e6:,.0f} MB.")
    return math.prod(dataset.shape or ()) * dataset.dtype.itemsize


def _check_attributes(found: Any, limit: int) -> None:
    """Refuse attributes that are larger than a file can be, or point to anything but text."""
    for name in found.attrs:
        attribute = found.attrs.get_id(name)
        count = math.prod(attribute.shape or ())
        text = h5py.check_string_dtype(attribute.dtype) is not None
        if attribute.dtype.hasobject and (not text or count > MOST_TEXTS):
            raise ValueError(f"Its attribute {ascii(name)[:80]} holds {count} objects.")
        if count * attribute.dtype.itemsize > limit:
            raise ValueError(f"Its attribute {ascii(name)[:80]} has more bytes than the file.")


def _place(group: h5py.Group, name: str) -> str:
    """Return where something lies, as printable ASCII of bounded length."""
    return ascii(f"{group.name}/{name}".lstrip("/"))[:100]
