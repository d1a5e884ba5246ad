"""How training images are varied."""

from dataclasses import dataclass

from cnnlab.config.errors import InputError
from cnnlab.config.section import Section, setting


@dataclass(frozen=True)
class AugmentationSettings(Section):
    """Section ``augmentation``; zoom and brightness are half-widths of a factor around 1.

    The ops that ``more_augmentation`` may name, and their ranges, are those of ``cnnlab.augment``:
    it checks them, this section only how they are written.
    """

    rotation: float = setting(20.0, "degrees to either side, at most", low=0, high=180)
    flip: bool = setting(True, "mirror half of the images left to right")
    zoom: float = setting(0.2, "0.2 scales by a factor of 0.8 to 1.2", low=0, high=0.9)
    brightness: float = setting(0.2, "0.2 multiplies pixels by 0.8 to 1.2", low=0, high=1)
    more_augmentation: str = setting(
        "", "further ops: name=strength,name=strength; notebook 02 lists them"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in further(self.more_augmentation):
            if name in self.__dataclass_fields__:
                raise InputError(f"{name} is a setting of its own: write {name}=…, not "
                                 f"more_augmentation={name}=….")  # fmt: skip


def further(text: str) -> dict[str, float]:
    """Return op → strength of ``more_augmentation``.

    Raises:
        InputError: It is not written so, or names an op twice.

    Example:
        >>> further("translation=0.1,erasing=0.25")
        {'translation': 0.1, 'erasing': 0.25}
    """
    found: dict[str, float] = {}
    for part in text.split(",") if text else ():
        name, equals, value = part.partition("=")
        try:
            strength = float(value)
        except ValueError:
            strength = None
        if not (name.isidentifier() and equals) or strength is None or name in found:
            twice = f"; {name} stands there twice" if name in found else ""
            raise InputError(
                f"Cannot set more_augmentation={text!r}: expected name=strength,name=strength "
                f"without spaces, such as translation=0.1,contrast=0.2{twice}."
            )
        found[name] = strength
    return found
