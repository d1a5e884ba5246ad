"""Every writer on a full disk: one line, nothing half-written or left, and then it goes on.

The disk is a small one of its own where this machine lets the tests mount one (as root), with the
system's own "No space left on device". Elsewhere no file may grow beyond a limit, which every
writer meets in the system in the same way, as "File too large".
"""

import os
import resource
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest
from model_folders import CLASS_NAMES, _tiny
from PIL import Image

from cnnlab import files, runs
from cnnlab.artifact import model_folder
from cnnlab.config import InputError, make_settings
from cnnlab.data import ledger, prepared, tables
from cnnlab.data.batches import Dataset
from cnnlab.data.public import download
from cnnlab.data.synthetic import shapes
from cnnlab.engine import keras
from cnnlab.features import store
from cnnlab.hashing import file_digest
from cnnlab.places import CannotWrite
from cnnlab.report import layout
from cnnlab.runs import opening, papermill_engine
from cnnlab.training import checkpoint, fold_results

MIB = 2**20
ARCHIVE = "a.zip"


class Disk:
    """A folder, on a disk of 16 MiB if it could be mounted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = ["mount", "-t", "tmpfs", "-o", f"size={16 * MIB}", "full-disk", folder]
        root = os.geteuid() == 0 and shutil.which("mount") is not None
        done = subprocess.run(command, capture_output=True, check=False) if root else None
        self.own = done is not None and done.returncode == 0

    def unmount(self) -> None:
        if self.own:
            subprocess.run(["umount", "-l", self.folder], check=True)

    @contextmanager
    def full(self, room: int) -> Iterator[None]:
        """Leave only so many bytes."""
        if not self.own:
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
            try:
                yield
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
            return
        ballast = self.folder / "ballast"
        with open(ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(self.folder).free - room)
        try:
            yield
        finally:
            ballast.unlink()


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    made = Disk(tmp_path_factory.mktemp("disk"))
    yield made
    made.unmount()


@pytest.fixture
def home(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of this test on the disk."""
    folder = disk.folder / "home"
    folder.mkdir()
    monkeypatch.setenv("CNNLAB_HOME", str(folder))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, on another disk."""
    folder = tmp_path_factory.mktemp("other") / "pictures"
    folder.mkdir()
    (folder.parent / ARCHIVE).write_bytes(bytes(300_000))
    rng = np.random.default_rng(0)
    for number in range(40):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(
            folder / f"{number}.png"
        )
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder, on another disk."""
    folder = tmp_path_factory.mktemp("saved")
    model_folder.save(_tiny(), folder, class_names=CLASS_NAMES, run_id="lab", card="#\n")
    return folder


def run() -> runs.Run:
    return runs.Run(Path(os.environ["CNNLAB_HOME"], "reports", "lab"), make_settings("smoke"))


def write_pixels(home: Path, root: Path) -> None:
    names = sorted(path.name for path in root.iterdir())
    contents = [file_digest(root / name) for name in names]
    pixels = prepared.open_pixels(names, root, 48, contents=contents, cache=home / "prepared")
    assert pixels.any(axis=(1, 2, 3)).all()


def write_features(home: Path, root: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    table = pd.DataFrame({"path": [f"{n}.png" for n in range(40)], "label": "a", "split": "train"})
    dataset = Dataset(pixels, table.assign(picture=table["path"], group="", reason=""), ["a", "b"])
    images = keras.Input((16, 16, 3), name="images")
    maps = keras.layers.Conv2D(99, 3, kernel_initializer="ones", name="maps")(images)
    body = keras.Model(images, keras.layers.GlobalAveragePooling2D(name="means")(maps), name="body")
    store.open_features(body, dataset, np.arange(40), cache=home / "features")


def write_checkpoint(home: Path, root: Path) -> None:
    progress = checkpoint.Progress([{"epoch": 1}], weights=[np.ones(20_000)])
    checkpoint.save(home / "training", progress, "mark")


def write_fold(home: Path, root: Path) -> None:
    result = fold_results.Result(np.ones((9_000, 3), np.float32), 1.0, 2)
    fold_results.save(home / "folds" / "fold-1.npz", result, "mark")


def write_model(home: Path, root: Path) -> None:
    model_folder.save(_tiny(), home / "model", class_names=CLASS_NAMES, run_id="lab", card="#\n")


def write_card(home: Path, root: Path) -> None:
    model_folder.write_card(home / "saved", "# A longer card\n" * 9)


def write_table(home: Path, root: Path) -> None:
    tables.write(pd.DataFrame({"path": [f"{n}.png" for n in range(9_000)]}), home / "a.csv")


def write_json(home: Path, root: Path) -> None:
    run().save_json("metrics/test.json", {"values": list(range(9_000))})


def write_figure(home: Path, root: Path) -> None:
    figure = matplotlib.figure.Figure()
    figure.subplots().plot(np.arange(9))
    run().save_figure(figure, "one")


def write_page(home: Path, root: Path) -> None:
    run().save_text("html/a.html", "<p>" * 9_000)
    assert layout.write.__module__  # it writes by the same `files.write`


def write_notebook(home: Path, root: Path) -> None:
    target = run().path("notebooks", "01.ipynb")
    papermill_engine.WHOLE_FILES.write("{}" * 9_000, str(target))


def write_run(home: Path, root: Path) -> None:
    opening.create(home / "reports" / "new", make_settings("smoke"))


def write_ledger(home: Path, root: Path) -> None:
    images = np.arange(3_000, dtype=np.uint64)
    names = ("at", "by", "model_id", "run", "run_id", "created", "dataset")
    opened = ledger.Opening(
        **dict.fromkeys(names, "x"), images=ledger.digest(images), count=len(images)
    )
    ledger.record(opened, images)


def write_shapes(home: Path, root: Path) -> None:
    folder = home / "data" / "raw" / "shapes"
    shapes.generate(folder, train_per_class=5, test_per_class=5, seed=0)


def write_download(home: Path, root: Path) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/{ARCHIVE}"
        download.download(address, home / "a.part", max_bytes=MIB)
    finally:
        server.shutdown()
        server.server_close()


QUICK = (
    *(write_features, write_checkpoint, write_fold, write_table, write_json),
    *(write_page, write_notebook, write_run, write_ledger),
)
SLOW = (write_pixels, write_model, write_card, write_figure, write_shapes, write_download)
WRITERS = [*QUICK, *(pytest.param(each, marks=pytest.mark.slow) for each in SLOW)]
KEPT = (".part",)  # what is continued; it is no longer than what was asked for


def tree(folder: Path) -> dict[str, str]:
    """Return the path of every file below a folder → its SHA-256."""
    return {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in KEPT
    }


def is_in(before: dict[str, str], path: Path, home: Path) -> bool:
    """Whether a file was there before, the same."""
    return before.get(path.relative_to(home).as_posix()) == file_digest(path)


@pytest.mark.parametrize("writer", WRITERS, ids=lambda each: each.__name__)
def test_a_full_disk_is_one_line_and_nothing_is_half_written(
    writer: Callable[[Path, Path], None], disk: Disk, home: Path, root: Path,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    def start_anew() -> None:
        shutil.rmtree(home)
        home.mkdir()
        if writer is write_card:
            shutil.copytree(request.getfixturevalue("saved"), home / "saved")

    start_anew()
    before = tree(home)
    writer(home, root)
    whole = tree(home)
    new = [path for path in home.rglob("*") if path.is_file() and not is_in(before, path, home)]
    largest = max(path.stat().st_size for path in new)
    for room in (0, 4096, largest // 2 // 4096 * 4096):
        start_anew()
        with disk.full(min(room, largest - 1)), pytest.raises((CannotWrite, InputError)) as caught:
            writer(home, root)
        said = str(caught.value)
        assert "No space left on device" in said or "File too large" in said
        assert str(home) in said
        assert len(said.splitlines()) == 1
        assert "free" in said or "missing" in said
        found = tree(home)
        assert found.items() <= before.items() | whole.items()  # whole, or as it was, or not there
        assert before.keys() <= found.keys()
    writer(home, root)
    assert tree(home).keys() == whole.keys()


def test_room_that_is_missing_is_known_before_anything_is_decoded(
    home: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "read_images", lambda *_: pytest.fail("decoded"))
    usage = shutil._ntuple_diskusage(10**9, 10**9 - 10**5, 10**5)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(CannotWrite, match="it takes 277 kB, 100 kB are free: 177 kB missing"):
        write_pixels(home, root)
    assert tree(home) == {}


def test_a_place_that_may_not_be_written_says_how_to_cure_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "x"))

    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(CannotWrite, match=r"x: Permission denied\. Make it writable"):
        files.make_folder(tmp_path / "x")
