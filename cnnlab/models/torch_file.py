"""The tensors of a PyTorch file (``.pth``, ``.pt``), read without PyTorch.

Such a file is pickles and the raw values of tensors: the pickles say which value lies where. Up to
PyTorch 1.5 they stand one after the other, since then they are the entries of a zip. A pickle is a
program that can name any function to be called. Here its instructions are carried out on plain
values, without Python's unpickler: it may name what ``_NAMES`` holds and nothing else, and even
those names only say that a tensor is described.
"""

import io
import math
import pickletools
import struct
import zipfile
from typing import Any, NamedTuple

import numpy as np

from cnnlab.config import InputError

_MAGIC = 0x1950A86A20F9469CFC6C  # what the first pickle of an old file holds
_PROTOCOL = 1001
MOST_SIDES = 8  # of a tensor


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


class _Name(NamedTuple):
    """What a pickle names; it stands on the stack for what PyTorch would import."""

    module: str
    name: str


_STATE, _TENSOR = _Name("collections", "OrderedDict"), _Name("torch._utils", "_rebuild_tensor_v2")
_DTYPES = {_Name("torch", "FloatStorage"): "<f4", _Name("torch", "LongStorage"): "<i8"}
_NAMES = (_STATE, _TENSOR, *_DTYPES)


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
    if _Pickle(where).load(file) != _MAGIC or _Pickle(where).load(file) != _PROTOCOL:
        raise ValueError("it does not begin as such a file does")
    if _Pickle(where).load(file)["little_endian"] is not True:
        raise ValueError("its numbers are big-endian")
    reader = _Pickle(where)
    state, values = reader.load(file), {}
    for key in _only(list, _Pickle(where).load(file)):
        storage = reader.storages[_only(str, key)]
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
        if sum(entry.compress_size for entry in entries.values()) > len(content):
            raise ValueError("its entries overlap")  # so all together are not larger, either
        (root,) = [name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl")]
        order = f"{root}byteorder"
        if order in entries and archive.read(order) != b"little":
            raise ValueError("its numbers are big-endian")
        reader = _Pickle(where)
        state = reader.load(io.BytesIO(archive.read(f"{root}data.pkl")))
        return state, {key: archive.read(f"{root}data/{key}") for key in reader.storages}


class _Pickle:
    """A pickle's instructions, carried out on plain values: numbers, texts, lists, tuples, dicts.

    Nothing but texts can be a key, so no value is ever hashed that could be nested without end;
    and what is made is never larger than the pickle is long.

    Attributes:
        storages: Key → each that the pickle speaks of.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.storages: dict[str, _Storage] = {}
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._kept: dict[int, Any] = {}

    def load(self, file: io.BytesIO) -> Any:
        """Return the value of the pickle that a file goes on with; what is behind it is left."""
        for operation, argument, _ in pickletools.genops(file):
            self._do(operation.name, argument)
        (value,) = self._stack
        return value

    def _do(self, operation: str, argument: Any) -> None:
        stack = self._stack
        match operation:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[operation])
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINUNICODE" | "SHORT_BINUNICODE":
                stack.append(argument)
            case "EMPTY_TUPLE" | "EMPTY_LIST" | "EMPTY_DICT":
                stack.append({"EMPTY_TUPLE": (), "EMPTY_LIST": [], "EMPTY_DICT": {}}[operation])
            case "MARK":
                self._marks.append(len(stack))
            case "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._taken(int(operation[5:] or 0))))
            case "APPEND" | "APPENDS":
                values = self._taken(operation == "APPEND")
                _only(list, stack[-1]).extend(values)
            case "SETITEM" | "SETITEMS":
                values = self._taken(2 * (operation == "SETITEM"))
                pairs = zip(values[::2], values[1::2], strict=True)
                _only(dict, stack[-1]).update((_only(str, key), value) for key, value in pairs)
            case "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                self._kept[len(self._kept) if argument is None else argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self._kept[argument])
            case "GLOBAL":
                stack.append(self._named(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                stack.append(self._named(*self._taken(2)))
            case "BINPERSID":
                stack.append(self._storage(*_only(tuple, stack.pop())))
            case "REDUCE":
                stack.append(_made(*self._taken(2)))
            case "BUILD":  # what PyTorch notes about versions
                _only(dict, stack[-2])
                stack.pop()
            case _:
                raise ValueError(f"its pickle holds {operation}")

    def _taken(self, count: int) -> list[Any]:
        """Take so many values off the stack; 0: all since the last mark."""
        start = len(self._stack) - count if count else self._marks.pop()
        if start < 0:
            raise ValueError("its pickle is damaged")
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _named(self, module: Any, name: Any) -> _Name:
        found = _Name(_only(str, module), _only(str, name))
        if found not in _NAMES:
            known = ", ".join(map(".".join, _NAMES))
            raise InputError(
                f"{self.where} is refused: its pickle names {module}.{name}, and nothing of it "
                f"was executed. Expected a plain state dict, which names only {known}."
            )
        return found

    def _storage(self, kind: Any, dtype: Any, key: Any, _: Any, length: Any, *__: Any) -> _Storage:
        known = kind == "storage" and _only(_Name, dtype) in _DTYPES
        if not known or type(length) is not int:
            raise ValueError("a storage is described wrongly")
        found = self.storages[key] = _Storage(_DTYPES[dtype], _only(str, key), length)
        return found


def _only(kind: type, value: Any) -> Any:
    """Return a value of this very type; anything else is damage."""
    if type(value) is not kind:
        raise ValueError("its pickle is damaged")
    return value


def _made(what: Any, given: Any) -> Any:
    """Return what PyTorch would make: an empty state dict, or a tensor."""
    known = _only(_Name, what)
    if known == _STATE and given == ():
        return {}
    if known == _TENSOR:
        return _view(*_only(tuple, given))
    raise ValueError("its pickle is damaged")


def _view(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _View:
    sides = len(_only(tuple, shape))
    counts = (offset, *shape[:MOST_SIDES], *_only(tuple, strides)[:MOST_SIDES])
    whole = all(type(each) is int and each >= 0 for each in counts)
    if not whole or len(strides) != sides or sides > MOST_SIDES:
        raise ValueError("a tensor is described wrongly")
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    length = _only(_Storage, storage).length
    if last >= length or math.prod(shape) > length or 0 in shape:
        raise ValueError("a tensor reaches beyond its values")
    return _View(storage, offset, shape, strides)


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
