"""Whatever clients send, and however slowly, the Go server's memory stays below its bound."""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import wire
from test_guide import GUIDE, model  # noqa: F401  (a fixture)

from cnnlab.serving.server.server_process import ServerProcess

pytestmark = pytest.mark.slow
MIB = 2**20
BODIES, CACHE, CONNECTIONS = 32, 0, 512  # MiB, bytes, and how many
BASE, EACH = 64 * MIB, 64 * 2**10  # what the guide states
HOLD = 0.5  # seconds that clients hold what they sent
FORM = wire.form_head("x")
Kind = Callable[[], AsyncIterator[bytes]]
PART = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n'


@pytest.fixture
def server(server_program, model) -> Iterator[ServerProcess]:  # noqa: F811
    flags = [
        f"--max-body-bytes={BODIES * MIB}",
        f"--cache-bytes={CACHE}",
        f"--max-connections={CONNECTIONS}",
    ]
    with ServerProcess(model, *flags, program=server_program) as running:
        running.predict(b"")
        yield running


def resident(server: ServerProcess) -> int:
    """Return the memory that a server holds now, in bytes, without what it maps of files."""
    text = Path(f"/proc/{server._process.pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", text)[1]) * 2**10


async def one_long_line() -> AsyncIterator[bytes]:
    """A part whose header never ends: nine megabytes of it."""
    yield FORM + b"--x\r\nA: "
    for _ in range(9 * 16):
        yield b"b" * 2**16


async def many_short_lines() -> AsyncIterator[bytes]:
    """A part with thousands of headers."""
    yield FORM + b"--x\r\n"
    for number in range(300):
        yield b"".join(b"%x:\r\n" % (1000 * number + line) for line in range(1000))


async def long_preamble() -> AsyncIterator[bytes]:
    yield FORM
    for _ in range(9 * 16):
        yield b"b" * 2**16


async def large_image() -> AsyncIterator[bytes]:
    yield wire.head("Content-Length: 10485760")
    for _ in range(10 * 16):
        yield b"b" * 2**16


async def chunks() -> AsyncIterator[bytes]:
    yield wire.head("Transfer-Encoding: chunked")
    for _ in range(9 * 64):
        yield b"4000\r\n" + b"b" * 2**14 + b"\r\n"


async def tiny_chunks() -> AsyncIterator[bytes]:
    yield wire.head("Transfer-Encoding: chunked")
    for _ in range(100):
        yield b"1;" + b"e" * 9 + b"\r\nb\r\n"


async def batch() -> AsyncIterator[bytes]:
    """Thirty images of nearly a mebibyte, each by itself too little to be refused."""
    yield wire.form_head("x", path="/v1/predict:batch")
    for _ in range(30):
        yield PART + b"\r\n"
        for _ in range(15):
            yield b"b" * 2**16
        yield b"\r\n"


async def tiny_parts() -> AsyncIterator[bytes]:
    yield wire.form_head("x", path="/v1/predict:batch")
    for _ in range(31):
        yield PART + b"\r\na\r\n"


async def long_name() -> AsyncIterator[bytes]:
    yield wire.form_head("x", path="/v1/predict:batch")
    for _ in range(31):
        yield PART[:-3] + b"a" * 3000 + b'"\r\n\r\na\r\n'


async def large_head() -> AsyncIterator[bytes]:
    """A head that stays below every bound but never ends."""
    lines = b"".join(b"%x: %s\r\n" % (number, b"b" * 150) for number in range(95))
    yield b"POST /v1/predict HTTP/1.1\r\nHost: x\r\n" + lines


async def short_lines_of_head() -> AsyncIterator[bytes]:
    yield b"POST /v1/predict HTTP/1.1\r\nHost: x\r\n"
    yield b"".join(b"%x:\r\n" % number for number in range(3000))


async def long_boundary() -> AsyncIterator[bytes]:
    yield wire.form_head("x" * 9000)
    yield b"b" * 2**16


async def bomb() -> AsyncIterator[bytes]:
    """Ten kilobytes that stand for ten megabytes, just within the bound of an image."""
    packed = gzip.compress(bytes(10 * MIB))
    yield wire.request(packed, "Content-Encoding: gzip")


async def slow_bomb() -> AsyncIterator[bytes]:
    """The same without its end: what it stands for is held, and more is waited for."""
    packed = gzip.compress(bytes(9 * MIB))
    yield wire.request(packed, "Content-Encoding: gzip")[:-8]


async def bomb_of_a_batch() -> AsyncIterator[bytes]:
    """A form that stands for thirty images of nearly a mebibyte, without its end."""
    form = (PART + b"\r\n" + bytes(15 * 2**16) + b"\r\n") * 30
    packed = gzip.compress(form)
    head = wire.form_head("x", path="/v1/predict:batch").removesuffix(b"\r\n")
    yield head + b"Content-Encoding: gzip\r\n\r\n" + packed


async def large_gzip_head() -> AsyncIterator[bytes]:
    """A gzip header that announces 64 KiB of extra bytes, and holds nearly as many."""
    extra = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + b"\xff\xff" + bytes(60_000)
    yield wire.head("Content-Length: 99999", "Content-Encoding: gzip") + extra


async def nothing() -> AsyncIterator[bytes]:
    yield b""


HOSTILE = [
    one_long_line, many_short_lines, long_preamble, large_image, chunks, tiny_chunks, batch,
    tiny_parts, long_name, large_head, short_lines_of_head, long_boundary, nothing, bomb, slow_bomb,
    bomb_of_a_batch, large_gzip_head,
]  # fmt: skip


async def client(port: int, sent: Kind) -> bytes:
    """Send all of it as fast as the server takes it, keep the connection, return the answer."""
    said = b""
    with suppress(OSError, asyncio.TimeoutError):
        async with wire.connected(port) as (reader, writer):
            with suppress(OSError):
                async for piece in sent():
                    writer.write(piece)
                    await asyncio.wait_for(writer.drain(), 2)
            said = await asyncio.wait_for(reader.read(2**16), HOLD)
    return said


async def flood(server: ServerProcess, kinds: list[Kind], clients: int) -> tuple[int, set[bytes]]:
    """Let clients come all at once; return the largest memory seen, and the statuses."""
    most, done = 0, asyncio.Event()

    async def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, resident(server))
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    asked = [client(server.port, kinds[number % len(kinds)]) for number in range(clients)]
    answers = await asyncio.gather(*asked)
    done.set()
    await watching
    return most, {said[9:12] for said in answers}


def test_memory_stays_below_the_bound(server) -> None:
    start = resident(server)
    bound = BODIES * MIB + CACHE + CONNECTIONS * EACH + BASE
    floods = [([kind], 60) for kind in HOSTILE] + [(HOSTILE, 400)]
    for kinds, clients in floods:
        most, statuses = asyncio.run(asyncio.wait_for(flood(server, kinds, clients), 300))
        name = kinds[0].__name__ if len(kinds) == 1 else "all together"
        assert most - start < bound, name
        assert statuses <= {b"", b"200", b"400", b"408", b"413", b"415", b"431", b"503"}, name
    assert server.predict(b"")["error"]["code"] == "empty"  # it goes on


def test_the_guide_states_what_was_tested() -> None:
    assert f"{BASE // MIB} MiB" in GUIDE
    assert f"{EACH // 2**10} KiB a connection" in GUIDE
