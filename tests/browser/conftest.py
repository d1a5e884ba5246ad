"""Chromium, servers that are stopped whatever happens, and a run with a tiny network to serve."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnnlab.artifact import model_folder
from cnnlab.config import home
from cnnlab.engine import keras
from cnnlab.evaluation.conformal import SetRule
from cnnlab.evaluation.ood_detection import NoveltyRule
from cnnlab.runs import open_run
from cnnlab.serving.predictor import Predictor

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
PATIENCE = 600  # seconds for what takes one: a slow machine must not fail a test
LAB_SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "apputils-extension/themes": {"adaptive-theme": True},  # light or dark as the system says
    "notebook-extension/tracker": {"windowingMode": "none"},  # every cell is in the page
}
CLASSES = ["disc", "ring", "cross"]
SIZE = 16


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return Chromium's path; without it the tests are skipped, or fail where it is required."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        missing = "no Chromium: install it (Debian: apt install chromium) to run the browser tests"
        if os.environ.get("CNNLAB_REQUIRE_BROWSER"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


@pytest.fixture(scope="module")
def browser(chromium) -> Iterator:
    """Return a headless browser; only for a module, because it keeps an event loop running."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory) -> Path:
    """Return where pictures for people go: ``$CNNLAB_SCREENSHOTS``, or pytest's own folder."""
    chosen = os.environ.get("CNNLAB_SCREENSHOTS")
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def served_run(_shared_home) -> Path:
    """Return the home of a run ``lab``: random weights, both rules, three images listed."""
    images = home() / "images"
    for number, label in enumerate(CLASSES):
        (images / label).mkdir(parents=True)
        pixels = np.random.default_rng(number).integers(0, 256, (24, 24, 3), np.uint8)
        Image.fromarray(pixels).save(images / label / "one.png")
    run = open_run("lab", profile="smoke", data=str(images))
    model_folder.save(
        _network(),
        run.path("model"),
        class_names=CLASSES,
        run_id=run.id,
        card="# Card\n",
        conformal=SetRule(0.9, 0.3, 100),
        novelty=NoveltyRule(0.95, 0.42, 100),
    )
    predictor = Predictor(run.path("model"))
    rows = []
    for path in sorted(images.rglob("*.png")):
        answer = predictor.predict(path.read_bytes())
        name = path.relative_to(images).as_posix()
        rows.append({"path": name, "label": path.parent.name, "predicted": answer.label})
        rows[-1]["probability"] = answer.probability
    run.save_table("predictions/validation.csv", pd.DataFrame(rows))
    return home()


def _network() -> keras.Model:
    layers, start = keras.layers, keras.initializers.GlorotUniform(seed=1)
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu", kernel_initializer=start),
            layers.Flatten(),
            layers.Dense(len(CLASSES), activation="softmax", kernel_initializer=start),
        ]
    )


@pytest.fixture(scope="session")
def environment(served_run, tmp_path_factory) -> dict[str, str]:
    """Return an environment in which Jupyter neither reads nor writes anybody's own files."""
    own = tmp_path_factory.mktemp("jupyter")
    for plugin, settings in LAB_SETTINGS.items():
        path = own / "settings" / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))
    folders = {
        name: str(own / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    folders |= {"JUPYTERLAB_SETTINGS_DIR": str(own / "settings")}
    folders |= {"JUPYTERLAB_WORKSPACES_DIR": str(own / "workspaces"), "HOME": str(own)}
    folders |= {"JUPYTER_PATH": str(ROOT / "notebooks" / "app")}  # the page's template, as in make
    return {**os.environ, **folders, "CNNLAB_HOME": str(served_run), "RUN": "lab"}


@pytest.fixture(scope="session")
def serve(environment, tmp_path_factory) -> Callable:
    """Return a context manager that runs a server: module, arguments, folder, path to ask."""

    @contextmanager
    def running(module: str, *arguments: str, folder: Path, ready: str) -> Iterator:
        address = f"http://127.0.0.1:{(port := _free_port())}"
        command = [sys.executable, "-m", module, *arguments, f"--port={port}", "--no-browser"]
        log = tmp_path_factory.mktemp(module) / "log.txt"
        with open(log, "w") as target:
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=target, stderr=target
            )
        try:
            _wait(process, address + ready, log)
            yield process, address
        finally:
            process.send_signal(signal.SIGCONT)  # a test may have stopped it
            process.terminate()  # it ends its kernels
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    return running


def _free_port() -> int:
    """Return a port that nobody takes before the server does.

    It is none of those that systems hand out, and each test process has a hundred of its own.
    """
    first = 20_000 + 100 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for port in range(first, first + 100):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"No port is free from {first} to {first + 99}.")


def _wait(process: subprocess.Popen, address: str, log: Path) -> None:
    """Wait until a server answers."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=PATIENCE).close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{address} does not answer:\n{log.read_text()}")


@pytest.fixture(scope="session")
def lab_limit() -> str:
    """Return the tornado settings that ``make lab`` starts JupyterLab with."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return re.findall(r'--ServerApp\.tornado_settings="(\{.*?\})"', text)[0]
