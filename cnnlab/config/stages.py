"""The setting ``stages``: a training's stages as one short text, such as ``head:3,all:x0.1``."""

import re
from dataclasses import dataclass

from cnnlab.config.errors import InputError

EXAMPLE = "head:3,all:x0.1 or all:5:32px,all or probe,all:x0.1"
PROBE = "probe"
EPOCHS, SIZE = re.compile(r"[0-9]{1,5}"), re.compile(r"([0-9]{1,5})px")
FACTOR = re.compile(r"x([0-9.e-]+)")
TRAINABLE = re.compile(rf"all|head|last[1-9][0-9]?|{PROBE}")


@dataclass(frozen=True)
class StageText:
    """One stage as the setting says it.

    Attributes:
        trainable: Which layers learn: ``all``, ``head``, or ``last2`` for the head and the last
            two stages of the network; ``probe`` where the head is fitted to features, once.
        epochs: How many; 0 in the last stage, which takes what the others leave; 1 of a probe.
        factor: Of ``learning_rate``.
        image_size: Pixels a side; 0 is the size that the network is judged and served at.
    """

    trainable: str
    epochs: int = 0
    factor: float = 1.0
    image_size: int = 0


def parse(text: str) -> tuple[StageText, ...]:
    """Return the stages in order.

    Stages are separated by commas and the parts of one by colons: which layers learn, then in any
    order the epochs (``3``), the factor of the learning rate (``x0.1``) and the size (``32px``).
    The stage ``probe`` comes first, or alone, and has no other parts: it counts as one epoch.

    Raises:
        InputError: No such text; a stage before the last one without epochs, or the last with; a
            probe that is not the first stage or has other parts.

    Example:
        >>> parse("head:3,all:x0.1")[1]
        StageText(trainable='all', epochs=0, factor=0.1, image_size=0)
    """
    found = tuple(_stage(text, part) for part in text.split(","))
    if any(stage.trainable == PROBE for stage in found[1:]):
        raise _wrong(text, "probe can only be the first stage: it fits a new head")
    if not all(stage.epochs for stage in found[:-1]):
        raise _wrong(text, "every stage but the last needs its number of epochs")
    if found[-1].epochs and found[-1].trainable != PROBE:
        raise _wrong(text, "the last stage takes what the others leave of epochs, so it names none")
    return found


def _stage(text: str, part: str) -> StageText:
    trainable, *options = part.split(":")
    if not TRAINABLE.fullmatch(trainable):
        raise _wrong(text, f"{trainable!r} is none of all, head, last1, last2, … or probe")
    if trainable == PROBE:
        if options:
            raise _wrong(text, "probe fits the head once: it takes no epochs, factor or size")
        return StageText(PROBE, epochs=1)
    values: dict[str, int | float] = {}
    for option in options:
        name, value = _option(text, option)
        if name in values:
            raise _wrong(text, f"{part!r} says {name} twice")
        values[name] = value
    return StageText(trainable, **values)  # type: ignore[arg-type]


def _option(text: str, option: str) -> tuple[str, int | float]:
    if EPOCHS.fullmatch(option) and int(option) > 0:
        return "epochs", int(option)
    if (size := SIZE.fullmatch(option)) and int(size[1]) >= 16:
        return "image_size", int(size[1])
    if factor := FACTOR.fullmatch(option):
        try:
            value = float(factor[1])
        except ValueError:
            value = 0.0
        if 1e-6 <= value <= 1e6:
            return "factor", value
    raise _wrong(
        text, f"{option!r} is no number of epochs (3), factor (x0.1) or size (32px, at least 16)"
    )


def _wrong(text: str, why: str) -> InputError:
    return InputError(f"Cannot set stages={text!r}: {why}. Expected such as {EXAMPLE}.")
