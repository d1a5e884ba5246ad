"""PyTorch files: written by hand, opcode by opcode, whole and damaged, and with foreign names."""

import io
import pickle
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.models import torch_file

VALUES = np.arange(12, dtype="<f4") / 8
ENTRY = {"dtype": "Float", "key": "7", "count": 12, "offset": 0, "shape": (3, 4), "strides": (4, 1)}


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def name(module: str, what: str) -> bytes:
    return f"c{module}\n{what}\n".encode()


EMPTY = name("collections", "OrderedDict") + b")R"


def entry(**changes: object) -> bytes:
    """The opcodes that make a tensor."""
    one = ENTRY | changes
    storage = b"(" + text("storage") + name("torch", f"{one['dtype']}Storage") + text(one["key"])
    storage += text("cpu") + numbers((one["count"],))[1:-1] + b"NtQ"
    offset = numbers((one["offset"],))[1:-1]
    where = offset + numbers(one["shape"]) + numbers(one["strides"])
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + storage + where + b"\x89" + EMPTY + (
        b"tR"
    )  # fmt: skip


def state(**entries: bytes) -> bytes:
    """The pickle of a state dict, with what PyTorch notes about versions."""
    items = b"".join(text(key) + made for key, made in entries.items())
    return b"\x80\x02" + EMPTY + b"(" + items + b"u}" + text("_metadata") + b"}sb."


def in_sequence(pickled: bytes, values: dict[str, np.ndarray], little: bool = True) -> bytes:
    """A file of PyTorch 1.5: it begins as the published one does."""
    system = {"protocol_version": 1001, "little_endian": little, "type_sizes": {"int": 4}}
    head = (0x1950A86A20F9469CFC6C, 1001, system)
    content = b"".join(pickle.dumps(each, protocol=2) for each in head) + pickled
    content += pickle.dumps([*values], protocol=2)
    return content + b"".join(struct.pack("<q", v.size) + v.tobytes() for v in values.values())


def zipped(pickled: bytes, values: dict[str, np.ndarray], order: bytes = b"little") -> bytes:
    """A file of PyTorch 2."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model/data.pkl", pickled)
        archive.writestr("model/byteorder", order)
        for key, each in values.items():
            archive.writestr(f"model/data/{key}", each.tobytes())
    return file.getvalue()


both = pytest.mark.parametrize("layout", [in_sequence, zipped])
Layout = Callable[[bytes, dict[str, np.ndarray]], bytes]


@both
def test_tensors_come_as_they_lie(layout: Layout) -> None:
    counter = {"dtype": "Long", "key": "n", "count": 1, "shape": (), "strides": ()}
    pickled = state(
        whole=entry(),
        turned=entry(shape=(4, 3), strides=(1, 4)),
        part=entry(offset=5, shape=(2, 2), strides=(4, 2)),
        counter=entry(**counter),
    )
    content = layout(pickled, {"7": VALUES, "n": np.array([300], "<i8")})
    found = torch_file.tensors(content, "x.pth")
    whole = VALUES.reshape(3, 4)
    assert {key: each.dtype.str for key, each in found.items()} == {
        "whole": "<f4", "turned": "<f4", "part": "<f4", "counter": "<i8"}  # fmt: skip
    assert np.array_equal(found["whole"], whole)
    assert np.array_equal(found["turned"], whole.T)
    assert np.array_equal(found["part"], VALUES[[[5, 7], [9, 11]]])
    assert found["counter"].shape == ()
    assert found["counter"] == 300
    assert all(each.flags.writeable and each.flags.c_contiguous for each in found.values())
    found["whole"][:] = 0
    assert np.array_equal(found["turned"], whole.T)


@both
@pytest.mark.parametrize(
    "changes",
    [
        {"offset": 1},
        {"offset": -1},
        {"shape": (3, 5)},
        {"shape": (3, -4)},
        {"shape": (0, 4)},
        {"shape": (4, 4), "strides": (0, 1)},  # each value more than once
        {"strides": (-4, 1)},
        {"strides": (4, 2)},
        {"strides": (4,)},
        {"count": 11},
        {"count": 13},
        {"count": -1},
        {"key": "8"},
        {"dtype": "Long"},
    ],
    ids=str,
)
def test_a_tensor_that_reaches_elsewhere_is_refused(changes, layout: Layout) -> None:
    content = layout(state(good=entry()), {"7": VALUES})
    assert len(torch_file.tensors(content, "x.pth")) == 1
    with pytest.raises(InputError, match=r"^x.pth cannot be read as a PyTorch file \(.+\): exp"):
        torch_file.tensors(layout(state(odd=entry(**changes)), {"7": VALUES}), "x.pth")


def call(module: str, what: str, argument: str) -> bytes:
    return b"\x80\x02" + name(module, what) + b"(" + text(argument) + b"tR."


@both
@pytest.mark.parametrize("module", ["os", "builtins", "posix", "torch", "pathlib", "torch._utils"])
def test_a_pickle_with_a_foreign_name_is_refused_and_nothing_runs(
    module, layout: Layout, tmp_path
) -> None:
    """The marker is a folder that the pickle would make; a plain unpickler does make it."""
    marker = tmp_path / "made"
    loaded = pickle.loads(call("os", "mkdir", str(tmp_path / "control")))
    assert loaded is None
    assert (tmp_path / "control").is_dir()
    for pickled in (
        call(module, "mkdir", str(marker)),
        state(good=entry(), odd=call(module, "mkdir", str(marker))[2:-1]),
    ):
        with pytest.raises(InputError, match=f"names {module}.mkdir, and nothing .* executed"):
            torch_file.tensors(layout(pickled, {"7": VALUES}), "x.pth")
    assert not marker.exists()


def test_a_foreign_name_anywhere_in_an_old_file_is_refused(tmp_path: Path) -> None:
    good = in_sequence(state(good=entry()), {"7": VALUES})
    odd = call("os", "mkdir", str(tmp_path / "made"))
    keys = pickle.dumps(["7"], protocol=2)
    for content in (odd + good, good.replace(keys, odd)):
        assert content != good
        with pytest.raises(InputError, match=r"names os\.mkdir"):
            torch_file.tensors(content, "x.pth")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("what", [("collections", "OrderedDict"), ("torch._utils",
                                  "_rebuild_tensor_v2"), ("torch", "FloatStorage")])  # fmt: skip
@pytest.mark.parametrize("changed", [b"}" + text("__call__") + b"Nsb", b"N}" + text("__call__") +
                                     b"Ns\x86b"])  # fmt: skip
def test_a_pickle_cannot_change_what_its_names_stand_for(what, changed) -> None:
    odd = b"\x80\x02" + name(*what) + changed + b"."
    with pytest.raises(InputError, match="cannot be read as a PyTorch file"):
        torch_file.tensors(zipped(odd, {}), "x.pth")


SHARED = b")" + b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(60))


@both
@pytest.mark.parametrize(
    "odd",
    [
        b"K\x01r" + struct.pack("<I", 1 << 26) + b"0",  # a place that an unpickler makes room for
        b"}" + SHARED + b"Nsb",  # a key that is 2 ** 60 tuples, each of which would be hashed
        SHARED + b")R",
        b"(" + text("storage") + SHARED + text("7") + text("cpu") + b"K\x0cNtQ",
        b"(" + text("storage") + name("torch", "FloatStorage") + SHARED + text("cpu") + b"K\x0cNtQ",
        b"\x8a\xff" + bytes(254) + b"\x01" + numbers((1,) * 9) * 2 + b"R",
    ],
    ids=["place", "key", "argument", "storage", "type", "sides"],
)
def test_a_few_bytes_cannot_take_gigabytes_or_hours(odd, layout: Layout) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"cannot be read as a PyTorch file"):
        torch_file.tensors(layout(b"\x80\x02" + EMPTY + odd + b".", {"7": VALUES}), "x.pth")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


@both
def test_a_file_that_ends_early_or_late_is_refused(layout: Layout) -> None:
    content = layout(state(good=entry()), {"7": VALUES})
    for odd in (b"", content[:2], content[:40], content[:-100], content[:-1]):
        with pytest.raises(InputError, match="cannot be read as a PyTorch file"):
            torch_file.tensors(odd, "x.pth")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (in_sequence(state(good=entry()), {"7": VALUES}) + b"x", "behind its last tensor"),
        (in_sequence(state(good=entry()), {"7": VALUES}, little=False), "big-endian"),
        (zipped(state(good=entry()), {"7": VALUES}, b"big"), "big-endian"),
        (zipped(state(), {}), "no state dict"),
        (zipped(state(good=b"N"), {}), "its entry 'good' is no tensor"),
        (zipped(state(good=entry(), again=entry()), {"7": VALUES[:3]}), "another number of values"),
        (
            zipped(
                state(good=entry(count=2, shape=(2,), strides=(1,)), again=entry()), {"7": VALUES}
            ),
            "another number of values",
        ),
        (pickle.dumps({"a": 1}), "does not begin"),
        (b"\x89HDF\r\n\x1a\n", "opcode b'H' unknown"),
    ],
)
def test_other_files_are_refused(content, says) -> None:
    with pytest.raises(InputError, match=says) as caught:
        torch_file.tensors(content, "x.pth")
    assert "\n" not in str(caught.value)


def test_a_large_file_cannot_come_of_a_small_one() -> None:
    many = {f"tensor{number}": entry() for number in range(400)}
    content = zipped(state(**many), {"7": VALUES})
    assert len(torch_file.tensors(content, "x.pth")) == 400  # their descriptions are longer
    wide = {"count": 4096, "shape": (4096,), "strides": (1,)}
    with pytest.raises(InputError, match="hold more than it does"):
        torch_file.tensors(
            zipped(state(**{each: entry(**wide) for each in many}), {"7": np.zeros(4096, "<f4")}),
            "x.pth",
        )
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w") as archive:
        archive.writestr("model/data.pkl", state(good=entry()))
        for key in "78":
            archive.writestr(f"model/data/{key}", VALUES.tobytes())
        outer = archive.getinfo("model/data/7")  # it reaches over the one behind it
        outer.compress_size = outer.file_size = 1000
    with pytest.raises(InputError, match="its entries overlap"):
        torch_file.tensors(nested.getvalue(), "x.pth")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", state(good=entry(**wide)))
        archive.writestr("model/data/7", bytes(4 * 4096))
    with pytest.raises(InputError, match="compressed"):
        torch_file.tensors(packed.getvalue(), "x.pth")
