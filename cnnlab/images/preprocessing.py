"""Preprocessing: what decides, beside its size, which pixels the bytes of an image become."""

from dataclasses import dataclass

from cnnlab.config.data import BACKGROUNDS, FITS, DataSettings
from cnnlab.config.errors import InputError

# Part of every cache key and of the model's contract: raise it when any pixel may change.
PREPROCESSING_VERSION = 1

LEVELS = {"white": 255, "black": 0, "grey": 128}  # of all three channels


@dataclass(frozen=True)
class Preprocessing:
    """How the bytes of an image become pixels; one of a format 2 contract has the defaults.

    Attributes:
        version: ``PREPROCESSING_VERSION`` of the program that made the pixels.
        fit: How the upright image becomes a square: ``stretch`` changes its proportions, ``pad``
            shows all of it between two borders, ``crop`` cuts out the square in its middle.
        background: What transparent pixels are laid over, and what ``pad`` fills its borders with:
            ``white``, ``black`` or ``grey`` (128).
    """

    version: int = PREPROCESSING_VERSION
    fit: str = "stretch"
    background: str = "white"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("fit", self.fit, FITS),
            ("background", self.background, BACKGROUNDS),
        ):
            if value not in known:
                raise InputError(f"Unknown {name} {value!r}: expected one of {', '.join(known)}.")

    @classmethod
    def of(cls, settings: DataSettings) -> "Preprocessing":
        """Return what a run's settings ask for."""
        return cls(fit=settings.fit, background=settings.background)

    @property
    def level(self) -> int:
        """The background's level, 0…255, the same in all channels."""
        return LEVELS[self.background]

    @property
    def key(self) -> str:
        """Its part of a cache key: of the defaults the version alone, as before there was more.

        Example:
            >>> Preprocessing().key, Preprocessing(fit="pad", background="black").key
            ('1', '1-pad-black')
        """
        plain = (self.fit, self.background) == ("stretch", "white")
        return f"{self.version}" if plain else f"{self.version}-{self.fit}-{self.background}"


STANDARD = Preprocessing()
