"""Trainings side by side, each in a process of its own with a TensorFlow of its own."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import Any

from cnnlab.engine import tf


def side_by_side(
    function: Callable[..., Any], calls: dict[int, tuple], workers: int
) -> Iterator[tuple[int, Future]]:
    """Call a function in other processes; give each call's key and outcome when it is done.

    After a call that raised none is begun any more; those that run are finished. The processes
    use as many threads as this one, since sums are split among threads, which decides their last
    bits; they end when this process does.

    Args:
        function: Of a module, so that another process can import it.
        calls: Key → positional arguments, which are pickled.
        workers: Processes; one that trains takes 1 GiB of memory, at 224 pixels 2.5.

    Example:
        >>> for key, outcome in side_by_side(pow, {1: (2, 3), 2: (5, 2)}, workers=2):
        ...     print(key, outcome.result())  # raises what the call raised
    """
    threads = tf.config.threading
    with ProcessPoolExecutor(
        workers,
        # A forked TensorFlow hangs: its threads do not come along.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(
            threads.get_intra_op_parallelism_threads(),
            threads.get_inter_op_parallelism_threads(),
        ),
    ) as pool:
        running: dict[Future, int] = {}
        waiting = iter(calls.items())
        while True:
            for key, given in islice(waiting, workers - len(running)):
                running[pool.submit(function, *given)] = key
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                if future.exception():
                    waiting = iter(())
                yield running.pop(future), future


def _begin(intra_op_threads: int, inter_op_threads: int) -> None:
    """Make a new process compute as its parent does, and end with it."""
    tf.config.threading.set_intra_op_parallelism_threads(intra_op_threads)
    tf.config.threading.set_inter_op_parallelism_threads(inter_op_threads)
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)  # the default takes all of it
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the parent's end; an orphan would train on beside the run that is started again."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)
