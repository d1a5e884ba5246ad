import hashlib
import io
import socket
import tarfile
import threading
import zipfile
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cnnlab.__main__ import main
from cnnlab.config import InputError, make_settings
from cnnlab.data.public import catalogue, download, fetch
from cnnlab.data.public.catalogue import DATASETS, Archive, Arrays
from cnnlab.data.sources import selection
from cnnlab.runs import open_run

PHOTOS = {"cat/b.jpg": b"a cat", "cat/a.jpg": b"another", "dog/1.jpg": b"a dog", "README": b"x"}


def tar(path, files, top="photos/"):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(top + name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def zipped(path, files, top="photos/"):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(top + name, content)
    return path


class Web:
    """A folder that is served, and the dataset "flowers" that lies there."""

    def __init__(self, folder, port, asked, monkeypatch):
        self.folder, self.asked, self.monkeypatch = folder, asked, monkeypatch
        self.address = f"http://127.0.0.1:{port}/photos.tgz"

    def offers(self, write=tar, files=PHOTOS, **changed):
        archive = write(self.folder / "photos.tgz", files)
        known = Archive(
            self.address,
            "photos.tgz",
            size=archive.stat().st_size,
            sha256=hashlib.sha256(archive.read_bytes()).hexdigest(),
        )
        self.monkeypatch.setitem(DATASETS, "flowers", replace(known, **changed))
        return archive


@pytest.fixture
def web(tmp_path_factory, monkeypatch):
    folder, asked = tmp_path_factory.mktemp("web"), []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    monkeypatch.setattr(download, "PAUSE", 0.0)
    monkeypatch.setenv("no_proxy", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Web(folder, server.server_port, asked, monkeypatch)
    server.shutdown()
    thread.join()
    server.server_close()


def refusal(name="flowers"):
    with pytest.raises(InputError) as caught:
        fetch.fetch(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_nothing_made(home):
    raw = home / "data" / "raw"
    assert not raw.exists() or list(raw.iterdir()) == []


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("write", [tar, zipped, partial(tar, top=""), partial(zipped, top="")])
def test_a_dataset_is_downloaded_once(web, home, write):
    web.offers(write)
    folder = fetch.fetch("flowers")
    assert folder == home / "data" / "raw" / "flowers"
    assert contents(folder) == PHOTOS
    assert folder.stat().st_mode & 0o055 == 0o055
    assert [entry.name for entry in folder.parent.iterdir()] == ["flowers"]
    assert list((home / "data" / "downloads").iterdir()) == []
    assert fetch.fetch("flowers") == folder
    assert len(web.asked) == 1


def test_a_download_goes_on_from_an_earlier_one(web, home):
    data = web.offers().read_bytes()
    part = home / "data" / "downloads" / "flowers.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(data[:20])  # this server knows no ranges; test_download.py has one that does
    assert contents(fetch.fetch("flowers")) == PHOTOS
    assert not part.exists()


def test_a_file_with_another_checksum_is_not_unpacked(web, home, monkeypatch):
    web.offers(sha256="0" * 64)
    monkeypatch.setattr(fetch.archives, "extract", None)
    message = refusal()
    assert "SHA-256" in message
    assert "0" * 64 in message
    assert web.address in message
    assert_nothing_made(home)
    assert list((home / "data" / "downloads").iterdir()) == []


def test_a_file_of_another_size_is_not_downloaded(web, home):
    web.offers(size=17)
    assert "expected 17" in refusal()
    assert_nothing_made(home)


@pytest.mark.parametrize("name", ["../evil", "/tmp/cnnlab-evil", "cat/../../../evil"])
def test_a_hostile_archive_leaves_nothing(web, home, name):
    web.offers(partial(tar, top=""), {**PHOTOS, name: b"evil"})
    assert "leads out" in refusal()
    assert_nothing_made(home)
    assert not list(home.rglob("*evil*"))


def test_the_limits_reach_the_archive(web, home, monkeypatch):
    web.offers()
    monkeypatch.setattr(fetch, "MAX_FILES", 3)
    assert "more than 3 files" in refusal()
    assert_nothing_made(home)


def test_a_crash_while_unpacking_leaves_nothing_and_the_next_call_succeeds(web, home, monkeypatch):
    web.offers()

    def crash(*arguments, **named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fetch.os, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            fetch.fetch("flowers")
    assert_nothing_made(home)
    assert contents(fetch.fetch("flowers")) == PHOTOS
    assert len(web.asked) == 1  # the complete .part was kept


def test_the_content_is_checked_where_the_file_differs_each_time(web, home):
    lines = [
        f"{hashlib.sha256(PHOTOS[name]).hexdigest()}  {name}\n"
        for name in ("cat/a.jpg", "cat/b.jpg", "dog/1.jpg")
    ]
    content = hashlib.sha256("".join(lines).encode()).hexdigest()
    web.offers(size=None, sha256="", content=content, files={**PHOTOS, "dog/1.jpg": b"a wolf"})
    assert "SHA-256 of images" in refusal()
    assert_nothing_made(home)
    web.offers(size=None, sha256="", content=content)
    assert contents(fetch.fetch("flowers")) == PHOTOS


def test_the_content_is_sorted_by_the_bytes_of_the_paths(tmp_path):
    names = ["a.jpg", "B.jpg", "a/1.jpg", "a-1.jpg", "é.jpg", "z.jpg", "a/x/1.jpg"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "a" / "1.png").touch()
    lines = b"".join(
        hashlib.sha256(name.encode()).hexdigest().encode() + b"  " + name.encode() + b"\n"
        for name in sorted(names, key=str.encode)
    )
    assert fetch.content_digest(tmp_path) == hashlib.sha256(lines).hexdigest()


def test_offline_the_address_and_the_place_are_named(web, home):
    web.offers()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens there
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/photos.tgz"
        web.offers(address=address)
        message = refusal()
    place = home / "data" / "downloads" / "photos.tgz"
    for part in (address, str(place), "refused", "cnnlab fetch flowers"):
        assert part in message
    assert_nothing_made(home)
    place.write_bytes((web.folder / "photos.tgz").read_bytes())
    assert contents(fetch.fetch("flowers")) == PHOTOS
    assert place.is_file()  # it is not ours to delete
    assert web.asked == []


def test_a_file_put_by_hand_is_checked_and_kept(web, home):
    web.offers()
    place = catalogue.by_hand("flowers")
    place.parent.mkdir(parents=True)
    place.write_bytes(b"<!doctype html>")
    message = refusal()
    assert "by hand" in message
    assert str(place) in message
    assert place.read_bytes() == b"<!doctype html>"
    assert_nothing_made(home)


def test_an_unknown_name_lists_the_known():
    message = refusal("tulips")
    assert "'tulips'" in message
    for name in ("clothing", "flowers", "cifar10", "fashion_mnist"):
        assert name in message


def test_bars_stand_on_stdout(web, capsys):
    web.offers()
    fetch.fetch("flowers", progress=True)
    out, err = capsys.readouterr()
    assert "unpacking" in out
    assert err == ""


@pytest.fixture
def arrays(monkeypatch):
    """Let Keras load 20 and 10 pictures instead of downloading; the shapes are as in the real."""
    from cnnlab.engine import keras

    def give(name, shape, column):
        pixels = np.random.default_rng(0).integers(0, 256, (30, *shape), dtype=np.uint8)
        labels = (np.arange(30, dtype=np.uint8) * 7) % 10
        labels = labels[:, None] if column else labels
        monkeypatch.setattr(
            getattr(keras.datasets, name),
            "load_data",
            lambda: ((pixels[:20], labels[:20]), (pixels[20:], labels[20:])),
        )
        return pixels, labels.reshape(-1)

    return give


@pytest.mark.parametrize(
    ("name", "shape", "column", "seventh"),
    [("cifar10", (32, 32, 3), True, "horse"), ("fashion_mnist", (28, 28), False, "sneaker")],
)
def test_arrays_become_class_folders(arrays, home, name, shape, column, seventh):
    pixels, labels = arrays(name, shape, column)
    folder = fetch.fetch(name)
    source = selection.resolve(make_settings("smoke", source=name))
    assert (source.name, source.root, list(source.layout().places)) == (
        name,
        folder,
        ["train", "test"],
    )
    assert source.class_names() == sorted(DATASETS[name].classes)
    assert len(list(folder.rglob("*.png"))) == 30
    assert labels[1] == 7
    for number, path in ((1, f"train/{seventh}/00001.png"), (21, f"test/{seventh}/00001.png")):
        with Image.open(folder / path) as image:
            assert np.array_equal(np.asarray(image), pixels[number])


def test_arrays_that_cannot_be_loaded_name_address_and_place(monkeypatch, home):
    from cnnlab.engine import keras

    waits = []

    def fail():
        waits.append(socket.getdefaulttimeout())
        raise Exception("URL fetch failure on x: None --\n no route")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", fail)
    monkeypatch.setenv("KERAS_HOME", "/somewhere/keras")
    message = refusal("cifar10")
    for part in (DATASETS["cifar10"].address, "/somewhere/keras/datasets/cifar-10", "no route"):
        assert part in message
    assert waits == [download.TIMEOUT]
    assert socket.getdefaulttimeout() is None
    assert_nothing_made(home)


def test_the_catalogue_is_whole():
    for name, dataset in DATASETS.items():
        if isinstance(dataset, Arrays):
            assert len(set(dataset.classes)) == 10, name
        else:
            assert len(dataset.sha256 or dataset.content) == 64, name


def test_data_names_a_fetched_dataset(web, home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = make_settings("smoke", source="flowers")
    with pytest.raises(InputError, match="run `cnnlab fetch flowers` first"):
        selection.resolve(settings)
    web.offers()
    fetch.fetch("flowers")
    source = selection.resolve(settings)
    assert (source.name, list(source.layout().places)) == ("flowers", [""])
    assert source.class_names() == ["cat", "dog"]


def test_the_command_fetches_and_a_run_takes_the_name(web, home):
    command = CliRunner().invoke
    web.offers()
    missing = command(main, ["run", "--data", "flowers", "--profile", "smoke"])
    assert missing.exit_code == 2
    assert "run `cnnlab fetch flowers` first" in missing.stderr
    assert not (home / "reports").exists()
    done = command(main, ["fetch", "flowers"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == str(home / "data" / "raw" / "flowers")
    opened = open_run("mine", profile="smoke", data="flowers")
    assert opened.settings.data.source == "flowers"
    assert opened.source().root == home / "data" / "raw" / "flowers"
    assert open_run("mine", data="flowers").settings == opened.settings


def test_the_command_tells_bad_input_in_one_line():
    result = CliRunner().invoke(main, ["fetch", "tulips"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("cnnlab: error: There is no dataset 'tulips'")
    assert result.stderr.count("\n") == 1
