"""Killed at any moment and started again, a run ends with what it would have found."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from cnnlab.runs import drift, execute, storage

PATIENCE = 300.0  # seconds; ends a hang
ORPHANS = 15.0  # seconds that what a killed process started may go on
KILLS = 6  # in every notebook
NAME = "smoke"
ANCHORS = {  # the last three kills come soon after one of these is there, before that anywhere
    "03": "training/checkpoint-*.npz",
    "04": "training/folds/fold-*",
}


def start(home: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a Python with these arguments, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=os.environ | {"CNNLAB_HOME": str(home)},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Return once a condition holds, or the process has ended."""
    deadline = time.monotonic() + PATIENCE
    while not condition() and process.poll() is None:
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)


def kill(process: subprocess.Popen[bytes]) -> bool:
    """End the process group by SIGKILL, see that nothing lives on; return whether it still ran."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGKILL)
    except (psutil.NoSuchProcess, ProcessLookupError):
        family = []
    process.communicate()
    _, alive = psutil.wait_procs(family, timeout=ORPHANS)
    assert alive == []
    return process.returncode == -signal.SIGKILL


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process and see that it ended well."""
    said = process.communicate(timeout=2 * PATIENCE)[1]
    assert process.returncode == 0, said.decode()


def left_over(home: Path) -> list[str]:
    """Return what a writer leaves that did not come to its end."""
    found = [path for path in home.rglob(".*") if path.name.startswith((".unf", ".repl", ".in-"))]
    return [str(path) for path in found] + [str(path) for path in home.rglob("*.part")]


CHILD = """
import sys
from pathlib import Path
from cnnlab.runs import execute, opening
with opening.alone("demo"):
    execute.execute(opening.open_run("demo", profile="smoke"), ["01_a"], Path(sys.argv[1]))
"""
WRITES = """
from cnnlab import runs
lab = runs.open_run(run)
for number in range({count}):
    lab.save_text("metrics/a.txt", str(number) * 100_000)
"""


@pytest.mark.slow
def test_three_kills_while_a_notebook_writes_leave_nothing(home: Path, tmp_path: Path) -> None:
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()

    def write(count: int) -> None:
        parameters = new_code_cell('run = ""', metadata={"tags": ["parameters"]})
        cells = [parameters, new_code_cell(WRITES.format(count=count))]
        nbformat.write(new_notebook(cells=cells), notebooks / "01_a.ipynb")

    dice, written = random.Random(0), home / "reports" / "demo" / "metrics" / "a.txt"
    write(10**9)
    for _ in range(3):
        written.unlink(missing_ok=True)
        process = start(home, "-c", CHILD, str(notebooks))
        wait_for(written.exists, process)
        time.sleep(dice.uniform(0, 0.2))
        assert kill(process)
        assert len(set(written.read_text())) <= 10  # whole
        assert written.stat().st_size % 100_000 == 0
    write(1)
    finish(start(home, "-c", CHILD, str(notebooks)))
    assert left_over(home) == []
    assert "failed" not in storage.read_state(home / "reports" / "demo")["notebooks"]["01_a"]


def run_notebooks(home: Path, only: str = "") -> subprocess.Popen[bytes]:
    arguments = ("-m", "cnnlab", "run", "--profile", "smoke", "--run", NAME, "--only", only)
    return start(home, *arguments)


def to_the_end(home: Path, only: str = "") -> None:
    finish(run_notebooks(home, only))


def began(folder: Path, notebook: str, after: str) -> bool:
    """Whether a notebook was begun later than that."""
    try:
        return storage.read_state(folder)["notebooks"][notebook]["started"] > after
    except Exception:  # there is no such run or notebook yet
        return False


def killed_once(
    home: Path, notebook: str, anchor: str, seconds: float, dice: random.Random
) -> bool:
    """Kill a run inside a notebook; return whether it had not ended before."""
    folder = home / "reports" / NAME
    process = run_notebooks(home, notebook[:2])
    after = max([entry.get("started", "") for entry in _notebooks(folder).values()], default="")
    wait_for(lambda: began(folder, notebook, after), process)
    if anchor:
        wait_for(lambda: any(folder.glob(anchor)), process)
        time.sleep(dice.uniform(0, 1))
    else:
        time.sleep(dice.uniform(0, seconds))
    return kill(process)


def _notebooks(folder: Path) -> dict[str, dict]:
    return storage.read_state(folder)["notebooks"] if (folder / "run.json").exists() else {}


def batter(whole: Path, killed: Path) -> None:
    """Make the run of one home in another one, killed again and again, and compare the two."""
    dice, resumed = random.Random(42), 0
    expected, found = whole / "reports" / NAME, killed / "reports" / NAME
    for name in execute.available():
        seconds = storage.read_state(expected)["notebooks"][name]["seconds"]
        kills = tries = 0
        while kills < KILLS and tries < 3 * KILLS:
            anchor = ANCHORS.get(name[:2], "") if kills >= KILLS // 2 else ""
            hit = killed_once(killed, name, anchor, seconds, dice)
            resumed += bool(hit and list(found.glob("training/**/checkpoint-*.npz")))
            kills, tries = kills + hit, tries + 1
        to_the_end(killed, name[:2])
        assert left_over(killed) == [], name
        assert kills == KILLS, name
        print(f"{name}: {kills} kills in {tries} tries; {resumed} of all with a checkpoint")
    assert resumed >= 3
    assert drift.counted(drift.compare(expected, found)).empty
    ids = [
        json.loads((each / "model/contract.json").read_text())["model_id"]
        for each in (expected, found)
    ]
    assert ids[0] == ids[1]
    for each in (expected, found):  # no other model has seen the test set
        tested = storage.read_state(each)["test_set_opened"]
        assert {entry["model_id"] for entry in tested} == {ids[0]}


@pytest.mark.slow
@pytest.mark.long
def test_forty_two_kills_in_every_notebook_change_nothing(tmp_path: Path) -> None:
    to_the_end(tmp_path / "whole")
    batter(tmp_path / "whole", tmp_path / "killed")
