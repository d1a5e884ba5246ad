"""The same work requested at the same time is done once."""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError, Future
from typing import Generic, TypeVar

Result = TypeVar("Result")


class SingleFlight(Generic[Result]):
    """Shares running work between threads, name by name; nothing is kept once it is done.

    Example:
        >>> SingleFlight[int]().run(["a", "bc"], lambda names: {name: len(name) for name in names})
        {'a': 1, 'bc': 2}
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, Future[Result]] = {}

    def run(
        self, names: Iterable[str], work: Callable[[list[str]], Mapping[str, Result]]
    ) -> dict[str, Result]:
        """Return the result of every name: those that no other thread works on are worked on here.

        All own work is done before another thread's is waited for, so no two threads wait for each
        other. If another thread's work fails, that is its own affair: the name is tried again
        here.

        Args:
            names: What is requested; the same name twice is one.
            work: Takes some of the names, each once, and returns the result of each.

        Raises:
            Exception: Whatever ``work`` raises when it is called here.
        """
        found: dict[str, Result] = {}
        wanted = list(dict.fromkeys(names))
        while wanted:
            own, others = self._claim(wanted)
            if own:
                found |= self._lead(own, work)
            for name, future in others.items():
                try:
                    found[name] = future.result()
                except CancelledError:
                    continue  # its thread failed: claimed in the next turn
            wanted = [name for name in others if name not in found]
        return found

    def _claim(
        self, names: list[str]
    ) -> tuple[dict[str, "Future[Result]"], dict[str, "Future[Result]"]]:
        """Split names into those that are now this thread's and those that another works on."""
        with self._lock:
            others = {name: self._running[name] for name in names if name in self._running}
            own: dict[str, Future[Result]] = {n: Future() for n in names if n not in others}
            self._running |= own
        return own, others

    def _lead(
        self,
        own: dict[str, "Future[Result]"],
        work: Callable[[list[str]], Mapping[str, Result]],
    ) -> dict[str, Result]:
        """Do the claimed work and hand it to all who wait; after a failure they are let go."""
        results: Mapping[str, Result] = {}
        try:
            results = work(list(own))
            return {name: results[name] for name in own}
        finally:
            with self._lock:
                for name in own:
                    del self._running[name]
            for name, future in own.items():
                if name in results:
                    future.set_result(results[name])
                else:
                    future.cancel()
