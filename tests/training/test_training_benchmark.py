import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("train")


def row(competitor, seconds):
    case = {"network": "reference", "size": 64, "source": "files", "images": 10}
    return case | {"competitor": competitor, "seconds": seconds, "cpu_seconds": seconds}


def test_a_ratio_compares_the_same_round(benchmark):
    assert benchmark.ratios(row("cnnlab", [1, 10]), row("keras", [2, 20])) == [2, 2]


def test_each_aim_is_judged_alike_and_at_best(benchmark):
    rows = [row("cnnlab", [2.0]), row("cnnlab bfloat16", [1.0]), row("keras", [3.0]),
            row("torch", [2.5]), row("torch bfloat16", [0.5])]  # fmt: skip
    found = [line.split(": ", 1)[1] for line in benchmark.verdicts(rows)]
    assert [line.endswith("NOT met") for line in found] == [True, False, False, True]
    assert found[0].startswith("cnnlab is 1.50 (1.50–1.50) times as fast as keras, aim 2")
    assert found[3].startswith("cnnlab bfloat16 is 0.50 (0.50–0.50) times as fast as torch bfl")


@pytest.mark.slow
def test_an_epoch_of_each_competitor_is_measured_without_torch(tmp_path):
    file = tmp_path / "train.json"
    command = [sys.executable, str(BENCHMARKS / "train.py"), "--sizes", "32", "--rounds", "1"]
    command += ["--networks", "reference", "--torch", str(tmp_path), "--output", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"No PyTorch in {tmp_path}: left out." in done.stdout
    rows = json.loads(file.read_text("utf-8"))["rows"]
    assert [(each["source"], each["competitor"]) for each in rows] == [
        (source, name)
        for source in ("files", "prepared")
        for name in ("cnnlab", "cnnlab bfloat16", "keras")
    ]
    assert all(len(each["seconds"]) == 1 and each["cpu_seconds"][0] > 0 for each in rows)
