import json
import subprocess
import sys

import pytest

from cnnlab.config import PROFILES, to_dict
from cnnlab.config.settings import FIELDS
from cnnlab.runs import open_run


@pytest.fixture
def columns(monkeypatch):
    return lambda count: monkeypatch.setenv("COLUMNS", str(count))


@pytest.mark.parametrize("count", [40, 60, 87, 88, 100, 200])
def test_every_setting_is_there_and_no_line_is_too_long(call, columns, count):
    columns(count)
    result = call("settings")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    named = [line.split()[0] for line in lines if line[:2] == "  " and line[2:3].strip()]
    assert named == [name for name in FIELDS if name != "profile"]
    if count >= 60:  # the values themselves have no room below
        assert max(map(len, lines)) <= count


def test_values_stand_below_their_profile_and_a_dot_for_the_default(call, columns):
    columns(100)
    lines = call("settings").stdout.splitlines()
    assert lines[0].split() == ["full", "quick", "transfer", "smoke"]
    rows = {line.split()[0]: line for line in lines[1:] if line.strip()}
    assert rows["epochs"].split()[1:6] == ["50", "14", "·", "2", "1–10000"]
    assert rows["batch_size"].split()[1:5] == ["32", "16", "·", "·"]
    ends = [lines[0].index(name) + len(name) for name in lines[0].split()]
    assert [rows["epochs"][:end].split()[-1] for end in ends] == ["50", "14", "·", "2"]
    assert "may change" in rows["evaluation"]
    assert "may change" not in rows["training"]


def test_json_has_all_there_is_to_know(call):
    rows = {row["name"]: row for row in json.loads(call("settings", "--json").stdout)["settings"]}
    for profile, settings in PROFILES.items():
        values = {name: row["values"][profile] for name, row in rows.items()}
        usual = to_dict(settings)
        assert values == {name: usual[name] for name in values}
    folds = rows["folds"]
    assert (folds["section"], folds["default"], folds["low"], folds["high"]) == (
        "evaluation", 5, 2, 20,
    )  # fmt: skip
    assert folds["may_change"]
    assert not rows["epochs"]["may_change"]
    assert rows["class_weight"]["choices"] == ["none", "balanced"]


def test_a_run_is_shown_beside_its_profile(call, columns, tmp_path):
    columns(100)
    photos = tmp_path / "a-folder-whose-name-is-longer-than-any-column"
    photos.mkdir()
    open_run("mine", profile="smoke", data=str(photos), overrides="epochs=3")
    open_run("mine", overrides="bootstrap_samples=99")
    result = call("settings", "mine")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "Run mine, made with profile smoke"
    rows = {line.split()[0]: line.split() for line in lines[1:] if line.strip()}
    assert rows["epochs"][1:3] == ["*3", "2"]
    assert rows["bootstrap_samples"][1:3] == ["*99", "50"]
    assert rows["folds"][1:3] == ["2", "·"]
    assert {f"      run: {photos}", "      smoke: shapes"} <= set(lines)
    assert lines[-1].endswith("bootstrap_samples: 50 → 99")
    found = json.loads(call("settings", "mine", "--json").stdout)
    assert [row["name"] for row in found["settings"] if row["differs"]] == [
        "epochs", "bootstrap_samples",
    ]  # fmt: skip
    assert found["changes"][0]["new"] == 99


def test_the_networks_are_listed_with_their_options(call, columns):
    from cnnlab import models

    columns(60)
    result = call("settings", "--networks")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    names = [line.split()[0] for line in lines if line and line.split()[0] in models.ARCHITECTURES]
    assert names == [*models.ARCHITECTURES]
    assert "    dense_units=512" in lines
    assert max(map(len, lines[:-1])) <= 60
    found = json.loads(call("settings", "--networks", "--json").stdout)["networks"]
    assert [each["name"] for each in found] == [*models.ARCHITECTURES]
    [units] = [each for each in found[0]["options"] if each["name"] == "dense_units"]
    assert (units["default"], units["low"], units["high"]) == (512, 0, 4096)
    assert "    weights=pretrained: ImageNet-1k (ILSVRC 2012), 1,000" in lines
    weights = {each["name"]: each["pretrained"] for each in found}
    assert weights["reference_cnn"] is None
    assert weights["efficientnet_lite0"]["smallest"] == 32


def test_an_unknown_run_is_one_line(refused):
    refused(["settings", "nowhere"], "no run 'nowhere'")


def test_nothing_of_weight_is_loaded():
    code = (
        "import sys; from cnnlab.__main__ import main; main(['settings'], standalone_mode=False); "
        "print([name for name in ('tensorflow', 'pandas', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
