import json
import shlex

import pytest

TINY = "network_options=width=4,blocks=1-1"
ARGUMENTS = ("--backbones", "resnet=random", "--set", TINY, "--set", "folds=2")


@pytest.fixture
def photos(make_photos):
    return make_photos(8)


@pytest.mark.slow
def test_the_table_its_reading_and_the_command(call, photos, monkeypatch):
    monkeypatch.setattr("os.getloadavg", lambda: (0.5, 0.5, 0.5))
    result = call("backbones", photos, *ARGUMENTS, "--sizes", "20,16")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["network", "pixels", "accuracy"]
    assert [line.split()[:3] for line in lines[1:3]] == [
        ["resnet", "(random)", "16"],
        ["resnet", "(random)", "20"],
    ]
    assert max(map(len, lines[:-1])) <= 100
    assert "has the highest accuracy" in result.stdout
    assert "in 2 folds; the test set was not" in " ".join(result.stdout.split())
    make, run, *words = shlex.split(lines[-1])
    assert (make, run) == ("make", "run")
    assert words[:2] == [f"DATA={photos}", "PROFILE=transfer"]
    assert words[2].startswith("SET=architecture=resnet image_size=")
    assert words[2].endswith(f"weights=random {TINY} folds=2")
    assert "resnet at 20 pixels: 2 of 2" in result.stderr
    assert "ms are too high" not in result.stdout


@pytest.mark.slow
def test_a_busy_machine_is_told(call, photos, monkeypatch):
    monkeypatch.setattr("os.getloadavg", lambda: (1000.0, 0.5, 0.5))
    result = call("backbones", photos, *ARGUMENTS, "--sizes", "16")
    assert "had other work to do (load 1000.0): ms are too high" in " ".join(result.stdout.split())


@pytest.mark.slow
def test_json_is_one_object(call, photos):
    result = call("backbones", photos, *ARGUMENTS, "--sizes", "16", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["source"], told["classes"], told["folds"]) == (str(photos), 2, 2)
    assert told["machine"]["cores"] >= 1
    (row,) = told["rows"]
    assert (row["architecture"], row["image_size"], row["standing"]) == ("resnet", 16, "best")
    assert row["p"] is None
    assert told["command"].startswith("make run DATA=")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--sizes", "96;128"], "--sizes='96;128': expected whole numbers"),
        (["--sizes", "8", "--backbones", "resnet=random"], "image_size"),
        (["--set", "architecture=resnet"], "Cannot set architecture here"),
        (["--backbones", "resnt"], "There is no network 'resnt'"),
        (["--backbones", "resnet=nowhere.h5"], "no weights file"),
    ],
)
def test_bad_arguments_are_told_in_one_line(refused, photos, arguments, says):
    refused(["backbones", photos, *arguments], says)


def test_a_missing_folder_is_told_in_one_line(refused):
    refused(["backbones", "nowhere", "--backbones", "resnet=random"], "no data folder 'nowhere'")
