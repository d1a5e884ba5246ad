"""The Go server as a process of this machine: start it, send requests, stop it."""

import json
import os
import subprocess
import tempfile
import time
import weakref
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from cnnlab.config import InputError

PROGRAM = Path(__file__).resolve().parents[3] / "backend" / "bin" / "cnnlab-server"
VARIABLE = "CNNLAB_SERVER"  # names another program
START_SECONDS = 60.0  # loading takes one; a cold disk under load takes more
STOP_SECONDS = 30.0  # more than the server gives what is in flight
REQUEST_SECONDS = 60.0
POLL_SECONDS = 0.02
TOKEN = "CNNLAB_TOKEN"  # a server of one's own, on loopback, requires no token


class ServerUnavailable(InputError):  # noqa: N818  (a state of the machine, as the name says)
    """The server is not built, or it does not start; the message says what to do."""


class ServerProcess:
    """A server of its own for a model folder, on a free port of 127.0.0.1.

    Once made, it is ready. It ends with the block, with ``stop``, or with this process, even one
    that is killed; in each case by SIGTERM, after which it finishes what is in flight.

    Args:
        folder: A model folder, as ``model_folder.save`` writes it.
        flags: Further flags of the server, such as ``"--cache-bytes=0"``. ``--log-level`` must let
            ``info`` through, for the port is read from the log.
        program: The server; by default what ``CNNLAB_SERVER`` names, or that of the checkout.
        seconds: How long it may take to be ready.

    Raises:
        ServerUnavailable: It is not built, ends at once, or is not ready in time.

    Example:
        >>> with ServerProcess("reports/lab/model") as server:                     # doctest: +SKIP
        ...     server.predict(images.read_file("photo.jpg"))["label"]
        'disc'
    """

    def __init__(
        self,
        folder: Path | str,
        *flags: str,
        program: Path | str = "",
        seconds: float = START_SECONDS,
    ) -> None:
        program = program or os.environ.get(VARIABLE) or PROGRAM
        if not Path(program).is_file():
            raise ServerUnavailable(f"No server at {program}: build it with `make backend`.")
        command = [program, "--model", folder, "--addr", "127.0.0.1:0", "--drain", "0s", *flags]
        # A file, since a pipe that nobody reads would fill up.
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._log,
                env={name: value for name, value in os.environ.items() if name != TOKEN},
                start_new_session=True,  # interrupting a cell must not end it
            )
        except OSError as error:
            self._log.close()
            raise _not_starting(str(error.strerror)) from None
        # A process beside it, since one that is killed can end nothing: it waits for the end of a
        # pipe that only this process holds.
        guard = subprocess.Popen(
            ["/bin/sh", "-c", 'cat >/dev/null; kill -TERM "$0"', str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._end = weakref.finalize(self, _stop, self._process, guard, self._log)  # or at exit
        try:
            self._wait_until_ready(time.monotonic() + seconds)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server and wait for it; again, it does nothing."""
        self._end()

    def __enter__(self) -> "ServerProcess":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it listens: ``http://127.0.0.1:<port>``."""
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> HTTPConnection:
        """Return a connection that can be kept for many requests; never through a proxy."""
        return HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_SECONDS)

    def predict(self, image_bytes: bytes, top: int | str | None = None) -> dict[str, Any]:
        """Return what the server says of an image: the fields of ``Prediction``, or ``error``.

        Args:
            image_bytes: The content of an image file.
            top: How many classes to list, or ``"all"``; None for the server's own number, 5.
        """
        path = "/v1/predict" if top is None else f"/v1/predict?top={top}"
        return json.loads(self._request("POST", path, image_bytes)[1])

    def contract(self) -> dict[str, Any]:
        """Return the contract of the model that it serves."""
        return json.loads(self._request("GET", "/v1/model")[1])

    def metrics(self) -> dict[str, float]:
        """Return the figures of ``/metrics`` by their names, labels included."""
        content = self._request("GET", "/metrics")[1].decode()
        lines = (line for line in content.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def _request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Send one request over a connection of its own."""
        with closing(self.connect()) as connection:
            return exchange(connection, method, path, body)

    def _wait_until_ready(self, deadline: float) -> None:
        """Return once the server has shown that its model predicts; ``port`` is known then."""
        while time.monotonic() < deadline:
            entries = self._entries()
            if self._process.poll() is not None:
                status = f"exit status {self._process.returncode}"
                raise _not_starting(entries[-1] if entries else status)
            self.port = next(filter(None, map(_listening, entries)), 0)
            if self.port and self._is_ready():
                return
            time.sleep(POLL_SECONDS)
        raise ServerUnavailable("The server was not ready in time: the machine may be too busy.")

    def _is_ready(self) -> bool:
        try:
            return self._request("GET", "/readyz")[0] == 200
        except (OSError, HTTPException):
            return False

    def _entries(self) -> list[str]:
        """Return the lines of the log so far. Reading at an offset leaves the writer's alone."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace").splitlines()


def exchange(
    connection: HTTPConnection, method: str, path: str, body: bytes | None = None
) -> tuple[int, bytes]:
    """Send one request and return status and content of the response.

    Args:
        connection: To the server; it stays open where the server lets it.
        method: Such as ``"GET"``.
        path: Such as ``"/v1/model"``.
        body: Bytes of an image.
    """
    # Too large a body is refused while it is being sent: the response comes all the same.
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.request(method, path, body)  # bytes without a type are an image
    response = connection.getresponse()
    return response.status, response.read()


def _listening(entry: str) -> int | None:
    """Return the port that a line of the log names, None where it is about something else."""
    try:
        found = json.loads(entry)
        return int(found["addr"].rpartition(":")[2]) if found["msg"] == "listening" else None
    except (KeyError, TypeError, ValueError):
        return None


def _not_starting(reason: str) -> ServerUnavailable:
    return ServerUnavailable(
        f"The server does not start ({reason}). Where the environment has changed, build it again "
        "with `make backend`."
    )


def _stop(
    process: "subprocess.Popen[bytes]", guard: "subprocess.Popen[bytes]", log: IO[bytes]
) -> None:
    """End a process by SIGTERM; one that does not obey is killed."""
    guard.kill()  # first: it must not end a later process of the same number
    assert guard.stdin
    guard.stdin.close()
    guard.wait()
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    log.close()
