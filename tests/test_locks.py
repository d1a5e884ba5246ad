"""One at a time: who holds a lock is said, and a killed process holds none."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cnnlab import locks
from cnnlab.config import InputError
from cnnlab.places import CannotWrite

CHILD = """
import pathlib, sys, time
from cnnlab import locks
with locks.alone(pathlib.Path(sys.argv[1]), "A network is trained"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_one_is_told_who_is_at_work_since_when(tmp_path: Path) -> None:
    said = (
        rf"^A network is trained by another process \({os.getpid()} on .+, since 2\d{{3}}-.+ UTC\)"
    )

    def second() -> None:
        with locks.alone(tmp_path / "training", "A network is trained", patience=0):
            pytest.fail("two at once")

    with locks.alone(tmp_path / "training", "A network is trained"):
        with pytest.raises(InputError, match=said):
            second()
        assert [path.name for path in (tmp_path / "training").iterdir()] == [locks.IN_USE]
    with locks.alone(tmp_path / "training", "A network is trained", patience=0):
        pass
    assert list((tmp_path / "training").iterdir()) == []


def test_it_is_waited_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = locks.alone(tmp_path, "It is done")
    first.__enter__()
    monkeypatch.setattr(locks.time, "sleep", lambda _: first.__exit__(None, None, None))
    with locks.alone(tmp_path, "It is done", patience=60):
        assert (tmp_path / locks.IN_USE).exists()


def test_no_folder_is_no_lock() -> None:
    with locks.alone(None, "It is done"), locks.alone(None, "It is done", patience=0):
        pass


@pytest.mark.slow
def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=rf"\({child.pid} on "):
            locks._locked(tmp_path / locks.IN_USE, "It is done", 0)
        child.kill()
    assert (tmp_path / locks.IN_USE).exists()  # which means nothing
    with locks.alone(tmp_path, "It is done", patience=0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_where_there_are_no_locks_it_is_said_and_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with locks.alone(tmp_path, "It is done"), open(tmp_path / "a", "w") as file:
        locks.wait(file)
    assert "has no locks" in capsys.readouterr().out


def test_a_lock_file_that_its_last_owner_removed_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, taken = fcntl.flock, []

    def flock(file: int, kind: int) -> None:
        real(file, kind)
        if not taken:
            os.unlink(tmp_path / locks.IN_USE)  # between the opening and the lock
        taken.append(file)

    monkeypatch.setattr(fcntl, "flock", flock)
    with locks.alone(tmp_path, "It is done"):
        assert len(taken) == 2
        assert (tmp_path / locks.IN_USE).exists()


def test_a_full_disk_does_not_hinder_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with locks.alone(tmp_path, "It is done"), pytest.raises(InputError, match="process: wait"):
        locks._locked(tmp_path / locks.IN_USE, "It is done", 0)


def test_a_folder_that_another_process_just_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, removed = os.open, []

    def opened(path: Path, *flags: int) -> int:
        if not removed:
            removed.append(os.rmdir(path.parent))
        return real(path, *flags)

    monkeypatch.setattr(os, "open", opened)
    with locks.alone(tmp_path / "run", "It is done"):
        assert (tmp_path / "run" / locks.IN_USE).exists()
    assert removed


def test_a_place_that_cannot_be_written_to_is_named_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: int) -> int:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with (
        pytest.raises(CannotWrite, match=r"\.in-use: Read-only.+ Make it writable"),
        locks.alone(tmp_path, "It is done"),
    ):
        pytest.fail("nothing is locked")


REFUSED = """
import pathlib, sys
from cnnlab import locks
locks.refuse_another(pathlib.Path(sys.argv[1]), "It is done")
"""


def test_whoever_only_looks_is_told_who_is_at_work_and_locks_nothing(tmp_path: Path) -> None:
    locks.refuse_another(tmp_path / "nowhere", "It is done")
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=rf"^It is done by another process \({child.pid} on "):
            locks.refuse_another(tmp_path, "It is done")
        child.kill()
    locks.refuse_another(tmp_path, "It is done")
    with locks.alone(tmp_path, "It is done", patience=0):
        pass


def test_what_a_process_starts_works_for_it(tmp_path: Path) -> None:
    with locks.alone(tmp_path, "It is done"):
        locks.refuse_another(tmp_path, "It is done")
        subprocess.run([sys.executable, "-c", REFUSED, str(tmp_path)], check=True)
        (tmp_path / locks.IN_USE).write_text("")  # a full disk: nobody can tell
        locks.refuse_another(tmp_path, "It is done")
        (tmp_path / locks.IN_USE).write_text('{"pid": 1, "host": "another", "since": "noon"}')
        with pytest.raises(InputError, match=r"\(1 on another, since noon\): wait for it to end"):
            locks.refuse_another(tmp_path, "It is done")
