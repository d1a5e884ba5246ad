"""TensorFlow and Keras, imported in one place and quietly.

TensorFlow's C++ side writes start-up notes to file descriptor 2 before any logging setting is
read. In a notebook they stand as red text above the first figure. Every other module says
``from cnnlab.engine import keras, tf``; nothing else in the package imports either.
"""

import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["SavedModel", "keras", "make_deterministic", "new_traces_expected", "tf"]

# Informational lines, and the note that a machine has no GPU: anything else is printed afterwards.
NOISE = re.compile(
    rb"^(I\d{4} |WARNING: All log messages before absl|To enable the following|E\d{4} .*cuInit)"
)


@contextmanager
def _noise_filtered() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, then print all of it but the noise."""
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            for line in held:
                if not NOISE.match(line):
                    sys.stderr.write(line.decode(errors="replace"))


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors still show, start-up notes do not
with _noise_filtered():
    import keras
    import tensorflow as tf
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    tf.config.list_physical_devices()  # looks for a GPU now, while the note is held back


def make_deterministic() -> None:
    """Have TensorFlow's operations give the same bits each time; calling it again is free.

    It holds for the whole process from then on: some operations of a GPU become slower, some that
    have no deterministic form there raise, and so do random ones that were given no seed. Equal
    bits are promised on one machine with one set of versions, not on another processor, GPU or
    number of threads, where sums are added up in another order.
    """
    tf.config.experimental.enable_op_determinism()


@contextmanager
def new_traces_expected() -> Iterator[None]:
    """Keep TensorFlow's warning of frequent retracing quiet for the length of a block.

    Keras traces its functions anew for every network. Where one network after the other is asked
    about a few batches, TensorFlow takes that for one function that is traced without need.
    """
    logger = tf.get_logger()
    logger.addFilter(_is_no_retracing_warning)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_retracing_warning)


def _is_no_retracing_warning(record: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in record.getMessage()
