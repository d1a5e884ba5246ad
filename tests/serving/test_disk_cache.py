import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.serving.disk_cache import ABANDONED, BLOCK, FORMAT, SLACK, DiskCache, Entry

ROOT = Path(__file__).resolve().parents[2]
ROW = np.float32([0.1, 0.2, 0.7])


def name(number, model="m1"):
    return f"{number:064x}-{model}-1"


NAME = name(0)


@pytest.fixture
def cache(tmp_path):
    return DiskCache(tmp_path / "answers")


def sealed(**changes):
    """Return the content of an entry made by hand, with a right checksum."""
    fields = {"elapsed_ms": 2.5, "format": FORMAT, "key": NAME, "probabilities": [0.25, 0.75]}
    fields |= changes
    checksum = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
    return json.dumps(fields | {"sha256": checksum}).encode()


def test_an_entry_comes_back_to_the_last_bit(cache, tmp_path):
    draw = np.random.default_rng(3)
    awkward = [0.0, 1.0, 1e-45, np.float32(0.1), np.nextafter(np.float32(1), np.float32(0))]
    for number, row in enumerate([np.float32(awkward), *draw.random((200, 7), "float32")]):
        cache.put(name(number), Entry(row, 0.1 + number))
        found = DiskCache(tmp_path / "answers").get(name(number))
        assert found.probabilities.dtype == np.float32
        assert found.probabilities.tobytes() == row.tobytes()
        assert found.elapsed_ms == 0.1 + number
        with pytest.raises(ValueError, match="read-only"):
            found.probabilities[0] = 0


def test_what_is_not_there_is_no_fault(cache):
    assert cache.get(NAME) is None
    assert cache.faults == 0


def test_an_entry_is_json_that_others_can_write(cache):
    (cache.folder / f"{NAME}.json").write_bytes(sealed())
    found = cache.get(NAME)
    assert (found.probabilities.tolist(), found.elapsed_ms) == ([0.25, 0.75], 2.5)


DAMAGED = {
    "empty": b"",
    "torn": sealed()[:-20],
    "zeros": bytes(300),
    "not JSON": b"<html>",
    "no object": b"[1, 2]",
    "a number": b"7",
    "too deep": b"[" * 100_000,
    "not UTF-8": b"\xff" + sealed(),
    "without checksum": json.dumps(json.loads(sealed()) | {"sha256": None}).encode(),
    "another value": sealed().replace(b"0.75", b"0.74"),
    "not a number": sealed().replace(b"0.75", b"NaN"),
    "another format": sealed(format=FORMAT + 1),
    "another key": sealed(key=name(1)),
    "a text": sealed(probabilities="abc"),
    "nothing in it": sealed(probabilities=None),
    "no time": sealed(elapsed_ms=None),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_what_cannot_be_trusted_is_dropped_and_can_be_written_again(cache, content):
    path = cache.folder / f"{NAME}.json"
    path.write_bytes(content)
    assert cache.get(NAME) is None
    assert cache.faults == 1
    assert not path.exists()
    cache.put(NAME, Entry(ROW, 1.0))
    assert cache.get(NAME).probabilities.tobytes() == ROW.tobytes()


def test_every_changed_byte_is_noticed(cache):
    cache.put(NAME, Entry(ROW, 1.0))
    path = cache.folder / f"{NAME}.json"
    whole = path.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        found = cache.get(NAME)
        # A change that leaves the meaning, such as another kind of space, may pass.
        assert found is None or found.probabilities.tobytes() == ROW.tobytes()
    assert cache.faults > 0.9 * len(whole)


@pytest.mark.skipif(sys.platform == "win32", reason="has neither links nor pipes of this kind")
def test_a_link_a_pipe_and_a_folder_are_no_entries(cache, tmp_path):
    (tmp_path / "elsewhere").write_bytes(sealed())
    (cache.folder / f"{NAME}.json").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(cache.folder / f"{name(1)}.json")
    (cache.folder / f"{name(2)}.json").mkdir()
    assert [cache.get(name(number)) for number in range(3)] == [None] * 3
    assert cache.faults == 3
    assert (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("wrong", ["", "a", "../" + NAME, NAME + "/x", NAME.replace("m1", "m/1")])
def test_only_keys_name_entries(cache, wrong):
    for ask in (cache.get, lambda given: cache.put(given, Entry(ROW, 1.0))):
        with pytest.raises(InputError, match="names no entry"):
            ask(wrong)


def test_a_disk_that_fails_costs_the_entry_only(cache):
    cache.folder.rmdir()
    cache.put(NAME, Entry(ROW, 1.0))
    assert cache.get(NAME) is None
    assert cache.faults == 1


def test_what_is_no_number_is_not_written(cache):
    cache.put(NAME, Entry(np.float32([np.nan]), 1.0))
    assert (cache.get(NAME), cache.faults, list(cache.folder.iterdir())) == (None, 1, [])


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="No cache can be kept"):
        DiskCache(tmp_path / "file" / "answers")
    with pytest.raises(InputError, match="-1 bytes"):
        DiskCache(tmp_path, -1)


def used(cache, numbers):
    """Give the entries their times of last use, one second apart."""
    for second, number in enumerate(numbers):
        os.utime(cache.folder / f"{name(number)}.json", (second, second))


def test_the_bound_holds_after_every_entry_and_the_longest_unused_go(tmp_path):
    cache = DiskCache(tmp_path, 10 * BLOCK)
    for number in range(9):
        cache.put(name(number), Entry(ROW, 1.0))
    used(cache, range(9))
    assert cache.get(name(0)) is not None  # now it was used last
    for number in range(9, 12):
        cache.put(name(number), Entry(ROW, 1.0))
        files = list(tmp_path.iterdir())
        assert sum(-(-file.stat().st_size // BLOCK) * BLOCK for file in files) <= 10 * BLOCK
        assert cache.bytes == len(files) * BLOCK
    left = [number for number in range(12) if cache.get(name(number)) is not None]
    assert left == [0, 4, 5, 6, 7, 8, 9, 10, 11]


def test_processes_together_may_exceed_the_bound_by_a_twentieth_each(tmp_path):
    bound = 100 * BLOCK
    caches = [DiskCache(tmp_path, bound) for _ in range(3)]  # none knows what the others write
    for number in range(400):
        caches[number % 3].put(name(number), Entry(ROW, 1.0))
        taken = len(list(tmp_path.iterdir())) * BLOCK
        assert taken <= bound + 2 * bound // SLACK
    assert taken >= 0.9 * bound


def test_an_earlier_process_counts(tmp_path):
    for number in range(6):
        DiskCache(tmp_path).put(name(number), Entry(ROW, 1.0))
    assert DiskCache(tmp_path).bytes == 6 * BLOCK
    assert DiskCache(tmp_path, 2 * BLOCK).bytes <= 2 * BLOCK


def test_only_its_own_files_are_deleted(tmp_path):
    kept = [tmp_path / "notes.json", tmp_path / ".unfinished-new"]
    old = tmp_path / ".unfinished-old"
    for path in (*kept, old):
        path.write_text("x")
    os.utime(old, (0, ABANDONED))
    cache = DiskCache(tmp_path, 0)
    cache.put(NAME, Entry(ROW, 1.0))
    cache.clear()
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    assert cache.bytes == 0


WRITER = """
import sys
import time
import numpy as np
from cnnlab.serving.disk_cache import DiskCache, Entry

folder, first = sys.argv[1], int(sys.argv[2])
cache = DiskCache(folder)
print("ready", flush=True)
for number in range(first, 10**9, 2):  # until it is ended
    row = np.full(16, number % 2**24, "float32")
    cache.put(f"{number % 4:064x}-m1-1", Entry(row, float(number)))
    time.sleep(0.0005)  # leaves the reader a core
"""


@pytest.mark.slow
def test_no_torn_read_in_a_hundred_thousand_while_processes_write(tmp_path):
    cache = DiskCache(tmp_path)
    for number in range(4):
        cache.put(name(number), Entry(np.full(16, number, "float32"), float(number)))
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(first)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        for first in (0, 1)
    ]
    seen = set()
    try:
        for writer in writers:
            assert writer.stdout.readline() == b"ready\n"
        for number in range(100_000):
            found = cache.get(name(number % 4))
            value = found.probabilities[0]
            assert (found.probabilities == value).all()
            assert (value, value % 4) == (found.elapsed_ms % 2**24, number % 4)
            seen.add(float(value))
        assert all(writer.poll() is None for writer in writers)
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    assert cache.faults == 0
    assert len({int(value) % 2 for value in seen}) == 2  # both writers were read from
    assert len(seen) > 100


def test_a_process_that_only_looks_up_loads_no_engine():
    code = "import sys, cnnlab.serving.disk_cache; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.split() == [b"False"]
