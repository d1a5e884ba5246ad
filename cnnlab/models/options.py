"""A family's options, typed as one text: ``width=32,blocks=2-2-2-2``."""

from dataclasses import Field, fields

from cnnlab.config import InputError
from cnnlab.config.choices import did_you_mean
from cnnlab.config.section import converted
from cnnlab.models.architecture import Architecture


def parsed_options(family: Architecture, text: str) -> object:
    """Return a family's options with those changed that a text names.

    Args:
        family: Whose options these are.
        text: ``name=value`` pairs with commas between; "" means the defaults.

    Returns:
        An instance of ``family.options``.

    Raises:
        InputError: An unknown name, one that is named twice, or a value that is not allowed.

    Example:
        >>> parsed_options(architecture("reference_cnn"), "dense_units=64").dense_units
        64
    """
    known: dict[str, Field] = {each.name: each for each in fields(family.options)}  # type: ignore[arg-type]
    chosen: dict[str, str] = {}
    for pair in text.split(",") if text else ():
        name, equals, value = pair.partition("=")
        if not equals or name not in known or name in chosen:
            if not known:
                raise InputError(f"{family.name} takes no network_options; got {text!r}.")
            twice = " once" if name in chosen else ""
            raise InputError(
                f"In network_options, cannot set {pair!r} of {family.name}: expected "
                f"name=value{twice}, name one of {', '.join(known)}."
                f"{did_you_mean(name, known) if not twice else ''}"
            )
        chosen[name] = value
    try:
        return family.options(**{name: converted(known[name], chosen[name]) for name in chosen})
    except InputError as error:
        raise InputError(f"In network_options of {family.name}: {error}") from None


def numbers(name: str, text: str, *, low: int, high: int, most: int) -> tuple[int, ...]:
    """Return the whole numbers of a text such as ``64-128-256``, one a stage.

    Args:
        name: The option's, for the message.
        text: One number or several, with hyphens between.
        low: The smallest allowed.
        high: The largest.
        most: How many there may be.

    Raises:
        InputError: Something else, a number out of range, or too many.
    """
    parts = text.split("-")
    good = all(part.isdecimal() and part.isascii() and low <= int(part) <= high for part in parts)
    if not good or len(parts) > most:
        raise InputError(
            f"Cannot set {name}={text!r}: expected 1 to {most} whole numbers from {low} to {high} "
            "with hyphens between, one a stage."
        )
    return tuple(int(part) for part in parts)
