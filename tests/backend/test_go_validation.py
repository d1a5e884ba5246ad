"""The Go validation says of every file what the Python one says."""

import json
import re
import struct
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import crafted
import mutated
import pytest

from cnnlab.images import ImageRejected, headers, inspect, limits

BACKEND = Path(__file__).resolve().parents[2] / "backend"
HEVC = (b"vc", b"vx", b"vm", b"vs")  # brands of sequences
CONSTANT = re.compile(r"^\t(\w+)\s+= ([\d_]+|\"\w+\")", re.MULTILINE)


def constants() -> dict[str, int | str]:
    """The constants of limits.go."""
    source = (BACKEND / "validation" / "limits.go").read_text("utf-8")
    return {
        name: value.strip('"') if value.startswith('"') else int(value)
        for name, value in CONSTANT.findall(source)
    }


def foreign(head: bytes) -> bool:
    """Whether the first twelve bytes are those of a format that only Python reads."""
    return (
        head.startswith((b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*"))
        or (head.startswith(b"RIFF") and head.endswith(b"WEBP"))
        or head[4:] in (b"ftypavif", b"ftypavis", b"ftypmif1", b"ftypmsf1")
        or head[4:] in {b"ftyphe" + end for end in (b"ic", b"ix", b"im", b"is", *HEVC)}
    )


def expected(image_bytes: bytes) -> dict[str, object]:
    """What Go must print: the Python verdict, but for formats that only Python converts."""
    if len(image_bytes) <= limits.MAX_BYTES and foreign(image_bytes[:12]):
        return {"Code": "foreign_format"}
    try:
        header = inspect(image_bytes)
    except ImageRejected as rejected:
        found = {"Code": rejected.code}
        # This one names the formats that are read.
        return found if rejected.code == "unknown_format" else found | {"Message": rejected.message}
    return {name.capitalize(): value for name, value in vars(header).items()}


def differences(program: Path, files: Iterable[tuple[object, bytes]]) -> tuple[list[str], Counter]:
    """Return which files Go and Python judge differently, and how many got which verdict."""
    named = list(files)
    sent = b"".join(struct.pack(">I", len(data)) + data for _, data in named)
    output = subprocess.run([program], input=sent, capture_output=True, check=True, timeout=600)
    lines = output.stdout.decode().splitlines()
    wrong, verdicts = [], Counter()
    for (name, data), line in zip(named, lines, strict=True):
        given, wanted = json.loads(line), expected(data)
        verdicts[given.get("Code", given.get("Format"))] += 1
        if any(given.get(field) != value for field, value in wanted.items()) or (
            "Format" in given and given.keys() != wanted.keys()
        ):
            wrong.append(f"{name}: Go gives {given}, Python {wanted}")
    return wrong, verdicts


def test_limits_are_those_of_python() -> None:
    numbers = {name: value for name, value in constants().items() if isinstance(value, int)}
    theirs = {
        name: value
        for module in (limits, headers)
        for name, value in vars(module).items()
        if name.startswith(("MAX_", "MIN_")) and name != "MAX_FOREIGN_PIXELS"
    }
    assert numbers == {"".join(map(str.title, name.split("_"))): theirs[name] for name in theirs}


def test_codes_are_those_of_python() -> None:
    codes = {value for value in constants().values() if isinstance(value, str)}
    attribute = str(limits.ImageRejected.__doc__).split("code:")[1].split("message:")[0]
    theirs = set(re.findall(r"``(\w+)``", attribute)) - {
        "read_file", "not_found", "not_a_regular_file", "unreadable",
    }  # fmt: skip
    assert codes == theirs | {"foreign_format"}


@pytest.mark.slow
def test_crafted_files(verdicts) -> None:
    files = {name: data for name, (data, _) in crafted.files().items()}
    wrong, counts = differences(verdicts, files.items())
    assert not wrong
    codes = {value for value in constants().values() if isinstance(value, str)}
    assert set(counts) == codes | {"jpeg", "png"}


def seeds() -> list[bytes]:
    """JPEG and PNG files, and headers with little behind them, where more mutations hit."""
    found = [data for data in mutated.seeds() if data.startswith((b"\xff\xd8", b"\x89PNG"))]
    small = crafted.encoded(crafted.picture(8, 8, "L"), "JPEG")
    frame, scan = small.index(b"\xff\xc0"), small.index(b"\xff\xda")
    bare = small[:2] + small[frame : frame + 13] + small[scan:]
    jfif = small[2:20]
    for order in "<>":
        for turn in (3, 6, 9):
            turned = crafted.exif(turn, order)
            found += [crafted.behind_start(bare, prefix + turned) for prefix in (b"", jfif)]
    found.append(bare[:-2] + bare[15:-2] * (limits.MAX_SCANS - 1) + b"\xff\xd9")
    for frames in (1, 2):
        animation = crafted.chunk(b"acTL", struct.pack(">II", frames, 0))
        found.append(crafted.png(2, 8, False, animation, width=8, height=8))
    return found


@pytest.mark.slow
def test_twenty_thousand_mutated_files(verdicts) -> None:
    files = seeds()
    wrong, counts = differences(verdicts, ((i, mutated.mutated(i, files)) for i in range(20_000)))
    assert not wrong, f"{len(wrong)} differ, among them:\n" + "\n".join(wrong[:5])
    assert min(counts["jpeg"], counts["png"]) > 1000
    assert len(counts) >= 10  # many different checks are reached
