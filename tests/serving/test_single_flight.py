import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cnnlab.serving.single_flight import SingleFlight


def test_each_name_is_worked_on_once():
    calls = []

    def work(names):
        calls.append(names)
        return {name: name.upper() for name in names}

    assert SingleFlight().run(["a", "b", "a"], work) == {"a": "A", "b": "B"}
    assert calls == [["a", "b"]]
    assert SingleFlight().run([], work) == {}


def test_nothing_is_kept_once_it_is_done():
    flights, calls = SingleFlight(), []
    for number in range(2):
        flights.run("a", lambda names: (calls.append(names), {"a": 1})[1])
        assert len(calls) == number + 1


def test_those_who_ask_meanwhile_get_the_same_result():
    flights, started, may_end = SingleFlight(), threading.Event(), threading.Event()

    def work(names):
        started.set()
        assert may_end.wait(10)
        return {name: object() for name in names}

    with ThreadPoolExecutor(9) as pool:
        leader = pool.submit(flights.run, ["a"], work)
        assert started.wait(10)
        followers = [pool.submit(flights.run, ["a"], None) for _ in range(8)]  # None cannot work
        may_end.set()
        assert all(one.result(10) == leader.result(10) for one in followers)


def test_a_failing_leader_fails_alone():
    flights, started, may_fail = SingleFlight(), threading.Event(), threading.Event()
    calls = []

    def fail(names):
        started.set()
        assert may_fail.wait(10)
        raise MemoryError

    def work(names):
        calls.append(names)
        return {"a": 1}

    with ThreadPoolExecutor(9) as pool:
        leader = pool.submit(flights.run, ["a"], fail)
        assert started.wait(10)
        followers = [pool.submit(flights.run, ["a"], work) for _ in range(8)]
        may_fail.set()
        with pytest.raises(MemoryError):
            leader.result(10)
        assert [one.result(10) for one in followers] == [{"a": 1}] * 8
    assert 1 <= len(calls) <= 8


def test_when_all_fail_none_hangs():
    flights, ready = SingleFlight(), threading.Barrier(8)

    def fail(names):
        raise OSError

    def ask():
        ready.wait(10)
        with pytest.raises(OSError):  # noqa: PT011 - the bare one of ``fail``
            flights.run(["a"], fail)

    with ThreadPoolExecutor(8) as pool:
        for one in [pool.submit(ask) for _ in range(8)]:
            one.result(10)


def test_threads_that_ask_for_overlapping_names_all_come_home():
    flights = SingleFlight()

    def ask(worker):
        draw = np.random.default_rng(worker)

        def work(names):
            if draw.random() < 0.2:
                raise OSError
            return {name: int(name) ** 2 for name in names}

        failed = 0
        for _ in range(200):
            names = [str(number) for number in draw.integers(0, 8, 4)]
            try:
                assert flights.run(names, work) == {name: int(name) ** 2 for name in names}
            except OSError:
                failed += 1
        return failed

    with ThreadPoolExecutor(8) as pool:
        failed = [one.result(30) for one in [pool.submit(ask, number) for number in range(8)]]
    assert 0 < sum(failed) < 8 * 200
    assert not flights._running


def test_a_result_that_is_missing_is_an_error_and_lets_the_others_go():
    flights = SingleFlight()
    with pytest.raises(KeyError):
        flights.run(["a", "b"], lambda names: {"a": 1})
    assert flights.run(["b"], lambda names: {"b": 2}) == {"b": 2}
