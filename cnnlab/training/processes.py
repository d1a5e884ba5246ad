"""Trainings side by side, each in a process of its own with a TensorFlow of its own."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from cnnlab.engine import tf
from cnnlab.training.environment import cores

GIB = 2**30
CGROUP = Path("/sys/fs/cgroup")  # version 2; what a container may use
LISTENING = 0.5  # seconds between two looks at what the processes tell
_told: Any = None  # in a worker: the queue to its parent


def affordable(image_size: int, most: int) -> int:
    """Return how many trainings may run side by side: 1…``most``, by cores and free memory.

    A process that trains the reference network takes about 1 GiB, at 224 pixels 2.6.

    Args:
        image_size: Pixels a side.
        most: Trainings that there are.
    """
    each = (1 + 1.6 * (image_size / 224) ** 2) * GIB
    return max(1, min(cores(), int(_free_memory() / each), most))


def _free_memory() -> int:
    """Return the bytes that this process may still take: the machine's, or its container's."""
    free = psutil.virtual_memory().available
    try:
        limit, used = ((CGROUP / name).read_text() for name in ("memory.max", "memory.current"))
        return min(free, int(limit) - int(used))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return free


def side_by_side(
    function: Callable[..., Any],
    calls: dict[int, tuple],
    workers: int,
    hear: Callable[..., None] = lambda *_: None,
) -> Iterator[tuple[int, Future]]:
    """Call a function in other processes; give each call's key and outcome when it is done.

    After a call that raised none is begun any more; those that run are finished. The processes
    use as many threads as this one, since sums are split among threads, which decides their last
    bits; they end when this process does.

    Args:
        function: Of a module, so that another process can import it.
        calls: Key → positional arguments, which are pickled.
        workers: Processes; see ``affordable``.
        hear: Is called here with what a call gives to ``tell`` there.

    Example:
        >>> for key, outcome in side_by_side(pow, {1: (2, 3), 2: (5, 2)}, workers=2):
        ...     print(key, outcome.result())  # raises what the call raised
    """
    threads = tf.config.threading
    context = multiprocessing.get_context("spawn")  # a forked TensorFlow hangs without its threads
    told = context.SimpleQueue()
    with ProcessPoolExecutor(
        workers,
        mp_context=context,
        initializer=_begin,
        initargs=(
            told,
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
            ended = wait(running, timeout=LISTENING, return_when=FIRST_COMPLETED).done
            while not told.empty():
                hear(*told.get())
            for future in ended:
                if future.exception():
                    waiting = iter(())
                yield running.pop(future), future


def tell(*message: Any) -> None:
    """Give the parent of this process something to ``hear``, see ``side_by_side``."""
    _told.put(message)


def _begin(told: Any, intra_op_threads: int, inter_op_threads: int) -> None:
    """Make a new process compute as its parent does, talk to it, and end with it."""
    global _told
    _told = told
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
