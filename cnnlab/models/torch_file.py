"""The tensors of a PyTorch file (``.pth``, ``.pt``), read without PyTorch.

Such a file is pickles and the raw values of tensors: the pickles say which value lies where. Up to
PyTorch 1.5 they stand one after the other, since then they are the entries of a zip. A pickle can
name any function to be called; here it may name what ``_NAMES`` holds and nothing else, and even
those names stand for objects of this module that describe a tensor and cannot be changed.
"""

import io
import math
import pickle
import struct
import zipfile
from typing import Any, NamedTuple

import numpy as np

from cnnlab.config import InputError

_MAGIC = 0x1950A86A20F9469CFC6C  # what the first pickle of an old file holds
_PROTOCOL = 1001


class _Storage(NamedTuple):
    """A run of values in the file, many of which can be one tensor."""

    dtype: str
    key: str
    length: int


class _View(NamedTuple):
    """A tensor: which values of a storage, in which order. Offset and strides count values."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _State(dict):
    """Takes the place of an OrderedDict; what PyTorch notes about versions is left out."""

    def __setstate__(self, state: Any) -> None:
        pass


class _NewState:
    __slots__ = ()  # so a pickle can set nothing on it

    def __call__(self) -> _State:
        return _State()


class _NewView:
    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _View:
        counts = (offset, *shape, *strides)
        whole = all(type(each) is int and each >= 0 for each in counts)
        if not (isinstance(storage, _Storage) and whole and len(shape) == len(strides)):
            raise ValueError("a tensor is described wrongly")
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if last >= storage.length or math.prod(shape) > storage.length or 0 in shape:
            raise ValueError("a tensor reaches beyond its values")
        return _View(storage, offset, tuple(shape), tuple(strides))


_NAMES = {
    ("collections", "OrderedDict"): _NewState(),
    ("torch._utils", "_rebuild_tensor_v2"): _NewView(),
    ("torch", "FloatStorage"): "<f4",
    ("torch", "LongStorage"): "<i8",
}


def tensors(content: bytes, where: str) -> dict[str, np.ndarray]:
    """Return the tensors of a state dict by name, float32 or int64, each in memory of its own.

    Nothing that the file names is imported or called.

    Args:
        content: The file.
        where: What an error calls it, such as its path.

    Raises:
        InputError: It is no such file, is truncated or damaged, names a function or class that a
            state dict of float32 and int64 tensors does not need, or holds something else.
    """
    try:
        state, values = (_zipped if content.startswith(b"PK") else _in_sequence)(content, where)
        if not isinstance(state, dict) or not state:
            raise ValueError("it holds no state dict")
        if sum(_size(name, view) for name, view in state.items()) > len(content):
            raise ValueError("its tensors hold more than it does")
        return {name: _tensor(view, values) for name, view in state.items()}
    except InputError:
        raise
    # What a damaged pickle raises can be almost anything; MemoryError where it lies about a length.
    except Exception as error:
        raise InputError(
            f"{where} cannot be read as a PyTorch file ({error or type(error).__name__}): expected "
            "a whole state dict of float32 tensors, as torch.save writes it."
        ) from None


def _in_sequence(content: bytes, where: str) -> tuple[Any, dict[str, bytes]]:
    """Return state and values of a file of PyTorch 1.5 or earlier."""
    file = io.BytesIO(content)
    if _Unpickler(file, where).load() != _MAGIC or _Unpickler(file, where).load() != _PROTOCOL:
        raise ValueError("it does not begin as such a file does")
    if _Unpickler(file, where).load()["little_endian"] is not True:
        raise ValueError("its numbers are big-endian")
    reader = _Unpickler(file, where)
    state, values = reader.load(), {}
    for key in _Unpickler(file, where).load():
        storage = reader.storages[key]
        (length,) = struct.unpack("<q", file.read(8))
        size = length * np.dtype(storage.dtype).itemsize
        values[key] = file.read(size) if length == storage.length else b""
        if len(values[key]) != size:
            raise ValueError("it is truncated")
    if file.read(1):
        raise ValueError("something stands behind its last tensor")
    return state, values


def _zipped(content: bytes, where: str) -> tuple[Any, dict[str, bytes]]:
    """Return state and values of a file of PyTorch 1.6 or later."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
            raise ValueError("it is compressed")  # so no entry is larger than the file
        (root,) = [name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl")]
        order = f"{root}byteorder"
        if order in entries and archive.read(order) != b"little":
            raise ValueError("its numbers are big-endian")
        reader = _Unpickler(io.BytesIO(archive.read(f"{root}data.pkl")), where)
        state = reader.load()
        return state, {key: archive.read(f"{root}data/{key}") for key in reader.storages}


class _Unpickler(pickle.Unpickler):
    """Reads a pickle that may name what ``_NAMES`` holds; notes which storages it speaks of."""

    def __init__(self, file: io.BytesIO, where: str) -> None:
        super().__init__(file)
        self.where = where
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            known = ", ".join(".".join(each) for each in _NAMES)
            raise InputError(
                f"{self.where} is refused: its pickle names {module}.{name}, and nothing of it "
                f"was executed. Expected a plain state dict, which names only {known}."
            )
        return _NAMES[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, length, *_ = pid
        good = kind == "storage" and dtype in ("<f4", "<i8") and type(key) is str
        found = _Storage(dtype, key, length)
        if not (good and type(length) is int):
            raise ValueError("a storage is described wrongly")
        self.storages[key] = found
        return found


def _size(name: Any, view: Any) -> int:
    """Return how many bytes an entry of a state dict is; it must be a tensor with a name."""
    if type(name) is not str or not isinstance(view, _View):
        raise ValueError(f"its entry {str(name)[:80]!r} is no tensor")
    return math.prod(view.shape) * np.dtype(view.storage.dtype).itemsize


def _tensor(view: _View, values: dict[str, bytes]) -> np.ndarray:
    """Return a copy of the values that a view shows; its bounds were checked when it was made."""
    whole = np.frombuffer(values[view.storage.key], view.storage.dtype)
    if len(whole) != view.storage.length:
        raise ValueError("a tensor has another number of values than it should")
    strides = tuple(stride * whole.itemsize for stride in view.strides)
    shown = np.lib.stride_tricks.as_strided(whole[view.offset :], view.shape, strides)
    return np.array(shown, order="C")
