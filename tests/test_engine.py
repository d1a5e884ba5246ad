"""The quiet import: noise is held back, everything else still shows."""

import logging
import os
import subprocess
import sys

import pytest

from cnnlab import engine


@pytest.mark.parametrize(
    "line",
    [
        b"I0000 00:00:1.5 port.cc:153] oneDNN custom operations are on.",
        b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
        b"To enable the following instructions: AVX2 FMA, rebuild TensorFlow.",
        b"E0000 00:00:1.5 cuda_driver.cc:266] failed call to cuInit: UNKNOWN ERROR (303)",
    ],
)
def test_noise(line: bytes) -> None:
    assert engine.NOISE.match(line)


@pytest.mark.parametrize(
    "line",
    [
        b"E0000 00:00:1.5 gpu.cc:12] out of memory",
        b"W0000 00:00:1.5 cpu.cc:9] the machine lacks AVX2",
        b"ImportError: libcudart.so.12",
        b"  I0000 indented",
    ],
)
def test_what_is_no_noise(line: bytes) -> None:
    assert not engine.NOISE.match(line)


def test_the_filter_passes_the_rest_on_and_restores_stderr(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with engine._noise_filtered():
        os.write(2, b"I0000 00:00:1.5 noise\na real warning\n")
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "a real warning\n"
    os.write(2, b"I0000 00:00:1.5 afterwards nothing is held back\n")
    assert "afterwards" in capfd.readouterr().err


def test_the_filter_ends_when_the_import_fails(capfd: pytest.CaptureFixture[str]) -> None:
    def failing_import() -> None:
        with engine._noise_filtered():
            os.write(2, b"the reason\n")
            raise ImportError

    with pytest.raises(ImportError):
        failing_import()
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "the reason\nlater\n"


def test_keras_runs_on_tensorflow() -> None:
    assert engine.keras.backend.backend() == "tensorflow"


def test_deterministic_random_operations_need_a_seed() -> None:
    """It is how TensorFlow shows that the promise holds; asking twice changes nothing."""
    for _ in range(2):
        engine.make_deterministic()
    with engine.tf.Graph().as_default(), pytest.raises(RuntimeError, match="require a seed"):
        engine.tf.random.uniform(())


@pytest.mark.slow
def test_a_fresh_import_writes_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from cnnlab.engine import tf; print(int(tf.constant(1) + 1))"],
        capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("2\n", "")


def test_only_the_warning_of_retracing_is_kept_quiet_and_only_inside() -> None:
    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logger = engine.tf.get_logger()
    logger.addHandler(handler)
    try:
        with engine.new_traces_expected():
            logger.warning("5 out of the last %d calls triggered tf.function retracing.", 5)
            logger.warning("out of memory")
        logger.warning("6 calls triggered tf.function retracing.")
    finally:
        logger.removeHandler(handler)
    assert heard == ["out of memory", "6 calls triggered tf.function retracing."]
