"""The ledger keeps every opening, whoever else records one, and names what it lost."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.data import ledger

IMAGES = np.array([7, 3, 2**64 - 1, 3], ledger.KEY)  # one of them twice


def opening(model_id="m", images=IMAGES, at="2026-01-01T00:00:00.000+00:00"):
    return ledger.Opening(
        at, "04", model_id, "r", "r-1Z", at, "cups", ledger.digest(images), len(set(images))
    )


def _sizes(home):
    return [path.stat().st_size for path in (home / "data" / "ledger" / "images").iterdir()]


def test_an_opening_and_its_images_read_back(home):
    ledger.record(opening(), IMAGES)
    assert ledger.openings() == ([opening()], [])
    assert ledger.images_of(opening().images).tolist() == [3, 7, 2**64 - 1]
    assert [path.name for path in (home / "data").iterdir()] == ["ledger"]


def test_a_set_has_one_name_in_any_order_and_is_stored_once(home):
    shuffled = IMAGES[::-1]
    for number in range(20):
        ledger.record(opening(f"m{number}", shuffled if number % 2 else IMAGES), shuffled)
    assert len(ledger.openings()[0]) == 20
    assert _sizes(home) == [3 * 8]
    other = IMAGES + np.uint64(1)
    assert ledger.digest(other) != ledger.digest(IMAGES) == ledger.digest(shuffled)


def test_the_same_model_on_the_same_images_is_one_opening_the_first():
    ledger.record(opening(), IMAGES)
    ledger.record(opening(at="2027-01-01T00:00:00.000+00:00"), IMAGES)
    assert ledger.openings() == ([opening()], [])


def test_openings_come_by_time():
    for model_id, at in (("a", "2026-03"), ("c", "2026-01"), ("b", "2026-01")):
        ledger.record(opening(model_id, at=at), IMAGES)
    assert [each.model_id for each in ledger.openings()[0]] == ["b", "c", "a"]


@pytest.mark.parametrize("stored", [[], [5], [1, 5, 9], [6, 7]])
def test_what_a_set_contains(stored):
    images = np.array([9, 5, 0, 5], ledger.KEY)
    found = ledger.contains(images, np.array(stored, ledger.KEY))
    assert found.tolist() == [number in stored for number in (9, 5, 0, 5)]


@pytest.mark.slow
def test_eight_processes_at_once_are_all_recorded(home):
    """Each records a model of its own, one that all share, and the same set of images."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "import numpy as np; from cnnlab.data import ledger\n"
        "images = np.arange(1000, dtype=ledger.KEY)\n"
        "digest = ledger.digest(images)\n"
        "Path(sys.argv[1]).touch()\n"
        "while not Path('go').exists(): time.sleep(0.001)\n"
        "for model in ('shared', sys.argv[1], sys.argv[1] + 'b'):\n"
        "    one = ledger.Opening('t', '04', model, 'r', 'r', 't', '', digest, 1000)\n"
        "    ledger.record(one, images)\n"
    )
    names = [f"p{number}" for number in range(8)]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, name],
            cwd=home,
            env={**os.environ, "PYTHONPATH": str(Path(ledger.__file__).parents[2])},
        )
        for name in names
    ]
    while not all((home / name).exists() for name in names):
        assert not any(process.poll() for process in running)
    (home / "go").touch()
    assert [process.wait() for process in running] == [0] * 8
    found, damaged = ledger.openings()
    assert damaged == []
    assert sorted(each.model_id for each in found) == sorted(
        ["shared", *names, *(f"{name}b" for name in names)]
    )
    assert _sizes(home) == [8000]
    entries = list((home / "data" / "ledger" / "openings").iterdir())
    assert len(entries) == 17  # and no temporary file


BROKEN = {
    "empty": lambda text: "",
    "half": lambda text: text[: len(text) // 2],
    "a list": lambda text: "[]",
    "a key less": lambda text: text.replace('"at"', '"when"'),
    "another type": lambda text: text.replace('"count": 3', '"count": "3"'),
    "another model": lambda text: text.replace('"model_id": "m"', '"model_id": "n"'),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_damaged_entry_is_named_with_the_cure_and_can_be_recorded_again(how):
    ledger.record(opening(), IMAGES)
    ledger.record(opening("other"), IMAGES)
    path = opening().path
    path.write_text(BROKEN[how](path.read_text()))
    found, (said,) = ledger.openings()
    assert [each.model_id for each in found] == ["other"]
    assert said.startswith(f"data/ledger/openings/{path.name} is damaged, so one opening is not")
    assert "restore it from a copy, or remove it" in said
    ledger.record(opening(), IMAGES)
    assert len(ledger.openings()[0]) == 2
    assert ledger.openings()[1] == []


@pytest.mark.parametrize("content", [None, b"", b"\0" * 16, b"\0" * 24])
def test_damaged_images_are_named_and_can_be_recorded_again(content):
    ledger.record(opening(), IMAGES)
    digest = opening().images
    path = ledger.folder() / "images" / f"{digest}.u64"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(InputError, match="missing or damaged, so who saw these images is unknown"):
        ledger.images_of(digest)
    if content != b"\0" * 24:  # found without reading every byte
        found, (said,) = ledger.openings()
        assert found == []
        assert f"data/ledger/images/{digest}.u64 is missing or damaged" in said
    ledger.record(opening(), IMAGES)
    assert ledger.images_of(digest).tolist() == [3, 7, 2**64 - 1]


def test_what_cannot_be_recorded_is_told_in_one_line(home, monkeypatch):
    (home / "data").write_text("a file where the folder should be")
    with pytest.raises(
        InputError, match=r"Cannot record in .*ledger that run 'r' opens its test"
    ) as caught:
        ledger.record(opening(), IMAGES)
    assert "Not a directory. Make room there or make it writable" in str(caught.value)
    (home / "data").unlink()

    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(ledger.files, "write", full)
        with pytest.raises(InputError, match="No space left on device"):
            ledger.record(opening(), IMAGES)
    assert ledger.openings() == ([], [])
    ledger.record(opening(), IMAGES)
    with monkeypatch.context() as patch:  # what is recorded needs no room
        patch.setattr(ledger.files, "write", full)
        ledger.record(opening(), IMAGES)


def test_another_home_has_another_ledger(home, monkeypatch):
    ledger.record(opening(), IMAGES)
    monkeypatch.setenv("CNNLAB_HOME", str(home / "second"))
    assert ledger.openings() == ([], [])


def _run_folder(folder, splits, manifest):
    (folder / "splits.csv").write_text(splits)
    (folder / "manifest.csv").write_text(manifest)
    return folder


def test_the_test_images_of_a_run_are_those_of_its_split(tmp_path):
    hashes = {name: hashlib.sha256(name.encode()).hexdigest() for name in "abc"}
    listed = "".join(f"{name},{sha256},NA\n" for name, sha256 in hashes.items())
    folder = _run_folder(
        tmp_path, "path,label,split\nb,x,test\na,x,train\nc,x,test\n", f"path,sha256,x\n{listed}"
    )
    found = ledger.test_images(folder)
    assert [f"{value:016x}" for value in found] == [hashes["b"][:16], hashes["c"][:16]]


@pytest.mark.parametrize(
    ("splits", "manifest", "says"),
    [
        (
            "path\na\n",
            "path,sha256\na,00\n",
            r"splits.csv is damaged: expected path and split in it",
        ),
        ("path,split\na,test\n", "path,sha256\nb,00\n", "no SHA-256 for some of the test images"),
        ("path,split\na,test\n", "path,sha256\na,\n", "no SHA-256 for some of the test images"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path, splits, manifest, says):
    with pytest.raises(InputError, match=says):
        ledger.test_images(_run_folder(tmp_path, splits, manifest))
    (tmp_path / "splits.csv").unlink()
    with pytest.raises(InputError, match=r"Cannot read .*splits\.csv: No such file"):
        ledger.test_images(tmp_path)


def test_an_entry_is_plain_json_that_names_the_run():
    ledger.record(opening(), IMAGES)
    entry = json.loads(opening().path.read_text(encoding="utf-8"))
    assert entry["run"] == "r"
    assert replace(opening(), **entry) == opening()
