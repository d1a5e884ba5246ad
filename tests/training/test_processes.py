import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from cnnlab.engine import keras
from cnnlab.models import structure
from cnnlab.training import processes
from cnnlab.training.processes import side_by_side

GIB = 2**30

# Two processes that note their numbers and would then wait for minutes.
WAITING = """
import os, sys, time
from pathlib import Path
from cnnlab.training.processes import side_by_side

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    from waiting import wait
    list(side_by_side(wait, {1: (sys.argv[1],), 2: (sys.argv[1],)}, 2))
"""
WAIT = """
import os, time
from pathlib import Path

def wait(folder):
    Path(folder, f"{os.getpid()}.pid").touch()
    time.sleep(300)
"""


@pytest.mark.slow
def test_after_a_call_that_raised_none_is_begun():
    calls = {1: (8, 2), 2: (1, 0), 3: (9, 3)}
    outcomes = dict(side_by_side(divmod, calls, 1))
    assert outcomes[1].result() == (4, 0)
    assert isinstance(outcomes[2].exception(), ZeroDivisionError)
    assert sorted(outcomes) == [1, 2]


@pytest.mark.slow
def test_the_processes_end_with_their_parent_even_when_it_is_killed(tmp_path):
    (tmp_path / "main.py").write_text(WAITING)
    (tmp_path / "waiting.py").write_text(WAIT)
    command = [sys.executable, str(tmp_path / "main.py"), str(tmp_path)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(tmp_path)}) as parent:
        assert _within(120, lambda: len(list(tmp_path.glob("*.pid"))) == 2)
        parent.send_signal(signal.SIGKILL)
    numbers = [path.stem for path in tmp_path.glob("*.pid")]
    assert _within(20, lambda: not any(_runs(number) for number in numbers))


def _within(seconds, condition):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def _runs(number):
    """Tell whether a process exists that is no zombie."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("cores", "free", "each", "expected"),
    [
        (2, 16.0, 1.0, 2),
        (16, 16.0, 1.0, 5),  # no more than there are trainings
        (16, 8.0, 2.6, 3),
        (16, 0.5, 1.0, 1),  # one, come what may
        (1, 64.0, 2.6, 1),
    ],
)
def test_as_many_trainings_run_as_cores_and_memory_allow(
    monkeypatch, tmp_path, cores, free, each, expected
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    memory = SimpleNamespace(available=int(free * GIB))
    monkeypatch.setattr(processes.psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(processes, "CGROUP", tmp_path / "none")
    assert processes.affordable(int(each * GIB), most=5) == expected


def test_a_container_s_limit_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    memory = SimpleNamespace(available=64 * 2**30)
    monkeypatch.setattr(processes.psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(processes, "CGROUP", tmp_path)
    (tmp_path / "memory.current").write_text(f"{2**30}\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert processes.affordable(GIB, most=5) == 5
    (tmp_path / "memory.max").write_text(f"{4 * 2**30}\n")
    assert processes.affordable(GIB, most=5) == 3


def test_the_memory_of_a_training_is_that_of_weights_and_maps():
    """A batch has the maps once for each image, and the weights but once."""
    inputs = keras.Input((4, 4, 3))
    maps = keras.layers.Conv2D(8, 1)(inputs)  # 4·4·8 values, 3·8 + 8 weights
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(maps))
    few, many = (processes.memory(model, batch_size) for batch_size in (1, 11))
    images = sum(step.output[1:] == (4, 4, 3) for step in structure.steps(model)) * 4 * 4 * 3
    assert many - few == 10 * 4 * (4 * 4 * 8 + 8 + images)
    assert few == int(0.9 * GIB + 4 * (10 * 32 + 4 * 4 * 8 + 8 + images))
    assert processes.memory(model, 1, accumulates=True) == few + 4 * 2 * 32


def test_outputs_of_frozen_layers_are_not_kept():
    """Of frozen layers the largest counts, with what goes into it; what learns counts whole."""
    layers = keras.layers
    inputs = keras.Input((4, 4, 3))
    x, frozen = inputs, []
    for _ in range(10):
        frozen.append(layers.Conv2D(8, 1))
        x = frozen[-1](x)
    x = layers.Conv2D(2, 1)(x)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    few, many = (processes.memory(model, batch_size, frozen) for batch_size in (1, 11))
    images = sum(step.output[1:] == (4, 4, 3) for step in structure.steps(model)) * 4 * 4 * 3
    assert many - few == 10 * 4 * (2 * (4 * 4 * 8) + 4 * 4 * 2 + 2 + images)
    assert processes.memory(model, 11) > many
