"""The Go toolchain, the crafted files of tests/images and the contracts of tests/artifact."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from model_folders import model, saved, tiny

__all__ = ["model", "saved", "tiny"]

ROOT = Path(__file__).resolve().parents[2]
BACKEND = ROOT / "backend"
for folder in ("images", "artifact"):  # pytest does so only if it collects tests there
    sys.path.append(str(ROOT / "tests" / folder))


def _require(found: bool, missing: str) -> None:
    """Skip a test whose tools are missing, or fail it where CNNLAB_REQUIRE_GO=1 asks for them."""
    if not found and os.environ.get("CNNLAB_REQUIRE_GO") == "1":
        pytest.fail(missing)
    if not found:
        pytest.skip(missing)


@pytest.fixture(scope="session")
def go() -> str:
    """Return the path of the Go toolchain: as in backend/go.sh, one that go.mod accepts."""
    for folder in (os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)):
        path = shutil.which("go", path=folder)
        if (
            path
            and not subprocess.run(
                [path, "list", "-m"], cwd=BACKEND, capture_output=True
            ).returncode
        ):
            return path
    _require(False, "no Go toolchain that backend/go.mod accepts: make backend installs one")
    raise AssertionError


@pytest.fixture(scope="session")
def curl() -> None:
    """Have curl, with which the documents show requests."""
    _require(shutil.which("curl") is not None, "no curl on PATH")


def _built(go: str, folder: Path, package: str) -> Path:
    """Build a program of the backend that prints verdicts, and return it."""
    program = folder / "verdicts"
    command = [go, "build", "-o", str(program), f"./{package}"]
    subprocess.run(command, cwd=BACKEND, check=True, timeout=600)
    return program


@pytest.fixture(scope="session")
def verdicts(go, tmp_path_factory) -> Path:
    """Return the program that prints the Go validation's verdicts on files."""
    return _built(go, tmp_path_factory.mktemp("go"), "validation/verdicts")


@pytest.fixture(scope="session")
def contract_verdicts(go, tmp_path_factory) -> Path:
    """Return the program that prints what Go says of contracts."""
    return _built(go, tmp_path_factory.mktemp("go"), "artifact/verdicts")


@pytest.fixture(scope="session")
def folder_verdicts(go, tmp_path_factory) -> Path:
    """Return the program that prints what Go says of model folders."""
    return _built(go, tmp_path_factory.mktemp("go"), "artifact/folders")


@pytest.fixture(scope="session")
def server_program(go, tmp_path_factory) -> Path:
    """Return the server, built from the sources as they are."""
    can_build = sys.platform == "linux" and shutil.which("gcc") is not None
    _require(can_build, "the server is built on Linux, with gcc")
    program = tmp_path_factory.mktemp("go") / "cnnlab-server"
    command = [BACKEND / "go.sh", "build", "-trimpath", "-o", str(program)]
    subprocess.run([*command, "./cmd/cnnlab-server"], check=True, timeout=600)
    return program
