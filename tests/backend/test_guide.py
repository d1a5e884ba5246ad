"""docs/go-backend.md tells the truth: its flags, codes and figures, and its examples run."""

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.artifact import model_folder
from cnnlab.engine import keras
from cnnlab.serving.server.server_process import ServerProcess

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "go-backend.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
ADDRESS = "127.0.0.1:8080"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `--([\w-]+)` \| (.*?) ?\|", re.MULTILINE)
DEFAULT = re.compile(r'\(default "?(.*?)"?\)$')
HELP = re.compile(r"^  -([\w-]+).*\n(.*)$", re.MULTILINE)


def examples(text: str, language: str, needle: str) -> list[str]:
    """The fenced examples in a language that hold a piece of text."""
    return [code for kind, code in FENCE.findall(text) if kind == language and needle in code]


def plain(default: str) -> str:
    """A default as the program prints it: MiB in bytes, and nothing for zero."""
    number = re.fullmatch(r"(\d+) MiB", default)
    return str(int(number[1]) << 20) if number else default.removeprefix("0")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(3, "softmax"),
        ]
    )
    folder = tmp_path_factory.mktemp("guide") / "model"
    model_folder.save(
        network, folder, class_names=["ant", "bee", "cat"], run_id="guide", card="# Card"
    )
    return folder


@pytest.fixture
def server(server_program, model) -> Iterator[ServerProcess]:
    with ServerProcess(model, program=server_program) as server:
        yield server


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A folder with the files that the examples send."""
    pixels = np.random.default_rng(7).integers(0, 256, (40, 60, 3), np.uint8)
    for name in ("photo.jpg", "other.png"):
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "JPEG" if name.endswith("jpg") else "PNG")
        (tmp_path / name).write_bytes(content.getvalue())
    return tmp_path


def run(command: list[str | Path], folder: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def flags(program: Path) -> dict[str, str]:
    """Name → default of every flag, as the program says."""
    done = subprocess.run([program, "-h"], capture_output=True, text=True, check=True, timeout=600)
    defaults = {
        name: re.search(r'\(default "?(.*?)"?\)$', words)
        for name, words in HELP.findall(done.stderr)
    }
    return {name: found[1] if found else "" for name, found in defaults.items()}


@pytest.mark.slow
def test_flags_and_defaults(server_program) -> None:
    known = flags(server_program)
    assert {name: plain(default) for name, default in ROW.findall(GUIDE)} == known
    dockerfile = (ROOT / "backend" / "Dockerfile").read_text("utf-8")
    starts = re.findall(r"^(?:ExecStart|ENTRYPOINT).*", GUIDE + dockerfile, re.MULTILINE)
    assert len(starts) == 2
    assert set(re.findall(r"--([\w-]+)", "".join(starts))) <= known.keys()


def test_codes_are_those_of_the_server() -> None:
    sources = [path.read_text("utf-8") for path in (ROOT / "backend").rglob("*.go")]
    table = GUIDE.partition("| status | codes")[2].partition("\n\n")[0]
    codes = {
        code for row in table.splitlines()[2:] for code in re.findall(r"`(\w+)`", row.split("|")[2])
    }
    assert len(codes) > 20
    assert {code for code in codes if not any(f'"{code}"' in source for source in sources)} == set()


def test_files_that_are_named_exist() -> None:
    named = set(re.findall(r"`((?:backend|benchmarks|tests)/[\w/]+\.\w+)`", GUIDE))
    assert len(named) > 5
    assert {name for name in named if not (ROOT / name).is_file()} == set()


@pytest.mark.slow
def test_metrics(server) -> None:
    server.predict(b"")
    shown = {re.sub(r"{.*|_(bucket|sum|count)\b", "", name) for name in server.metrics()}
    named = set(re.findall(r"`(cnnlab_\w+)", GUIDE))
    # A reload is counted from the first one on.
    assert named - shown == {"cnnlab_reloads_total"}


@pytest.mark.slow
@pytest.mark.parametrize("text", [GUIDE, README], ids=["guide", "README"])
def test_requests_run_as_written(text, server, pictures, curl) -> None:
    """But for the port, which is a free one here."""
    here = f"127.0.0.1:{server.port}"
    shell = examples(text, "sh", f"{ADDRESS}/v1/predict")
    python = examples(text, "python", f"{ADDRESS}/v1/predict")
    assert shell
    assert python or text is README  # which leaves programs to the guide
    label = server.predict((pictures / "photo.jpg").read_bytes())["label"]
    for code in shell:
        lines = "\n".join(line for line in code.splitlines() if line.startswith("curl"))
        script = "set -e\n" + lines.replace(ADDRESS, here).replace("reports/mine", ".")
        assert f'"label":"{label}"' in run(["bash", "-c", script], pictures)
    for code in python:
        assert run([sys.executable, "-c", code.replace(ADDRESS, here)], pictures).startswith(label)


@pytest.mark.slow
def test_program_of_ones_own(go, server, model, pictures) -> None:
    (program,) = examples(GUIDE, "go", "package main")
    assert len([line for line in program.splitlines() if line.strip()]) <= 25
    (pictures / "main.go").write_text(program)
    root = subprocess.run([go, "env", "GOROOT"], check=True, capture_output=True, text=True)
    formatted = subprocess.run(
        [Path(root.stdout.strip()) / "bin" / "gofmt", "-l", "main.go"],
        cwd=pictures,
        check=True,
        capture_output=True,
    )
    assert not formatted.stdout
    (build,) = examples(GUIDE, "sh", "go work init")
    path = os.pathsep.join([str(Path(go).parent), os.environ["PATH"]])
    printed = run(["bash", "-ec", build], pictures, CNNLAB=str(ROOT), MODEL=str(model), PATH=path)
    answer = server.predict((pictures / "photo.jpg").read_bytes())
    assert f'"label":"{answer["label"]}","probability":{answer["probability"]}' in printed


@pytest.mark.slow
def test_libraries_may_lie_elsewhere(server_program, model, tmp_path) -> None:
    """Its libraries are asked for by name: a folder in LD_LIBRARY_PATH comes first."""
    found = run(["ldd", server_program], tmp_path)
    libraries = re.findall(r"(libtensorflow\w*\.so\.2) => (\S+)", found)
    assert {name for name, _ in libraries} == {
        "libtensorflow_cc.so.2",
        "libtensorflow_framework.so.2",
    }
    for name, path in libraries:
        (tmp_path / name).symlink_to(path)
    shutil.copy(server_program, tmp_path / "cnnlab-server")
    found = run(["ldd", tmp_path / "cnnlab-server"], tmp_path, LD_LIBRARY_PATH=str(tmp_path))
    assert all(f"{name} => {tmp_path / name}" in found for name, _ in libraries)
