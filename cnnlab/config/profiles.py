"""Profiles: starting points, each with its command, cost and expected result."""

from collections.abc import Iterable
from typing import Any

from cnnlab.config.choices import one_of
from cnnlab.config.errors import InputError
from cnnlab.config.settings import Settings, parsed, to_dict

PROFILES: dict[str, Settings] = {
    # make run                  two cores: under ten minutes with the install; test accuracy 0.917
    #                           ± 0.018 over three trainings: they end before they have converged
    "quick": Settings(profile="quick").replace(
        image_size=40,
        batch_size=16,  # few images: twice the steps an epoch for the same arithmetic
        epochs=14,
        fold_epochs=10,
        bootstrap_samples=1000,
        shapes_train=240,
        shapes_test=80,
    ),
    # make run DATA=folder PROFILE=transfer     your own images, on features of a network that
    #                           ImageNet trained: 3,068 photographs in ten minutes on two cores;
    #                           accuracy about 0.86 where the reference network reaches 0.74
    "transfer": Settings(profile="transfer").replace(
        architecture="efficientnet_lite0",
        weights="pretrained",
        stages="probe",
        image_size=288,  # finer than it was trained on (224), which pays: cnnlab backbones
        l2=0.0,  # of the layers; the head's penalty is chosen by cross-validation
        bootstrap_samples=1000,
        explanations="brief",  # a pass costs a thousand times one of quick
        explained_images=12,
        strangers=100,
        shapes_train=100,
        shapes_test=40,
    ),
    # make run PROFILE=full     the reference protocol; many hours on two cores
    "full": Settings(),
    # the tests                 one or two steps of everything, to prove that it runs
    "smoke": Settings(profile="smoke").replace(
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
        overrides: Texts such as ``"epochs=3"``; each value is converted to the setting's type.
        **fixed: Further settings, already of the right type (``source="shapes"``).

    Raises:
        InputError: An unknown profile or key, or a value of the wrong type or range.

    Example:
        >>> make_settings("quick", ["epochs=3", "seed=7"]).training.epochs
        3
    """
    if profile not in PROFILES:
        raise InputError(f"Unknown profile {profile!r}: {one_of(profile, PROFILES)}")
    return PROFILES[profile].replace(**fixed | parsed(overrides))


def changes(settings: Settings) -> dict[str, Any]:
    """Return the settings that differ from their profile's; ``source`` is not one of a profile's.

    Example:
        >>> changes(make_settings("quick", ["epochs=3"]))
        {'epochs': 3}
    """
    usual, found = to_dict(PROFILES[settings.profile]), to_dict(settings)
    return {key: found[key] for key in found if key != "source" and found[key] != usual[key]}
