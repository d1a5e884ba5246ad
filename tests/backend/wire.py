"""Hundreds of clients in one thread, which speak HTTP byte by byte. Not a test."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
BYTE_SECONDS = 0.25  # between two bytes of a slow client


class Answer(NamedTuple):
    """What came back: ``body`` is the JSON."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    # From an address of their own, hundreds of clients take no port that a Jupyter kernel of
    # another test has chosen at 127.0.0.1 and not opened yet.
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()  # what is not sent yet is of no use


def request(content: bytes, *headers: str) -> bytes:
    """The bytes that ask for a prediction."""
    length = f"Content-Length: {len(content)}"
    return head(length, *headers) + content


def head(*headers: str) -> bytes:
    lines = ["POST /v1/predict HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]
    return "\r\n".join(lines).encode()


async def ask(connection: Connection, asked: bytes) -> Answer:
    """Send bytes and read one answer, which may come before all of them are sent."""
    reader, writer = connection
    writer.write(asked)
    start = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = start.strip().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    body = await reader.readexactly(int(headers["content-length"]))
    return Answer(int(first.split()[1]), headers, json.loads(body))


async def ask_once(port: int, asked: bytes) -> Answer:
    """Ask over a connection of its own."""
    async with connected(port) as connection:
        return await ask(connection, asked)


async def trickle(port: int, start: bytes) -> bytes:
    """Send a start, then a byte now and then until the server has enough; return what it says."""
    async with connected(port) as (reader, writer):
        said = asyncio.ensure_future(reader.read())
        writer.write(start)
        while not said.done():
            await asyncio.wait([said], timeout=BYTE_SECONDS)
            writer.write(b"a")
        return b"" if said.exception() else said.result()


def form_head(boundary: str, path: str = "/v1/predict") -> bytes:
    """The head of a form that comes in one piece of unknown end: it announces 60 MB."""
    kind = f"Content-Type: multipart/form-data; boundary={boundary}"
    start = head(kind, f"Content-Length: {10 * 2**20 if path == '/v1/predict' else 60 * 2**20}")
    return start.replace(b"/v1/predict", path.encode(), 1)
