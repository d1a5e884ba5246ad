"""Results as frozen dataclasses, and these as JSON and back.

A figure that is undefined (the AUC of a class without images) is nan in Python and null in JSON;
so are infinities. A field that allows None is null, too, where it is None. A key that an older
version did not write gets the field's default; one that no field knows, of a newer version, is
left out. Anything else that does not fit is an ``InputError`` that names the file and the key.
"""

import json
import math
import types
from collections.abc import Collection
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

from cnnlab.config import InputError

_EXPECTED = {float: "a number or null", int: "a whole number", str: "text", bool: "true or false"}


class Record:
    """Base of the dataclasses that are stored as JSON. A field may be of

    float, int, str or bool, a dataclass, a tuple or a dict (of texts) of these, or any of them or
    None; or ``Any``, which is taken as it is.
    """

    def to_json(self) -> dict[str, Any]:
        """Return a dict of plain values, ready for strict JSON."""
        return _encoded(self)

    @classmethod
    def from_json(cls, data: Any, where: str = "JSON") -> Self:
        """Return the record that ``to_json`` gave, of this version or an earlier one.

        Args:
            data: What ``json.loads`` gave.
            where: What an error calls it, such as the path of the file.

        Raises:
            InputError: A key is missing or its value is not what it should be.
        """
        return _decoded(cls, data, where, "")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the record in a JSON file.

        Raises:
            InputError: It cannot be read, or it is no such record.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"Cannot read {path}: {error.strerror}.") from None
        except ValueError as error:
            raise InputError(f"{path} is damaged, it is no JSON ({error}).") from None
        return cls.from_json(data, str(path))


def key(name: str) -> dict[str, str]:
    """Return the metadata of a field whose key in JSON is another: ``class``, which is reserved."""
    return {"key": name}


def inline(names: Collection[str] = ()) -> dict[str, Collection[str]]:
    """Return the metadata of a field whose own keys stand among those of the record.

    Args:
        names: For a dict: the keys that may be in it, looked up when a record is read.
    """
    return {"inline": names}


def _encoded(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        found: dict[str, Any] = {}
        for each in fields(value):
            plain = _encoded(getattr(value, each.name))
            found |= plain if "inline" in each.metadata else {_key(each): plain}
        return found
    if isinstance(value, dict):
        return {str(name): _encoded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encoded(item) for item in value]
    if hasattr(value, "tolist"):  # an array or a number of NumPy's
        return _encoded(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _decoded(kind: Any, value: Any, where: str, at: str) -> Any:
    """Return a JSON value as what a type hint says; ``at`` is its place, such as ``folds[2].n``."""
    if kind is Any:
        return value
    parts = get_args(kind)
    if get_origin(kind) in (Union, types.UnionType):
        if value is None:
            return None
        (kind,) = (part for part in parts if part is not types.NoneType)
        return _decoded(kind, value, where, at)
    if is_dataclass(kind):
        return _record(kind, _checked(value, dict, "an object", where, at), where, at)
    if get_origin(kind) is dict:
        items = _checked(value, dict, "an object", where, at).items()
        return {name: _decoded(parts[1], item, where, _below(at, name)) for name, item in items}
    if get_origin(kind) is tuple:
        rows = _checked(value, list, "a list", where, at)
        return tuple(_decoded(parts[0], row, where, f"{at}[{n}]") for n, row in enumerate(rows))
    if kind is float:
        value = math.nan if value is None else value
        return float(_checked(value, (int, float), _EXPECTED[float], where, at))
    return _checked(value, kind, _EXPECTED[kind], where, at)


def _record(kind: Any, data: dict[str, Any], where: str, at: str) -> Any:
    found = {}
    for each in fields(kind):
        hint, name = _hints(kind)[each.name], _key(each)
        if "inline" not in each.metadata:
            if name in data:
                found[each.name] = _decoded(hint, data[name], where, _below(at, name))
            elif each.default is MISSING and each.default_factory is MISSING:
                raise InputError(f"{where} is damaged: it has no {_below(at, name)}.")
        elif is_dataclass(hint):
            found[each.name] = _record(hint, data, where, at)
        else:
            known = {name: data[name] for name in each.metadata["inline"] if name in data}
            found[each.name] = _decoded(hint, known, where, at)
    try:
        return kind(**found)
    except InputError as error:  # a rule checks its own numbers
        raise InputError(f"{where} is damaged: {at}: {error}") from None


def _checked(value: Any, kind: Any, expected: str, where: str, at: str) -> Any:
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    text = json.dumps(value, ensure_ascii=False)
    shown = text if len(text) <= 40 else f"{text[:40]}…"
    raise InputError(f"{where} is damaged: {at or 'it'} is {shown}, expected {expected}.")


def _key(each: Field) -> str:
    return each.metadata.get("key", each.name)


def _below(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
