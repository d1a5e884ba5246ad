import json
import shlex
import sys

import numpy as np
import pytest
from PIL import Image

from cnnlab.commands import audit
from cnnlab.config import make_settings
from cnnlab.data.audit import group_advice
from cnnlab.data.sources import selection
from cnnlab.images import foreign


def test_audit_counts_and_lists(call, photos):
    (photos / "cat" / "copy.png").write_bytes((photos / "cat" / "0.png").read_bytes())
    (photos / "dog" / "page.jpg").write_text("<!doctype html>")
    result = call("audit", photos)
    assert result.exit_code == 0, result.output
    words = [line.split() for line in result.stdout.splitlines()]
    assert ["accepted", "7"] in words
    assert ["quarantined", "1"] in words
    assert ["found", "8"] in words
    assert ["exact_duplicate", "1"] in words
    assert words[words.index(["exact_duplicate", "other", "detail"]) + 1] == [
        "cat/copy.png",
        "cat/0.png",
    ]
    assert ["dog/page.jpg", "unknown_format"] in words
    assert ["96", "×", "96", "100%", "100%", "100%"] in words
    assert "Nearly all images are about square" in result.stdout
    assert "warning" not in result.output


def test_audit_says_in_one_line_why_nothing_can_be_used(call, photos, monkeypatch):
    monkeypatch.setattr(foreign, "heic_reader", lambda: "")
    for photo in photos.rglob("*.png"):
        photo.write_bytes(b"\0\0\0\x18ftypmif1\0\0\0\0miafheic" + bytes(99))
    result = call("audit", photos)
    warnings = [line for line in result.stdout.splitlines() if line.startswith("warning")]
    assert warnings == [
        "warning: No image of 6 files can be used: 6 are HEIC, as iPhones write it. Convert HEIC "
        "to JPEG, or run: pip install pi-heif (decoders under the LGPL)."
    ]


def test_audit_warns_of_photos_that_nothing_here_reads_among_others(call, photos, monkeypatch):
    monkeypatch.setattr(foreign, "heic_reader", lambda: "")
    next(photos.rglob("*.png")).write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99))
    warnings = [line for line in call("audit", photos).stdout.splitlines() if "warning" in line]
    assert warnings == [
        "warning: 1 file is HEIC, as iPhones write it, and left out: convert HEIC to JPEG, or run: "
        "pip install pi-heif (decoders under the LGPL)"
    ]


def test_an_audit_of_blank_pictures_does_not_send_to_the_audit(call, photos):
    for photo in photos.rglob("*.*"):
        Image.new("RGB", (40, 40), "white").save(photo, "PNG")
    said = call("audit", photos).stdout
    assert "can be used: " in said
    assert "cnnlab audit" not in said


def test_audit_lists_twenty_of_a_kind_and_json_lists_all(call, photos):
    for number in range(23):
        (photos / "dog" / f"{number:02}.jpg").write_text("<!doctype html>")
    listed = call("audit", photos).stdout.splitlines()
    assert sum(line.endswith("unknown_format") for line in listed) == 20
    assert "… and 3 more (--json lists all)" in listed
    (photos / "dog" / "22.jpg").unlink()
    (photos / "dog" / "21.jpg").unlink()
    assert "… and 1 more (--json lists all)" in call("audit", photos).stdout
    (photos / "dog" / "20.jpg").unlink()
    assert "--json" not in call("audit", photos).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="names of Linux")
def test_a_hostile_name_cannot_draw_on_the_terminal(call, photos):
    (photos / "dog" / "two\nlines\x1b[31m ü.jpg").write_text("<!doctype html>")
    assert "dog/two\\nlines\\x1b[31m ü.jpg" in call("audit", photos).stdout


def test_audit_of_a_table_counts_its_groups(call, refused, photos):
    rows = [f"cat/{i}.png;cat;p{i // 2};9" for i in range(3)]
    rows += [f"dog/{i}.png;dog;p{i // 2};9" for i in range(3)]
    (photos / "labels.csv").write_text("\n".join(["path;label;patient;age", *rows]))
    result = call("audit", photos / "labels.csv")
    assert result.exit_code == 0, result.output
    words = [line.split() for line in result.stdout.splitlines()]
    assert ["groups", "2"] in words
    assert ["largest", "4"] in words
    assert "note: labels.csv: not used: column 'age'" in result.stdout
    told = json.loads(call("audit", photos / "labels.csv", "--json").stdout)
    assert told["source"] == "photos/labels.csv"
    assert told["groups"]["groups"] == 2
    assert told["notes"] == ["labels.csv: not used: column 'age'"]
    assert told["files"]["skipped"] == told["files"]["found"] - 6
    (photos / "labels.csv").write_text("path,label\ncat/0.png,cat\ncat/9.png,dog\n")
    refused(["audit", photos / "labels.csv"], "labels.csv, row 3: there is no file 'cat/9.png'")


def test_audit_takes_a_pattern_for_groups(call, refused, photos):
    told = json.loads(call("audit", photos, "--json", "--set", r"group_by=/(\d)\.png").stdout)
    assert told["groups"]["groups"] == told["groups"]["images"] / 2
    refused(["audit", photos, "--set", "group_by=["], "no regular expression")


@pytest.mark.slow
def test_audit_suspects_groups_that_are_declared_or_dismissed(call, refused, patients, tmp_path):
    said = call("audit", patients).stdout
    assert "warning: 24 images look like 4 groups, by the names of their files" in said
    cure = r"--set 'group_by=(patient\d+)'"
    assert f"declare them by {cure}; if not, dismiss them by --set group_by=none" in said
    told = json.loads(call("audit", patients, "--json").stdout)
    assert [row["groups"] for row in told["suspected_groups"]] == [4]
    assert foretold(patients) == told["warnings"]
    assert foretold(patients, "group_by=none") == foretold(patients, cure.split("'")[1]) == []
    declared = shlex.split(cure)
    told = json.loads(call("audit", patients, "--json", *declared).stdout)
    assert (told["groups"]["groups"], told["groups"]["images"]) == (4, 24)
    assert (told["suspected_groups"], told["warnings"]) == ([], [])
    told = json.loads(call("audit", patients, "--json", "--set", "group_by=none").stdout)
    assert (told["suspected_groups"], told["warnings"]) == ([], [])
    assert "groups" not in told
    refused(["audit", patients, "--groups", "looks", "x.csv"], "expected names")
    table = patients / "groups.csv"
    assert call("audit", patients, "--groups", "names", table).output.endswith(
        "groups.csv: 24 images in 4 groups.\n"
    )
    told = json.loads(call("audit", patients, "--json").stdout)
    assert told["groups"]["groups"] == 4


def foretold(folder, *overrides):
    """What `cnnlab run` says before it begins."""
    settings = make_settings("quick", overrides, source=str(folder))
    return group_advice.foretold(selection.resolve(settings), settings)


@pytest.fixture
def patients(tmp_path):
    """Four patients with three frames in each of two classes."""
    rng = np.random.default_rng(0)
    for label in ("ill", "well"):
        (tmp_path / "scans" / label).mkdir(parents=True)
        for n in range(12):
            noise = rng.integers(0, 256, (8, 8, 3), np.uint8)
            picture = Image.fromarray(noise).resize((32, 32), Image.Resampling.NEAREST)
            picture.save(tmp_path / "scans" / label / f"patient{n // 3:02}_{n % 3:03}.png")
    return tmp_path / "scans"


def test_audit_as_json_is_one_object(call, photos):
    (photos / "cat" / "copy.png").write_bytes((photos / "cat" / "0.png").read_bytes())
    for number in range(23):
        (photos / "dog" / f"ü{number:02}.jpg").write_text("<!doctype html>")
    result = call("audit", photos, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    told = json.loads(result.stdout)
    assert told["source"] == "photos"
    assert len(told["sha256"]) == 64
    assert told["files"] == {"accepted": 7, "quarantined": 23, "skipped": 0, "found": 30}
    assert told["reasons"] == {"quarantined": {"unknown_format": 23}, "skipped": {}}
    assert told["findings"] == {"quarantined": 23, "exact_duplicate": 1}
    assert told["balance"] == [
        {"label": "cat", "split": "", "count": 4},
        {"label": "dog", "split": "", "count": 3},
    ]
    assert told["imbalance"] == pytest.approx(4 / 3)
    assert told["sizes"]["width"] == 40
    assert [at["size"] for at in told["sizes"]["sizes"]] == [96, 128, 160, 224]
    assert told["warnings"] == []
    assert len(told["list"]) == 24
    assert told["list"][-1] == {
        "kind": "exact_duplicate",
        "path": "cat/copy.png",
        "other": "cat/0.png",
        "detail": "",
    }


def test_the_bars_of_an_audit_stay_out_of_the_pipe(call, photos, monkeypatch):
    monkeypatch.setattr(audit, "_watched", lambda: True)
    result = call("audit", photos, "--json")
    assert json.loads(result.stdout)["files"]["found"] == 6
    assert "manifest" in result.stderr
    assert "copies" in result.stderr


def test_audit_warns_of_an_imbalance_above_ten_to_one(call, photos):
    for number in (1, 2):
        (photos / "dog" / f"{number}.png").unlink()
    for number in range(3, 10):
        Image.effect_noise((40, 40), 40 + number).save(photos / "cat" / f"{number}.png")
    assert "warning" not in call("audit", photos).stdout  # exactly 10 : 1
    Image.effect_noise((40, 40), 60).save(photos / "cat" / "more.png")
    assert "warning: class 'cat' has 11 images, 'dog' only 1: " in call("audit", photos).stdout
    (photos / "dog" / "0.png").write_text("<!doctype html>")
    told = json.loads(call("audit", photos, "--json").stdout)
    assert told["imbalance"] is None
    assert len(told["warnings"]) == 1


def test_audit_tells_a_missing_folder(refused):
    refused(["audit", "nowhere"], "no data folder 'nowhere'")


def test_audit_prints_a_finding_on_one_line_whatever_the_name(call, photos):
    (photos / "dog" / "a\nb.jpg").write_text("<!doctype html>")
    lines = call("audit", photos).stdout.splitlines()
    assert any("dog/a\\nb.jpg" in line and "unknown_format" in line for line in lines)
