"""A section of the settings: frozen fields that know their meaning, range and choices."""

from collections.abc import Sequence
from dataclasses import Field, field, fields
from typing import Any

from cnnlab.config.choices import one_of
from cnnlab.config.errors import InputError


def setting(
    default: Any,
    meaning: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    listed_by: str = "",
) -> Any:
    """Return a dataclass field of a section.

    Args:
        default: The reference protocol's value; its type is the field's.
        meaning: One line, with the unit where there is one.
        low: The smallest value allowed; every number has one.
        high: The largest.
        choices: The texts allowed; none means any.
        listed_by: The command that lists them, where they are many.
    """
    known = {"meaning": meaning, "low": low, "high": high, "choices": tuple(choices)}
    return field(default=default, metadata=known | {"listed_by": listed_by})


class Section:
    """The base of all sections: checks type, range and choice of every field when it is made."""

    def __post_init__(self) -> None:
        for each in fields(self):  # type: ignore[arg-type]  # every section is a dataclass
            object.__setattr__(self, each.name, checked(each, getattr(self, each.name)))


def checked(field: Field, value: Any) -> Any:
    """Return a field's value, an int as float where a float is expected.

    Raises:
        InputError: Another type, out of range, or none of the choices.
    """
    kind: Any = field.type
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise InputError(f"Cannot set {field.name}={value!r}: expected {_KINDS[kind]}.")
    low, high, choices = (field.metadata[part] for part in ("low", "high", "choices"))
    if low is not None and not low <= value <= high:
        raise InputError(f"{field.name}={value} is out of range: expected {low} to {high}.")
    if choices and value not in choices:
        raise InputError(
            f"Unknown {field.name} {value!r}: {one_of(value, choices, field.metadata['listed_by'])}"
        )
    return value


def converted(field: Field, text: str) -> Any:
    """Return a value typed as text as the field's type.

    Raises:
        InputError: The text is no such value.
    """
    kind: Any = field.type
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        if kind is not bool:
            return kind(text)
    except ValueError:
        pass
    raise InputError(f"Cannot set {field.name}={text!r}: expected {_KINDS[kind]}.")


def allowed(field: Field) -> str:
    """Return what a field may be set to, in short: "1–20", "none, balanced", "text"."""
    low, high, choices = (field.metadata[part] for part in ("low", "high", "choices"))
    if choices:
        return ", ".join(choices)
    return f"{low}–{high}" if low is not None else _KINDS[field.type]  # type: ignore[index]


_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
