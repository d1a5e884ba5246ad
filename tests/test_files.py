import os

import pytest

from cnnlab import files


def test_the_finished_file_takes_the_place_and_nothing_stays_beside_it(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with files.replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.name == path.name
        assert list(tmp_path.glob("*.csv")) == [path]
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_stays_when_writing_fails(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")

    def write_half():
        with files.replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_may_be_read_by_those_whom_the_umask_lets(tmp_path):
    ordinary = tmp_path / "ordinary.txt"
    ordinary.touch()
    with files.replacing(tmp_path / "new.txt") as temporary:
        temporary.touch()
    assert (tmp_path / "new.txt").stat().st_mode == ordinary.stat().st_mode


def test_the_file_is_on_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (events.append("fsync"), fsync(number)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("replace"), replace(a, b)))
    with files.replacing(tmp_path / "one.bin") as temporary:
        temporary.write_bytes(b"1")
    assert events == ["fsync", "replace", "fsync"]
