"""No test reads or writes the checkout's own data/ and reports/."""

import os

import pytest
from PIL import Image


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
    """Return the maker of a folder of two classes of noisy pictures, dark and bright."""

    def make(per_class):
        folder = tmp_path / "photos"
        for label, level in (("cat", 60), ("dog", 190)):
            (folder / label).mkdir(parents=True)
            for number in range(per_class):
                noise = Image.effect_noise((40, 40), 40 + number)
                image = noise.point(lambda v, x=level: (v + x) // 2)
                image.convert("RGB").save(folder / label / f"{number}.png")
        return folder

    return make
