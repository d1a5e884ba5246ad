"""The server's keeper, with a stand-in for the server: a small program in Python."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from cnnlab.serving.server.server_process import ServerProcess, ServerUnavailable

pytestmark = pytest.mark.slow  # they start processes

STAND_IN = f"""\
#!{sys.executable} -S
import http.server, json, os, pathlib, signal, sys

folder = pathlib.Path(sys.argv[2])
(folder / "pid").write_text(str(os.getpid()))
(folder / "asked.json").write_text(json.dumps([sys.argv[1:], os.environ.get("CNNLAB_TOKEN")]))
loading = 2  # how often it says that it is not ready

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, content):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        global loading
        if self.path == "/readyz":
            loading -= 1
            self.answer(503 if loading >= 0 else 200, b"{{}}")
        elif self.path == "/metrics":
            self.answer(200, b"# HELP a b\\na 3\\nb{{le=\\"1 2\\"}} 0.5\\n")
        else:
            self.answer(200, json.dumps({{"path": self.path}}).encode())

    def do_POST(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, json.dumps({{"path": self.path, "size": len(content)}}).encode())

    def log_message(self, *arguments):
        pass

def leave(*_):
    (folder / "left").touch()
    os._exit(0)

signal.signal(signal.SIGTERM, leave)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("a note that is no JSON", file=sys.stderr)
print(json.dumps({{"msg": "listening", "addr": f"127.0.0.1:{{server.server_port}}"}}),
      file=sys.stderr, flush=True)
server.serve_forever()
"""


def program(folder: Path, source: str) -> Path:
    path = folder / "server"
    path.write_text(source)
    path.chmod(0o755)
    return path


@pytest.fixture
def stand_in(tmp_path) -> Path:
    return program(tmp_path, STAND_IN)


def running(folder: Path) -> bool:
    try:
        os.kill(int((folder / "pid").read_text()), 0)
    except ProcessLookupError:
        return False
    return True


def test_it_is_ready_answers_and_leaves_with_the_block(stand_in, tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_TOKEN", "not for a server of one's own")
    with ServerProcess(tmp_path, "--cache-bytes=0", program=stand_in) as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert server.predict(b"12345") == {"path": "/v1/predict", "size": 5}
        assert server.contract() == {"path": "/v1/model"}
        assert server.metrics() == {"a": 3, 'b{le="1 2"}': 0.5}
        assert running(tmp_path)
    assert not running(tmp_path)
    assert (tmp_path / "left").exists()  # it was asked to, not killed
    arguments, token = json.loads((tmp_path / "asked.json").read_text())
    assert arguments[:4] == ["--model", str(tmp_path), "--addr", "127.0.0.1:0"]
    assert (arguments[-1], token) == ("--cache-bytes=0", None)
    server.stop()  # again: nothing


def fails(folder, stand_in):
    with ServerProcess(folder, program=stand_in):
        raise KeyError("in the block")


def test_it_leaves_when_the_block_fails(stand_in, tmp_path):
    with pytest.raises(KeyError):
        fails(tmp_path, stand_in)
    assert (tmp_path / "left").exists()


@pytest.mark.parametrize(
    ("end", "status"), [("raise SystemExit(3)", 3), ("os.kill(os.getpid(), 9)", -9)]
)
def test_it_leaves_with_the_process_that_started_it(stand_in, tmp_path, end, status):
    code = f"""\
        import os
        from cnnlab.serving.server.server_process import ServerProcess
        server = ServerProcess({str(tmp_path)!r}, program={str(stand_in)!r})
        {end}
        """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == status
    deadline = time.monotonic() + 60
    while not (tmp_path / "left").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (tmp_path / "left").exists()


def test_it_does_not_hear_the_terminals_interrupt(stand_in, tmp_path):
    with ServerProcess(tmp_path, program=stand_in) as server:
        assert os.getpgid(server._process.pid) != os.getpgid(0)


def test_one_that_does_not_obey_is_killed(stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr("cnnlab.serving.server.server_process.STOP_SECONDS", 0.1)
    program(tmp_path, STAND_IN.replace("os._exit(0)", "pass"))
    server = ServerProcess(tmp_path, program=stand_in)
    server.stop()
    assert server._process.returncode == -signal.SIGKILL


def test_one_that_is_not_built_names_the_command(tmp_path):
    with pytest.raises(ServerUnavailable, match="build it with `make backend`"):
        ServerProcess(tmp_path, program=tmp_path / "none")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("#!/bin/sh\necho first >&2; echo the folder is damaged >&2; exit 1", "folder is damaged"),
        ("#!/bin/sh\nexit 7", "exit status 7"),
        ("no program", "Exec format error"),
    ],
)
def test_one_that_ends_at_once_says_why(tmp_path, source, says):
    with pytest.raises(ServerUnavailable, match=says) as caught:
        ServerProcess(tmp_path, program=program(tmp_path, source))
    assert "make backend" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_that_is_never_ready_is_ended(tmp_path):
    slow = program(tmp_path, STAND_IN.replace("loading = 2", "loading = 10**9"))
    with pytest.raises(ServerUnavailable, match="not ready in time"):
        ServerProcess(tmp_path, program=slow, seconds=1.0)
    assert (tmp_path / "left").exists()
