"""What a server bears: requests a second and waiting times against the number of clients."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from threading import Barrier

import numpy as np
import pandas as pd

from cnnlab.config import InputError
from cnnlab.serving.server.server_process import exchange

CLIENTS = (1, 2, 4, 8, 16)
OK, OVERLOADED = 200, 503  # the second says 'try again': a proper response, no failure
START_SECONDS = 60.0


def curve(
    connect: Callable[[], HTTPConnection],
    image: Callable[[], bytes],
    *,
    seconds: float,
    clients: Sequence[int] = CLIENTS,
) -> pd.DataFrame:
    """Measure a server under 1, 2, 4, … clients, each with one request at a time.

    The clients are threads of this process and take processor time from a server on the same
    machine; ``client_cores`` says how much.

    Args:
        connect: Opens a connection to the server; each client keeps one.
        image: Gives the bytes to send next, called by any thread.
        seconds: How long each number of clients goes on.
        clients: How many, one row each.

    Returns:
        clients, answered, refused (503), per_second (answered), p50_ms and p99_ms from request to
        last byte of the response (NaN where none came), client_cores (processor seconds a second
        that the clients took).

    Raises:
        InputError: The server answers with another status, or there is nothing to measure.

    Example:
        >>> curve(server.connect, lambda: image_bytes, seconds=1.0)          # doctest: +SKIP
    """
    if not seconds > 0 or not clients or min(clients) < 1:
        raise InputError(
            f"Got {seconds} seconds and {list(clients)} clients: expected more than 0 of each."
        )
    return pd.DataFrame([_measured(connect, image, seconds, count) for count in clients])


def _measured(
    connect: Callable[[], HTTPConnection], image: Callable[[], bytes], seconds: float, clients: int
) -> dict[str, float]:
    """Return one row of ``curve``."""
    together = Barrier(clients, timeout=START_SECONDS)
    cpu, start = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(_ask, connect, image, seconds, together) for _ in range(clients)]
        statuses, waits = np.concatenate([each.result() for each in running]).T  # (requests,) each
    took = time.perf_counter() - start
    waits = waits[statuses == OK]
    p50, p99 = np.quantile(waits, (0.5, 0.99)) * 1e3 if len(waits) else (np.nan, np.nan)
    return {
        "clients": clients,
        "answered": len(waits),
        "refused": len(statuses) - len(waits),
        "per_second": len(waits) / took,
        "p50_ms": p50,
        "p99_ms": p99,
        "client_cores": (time.process_time() - cpu) / took,
    }


def _ask(
    connect: Callable[[], HTTPConnection],
    image: Callable[[], bytes],
    seconds: float,
    together: Barrier,
) -> np.ndarray:
    """Ask until the time is up, at least once: (status, seconds) of each request, (requests, 2)."""
    connection = connect()
    try:
        connection.connect()
        together.wait()
        found: list[tuple[int, float]] = []
        end = time.perf_counter() + seconds
        while not found or time.perf_counter() < end:
            content = image()
            start = time.perf_counter()
            status, response = exchange(connection, "POST", "/v1/predict", content)
            found.append((status, time.perf_counter() - start))
            if status not in (OK, OVERLOADED):
                raise InputError(f"The server answers {status}: {response[:200].decode()!r}")
        return np.array(found)
    except BaseException:
        together.abort()  # nobody waits for a client that is gone
        raise
    finally:
        connection.close()
