"""The README's Python runs as written."""

import re
import shutil
from pathlib import Path

import numpy as np

README = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")


def test_the_example_from_python(saved, photos, tmp_path, monkeypatch, capsys) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    shutil.copytree(saved, tmp_path / "reports/quick/model")
    (tmp_path / "photo.jpg").write_bytes(photos[0])
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    exec(compile(example, "README.md", "exec"), found)
    answer, heatmaps = found["answer"], found["heatmaps"]
    assert capsys.readouterr().out == f"{answer.label} {answer.probability} {answer.plausible}\n"
    assert heatmaps.dtype == np.float32
    assert heatmaps.shape == (1, *found["pixels"].shape[:2])
    assert heatmaps.min() >= 0
    assert heatmaps.max() == 1
