"""JSON Schema, as much of draft 2020-12 as ``contract.schema.json`` uses.

The library ``jsonschema`` takes longer to import than a prediction may take, as it builds grammars
of formats that no contract has. The tests compare the two on thousands of contracts.
"""

import functools
import json
import operator
import re
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any, NamedTuple

from cnnlab import hashing

ANNOTATIONS = {"$schema", "$defs", "title", "description", "then"}  # "then" belongs to "if"
TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    # 3.0 is one, true is not.
    "integer": lambda value: TYPES["number"](value) and (
        isinstance(value, int) or value.is_integer()
    ),
}  # fmt: skip


class Keyword(NamedTuple):
    """A condition on one value; it says nothing of values of other types.

    Attributes:
        about: The type that it speaks of, empty for every type.
        holds: Whether a value satisfies what the schema states.
        expected: How a refusal puts it.
    """

    about: str
    holds: Callable[[Any, Any], bool]
    expected: str


def _is_type(value: Any, stated: str | list[str]) -> bool:
    return any(TYPES[name](value) for name in ([stated] if isinstance(stated, str) else stated))


def _equal(value: Any, other: Any) -> bool:
    """Return whether two scalars are equal in JSON, where true is not 1."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _is_one_of(value: Any, stated: list[Any]) -> bool:
    return any(_equal(value, each) for each in stated)


def _is_like(value: str, stated: str) -> bool:
    return re.search(stated, value) is not None


def _holds_at_least(value: Any, stated: int) -> bool:
    return len(value) >= stated


def _holds_at_most(value: Any, stated: int) -> bool:
    return len(value) <= stated


def _are_different(value: list[Any], stated: bool) -> bool:
    return len({hashing.canonical_json(item) for item in value}) == len(value) or not stated


KEYWORDS = {
    "type": Keyword("", _is_type, "the type {}"),
    "const": Keyword("", _equal, "{}"),
    "enum": Keyword("", _is_one_of, "one of {}"),
    "minimum": Keyword("number", operator.ge, "at least {}"),
    "maximum": Keyword("number", operator.le, "at most {}"),
    "exclusiveMinimum": Keyword("number", operator.gt, "above {}"),
    "exclusiveMaximum": Keyword("number", operator.lt, "below {}"),
    "pattern": Keyword("string", _is_like, "the form {}"),
    "minLength": Keyword("string", _holds_at_least, "{} characters or more"),
    "maxLength": Keyword("string", _holds_at_most, "{} characters or fewer"),
    "uniqueItems": Keyword("array", _are_different, "each item once"),
    "minItems": Keyword("array", _holds_at_least, "{} items or more"),
    "maxItems": Keyword("array", _holds_at_most, "{} items or fewer"),
    "minProperties": Keyword("object", _holds_at_least, "{} entries or more"),
    "maxProperties": Keyword("object", _holds_at_most, "{} entries or fewer"),
}


class Fault(NamedTuple):
    """Something that a schema does not allow.

    Attributes:
        keyword: The word of the schema that forbids it.
        said: One line: where, what came, what was expected.
    """

    keyword: str
    said: str


@functools.cache
def contract_schema() -> dict[str, Any]:
    """Return the JSON schema of ``contract.json``, formats 2 and 3."""
    text = resources.files("cnnlab.artifact").joinpath("contract.schema.json").read_text("utf-8")
    return json.loads(text)


def faults(value: Any, schema: Any, place: tuple[str, ...] = ()) -> Iterator[Fault]:
    """Yield what a JSON value has that a schema does not allow, one by one: it may be a lot.

    Args:
        value: Decoded JSON.
        schema: The schema or a part of it; references go to ``$defs`` of ``contract_schema``.
        place: The names that lead to the value.
    """
    if schema is True:
        return
    for keyword, stated in schema.items():
        if keyword in KEYWORDS:
            about, holds, expected = KEYWORDS[keyword]
            if (not about or TYPES[about](value)) and not holds(value, stated):
                yield _fault(place, keyword, value, expected.format(stated))
        elif keyword == "$ref":
            yield from faults(value, contract_schema()["$defs"][stated.split("/")[-1]], place)
        elif keyword == "allOf":
            for part in stated:
                yield from faults(value, part, place)
        elif keyword == "if":
            if not any(faults(value, stated)):
                yield from faults(value, schema["then"], place)
        elif keyword == "not":
            if not any(faults(value, stated)):
                yield _fault(place, keyword, value, f"something else than {stated}")
        elif keyword == "required":
            for name in stated if isinstance(value, dict) else ():
                if name not in value:
                    yield Fault(keyword, f"{_path((*place, name))}missing")
        elif keyword == "items":
            for index, item in enumerate(value if isinstance(value, list) else ()):
                yield from faults(item, stated, (*place, str(index)))
        elif keyword not in ANNOTATIONS:
            yield from _entries(value, schema, keyword, place)


def _entries(value: Any, schema: Any, keyword: str, place: tuple[str, ...]) -> Iterator[Fault]:
    """Yield the faults of an object's entries by one keyword."""
    stated, named = schema[keyword], schema.get("properties", {})
    for name, entry in value.items() if isinstance(value, dict) else ():
        inside = (*place, name)
        if keyword == "propertyNames":
            yield from faults(name, stated, inside)
        elif keyword == "properties":
            yield from faults(entry, named.get(name, True), inside)
        elif keyword != "additionalProperties":
            raise NotImplementedError(f"The schema uses {keyword!r}: add it to {__name__}.")
        elif name not in named and stated is False:
            yield _fault(inside, keyword, entry, "no entry of this name")
        elif name not in named:
            yield from faults(entry, stated, inside)


def _fault(place: tuple[str, ...], keyword: str, value: Any, expected: str) -> Fault:
    """Return a fault as one printable line of bounded length."""
    return Fault(keyword, f"{_path(place)}got {brief(value)}: expected {expected}")


def _path(place: tuple[str, ...]) -> str:
    return "".join(f"{brief(name)[1:-1]}: " for name in place)


def brief(value: Any) -> str:
    """Return a value in printable ASCII, without its middle if it is long."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:50]}...{text[-25:]}"
