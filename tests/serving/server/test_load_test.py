"""Load, measured on a server whose answers are known."""

import itertools
import threading
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cnnlab.config import InputError
from cnnlab.serving.server import load_test

WAIT = 0.02


class Server(ThreadingHTTPServer):
    """Takes WAIT for an answer; says 503 to bodies that begin with ``b"no"``."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies, self.connections = [], 0

    def process_request(self, request, address):
        self.connections += 1
        super().process_request(request, address)

    def connect(self):
        return HTTPConnection("127.0.0.1", self.server_port, timeout=600)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(body)
        time.sleep(WAIT)
        status = 503 if body.startswith(b"no") else 500 if body == b"bad" else 200
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_every_request_is_counted(server):
    table = load_test.curve(server.connect, lambda: b"image", seconds=0.2, clients=(1, 3))
    assert table["clients"].tolist() == [1, 3]
    assert table["answered"].sum() == len(server.bodies)
    assert table["refused"].sum() == 0
    assert server.connections == 4  # each client keeps its own
    assert (table["p50_ms"] >= WAIT * 1e3).all()
    assert (table["p99_ms"] >= table["p50_ms"]).all()
    # Whoever waits for each answer gets at most so many.
    assert (table["per_second"] <= table["clients"] / WAIT).all()
    assert (table["client_cores"] > 0).all()


def test_each_request_asks_for_the_next_image(server):
    numbers = itertools.count()
    load_test.curve(server.connect, lambda: str(next(numbers)).encode(), seconds=0.1, clients=(2,))
    assert sorted(map(int, server.bodies)) == list(range(len(server.bodies)))


def test_refusals_are_no_answers(server):
    turns = itertools.cycle([b"no, too many", b"yes"])
    (row,) = load_test.curve(
        server.connect, lambda: next(turns), seconds=0.2, clients=(1,)
    ).to_dict("records")
    assert row["answered"] == sum(body == b"yes" for body in server.bodies)
    assert row["refused"] == len(server.bodies) - row["answered"] > 0


def test_without_an_answer_there_is_no_waiting_time(server):
    table = load_test.curve(server.connect, lambda: b"no", seconds=0.01, clients=(1,))
    assert table["p50_ms"].isna().all()
    assert table["per_second"].tolist() == [0]


def test_a_failing_server_is_no_measurement(server):
    with pytest.raises(InputError, match="answers 500"):
        load_test.curve(server.connect, lambda: b"bad", seconds=0.1, clients=(2,))


def test_a_client_that_cannot_connect_stops_the_others(server):
    turns = itertools.count()

    def connect():
        return HTTPConnection("127.0.0.1", 1) if next(turns) else server.connect()

    with pytest.raises((OSError, threading.BrokenBarrierError)):
        load_test.curve(connect, lambda: b"image", seconds=0.1, clients=(2,))


@pytest.mark.parametrize(("seconds", "clients"), [(0, (1,)), (1, ()), (1, (0, 1))])
def test_nothing_to_measure_is_refused(seconds, clients):
    with pytest.raises(InputError, match="expected more than 0"):
        load_test.curve(lambda: None, lambda: b"", seconds=seconds, clients=clients)
