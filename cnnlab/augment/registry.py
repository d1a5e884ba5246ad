"""Every op by its name, and what the settings ask of them."""

from dataclasses import fields

from cnnlab.augment import affine, colour, erasing
from cnnlab.augment.op import Op
from cnnlab.config import InputError
from cnnlab.config.augmentation import AugmentationSettings, further
from cnnlab.config.choices import did_you_mean

# In the order in which they act; those on the levels act after all that move pixels.
OPS: dict[str, Op] = {
    op.name: op
    for op in (
        *(affine.flip, affine.rotation, affine.zoom, affine.shear, affine.translation),
        *(colour.brightness, colour.contrast, colour.saturation),
        erasing.erasing,
    )
}


def strengths(settings: AugmentationSettings) -> dict[str, float]:
    """Return op → strength of all that the settings name, in the order in which they act.

    Raises:
        InputError: ``more_augmentation`` names an op that does not exist, or a strength out of
            its range.

    Example:
        >>> list(strengths(AugmentationSettings(more_augmentation="shear=0.1")))
        ['flip', 'rotation', 'zoom', 'shear', 'brightness']
    """
    own = {each.name: float(getattr(settings, each.name)) for each in fields(settings)
           if each.name in OPS}  # fmt: skip
    more = further(settings.more_augmentation)
    known = {name: op for name, op in OPS.items() if name not in own}
    for name, value in more.items():
        if name not in known:
            listed = ", ".join(f"{op.name} (0 to {op.high:g})" for op in known.values())
            raise InputError(
                f"Unknown op {name!r} in more_augmentation: expected name=strength, name one of "
                f"{listed}.{did_you_mean(name, known)}"
            )
        if not 0 <= value <= known[name].high:
            raise InputError(
                f"{name}={value:g} in more_augmentation is out of range: expected 0 to "
                f"{known[name].high:g} ({known[name].meaning})."
            )
    asked = own | more
    return {name: asked[name] for name in OPS if name in asked}


def described(settings: AugmentationSettings) -> str:
    """Return the ops and their strengths in words: "flip off, rotation ±20°, zoom ±20%, …"."""
    return ", ".join(OPS[name].described(value) for name, value in strengths(settings).items())
