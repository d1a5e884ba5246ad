"""No test reads or writes the checkout's own data/ and reports/; how tests run side by side."""

import os
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

WORKER = 3 * 2**30  # bytes of a test process with TensorFlow and what it starts: kernels, a server
# Files that one process works on for minutes are begun first, so that none waits for them at last.
# The Go tests come before the others that build the server, which then find it in Go's cache.
LONGEST = ("test_notebooks.py", "backend/test_go.py", "backend/")


def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes ``-n auto`` means: one a core, as far as memory goes.

    Where it is one, it is 0: the tests run in this process, without a second one that waits.
    """
    usable = getattr(os, "sched_getaffinity", None)
    cores = len(usable(0)) if usable else os.cpu_count() or 1
    memory = psutil.virtual_memory().available
    limit = Path("/sys/fs/cgroup/memory.max")  # a container's
    if limit.exists() and limit.read_text().strip() != "max":
        memory = min(memory, int(limit.read_text()))
    count = min(cores, memory // WORKER)
    return count if count > 1 else 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where tests run side by side, put the longest files first; the others keep their order."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _turn(item.path.relative_to(Path(__file__).parent).as_posix()))


def _turn(path: str) -> int:
    return next((n for n, start in enumerate(LONGEST) if path.startswith(start)), len(LONGEST))


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


@pytest.fixture
def make_photos(tmp_path):
    """Return the maker of a folder of two classes of noisy pictures, dark and bright.

    They are the same bytes each time: a split goes by content, so other noise is another split.
    """

    def make(per_class):
        folder, random = tmp_path / "photos", np.random.default_rng(0)
        for label, level in (("cat", 60), ("dog", 190)):
            (folder / label).mkdir(parents=True)
            for number in range(per_class):
                noise = random.normal(128, 40 + number, (40, 40)).clip(0, 255)
                image = Image.fromarray(((noise + level) // 2).astype(np.uint8)).convert("RGB")
                image.save(folder / label / f"{number}.png", compress_level=0)
        return folder

    return make
