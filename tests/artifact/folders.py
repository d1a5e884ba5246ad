"""The corpus of hostile model folders, which Python, Go and a running server must refuse alike.

A generator, not a test. ``corpus`` makes each folder from a sound one; its verdict is the code of
the refusal, ``MISSING`` where there is no folder, ``GRAPH`` where all hashes are right and only the
graph shows that nothing can be served from it.
"""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py

from cnnlab.artifact import h5, integrity
from cnnlab.artifact.contract import CONTRACT, OUTSIDE_H5, UNLISTED
from cnnlab.hashing import canonical_json

DAMAGED, INVALID, UNSUPPORTED = "damaged", "invalid_contract", "unsupported_contract"
MISSING, GRAPH = "missing", "graph"
PB = "saved_model/saved_model.pb"
DATA = "saved_model/variables/variables.data-00000-of-00001"
INDEX = "saved_model/variables/variables.index"
FILES = ("card.md", "model.h5", PB, DATA, INDEX)
Damage = Callable[[Path], object]


def corpus(sound: Path, other: Path, place: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield name, folder and verdict, one by one: the folder may be deleted afterwards.

    Args:
        sound: A model folder.
        other: One of another network.
        place: An empty folder of a file system with links, FIFOs and sparse files.
    """
    cases: dict[str, tuple[Damage, str]] = {
        **{name: (damage, DAMAGED) for name, damage in contracts().items()},
        **{name: (damage, DAMAGED) for name, damage in files(other).items()},
        **{name: (damage, DAMAGED) for name, damage in strangers().items()},
        **entries(),
        **truthful(other),
    }
    for number, (name, (damage, verdict)) in enumerate(cases.items()):
        folder = Path(shutil.copytree(sound, place / f"{number}"))
        damage(folder)
        yield name, folder, verdict
        subprocess.run(["rm", "-rf", folder], check=True)  # deeper than Python's own can go
    yield "no folder", place / "nothing", MISSING
    (place / "file").write_bytes(b"{}")
    yield "a file", place / "file", MISSING
    (place / "loop").symlink_to("loop")
    yield "a link to itself", place / "loop", MISSING
    os.mkfifo(place / "fifo")
    yield "a FIFO", place / "fifo", MISSING
    yield "no name at all", place / ("x" * 300), MISSING


def contracts() -> dict[str, Damage]:
    """Return what may stand in place of contract.json."""

    def text(content: bytes) -> Damage:
        return lambda folder: (folder / CONTRACT).write_bytes(content)

    return {
        "no contract": lambda folder: (folder / CONTRACT).unlink(),
        "empty contract": text(b""),
        "contract of NUL": text(b"\0" * 10_000),
        "contract of brackets": text(b"[" * 2**20),
        "contract with a mark": lambda folder: text(
            b"\xef\xbb\xbf" + (folder / CONTRACT).read_bytes()
        )(folder),
        "contract cut": lambda folder: os.truncate(folder / CONTRACT, 200),
        "contract of a gigabyte": lambda folder: os.truncate(folder / CONTRACT, 2**30),
        "contract of a terabyte": lambda folder: os.truncate(folder / CONTRACT, 2**40),
        **{f"contract is {what}": put(CONTRACT, kind) for what, kind in KINDS.items()},
    }


def files(other: Path) -> dict[str, Damage]:
    """Return what may happen to the files, by what is left of the contract's truth."""
    found: dict[str, Damage] = {}
    for name in FILES:
        found[f"no {name}"] = lambda folder, name=name: (folder / name).unlink()
        found[f"bit of {name}"] = lambda folder, name=name: flip(folder / name)
        found[f"cut {name}"] = lambda folder, name=name: os.truncate(
            folder / name, (folder / name).stat().st_size // 2
        )
        found[f"{name} of a terabyte"] = lambda folder, name=name: os.truncate(folder / name, 2**40)
        found[f"{name} of the other"] = lambda folder, name=name: (
            shutil.copy(other / name, folder / name)
            if name != "card.md"
            else (folder / name).write_bytes(b"# Another\n")
        )
    for what, kind in KINDS.items():
        for name in ("card.md", "model.h5", PB):
            found[f"{name} is {what}"] = put(name, kind)
    for what in ("link in a circle", "link elsewhere", "FIFO"):
        found[f"saved_model is a {what}"] = put("saved_model", KINDS[f"a {what}"])
    found["no saved_model"] = lambda folder: shutil.rmtree(folder / "saved_model")
    return found


def strangers() -> dict[str, Damage]:
    """Return what nobody expects in the folder."""
    names = ("extra", ".hidden", "CARD.MD", "a\nb\x1b[31m", "\udcff", "x" * 255, "card.md ")
    found: dict[str, Damage] = {
        f"a file {name[:10]!r} more": lambda folder, name=name: (folder / name).write_bytes(b"")
        for name in names
    }
    found |= {f"{what} more": put("more", kind) for what, kind in KINDS.items() if what[-1] != "y"}
    found["30,000 files more"] = lambda folder: many(folder, 30_000)
    found["a thousand folders in one another"] = lambda folder: deep(folder, "a", 1000)
    found["a path longer than may be"] = lambda folder: deep(folder, "a" * 200, 30)
    return found


def entries() -> dict[str, tuple[Damage, str]]:
    """Return contracts that say something else, in canonical text and with the H5 file agreeing."""

    def stated(name: str, value: Any) -> Damage:
        return lambda folder: seal(folder, **{name: value})

    size = {"bytes": 2**40}
    return {
        "size of an allocation": (stated("image_size", 10**9), INVALID),
        "size as text": (stated("image_size", "16"), INVALID),
        "size of 1e300": (stated("image_size", 1e300), INVALID),
        "no temperature": (stated("temperature", None), INVALID),
        "labels as text": (stated("class_names", "ab"), INVALID),
        "labels twice": (stated("class_names", ["a", "a", "b"]), INVALID),
        "rules as a list": (stated("conformal", [0.9, 0.1, 9]), INVALID),
        "one entry more": (stated("more", 1), INVALID),
        "files as a list": (lambda folder: seal(folder, files_are=list(FILES)), INVALID),
        "bytes beyond all": (lambda folder: seal(folder, outside=size), INVALID),
        "format 4": (stated("format", 4), UNSUPPORTED),
        "preprocessing of later": (
            stated("preprocessing", {"version": 2, "share": 0.9}), UNSUPPORTED,
        ),
        **{
            f"a file {name!r} listed": (
                lambda folder, name=name: seal(folder, listed={name: "0" * 64}), DAMAGED,
            )
            for name in ("../card.md", "/etc/passwd", "..\\card.md", "CARD.MD", "./card.md", "a\0b")
        },
        "bytes not those": (lambda folder: seal(folder, outside={"bytes": 7}), DAMAGED),
    }  # fmt: skip


def truthful(other: Path) -> dict[str, tuple[Damage, str]]:
    """Return folders whose every hash is right: what they hold must fail by itself."""

    def resealed(damage: Damage, **stated: Any) -> Damage:
        def both(folder: Path) -> None:
            damage(folder)
            seal(folder, **stated)

        return both

    def content(name: str, text: bytes) -> Damage:
        return resealed(lambda folder: (folder / name).write_bytes(text))

    labels = [f"class {number}" for number in range(7)]
    return {
        "graph cut": (
            resealed(lambda folder: os.truncate(folder / PB, 5000)), GRAPH,
        ),
        "graph empty": (content(PB, b""), GRAPH),
        "graph of other bytes": (content(PB, bytes(range(256)) * 40), GRAPH),
        "graph of the other": (
            resealed(lambda folder: shutil.copy(other / PB, folder / PB)), GRAPH,
        ),
        "no graph": (resealed(lambda folder: (folder / PB).unlink()), GRAPH),
        "weights cut": (resealed(lambda folder: os.truncate(folder / DATA, 100)), GRAPH),
        "weights not finite": (
            resealed(lambda folder: (folder / DATA).write_bytes(
                b"\xff" * (folder / DATA).stat().st_size)), GRAPH,
        ),
        "no index": (resealed(lambda folder: (folder / INDEX).unlink()), GRAPH),
        "index of other bytes": (content(INDEX, b"\xff" * 400), GRAPH),
        "more labels": (lambda folder: seal(folder, class_names=labels), GRAPH),
        "fewer labels": (lambda folder: seal(folder, class_names=labels[:2]), GRAPH),
        "a larger size": (lambda folder: seal(folder, image_size=17), GRAPH),
        "the largest size": (lambda folder: seal(folder, image_size=1024), GRAPH),
    }  # fmt: skip


def seal(
    folder: Path,
    *,
    outside: dict[str, Any] | None = None,
    listed: dict[str, str] | None = None,
    files_are: Any = None,
    **stated: Any,
) -> None:
    """Write the contract anew, with other entries and with the hashes that the files have now."""
    contract = json.loads((folder / CONTRACT).read_text("utf-8")) | stated
    inner = {name: value for name, value in contract.items() if name not in OUTSIDE_H5}
    with h5py.File(folder / "model.h5", "r+") as file:
        file.attrs[h5.ATTRIBUTE] = canonical_json(inner)
    found = integrity.hashes(folder, UNLISTED)
    contract |= {"files": found | (listed or {}), "bytes": integrity.total_bytes(folder, found)}
    contract |= outside or {}
    contract["files"] = files_are or contract["files"]
    (folder / CONTRACT).write_text(canonical_json(contract, indent=2) + "\n", "utf-8")


def flip(path: Path) -> None:
    """Turn a bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def put(name: str, make: Callable[[Path], object]) -> Damage:
    """Return what puts something else in the place of a name."""

    def damage(folder: Path) -> None:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        make(path)

    return damage


def bind(path: Path) -> None:
    """Make a socket; its path may be too long for its address."""
    here = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{here}/{path.name}")
    finally:
        os.close(here)


def many(folder: Path, count: int) -> None:
    """Make many files, as links to one."""
    (folder / "0").write_bytes(b"")
    (folder / "many").mkdir()
    for number in range(count):
        os.link(folder / "0", folder / "many" / str(number))


def deep(folder: Path, name: str, levels: int) -> None:
    """Make folders in one another, whose path may be longer than any may be."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        inside = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inside
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


KINDS: dict[str, Callable[[Path], object]] = {
    "a FIFO": os.mkfifo,
    "a socket": bind,
    "a folder, empty": Path.mkdir,
    "a folder": lambda path: (path.mkdir(), (path / "x").write_bytes(b"")),
    "a link to zeros": lambda path: path.symlink_to("/dev/zero"),
    "a link elsewhere": lambda path: path.symlink_to("/etc/passwd"),
    "a link in a circle": lambda path: path.symlink_to(path.name),
    "a link to its folder": lambda path: path.symlink_to("."),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
}
