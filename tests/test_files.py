import os
import subprocess
import sys
import threading
from pathlib import Path

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


def test_without_durability_nothing_waits_for_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda number: pytest.fail("waited"))
    files.write(tmp_path / "one.txt", "é", durable=False)
    assert (tmp_path / "one.txt").read_bytes() == "é".encode()


def test_text_and_bytes_are_written_as_they_are(tmp_path):
    files.write(tmp_path / "text", "a\r\n\u2028")
    files.write(tmp_path / "bytes", b"\xff\r\n")
    assert (tmp_path / "text").read_bytes() == "a\r\n\u2028".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\xff\r\n"
    with pytest.raises(UnicodeEncodeError):
        files.write(tmp_path / "text", "\ud800")
    assert (tmp_path / "text").read_bytes() == "a\r\n\u2028".encode()


def test_a_whole_file_is_on_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (events.append("fsync"), fsync(number)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("replace"), replace(a, b)))
    files.write(tmp_path / "one.bin", b"1")
    assert events == ["fsync", "replace", "fsync"]


def test_the_old_file_stays_when_a_whole_one_cannot_be_moved(tmp_path, monkeypatch):
    def full(source, target):
        raise OSError("disk full")

    files.write(tmp_path / "one.txt", "old")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        files.write(tmp_path / "one.txt", "new")
    assert (tmp_path / "one.txt").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.fixture
def folder(tmp_path):
    """A folder with one file in it, alone in its parent."""
    made = tmp_path / "place" / "model"
    made.mkdir(parents=True)
    (made / "a").write_text("earlier")
    return made


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_shows_its_new_content_only_when_complete(folder):
    with files.replacing_folder(folder) as new:
        (new / "inner").mkdir()
        (new / "inner" / "b").touch()
        (new / "link").symlink_to("nowhere")
        assert names(folder) == ["a"]
        assert new.name == folder.name
    assert names(folder) == ["inner", "link"]
    assert names(folder.parent) == ["model"]


@pytest.mark.parametrize("making", [files.replacing_folder, files.new_folder])
def test_parents_are_made_and_the_folder_is_open_to_those_whom_the_umask_lets(tmp_path, making):
    (tmp_path / "ordinary").mkdir()
    with making(tmp_path / "x" / "y") as new:
        (new / "c").touch()
    assert names(tmp_path / "x") == ["y"]
    assert names(tmp_path / "x" / "y") == ["c"]
    mode = (tmp_path / "ordinary").stat().st_mode
    assert (tmp_path / "x" / "y").stat().st_mode == mode


@pytest.mark.parametrize("making", [files.replacing_folder, files.new_folder])
def test_an_error_while_filling_changes_nothing(folder, making):
    def interrupted():
        with making(folder) as new:
            (new / "c").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(folder) == ["a"]
    assert names(folder.parent) == ["model"]


@pytest.mark.parametrize("broken", [1, 2])
def test_a_failed_rename_leaves_the_earlier_folder(folder, monkeypatch, broken):
    real, calls = os.replace, []

    def failing(source, target):
        calls.append(target)
        if len(calls) == broken:
            raise OSError("interrupted")
        real(source, target)

    def replaced():
        with files.replacing_folder(folder) as new:
            (new / "b").touch()

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="interrupted"):
        replaced()
    assert names(folder) == ["a"]
    assert names(folder.parent) == ["model"]


def test_a_folder_is_on_disk_before_it_takes_the_name(folder, monkeypatch):
    synced, real = [], os.fsync

    def fsync(number):
        synced.append(os.readlink(f"/proc/self/fd/{number}").rpartition("/")[2])
        real(number)

    def replace(source, target):
        synced.append("replace")
        real_replace(source, target)

    real_replace = os.replace
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    with files.replacing_folder(folder) as new:
        (new / "inner").mkdir()
        (new / "inner" / "b").touch()
    assert synced == ["model", "b", "inner", "replace", "replace", "place"]


def test_a_new_folder_replaces_none_with_content(folder):
    def second():
        with files.new_folder(folder) as new:
            (new / "a").write_text("later")

    with pytest.raises(OSError, match="not empty"):
        second()
    assert (folder / "a").read_text() == "earlier"
    assert names(folder.parent) == ["model"]


def test_only_what_was_left_unfinished_long_ago_is_removed(tmp_path):
    old, recent, foreign = (tmp_path / name for name in (".unfinished-a", ".unfinished-b", ".c"))
    for path in (old, recent, foreign):
        path.mkdir()
        (path / "half").touch()
    single, link = tmp_path / ".unfinished-file", tmp_path / ".unfinished-link"
    single.touch()
    link.symlink_to(foreign)
    for path in (old, foreign, single, link):
        os.utime(path, (0, 0), follow_symlinks=False)
    files.remove_abandoned(tmp_path, 60)
    assert names(tmp_path) == [".c", ".unfinished-b"]
    assert names(foreign) == ["half"]
    files.remove_abandoned(tmp_path / "missing", 60)


def test_what_a_killed_writer_leaves_is_found_again(tmp_path):
    def killed():
        with files.replacing(tmp_path / "one.txt") as temporary:
            temporary.touch()
            seen.append(names(tmp_path))
            (left,) = tmp_path.iterdir()
            os.utime(left, (0, 0))
            files.remove_abandoned(tmp_path, 60)
            seen.append(names(tmp_path))
            raise KeyboardInterrupt

    seen = []
    with pytest.raises(KeyboardInterrupt):
        killed()
    assert [len(found) for found in seen] == [1, 0]


def dead_process():
    """Return the id of a process that lives no more."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_what_a_dead_process_of_this_machine_left_goes_at_once_and_a_living_ones_stays(tmp_path):
    dead, parent = (
        f".unfinished-{files._machine()}-{number}-x" for number in (dead_process(), os.getppid())
    )
    elsewhere = f".unfinished-00000000-{dead_process()}-x"
    for name in (dead, parent, elsewhere):
        (tmp_path / "inner" / name).mkdir(parents=True)
    files.remove_all_abandoned(tmp_path)
    assert names(tmp_path / "inner") == sorted([parent, elsewhere])


def test_what_a_machine_of_the_same_name_writes_at_this_moment_stays(tmp_path, monkeypatch):
    """All machines have the same first space of process ids; only their boot ids differ."""
    with files.replacing(tmp_path / "pixels.npy") as temporary:
        temporary.touch()
        own = temporary.parent.name
    live = tmp_path / own.replace(f"-{os.getpid()}-", f"-{dead_process()}-")
    live.mkdir()

    def read_text(path, **options):
        return "another\n" if path.name == "boot_id" else real(path, **options)

    real = Path.read_text
    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(files, "_machine", files._machine.__wrapped__)
    files.remove_all_abandoned(tmp_path)
    assert live.is_dir()


def test_a_new_folder_is_made_where_no_killed_try_is_left(tmp_path):
    (tmp_path / f".unfinished-{files._machine()}-{dead_process()}-x" / "raw").mkdir(parents=True)
    with files.new_folder(tmp_path / "raw") as new:
        (new / "a").touch()
    assert names(tmp_path) == ["raw"]


def test_a_writers_name_is_on_what_it_has_not_finished(tmp_path):
    with files.replacing(tmp_path / "one.txt") as temporary:
        temporary.touch()
        assert temporary.parent.name.startswith(f".unfinished-{files._machine()}-{os.getpid()}-")


@pytest.mark.parametrize("moved", [False, True])
def test_a_folder_whose_replacement_was_killed_comes_back_unless_the_new_one_came(folder, moved):
    """Killed between the two renames, or after both."""
    owner = f"{files._machine()}-{dead_process()}"
    replaced = folder.parent / f".replaced-{owner}-x"
    replaced.mkdir()
    os.replace(folder, replaced / "model")
    (folder.parent / f".unfinished-{owner}-x").mkdir()
    if moved:
        folder.mkdir()
        (folder / "b").touch()
    files.remove_abandoned(folder.parent)
    assert names(folder.parent) == ["model"]
    assert names(folder) == (["b"] if moved else ["a"])


def test_two_that_replace_one_folder_at_once_leave_one_of_both_whole(tmp_path, monkeypatch):
    target, failures, exchange = tmp_path / "model", [], files._exchange

    def slowly(new, folder, old):
        threading.Event().wait(0.005)  # the other one comes to this point meanwhile
        exchange(new, folder, old)

    def save(name):
        try:
            for _ in range(10):
                with files.replacing_folder(target) as new:
                    (new / "a").write_text(name)
                    (new / "b").write_text(name)
        except OSError as error:
            failures.append(error)

    def slow_replace(source, place):
        if str(place).startswith(f"{tmp_path}/.repl"):
            replace(source, place)
            threading.Event().wait(0.005)  # now there is no folder
        else:
            replace(source, place)

    replace = os.replace
    monkeypatch.setattr(files, "_exchange", slowly)
    monkeypatch.setattr(os, "replace", slow_replace)
    threads = [threading.Thread(target=save, args=(name,)) for name in "xy"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert (target / "a").read_text() == (target / "b").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
