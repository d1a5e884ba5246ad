"""No HDF5 file leads elsewhere or fills the memory."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from cnnlab import hdf5

VALUES = np.arange(1000, dtype="float32")


@pytest.fixture
def path(tmp_path) -> Path:
    """A file as Keras writes them: groups, numbers, names."""
    with h5py.File(tmp_path / "good.h5", "w") as file:
        file.attrs["layer_names"] = ["one", "two"]
        file.attrs["version"] = b"3"
        file["one/kernel"] = VALUES
        file["one"].attrs["weight_names"] = np.array([b"kernel"])
    return tmp_path / "good.h5"


def external_storage(file: h5py.File) -> None:
    file.create_dataset("more", (10,), "f4", external=[("/etc/passwd", 0, 40)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((10,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (10,))
    file.create_virtual_dataset("more", layout)


def never_written(file: h5py.File) -> None:
    file.create_dataset("more", (1 << 40,), "f4")


def overflowing(file: h5py.File) -> None:
    file.create_dataset("more", (1 << 32, 1 << 32), "f4", chunks=(10, 10))


def compressed(file: h5py.File) -> None:
    file.create_dataset("more", data=np.zeros(1 << 20, "f4"), chunks=(1 << 8,), compression="gzip")


def huge_piece(file: h5py.File) -> None:
    file.create_dataset("more", (1,), "f4", maxshape=(None,), chunks=(1 << 28,))


def texts(file: h5py.File) -> None:
    file["more"] = ["a", "b"]


def reference(file: h5py.File) -> None:
    file.attrs["more"] = file["one"].ref


def many_texts(file: h5py.File) -> None:
    file.attrs["more"] = np.array(["x"] * 4097, dtype=object)


def a_type(file: h5py.File) -> None:
    file["more"] = np.dtype("f4")


def circle(file: h5py.File) -> None:
    file["one/again"] = file["one"]


def twice(file: h5py.File) -> None:
    file["more"] = file["one/kernel"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda file: file.__setitem__("more", h5py.ExternalLink("/etc/passwd", "/")), "External"),
        (lambda file: file.__setitem__("more", h5py.SoftLink("/one")), "SoftLink"),
        (external_storage, "another file"),
        (virtual, "another file"),
        (never_written, "4,398,047 MB"),
        (overflowing, "MB of values"),
        (compressed, "4 MB of values"),
        (huge_piece, "packed in pieces"),
        (texts, "expected numbers"),
        (reference, "holds 1 objects"),
        (many_texts, "holds 4097 objects"),
        (a_type, "neither a group nor a dataset"),
        (circle, "two ways"),
        (twice, "two ways"),
    ],
)
def test_what_leads_elsewhere_or_grows_is_refused(
    path: Path, change: Callable[[h5py.File], None], says: str
) -> None:
    hdf5.check(path)
    mode, version = ("w", "latest") if change is many_texts else ("r+", None)
    with h5py.File(path, mode, libver=version) as file:
        change(file)
    with pytest.raises(ValueError, match=says) as caught:
        hdf5.check(path)
    assert "\n" not in str(caught.value)


def test_as_many_bytes_are_read_as_are_allowed(path) -> None:
    hdf5.check(path, most=VALUES.nbytes)
    with pytest.raises(ValueError, match="expected 0 at most"):
        hdf5.check(path, most=VALUES.nbytes - 1)


def test_another_file_is_an_error(tmp_path) -> None:
    (tmp_path / "x").write_bytes(b"no HDF5")
    with pytest.raises(OSError, match="signature"):
        hdf5.check(tmp_path / "x")
