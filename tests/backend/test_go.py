"""The Go sources: formatted, without findings, and their own tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BACKEND = Path(__file__).resolve().parents[2] / "backend"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(go, tmp_path_factory) -> Path:
    """Return the folder of models and answers that the Go tests compare with, made once."""
    folder = tmp_path_factory.mktemp("models")
    program = BACKEND / "internal" / "testmodels" / "make.py"
    subprocess.run([sys.executable, "-W", "ignore", program, folder], check=True, timeout=600)
    return folder


def run(*arguments: str | Path, **environment: str) -> str:
    """Run a program in the backend's folder and return what it prints; it must succeed."""
    done = subprocess.run(
        arguments,
        cwd=BACKEND,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_sources_are_formatted(go):
    gofmt = Path(run(go, "env", "GOROOT").strip(), "bin", "gofmt")
    assert run(gofmt, "-l", ".") == ""


def test_vet_finds_nothing(go):
    run(BACKEND / "go.sh", "vet", "./...")


@pytest.mark.parametrize("options", [[], ["-race"]], ids=["plain", "race"])
def test_the_tests_pass(models, options):
    # Go would remember an earlier result: it does not see that the answers are new ones.
    command = [BACKEND / "go.sh", "test", "-count=1", *options, "./..."]
    printed = run(*command, CNNLAB_TEST_MODELS=str(models))
    for package in ("cmd/cnnlab-server", "validation", "predictor", "server"):
        assert f"ok  \tcnnlab/backend/{package}\t" in printed
