"""No test reads or writes the checkout's own data/ and reports/."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _shared_home(tmp_path_factory):
    """For fixtures that outlive one test."""
    before = os.environ.get("CNNLAB_HOME")
    os.environ["CNNLAB_HOME"] = str(tmp_path_factory.mktemp("home"))
    yield
    if before is None:
        del os.environ["CNNLAB_HOME"]
    else:
        os.environ["CNNLAB_HOME"] = before


@pytest.fixture(autouse=True)
def home(_shared_home, tmp_path, monkeypatch):
    """The folder of one test that holds its ``data/`` and ``reports/``."""
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    return tmp_path
