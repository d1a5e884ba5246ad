"""Settings: one flat frozen dataclass, three profiles, named child seeds.

A run is fully described by its ``Settings``; they are written to ``run.json`` and read back
unchanged. A profile is a starting point; ``key=value`` overrides are applied on top.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any


class InputError(ValueError):
    """What the user gave cannot be used: the message says what came, what was expected, the cure.

    The command line prints it as one line and exits with status 2.
    """


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run's result, and nothing else.

    Fractions are in (0, 1); angles are degrees; ``zoom`` and ``brightness`` are the half-width
    of a factor around 1 (0.2 means 0.8…1.2). Defaults are the reference protocol.
    """

    profile: str = "full"
    data: str = "shapes"  # "shapes" or the path of a folder with one folder per class
    seed: int = 0
    image_size: int = 224  # pixels a side
    validation_fraction: float = 0.2  # of training
    test_fraction: float = 0.2  # of everything, only where the data has no test folder
    rotation: float = 20.0
    flip: bool = True
    zoom: float = 0.2
    brightness: float = 0.2
    model: str = "baseline"
    l2: float = 1e-4
    dropout: float = 0.5
    batch_size: int = 32
    epochs: int = 50
    patience: int = 10
    learning_rate: float = 1e-3
    class_weight: str = "none"  # "balanced": each class weighs the same in the training loss
    folds: int = 5
    fold_epochs: int = 50
    bootstrap_samples: int = 2000
    shapes_train: int = 400  # images per class of the generated data
    shapes_test: int = 120

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name}={value} is out of range: expected {low} to {high}.")
        if self.class_weight not in CLASS_WEIGHTS:
            raise InputError(
                f"Unknown class_weight {self.class_weight!r}: expected one of "
                f"{', '.join(CLASS_WEIGHTS)}."
            )


CLASS_WEIGHTS = ("none", "balanced")

_RANGES: tuple[tuple[str, float, float], ...] = (
    ("seed", 0, 2**31 - 1),
    ("image_size", 16, 1024),  # four poolings leave one pixel of 16
    ("validation_fraction", 0.05, 0.5),
    ("test_fraction", 0.05, 0.5),
    ("rotation", 0, 180),
    ("zoom", 0, 0.9),
    ("brightness", 0, 1),
    ("l2", 0, 1),
    ("dropout", 0, 0.95),
    ("batch_size", 1, 4096),
    ("epochs", 1, 10_000),
    ("patience", 1, 10_000),
    ("learning_rate", 1e-8, 10),
    ("folds", 2, 20),
    ("fold_epochs", 1, 10_000),
    ("bootstrap_samples", 10, 100_000),
    ("shapes_train", 5, 100_000),
    ("shapes_test", 5, 100_000),
)

PROFILES: dict[str, Settings] = {
    # make run                  two cores: under ten minutes with the install; accuracy 0.90–0.99
    "quick": Settings(
        profile="quick",
        image_size=48,
        batch_size=16,  # few images: twice the steps an epoch for the same arithmetic
        epochs=14,
        fold_epochs=10,
        bootstrap_samples=1000,
        shapes_train=240,
        shapes_test=80,
    ),
    # make run PROFILE=full     the reference protocol; many hours on two cores
    "full": Settings(),
    # the tests                 one or two steps of everything, to prove that it runs
    "smoke": Settings(
        profile="smoke",
        image_size=32,
        epochs=2,
        patience=1,
        folds=2,
        fold_epochs=1,
        bootstrap_samples=50,
        shapes_train=12,
        shapes_test=6,
    ),
}


def make_settings(profile: str = "quick", overrides: Iterable[str] = (), **fixed: Any) -> Settings:
    """Return a profile with ``key=value`` overrides applied.

    Args:
        profile: A name in ``PROFILES``.
        overrides: Texts such as ``"epochs=3"``; each value is converted to the field's type.
        **fixed: Further fields, already of the right type (``data="shapes"``).

    Raises:
        InputError: An unknown profile or key, or a value of the wrong type or range.

    Example:
        >>> make_settings("quick", ["epochs=3", "seed=7"]).epochs
        3
    """
    if profile not in PROFILES:
        raise InputError(f"Unknown profile {profile!r}: expected one of {', '.join(PROFILES)}.")
    types = {field.name: field.type for field in fields(Settings) if field.name != "profile"}
    values: dict[str, Any] = dict(fixed)
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or key not in types:
            raise InputError(f"Cannot set {text!r}: expected key=value, key in {', '.join(types)}.")
        values[key] = _converted(key, value, types[key])
    return replace(PROFILES[profile], **values)


def _converted(key: str, value: str, kind: Any) -> Any:
    """Return ``value`` as ``kind`` (str, int, float or bool)."""
    if kind is bool:
        if value.lower() not in ("true", "false"):
            raise InputError(f"Cannot set {key}={value!r}: expected true or false.")
        return value.lower() == "true"
    try:
        return kind(value)
    except ValueError:
        raise InputError(f"Cannot set {key}={value!r}: expected {kind.__name__}.") from None


def changes(settings: Settings) -> dict[str, Any]:
    """Return the settings that differ from their profile's; ``data`` is not one of a profile's.

    Example:
        >>> changes(make_settings("quick", ["epochs=3"]))
        {'epochs': 3}
    """
    usual = asdict(PROFILES[settings.profile])
    found = asdict(settings)
    return {key: found[key] for key in found if key != "data" and found[key] != usual[key]}


def to_dict(settings: Settings) -> dict[str, Any]:
    """Return the settings as a JSON-ready dict; ``from_dict`` gives them back unchanged."""
    return asdict(settings)


def from_dict(values: dict[str, Any]) -> Settings:
    """Return the settings written by ``to_dict``.

    Raises:
        InputError: A key is missing or unknown (the file was written by another version).
    """
    names = {field.name for field in fields(Settings)}
    if set(values) != names:
        odd = ", ".join(sorted(names ^ set(values)))
        raise InputError(f"These settings were written by another version of cnnlab: {odd}.")
    return Settings(**values)


def child_seed(seed: int, name: str) -> int:
    """Return the named child of a root seed: int in 0…2³¹−1, the same on every machine.

    Example:
        >>> child_seed(0, "split") == child_seed(0, "split") != child_seed(0, "fold/3")
        True
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def home() -> Path:
    """Return the folder that holds ``data/`` and ``reports/``: ``$CNNLAB_HOME`` or the checkout."""
    chosen = os.environ.get("CNNLAB_HOME")
    return Path(chosen).resolve() if chosen else Path(__file__).resolve().parent.parent
