"""Downloading one file: over http or https, resumable, bounded in time and size."""

import sys
import time
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from tqdm.auto import tqdm

from cnnlab import __version__
from cnnlab.config import InputError
from cnnlab.places import CannotWrite, explained

ATTEMPTS = 5  # in one call; the next call goes on where this one stopped
PAUSE = 1.0  # seconds before the second attempt, and so much more before each further one
TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 16
PARTIAL, RANGE_UNSATISFIABLE, TOO_MANY_REQUESTS = 206, 416, 429


class DownloadFailed(InputError):  # noqa: N818 - said as it happens
    """The file did not arrive; the message is a reason without a full stop."""


def download(
    address: str, part: Path, *, max_bytes: int, size: int | None = None, progress: bool = False
) -> None:
    """Bring the file at ``address`` to ``part``, going on from the bytes that are there already.

    Args:
        address: An http or https address.
        part: The file to write or to continue; its folder exists. It is kept where the download
            fails, so that the next one resumes.
        max_bytes: More than this is refused, whatever the server announces.
        size: The exact number of bytes, where it is known.
        progress: Show a bar.

    Raises:
        CannotWrite: The disk is full, or the file cannot be written.
        DownloadFailed: Another scheme, no response, a response that is no file, a connection cut
            again and again, or a file of another size.

    Source:
        RFC 9110, section 14 (range requests).

    Example:
        >>> download("http://localhost:8000/a.zip", Path("a.part"), max_bytes=10**6)
        ... # doctest: +SKIP
    """
    if urlsplit(address).scheme not in ("http", "https"):
        raise DownloadFailed("the address is neither http nor https")
    reason = ""
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE * attempt)
        before = _size(part)
        try:
            return _attempt(address, part, size, size or max_bytes, progress)
        except HTTPError as error:
            error.close()
            reason = f"the server answered {error.code} {error.reason}"
            if error.code == RANGE_UNSATISFIABLE:
                if error.headers.get("Content-Range") == f"bytes */{before}" and size is None:
                    return None  # there is nothing after what we have
                part.unlink(missing_ok=True)
            elif error.code < 500 and error.code != TOO_MANY_REQUESTS:
                break
        except CannotWrite:  # no connection's fault
            raise
        except (OSError, HTTPException) as error:
            cause = error.reason if isinstance(error, URLError) else error
            reason = str(cause) or type(cause).__name__
        if attempt and _size(part) <= before:
            break  # twice nothing: the network is down, and waiting longer helps nobody
    raise DownloadFailed(reason)


def _attempt(address: str, part: Path, size: int | None, limit: int, progress: bool) -> None:
    """Ask once for what is missing and append it; raise ``OSError`` if it ends too early."""
    have = _size(part)
    if have == size:
        return
    headers = {"User-Agent": f"cnnlab/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    wanted = request.Request(address, headers=headers)
    with _opener().open(wanted, timeout=TIMEOUT) as response:
        start = _start(response, have, part)
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdecimal() else None
        if total is not None and (total > limit or size not in (None, total)):
            raise DownloadFailed(f"it has {total:,} bytes, expected {_expected(size, limit)}")
        _append(response, part, start, size or total, limit, progress)


def _append(
    response: HTTPResponse, part: Path, start: int, total: int | None, limit: int, progress: bool
) -> None:
    """Write the response into ``part`` from byte ``start`` on; start 0 begins the file anew."""
    done = start
    bar = tqdm(
        desc=part.stem,
        total=total,
        initial=start,
        unit="B",
        unit_scale=True,
        file=sys.stdout,
        disable=not progress,
    )
    with bar, explained(part, part), part.open("ab" if start else "wb") as file:
        while chunk := response.read(CHUNK):
            done += len(chunk)
            if done > limit:
                raise DownloadFailed(f"it has more than the {limit:,} bytes expected")
            file.write(chunk)
            bar.update(len(chunk))
    if total is not None and done != total:  # `read` says nothing where the connection ends early
        raise ConnectionError(f"the connection was cut after {done:,} of {total:,} bytes")


def _start(response: HTTPResponse, have: int, part: Path) -> int:
    """Return the byte at which the response begins: 0 where the server ignored our range."""
    if response.status != PARTIAL:
        return 0
    sent = response.headers.get("Content-Range", "")
    if not have or not sent.startswith(f"bytes {have}-"):
        part.unlink(missing_ok=True)
        raise ConnectionError(f"the server sent {sent!r} where bytes {have}- were asked for")
    return have


def _opener() -> request.OpenerDirector:
    """Return an opener that follows redirections to http and https, and to nothing else."""
    opener = request.OpenerDirector()  # `build_opener` would add ftp:, file: and data:
    for handler in (
        request.ProxyHandler,
        request.UnknownHandler,
        request.HTTPHandler,
        request.HTTPSHandler,
        request.HTTPDefaultErrorHandler,
        request.HTTPRedirectHandler,
        request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


def _expected(size: int | None, limit: int) -> str:
    return f"{limit:,}" if size is not None else f"at most {limit:,}"


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
