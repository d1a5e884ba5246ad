"""Settings: profiles, overrides, ranges, the JSON round trip, child seeds."""

import json
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from cnnlab import config
from cnnlab.config import InputError, Settings, child_seed, make_settings


def test_full_is_the_reference_protocol() -> None:
    full = make_settings("full")
    assert (full.image_size, full.batch_size, full.epochs, full.patience) == (224, 32, 50, 10)
    assert (full.learning_rate, full.dropout, full.folds) == (0.001, 0.5, 5)
    assert (full.rotation, full.flip, full.zoom, full.validation_fraction) == (20, True, 0.2, 0.2)
    assert full == Settings()


@pytest.mark.parametrize("name", config.PROFILES)
def test_profiles_know_their_name_and_share_network_and_augmentation(name: str) -> None:
    settings, full = make_settings(name), make_settings("full")
    assert settings.profile == name
    shared = ("model", "l2", "dropout", "rotation", "flip", "zoom", "brightness", "learning_rate",
              "class_weight")  # fmt: skip
    for field in shared:
        assert getattr(settings, field) == getattr(full, field)


def test_overrides_take_the_type_of_the_field() -> None:
    settings = make_settings(
        "quick",
        ["epochs=3", "learning_rate=0.01", "flip=False", "data=a=b", "zoom=0",
         "class_weight=balanced"],
        seed=9,
    )  # fmt: skip
    assert (settings.epochs, settings.learning_rate, settings.flip) == (3, 0.01, False)
    assert (settings.data, settings.zoom, settings.seed) == ("a=b", 0.0, 9)
    assert settings.class_weight == "balanced"
    assert type(settings.epochs) is int
    assert type(settings.zoom) is float
    assert settings.image_size == make_settings("quick").image_size


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("epoch=3", "'epoch=3'.*epochs"),  # the answer lists the known keys
        ("epochs", "expected key=value"),
        ("=3", "expected key=value"),
        ("profile=full", "expected key=value, key in"),
        ("epochs=three", "epochs='three': expected int"),
        ("epochs=2.5", "epochs='2.5': expected int"),
        ("zoom=much", "zoom='much': expected float"),
        ("flip=1", "flip='1': expected true or false"),
        ("epochs=0", "epochs=0 is out of range: expected 1 to"),
        ("image_size=8", "image_size=8 is out of range: expected 16 to"),
        ("zoom=nan", "zoom=nan is out of range"),
        ("learning_rate=0", "learning_rate=0.0 is out of range"),
        ("seed=-1", "seed=-1 is out of range"),
        ("class_weight=auto", "class_weight 'auto': expected one of none, balanced"),
    ],
)
def test_bad_overrides_are_one_clear_line(override: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        make_settings("quick", [override])
    assert "\n" not in str(caught.value)


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(InputError, match="'fast': expected one of quick, full, smoke"):
        make_settings("fast")


def test_every_number_has_a_range() -> None:
    numbers = {field.name for field in fields(Settings) if field.type in (int, float)}
    assert numbers == {name for name, _, _ in config._RANGES}


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().epochs = 1  # type: ignore[misc]


def test_json_round_trip_is_exact() -> None:
    settings = make_settings("quick", ["learning_rate=0.1", "data=photographs/мои"])
    text = json.dumps(config.to_dict(settings))
    assert config.from_dict(json.loads(text)) == settings


def test_settings_of_another_version_are_refused() -> None:
    values = config.to_dict(Settings())
    for changed in (values | {"warmup": 3}, {k: v for k, v in values.items() if k != "l2"}):
        with pytest.raises(InputError, match=r"another version of cnnlab: (warmup|l2)\."):
            config.from_dict(changed)


def test_child_seeds_are_distinct_and_fit_31_bits() -> None:
    seeds = [child_seed(root, f"fold/{k}") for root in range(20) for k in range(50)]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert max(seeds) > 2**30 > min(seeds)


def test_child_seed_is_the_first_31_bits_of_sha256() -> None:
    # printf '0/split' | sha256sum → 68a30a9f…
    assert child_seed(0, "split") == 0x68A30A9F >> 1


def test_home_is_the_checkout_or_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CNNLAB_HOME", raising=False)
    assert (config.home() / "cnnlab" / "config.py").is_file()
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "not-made"))
    assert config.home() == tmp_path / "not-made"
    assert not config.home().exists()  # asking makes nothing


def test_changes_are_what_differs_from_the_profile() -> None:
    assert config.changes(make_settings("smoke", ["epochs=3", "data=photos"])) == {"epochs": 3}
    assert config.changes(make_settings("full")) == {}
