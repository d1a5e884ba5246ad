"""A server in a thread stands for the network; it can cut, ignore, lie and refuse."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cnnlab.data.public import download
from cnnlab.data.public.download import DownloadFailed

BODY = bytes(range(256)) * 1000


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append(self.headers.get("Range"))
        start = 0
        if server.status != 200:
            self.send_response(server.status)
            self.send_header("Location", server.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if server.ranges and (asked := self.headers.get("Range")):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(server.body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(server.body)}")
                self.end_headers()
                return
            self.send_response(206)
            first = start + server.shift
            self.send_header("Content-Range", f"bytes {first}-{len(server.body) - 1}/*")
        else:
            self.send_response(200)
        rest = server.body[start:]
        if server.announce:
            self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: server.cuts.pop(0) if server.cuts else None])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0.0)
    monkeypatch.setenv("no_proxy", "*")
    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.body, web.asked, web.cuts = BODY, [], []
    web.ranges, web.announce, web.shift = True, True, 0
    web.status, web.location = 200, ""
    web.address = f"http://127.0.0.1:{web.server_port}/photos.tgz"
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield web
    web.shutdown()
    thread.join()
    web.server_close()


def fetch(server, part, **limits):
    download.download(server.address, part, **{"max_bytes": 10**6, **limits})


def failure(server, part, **limits):
    with pytest.raises(DownloadFailed) as caught:
        fetch(server, part, **limits)
    return str(caught.value)


@pytest.mark.parametrize("size", [None, len(BODY)])
@pytest.mark.parametrize("announce", [True, False])
def test_a_whole_file(server, tmp_path, size, announce):
    server.announce = announce
    fetch(server, tmp_path / "p", size=size)
    assert (tmp_path / "p").read_bytes() == BODY
    assert server.asked == [None]


def test_a_cut_connection_goes_on_where_it_stopped(server, tmp_path):
    server.cuts = [1000, 70_000]
    fetch(server, tmp_path / "p")
    assert (tmp_path / "p").read_bytes() == BODY
    assert server.asked == [None, "bytes=1000-", "bytes=71000-"]


def test_the_next_call_goes_on_too(server, tmp_path):
    server.cuts = [5000, 0, 0, 0, 0]
    assert "cut after 5,000 of 256,000 bytes" in failure(server, tmp_path / "p")
    assert (tmp_path / "p").read_bytes() == BODY[:5000]
    server.cuts = []
    fetch(server, tmp_path / "p")
    assert (tmp_path / "p").read_bytes() == BODY
    assert server.asked[-1] == "bytes=5000-"


def test_a_cut_that_no_length_reveals_is_seen_by_the_known_size(server, tmp_path):
    server.announce, server.cuts = False, [1000]
    fetch(server, tmp_path / "p", size=len(BODY))
    assert (tmp_path / "p").read_bytes() == BODY
    assert server.asked == [None, "bytes=1000-"]


def test_a_server_without_ranges_starts_anew(server, tmp_path):
    server.ranges, server.cuts = False, [1000]
    fetch(server, tmp_path / "p")
    assert (tmp_path / "p").read_bytes() == BODY
    assert server.asked == [None, "bytes=1000-"]


def test_a_server_that_sends_another_range_is_asked_for_all(server, tmp_path):
    (tmp_path / "p").write_bytes(BODY[:10])
    server.shift = 5
    fetch(server, tmp_path / "p")
    assert (tmp_path / "p").read_bytes() == BODY
    assert server.asked == ["bytes=10-", None]


def test_a_complete_part_is_not_asked_for_again(server, tmp_path):
    (tmp_path / "p").write_bytes(BODY)
    fetch(server, tmp_path / "p", size=len(BODY))
    assert server.asked == []
    fetch(server, tmp_path / "p")  # of unknown size: the server says that nothing is left
    assert server.asked == [f"bytes={len(BODY)}-"]
    assert (tmp_path / "p").read_bytes() == BODY


def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    for limits in ({"size": len(BODY)}, {}):
        (tmp_path / "p").write_bytes(BODY + b"more")
        fetch(server, tmp_path / "p", **limits)
        assert (tmp_path / "p").read_bytes() == BODY


@pytest.mark.parametrize("announce", [True, False])
def test_more_bytes_than_allowed_are_refused(server, tmp_path, announce):
    server.announce = announce
    assert "999" in failure(server, tmp_path / "p", max_bytes=999)
    assert not (tmp_path / "p").exists() or (tmp_path / "p").stat().st_size <= 999


def test_another_size_than_known_is_told_before_the_download(server, tmp_path):
    for size in (len(BODY) - 1, len(BODY) + 1):
        message = failure(server, tmp_path / "p", size=size)
        assert f"it has 256,000 bytes, expected {size:,}" in message
        assert not (tmp_path / "p").exists()


def test_a_refusal_is_not_repeated_and_a_breakdown_is(server, tmp_path):
    server.status = 404
    assert "404" in failure(server, tmp_path / "p")
    assert len(server.asked) == 1
    server.status = 503
    assert "503" in failure(server, tmp_path / "p")
    assert len(server.asked) == 3


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1:9/x"])
def test_a_redirection_leaves_the_web_never(server, tmp_path, target):
    server.status, server.location = 302, target
    failure(server, tmp_path / "p")
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("address", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x", "x"])
def test_other_schemes_are_refused(tmp_path, address):
    with pytest.raises(DownloadFailed, match="neither http nor https"):
        download.download(address, tmp_path / "p", max_bytes=100)


def test_a_silent_server_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.05)
    release = threading.Event()
    monkeypatch.setattr(Handler, "do_GET", lambda self: release.wait(10) and None)
    try:
        assert "timed out" in failure(server, tmp_path / "p")
    finally:
        release.set()


def test_the_bar_stands_on_stdout(server, tmp_path, capsys):
    fetch(server, tmp_path / "flowers.part", progress=True)
    out, err = capsys.readouterr()
    assert "flowers" in out
    assert "256k/256k" in out
    assert err == ""
