"""Settings: a seed and six frozen sections, stored as one flat JSON object.

The name of every setting is unique over all sections, so ``epochs=30`` needs no section's name,
neither on the command line nor in ``run.json``.
"""

from collections.abc import Iterable
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any

from cnnlab.config.augmentation import AugmentationSettings
from cnnlab.config.choices import one_of
from cnnlab.config.data import DataSettings
from cnnlab.config.errors import InputError
from cnnlab.config.evaluation import EvaluationSettings
from cnnlab.config.model import ModelSettings
from cnnlab.config.report import ReportSettings
from cnnlab.config.section import Section, checked, converted, setting
from cnnlab.config.seeds import LARGEST, parsed_seeds
from cnnlab.config.training import TrainingSettings

VERSION = 2  # of the stored settings; 1 had no sections and no version

# What a setting was called in earlier versions, and what a value was.
RENAMED = {"data": "source", "model": "architecture"}
RENAMED_VALUES = {("architecture", "baseline"): "reference_cnn"}
# What earlier versions did where a setting that came later has another default.
BEFORE = {"shapes_wrong_labels": 0.0}

# What may change once a run exists: nothing that decides the model, its answers or the images.
CHANGEABLE = ("evaluation", "report")


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run's result, and nothing else.

    The defaults of the sections are the reference protocol.
    """

    profile: str = setting(
        "full",
        "the starting point of all values",
        choices=("quick", "transfer", "full", "smoke"),
    )
    seed: int = setting(0, "root of everything random", low=0, high=LARGEST)
    data: DataSettings = field(default_factory=DataSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    report: ReportSettings = field(default_factory=ReportSettings)

    def __post_init__(self) -> None:
        for name in ("profile", "seed"):
            checked(FIELDS[name][1], getattr(self, name))
        self.training.check_epochs("fold_epochs", self.evaluation.fold_epochs)
        self.training.check_size(self.data.image_size)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The root seeds of all trainings: first that of the model that ships, then the others."""
        return tuple(dict.fromkeys((self.seed, *parsed_seeds(self.evaluation.more_seeds))))

    def replace(self, **values: Any) -> "Settings":
        """Return the settings with some changed, whichever section they stand in.

        Raises:
            InputError: A value of the wrong type or range.

        Example:
            >>> Settings().replace(epochs=3, image_size=64).training.epochs
            3
        """
        changed = {name: value for name, value in values.items() if not FIELDS[name][0]}
        for section in SECTIONS:
            own = {name: value for name, value in values.items() if FIELDS[name][0] == section}
            if own:
                changed[section] = replace(getattr(self, section), **own)
        return replace(self, **changed)


SECTIONS: dict[str, type[Section]] = {
    "data": DataSettings,
    "augmentation": AugmentationSettings,
    "model": ModelSettings,
    "training": TrainingSettings,
    "evaluation": EvaluationSettings,
    "report": ReportSettings,
}

# Setting → (its section, "" for the seed and the profile; its field), in the order of the sections.
FIELDS: dict[str, tuple[str, Field]] = {
    each.name: ("", each) for each in fields(Settings) if each.name not in SECTIONS
} | {
    each.name: (name, each)
    for name, section in SECTIONS.items()
    for each in fields(section)  # type: ignore[arg-type]
}


def may_change(name: str) -> bool:
    """Whether a setting may still change when its run exists."""
    return FIELDS[name][0] in CHANGEABLE


def value_of(settings: Settings, name: str) -> Any:
    """Return one setting by its name, whichever section it stands in."""
    section = FIELDS[name][0]
    return getattr(getattr(settings, section) if section else settings, name)


def parsed(overrides: Iterable[str]) -> dict[str, Any]:
    """Return setting → value of ``key=value`` texts, each value in the setting's type.

    Raises:
        InputError: An unknown key, or a value of the wrong type.

    Example:
        >>> parsed(["epochs=3", "flip=false"])
        {'epochs': 3, 'flip': False}
    """
    values = {}
    known = [name for name in FIELDS if name != "profile"]
    for text in overrides:
        key, equals, value = text.partition("=")
        [(name, value)] = renamed({key: value}).items()
        if not equals or name not in known:
            raise InputError(
                f"Cannot set {text!r}: expected key=value, such as epochs=3, with a key that is "
                f"{one_of(key, known, 'cnnlab settings').removeprefix('expected ')}"
            )
        values[name] = converted(FIELDS[name][1], value)
    return values


def to_dict(settings: Settings) -> dict[str, Any]:
    """Return the settings as a flat JSON-ready dict; ``from_dict`` gives them back unchanged."""
    return {"version": VERSION} | {name: value_of(settings, name) for name in FIELDS}


def renamed(values: dict[str, Any]) -> dict[str, Any]:
    """Return settings of any version under today's names, with today's names of values."""
    named = {RENAMED.get(key, key): value for key, value in values.items()}
    return {
        name: RENAMED_VALUES.get((name, value), value) if isinstance(value, str) else value
        for name, value in named.items()
    }


def upgraded(values: dict[str, Any]) -> dict[str, Any]:
    """Return stored settings of any version under today's names, with what that version did.

    A setting that is missing now has its default: what earlier versions did without it.
    """
    before = BEFORE if values.get("version", 1) == 1 else {}
    return before | renamed({key: value for key, value in values.items() if key != "version"})


def from_dict(values: dict[str, Any]) -> Settings:
    """Return the settings written by ``to_dict``, of this version or an earlier one.

    Raises:
        InputError: A later version wrote them, a key is unknown, or a value is out of range.
    """
    version = values.get("version", 1)
    found = upgraded(values)
    unknown = sorted(set(found) - set(FIELDS))
    if version not in range(1, VERSION + 1) or unknown:
        odd = f": {', '.join(unknown)}" if unknown else f" (settings version {version!r})"
        raise InputError(f"These settings were written by another version of cnnlab{odd}.")
    return Settings().replace(**found)
