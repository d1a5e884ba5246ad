import hashlib
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.images import PREPROCESSING_VERSION
from cnnlab.serving.cache import Cache, CacheStats, entry_bytes, key
from cnnlab.serving.disk_cache import BLOCK

ROW = np.array([0.25, 0.75], "float32")
ENTRY = entry_bytes(2)


def test_key_names_the_bytes_the_model_and_the_decoder():
    name = key(b"abc", "m1")
    assert name.split("-") == [hashlib.sha256(b"abc").hexdigest(), "m1", str(PREPROCESSING_VERSION)]
    assert len({name, key(b"abd", "m1"), key(b"abc", "m2")}) == 3


def test_hits_and_misses_are_counted():
    cache = Cache(10 * ENTRY)
    assert cache.get("a") is None
    cache.put("a", ROW)
    assert np.array_equal(cache.get("a"), ROW)
    assert cache.stats() == CacheStats(
        hits=1, misses=1, evictions=0, entries=1, bytes=ENTRY, saved_ms=0.0
    )
    assert cache.stats().hit_rate == 0.5


def test_the_entry_used_longest_ago_goes_first():
    cache = Cache(2 * ENTRY)
    cache.put("a", ROW)
    cache.put("b", ROW)
    cache.get("a")
    cache.put("c", ROW)
    assert [cache.get(name) is not None for name in "abc"] == [True, False, True]
    stats = cache.stats()
    assert (stats.entries, stats.evictions, stats.bytes) == (2, 1, 2 * ENTRY)


def test_bytes_stay_within_the_bound():
    cache = Cache(3 * ENTRY + 1)
    for number in range(50):
        cache.put(str(number), ROW)
        assert cache.stats().bytes <= 3 * ENTRY + 1
    assert (len(cache), cache.stats().evictions) == (3, 47)


def test_there_is_room_for_as_many_answers_as_were_asked_for():
    cache = Cache(7 * entry_bytes(10))
    for number in range(20):
        cache.put(str(number), np.zeros(10, "float32"))
    assert len(cache) == 7


def test_replacing_an_entry_is_not_counted_twice():
    cache = Cache(10 * ENTRY)
    cache.put("a", ROW)
    cache.put("a", ROW * 0)
    assert (cache.stats().bytes, cache.stats().evictions) == (ENTRY, 0)
    assert not cache.get("a").any()


@pytest.mark.parametrize("bound", [0, ENTRY - 1])
def test_what_is_larger_than_the_bound_is_not_stored(bound):
    cache = Cache(bound)
    cache.put("a", ROW)
    assert cache.get("a") is None
    assert cache.stats().bytes == 0


def test_a_negative_bound_is_refused():
    with pytest.raises(InputError, match="-1 bytes"):
        Cache(-1)


def test_an_entry_cannot_be_changed_from_outside():
    cache = Cache(10 * ENTRY)
    row = ROW.copy()
    cache.put("a", row)
    row[:] = 0
    with pytest.raises(ValueError, match="read-only"):
        cache.get("a")[0] = 1
    assert np.array_equal(cache.get("a"), ROW)


def test_clear_forgets_entries_and_keeps_counters():
    cache = Cache(10 * ENTRY)
    cache.put("a", ROW)
    cache.get("a")
    cache.clear()
    stats = cache.stats()
    assert (len(cache), stats.bytes, stats.hits, stats.evictions) == (0, 0, 1, 0)


def test_threads_never_read_another_key_and_lose_no_count():
    cache = Cache(20 * ENTRY)

    def work(worker: int) -> int:
        wrong = 0
        for step in range(1000):
            number = (worker * 7 + step) % 40
            cache.put(str(number), np.full(2, number, "float32"))
            value = cache.get(str((number + step) % 40))
            wrong += value is not None and not np.all(value == (number + step) % 40)
        return wrong

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 0
    stats = cache.stats()
    assert stats.hits + stats.misses == 8000
    assert stats.bytes == len(cache) * ENTRY <= 20 * ENTRY


def test_no_torn_read_in_a_hundred_thousand_while_threads_write():
    cache = Cache(6 * ENTRY)  # of eight names: entries also come and go
    done = threading.Event()

    def write(worker):
        number = worker
        while not done.is_set():
            number += 2
            cache.put(str(number % 8), np.full(2, number % 2**24, "float32"), float(number))

    def read(worker):
        torn = 0
        for number in range(25_000):
            row = cache.get(str(number % 8))
            torn += row is not None and (row[0] != row[1] or row[0] % 8 != number % 8)
        return torn

    with ThreadPoolExecutor(6) as pool:
        writers = [pool.submit(write, number) for number in range(2)]
        readers = [pool.submit(read, number) for number in range(4)]
        assert sum(one.result() for one in readers) == 0
        done.set()
        for one in writers:
            one.result()
    stats = cache.stats()
    assert stats.hits + stats.misses == 100_000
    assert stats.hits > 1000


def test_every_hit_saves_what_its_answer_took():
    cache = Cache(10 * ENTRY)
    cache.put("a", ROW, 8.0)
    cache.put("b", ROW, 0.5)
    for name in "aabc":
        cache.get(name)
    assert cache.stats().saved_ms == 16.5


def test_a_look_counts_nothing():
    cache = Cache(10 * ENTRY)
    cache.put("a", ROW, 8.0)
    assert np.array_equal(cache.peek("a"), ROW)
    assert cache.peek("b") is None
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.saved_ms, stats.hit_rate) == (0, 0, 0.0, 0.0)


def test_the_disk_answers_once_and_memory_from_then_on(tmp_path):
    name = key(b"abc", "m1")
    Cache(0, tmp_path).put(name, ROW, 8.0)
    cache = Cache(10 * ENTRY, tmp_path)
    for _ in range(3):
        assert np.array_equal(cache.get(name), ROW)
    assert cache.get(key(b"abd", "m1")) is None
    stats = cache.stats()
    assert (stats.hits, stats.disk_hits, stats.misses, stats.saved_ms) == (3, 1, 1, 24.0)
    assert (stats.disk_faults, stats.disk_bytes) == (0, BLOCK)
    cache.clear()
    assert cache.get(name) is None
    assert cache.stats().disk_bytes == 0


def test_an_entry_is_counted_with_about_the_memory_it_takes():
    cache = Cache(10**9)
    row = np.zeros(10, "float32")
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(2000):
        cache.put(key(str(number).encode(), "0" * 64), row, 1.0)
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert taken <= cache.stats().bytes <= 2 * taken
