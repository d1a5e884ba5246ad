"""Trainings side by side, each in a process of its own with a TensorFlow of its own."""

import math
import multiprocessing
import os
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from cnnlab.engine import keras, tf
from cnnlab.models import structure
from cnnlab.training.environment import cores

EMPTY = 0.9 * 2**30  # bytes of a process with TensorFlow, traced functions and prepared batches
FLOAT = 4  # bytes
COPIES = 10  # of the weights: two networks, gradients, moments, the best, averages, a checkpoint
CGROUP = Path("/sys/fs/cgroup")  # version 2; what a container may use
LISTENING = 0.5  # seconds between two looks at what the processes tell
_told: Any = None  # in a worker: the queue to its parent


def memory(
    model: keras.Model,
    batch_size: int,
    frozen: Collection[keras.layers.Layer] = (),
    *,
    accumulates: bool = False,
) -> int:
    """Return about how many bytes a process takes that trains a network.

    The reference network was measured to take 0.9 GiB at 48 pixels and 3.0 at 224, both with
    batches of 32; this says 1.0 and 3.1.

    Args:
        model: The network.
        batch_size: Images a step.
        frozen: Layers that do not learn. No gradient passes them, so their outputs are not kept.
        accumulates: Whether several batches make a step: their gradients are kept, and saved.
    """
    still = {id(layer) for layer in frozen}
    kept, passing = 0, 0  # numbers an image
    for step in structure.steps(model):
        size = math.prod(side or 1 for side in step.output[1:])
        if id(step.operation) in still:
            passing = max(passing, 2 * size)  # what goes in and what comes out
        else:
            kept += size
    weights = (COPIES + 2 * accumulates) * model.count_params()
    return int(EMPTY + FLOAT * (weights + batch_size * (kept + passing)))


def affordable(each: int, most: int) -> int:
    """Return how many trainings may run side by side: 1…``most``, by cores and free memory.

    Args:
        each: Bytes that one takes, see ``memory``.
        most: Trainings that there are.
    """
    return max(1, min(cores(), int(free_memory() / each), most))


def free_memory() -> int:
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
