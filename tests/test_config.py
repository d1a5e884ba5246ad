"""Settings: sections, profiles, overrides, ranges, the JSON round trip, child seeds."""

import json
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from cnnlab import config
from cnnlab.config import InputError, Settings, child_seed, make_settings, overrides, value_of
from cnnlab.config.choices import one_of
from cnnlab.config.settings import FIELDS, SECTIONS

# The settings of a run made before there were sections (run.json of version 0.1.0).
OF_VERSION_1 = {
    "profile": "quick", "data": "shapes", "seed": 3, "image_size": 48, "validation_fraction": 0.2,
    "test_fraction": 0.2, "rotation": 20.0, "flip": True, "zoom": 0.2, "brightness": 0.2,
    "model": "baseline", "l2": 0.0001, "dropout": 0.5, "batch_size": 16, "epochs": 14,
    "patience": 10, "learning_rate": 0.001, "class_weight": "none", "folds": 5, "fold_epochs": 10,
    "bootstrap_samples": 1000, "shapes_train": 240, "shapes_test": 80,
}  # fmt: skip


def test_full_is_the_reference_protocol() -> None:
    full = make_settings("full")
    assert (full.data.image_size, full.data.validation_fraction) == (224, 0.2)
    assert (full.training.batch_size, full.training.epochs, full.training.patience) == (32, 50, 10)
    assert (full.training.learning_rate, full.model.dropout, full.evaluation.folds) == (
        1e-3,
        0.5,
        5,
    )
    assert (full.augmentation.rotation, full.augmentation.flip, full.augmentation.zoom) == (
        20,
        1,
        0.2,
    )
    assert full == Settings()


@pytest.mark.parametrize("name", config.PROFILES)
def test_profiles_know_their_name_and_share_network_and_augmentation(name: str) -> None:
    settings, full = make_settings(name), make_settings("full")
    assert settings.profile == name
    assert settings.augmentation == full.augmentation
    assert settings.model == full.model or name == "transfer"
    for setting in ("learning_rate", "class_weight"):
        assert value_of(settings, setting) == value_of(full, setting)


def test_overrides_take_the_type_of_the_field() -> None:
    settings = make_settings(
        "quick",
        ["epochs=3", "learning_rate=0.01", "flip=False", "source=a=b", "zoom=0",
         "class_weight=balanced"],
        seed=9,
    )  # fmt: skip
    assert (settings.training.epochs, settings.training.learning_rate) == (3, 0.01)
    assert (settings.data.source, settings.augmentation.zoom, settings.seed) == ("a=b", 0.0, 9)
    assert (settings.training.class_weight, settings.augmentation.flip) == ("balanced", False)
    assert type(settings.training.epochs) is int
    assert type(settings.augmentation.zoom) is float
    assert settings.data.image_size == make_settings("quick").data.image_size


@pytest.mark.parametrize(
    ("override", "says"),
    [
        (
            "epoch=3",
            r"'epoch=3'.* \(\d+ in all: cnnlab settings\)\. Did you mean epochs?",
        ),
        ("epochs", "expected key=value"),
        ("=3", "expected key=value"),
        ("profile=full", "expected key=value, such as epochs=3"),
        ("epochs=three", "epochs='three': expected a whole number"),
        ("epochs=2.5", "epochs='2.5': expected a whole number"),
        ("zoom=much", "zoom='much': expected a number"),
        ("flip=1", "flip='1': expected true or false"),
        ("epochs=0", "epochs=0 is out of range: expected 1 to"),
        ("image_size=8", "image_size=8 is out of range: expected 16 to"),
        ("zoom=nan", "zoom=nan is out of range"),
        ("learning_rate=0", "learning_rate=0.0 is out of range"),
        ("seed=-1", "seed=-1 is out of range"),
        (
            "class_weight=balance",
            "'balance': expected one of none, balanced. Did you mean balanced?",
        ),
        ("optimizer=adamW", "expected one of adam, adamw, sgd, nesterov. Did you mean adamw?"),
        ("EPOCHS=3", "Did you mean epochs?"),
        ("version=3", "'version=3': expected key=value, such as epochs=3"),
        ("architecture=vgg", "Unknown architecture 'vgg': expected one of reference_cnn"),
    ],
)
def test_bad_overrides_are_one_clear_line(override: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        make_settings("quick", [override])
    assert "\n" not in str(caught.value)


def test_a_value_of_another_type_is_refused() -> None:
    for odd in ({"epochs": "3"}, {"epochs": True}, {"flip": 1}, {"source": None}, {"zoom": "0.2"}):
        with pytest.raises(InputError, match=r"Cannot set \w+=.*: expected"):
            Settings().replace(**odd)


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(InputError, match="'fast': expected one of quick, transfer, full, smoke"):
        make_settings("fast")


def test_every_setting_has_one_name_a_meaning_and_every_number_a_range() -> None:
    names = [each.name for section in SECTIONS.values() for each in fields(section)]
    assert len(set(names)) == len(names) == len(FIELDS) - 2  # profile and seed stand on top
    assert not set(names) & {*SECTIONS, "version"}
    for name in (*names, "seed", "profile"):
        field = FIELDS[name][1]
        low, high = field.metadata["low"], field.metadata["high"]
        assert field.metadata["meaning"]
        assert (low is not None and low <= field.default <= high) == (field.type in (int, float))


def test_the_profiles_are_the_choices_of_the_field() -> None:
    assert set(FIELDS["profile"][1].metadata["choices"]) == set(config.PROFILES)
    with pytest.raises(InputError, match="Unknown profile 'fast'"):
        config.from_dict(config.to_dict(Settings()) | {"profile": "fast"})


def test_what_decides_the_model_or_its_images_may_not_change() -> None:
    free = {name for name in FIELDS if config.may_change(name)}
    assert free == {
        "folds", "fold_epochs", "bootstrap_samples", "strangers", "explained_images",
        "explanations", "figure_dpi", "example_images", "more_seeds",
    }  # fmt: skip


def test_the_first_seed_is_the_runs_own_and_the_others_follow() -> None:
    assert Settings().seeds == (0,)
    found = make_settings("quick", ["seed=7", "more_seeds=2,7,0"])
    assert found.seeds == (7, 2, 0)  # its own is no further one
    assert Settings().replace(more_seeds=" 1, 02").evaluation.more_seeds == "1,2"
    assert config.parsed_seeds("") == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a", "Cannot read the seeds 'a': expected different whole numbers from 0"),
        ("1,,2", "Cannot read"),
        ("-1", "Cannot read"),
        ("1.5", "Cannot read"),
        ("²", "Cannot read"),
        ("2147483648", "Cannot read"),
        ("9" * 5000, "Cannot read"),
        ("1,2,1", "'1,2,1' name 1 twice"),
    ],
)
def test_bad_seeds_are_one_clear_line(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make_settings("quick", [f"more_seeds={text}"])


def test_an_input_error_is_one_line_in_a_notebook() -> None:
    with pytest.raises(InputError) as caught:
        make_settings("fast")
    (line,) = caught.value._render_traceback_()
    assert line == f"InputError: {caught.value}"


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().training.epochs = 1  # type: ignore[misc]


def test_json_round_trip_is_exact() -> None:
    settings = make_settings("quick", ["learning_rate=0.1", "source=photographs/мои"])
    text = json.dumps(config.to_dict(settings))
    assert config.from_dict(json.loads(text)) == settings


def test_settings_without_sections_are_read_by_their_old_names() -> None:
    then = {"image_size": 48, "shapes_wrong_labels": 0.0}  # it knew of no wrong labels
    today = make_settings("quick", seed=3, **then)
    assert config.from_dict(OF_VERSION_1) == today


def test_old_names_can_still_be_set() -> None:
    asked = make_settings("quick", ["data=photos", "model=baseline"])
    assert asked == make_settings("quick", source="photos", architecture="reference_cnn")


def test_a_setting_added_later_has_its_default() -> None:
    values = config.to_dict(make_settings("smoke"))
    del values["l2"]
    assert config.from_dict(values) == make_settings("smoke")


@pytest.mark.parametrize("odd", [{"warmup": 3}, {"version": 99}, {"version": "2"}])
def test_settings_of_a_later_version_are_refused(odd: dict) -> None:
    with pytest.raises(InputError, match=r"another version of cnnlab.*(warmup|99|'2')"):
        config.from_dict(config.to_dict(Settings()) | odd)


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
    assert (config.home() / "cnnlab" / "config").is_dir()
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "not-made"))
    assert config.home() == tmp_path / "not-made"
    assert not config.home().exists()  # asking makes nothing


def test_changes_are_what_differs_from_the_profile() -> None:
    assert config.changes(make_settings("smoke", ["epochs=3", "source=photos"])) == {"epochs": 3}
    assert config.changes(make_settings("full")) == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("  epochs=3\tseed=1\n", ("epochs=3", "seed=1")),
        ("weights='a b.h5' epochs=3", ("weights=a b.h5", "epochs=3")),
        ("'weights=a b.h5'", ("weights=a b.h5",)),
        ('weights="Anna\'s, new.h5"', ("weights=Anna's, new.h5",)),
        ("weights=Anna's.h5 seed=1", ("weights=Anna's.h5", "seed=1")),
        (r"group_by=([^/\\]+)_\d weights=$x", (r"group_by=([^/\\]+)_\d", "weights=$x")),
        ("source='' seed=1", ("source=", "seed=1")),
        ("source='a'b c", ("source='a'b", "c")),
    ],
)
def test_settings_in_one_text_are_taken_apart(text: str, found: tuple[str, ...]) -> None:
    assert overrides.split(text) == found
    assert overrides.split(overrides.joined(found)) == found


def test_many_names_are_not_all_listed() -> None:
    known = [f"net{number:02}" for number in range(40)]
    said = one_of("net_7", known, "cnnlab settings")
    assert said.startswith("expected one of net00, net01, ")
    assert "net11, … (40 in all: cnnlab settings). Did you mean net" in said
    assert one_of("x", ["Cat", "dog"]) == "expected one of Cat, dog."
    assert one_of("CAT", ["Cat", "dog"]).endswith(" Did you mean Cat?")


@pytest.mark.parametrize("odd", ["file", "file/inside", "no/where", "  ", "x" * 300, "file\n"])
def test_a_home_that_is_no_folder_is_refused(
    odd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "file\n").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CNNLAB_HOME", odd)
    with pytest.raises(InputError, match=r"^CNNLAB_HOME='.*' is no folder: expected one that"):
        config.home()


def test_a_home_may_be_new_or_begin_with_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CNNLAB_HOME", "~/it's $new")
    assert config.home() == tmp_path / "it's $new"
