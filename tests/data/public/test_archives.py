import gzip
import io
import stat
import tarfile
import zipfile

import pytest

from cnnlab.data.public import archives
from cnnlab.data.public.archives import ArchiveRefused


def tar(path, *members, mode="w:gz"):
    """Write members: a name and bytes, or a TarInfo."""
    with tarfile.open(path, mode) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path


def zipped(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


WRITERS = pytest.mark.parametrize("write", [tar, zipped])


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.fixture
def inside(tmp_path):
    """The folder to unpack into; nothing may ever appear beside it."""
    folder = tmp_path / "work" / "inside"
    folder.mkdir(parents=True)
    return folder


def extract(archive, folder, max_files=100, max_bytes=10_000):
    return archives.extract(archive, folder, max_files=max_files, max_bytes=max_bytes)


def refusal(archive, folder, **limits):
    with pytest.raises(ArchiveRefused) as caught:
        extract(archive, folder, **limits)
    assert str(archive) in str(caught.value)
    assert [entry.name for entry in folder.parent.iterdir()] == [folder.name]
    assert not [path for path in folder.rglob("*") if path.is_symlink()]
    return str(caught.value)


def found(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


GOOD = (("a/1.jpg", b"one"), ("./a/ü -x.jpg", b""), ("b/deep/2.jpg", b"two" * 500))


@pytest.mark.parametrize("form", ["w:gz", "w", "zip"])
def test_files_and_folders(tmp_path, inside, form):
    path = tmp_path / "archive"
    archive = zipped(path, *GOOD) if form == "zip" else tar(path, *GOOD, mode=form)
    assert extract(archive, inside) == 3
    assert found(inside) == {name.removeprefix("./"): content for name, content in GOOD}


def test_empty_folders_and_plain_permissions(tmp_path, inside):
    file = tarfile.TarInfo("run.sh")
    file.mode = 0o6777
    extract(tar(tmp_path / "t", special("empty/", tarfile.DIRTYPE), file), inside)
    assert (inside / "empty").is_dir()
    assert stat.S_IMODE((inside / "run.sh").stat().st_mode) & 0o7111 == 0


@WRITERS
@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/tmp/x", "a/..", "..", "..\\x", "C:/x", "c:x", "x" * 2000]
)
def test_paths_that_lead_out(tmp_path, inside, write, name):
    refusal(write(tmp_path / "t", ("ok", b"1"), (name, b"2")), inside)


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "ok"),
        (tarfile.LNKTYPE, "ok"),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (tarfile.FIFOTYPE, ""),
    ],
)
def test_links_and_devices_in_a_tar(tmp_path, inside, kind, target):
    archive = tar(tmp_path / "t", ("ok", b"1"), special("odd", kind, target))
    assert "'odd' is neither a file nor a folder" in refusal(archive, inside)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO])
def test_links_and_devices_in_a_zip(tmp_path, inside, kind):
    odd = zipfile.ZipInfo("odd")
    odd.create_system, odd.external_attr = 3, (kind | 0o777) << 16
    archive = zipped(tmp_path / "t", ("ok", b"1"), (odd, b"/etc/passwd"))
    assert "'odd' is neither a file nor a folder" in refusal(archive, inside)


def test_a_sparse_file(tmp_path, inside):
    archive = tar(tmp_path / "t", special("odd", tarfile.GNUTYPE_SPARSE))
    refusal(archive, inside)


def test_a_declared_size_beyond_the_limit_is_refused_before_a_byte_is_written(tmp_path, inside):
    bomb = tarfile.TarInfo("bomb")
    bomb.size = 10**12
    (tmp_path / "t").write_bytes(gzip.compress(bomb.tobuf() + bytes(10_000)))
    assert "more than 10,000 bytes" in refusal(tmp_path / "t", inside)
    assert found(inside) == {}


@WRITERS
def test_all_files_together_are_bounded(tmp_path, inside, write):
    archive = write(tmp_path / "t", *((str(number), bytes(2500)) for number in range(5)))
    assert "more than 10,000 bytes" in refusal(archive, inside)
    assert len(found(inside)) == 4
    assert extract(archive, inside.parent, max_bytes=12_500) == 5


@WRITERS
def test_the_number_of_files_is_bounded(tmp_path, inside, write):
    archive = write(tmp_path / "t", *((str(number), b"") for number in range(5)))
    assert "more than 4 files" in refusal(archive, inside, max_files=4)


def test_a_header_of_packed_zeros_is_bounded(tmp_path, inside):
    header = special("x", tarfile.XHDTYPE)
    header.size = 8**11 - 1  # the most that its field holds
    (tmp_path / "t").write_bytes(gzip.compress(header.tobuf() + bytes(3_000_000)))
    assert "more than it may" in refusal(tmp_path / "t", inside)


def test_a_zip_that_holds_more_than_it_declares(tmp_path, inside):
    archive = zipped(tmp_path / "t", ("a", bytes(9000)))
    data = archive.read_bytes()
    assert data.count((9000).to_bytes(4, "little")) == 2
    archive.write_bytes(data.replace((9000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    assert "damaged" in refusal(archive, inside)
    assert (inside / "a").stat().st_size <= 10


def test_an_encrypted_zip(tmp_path, inside):
    archive = zipped(tmp_path / "t", ("a", b"secret"))
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    assert "encrypted" in refusal(archive, inside)


@WRITERS
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_name_twice_and_a_file_used_as_a_folder(tmp_path, inside, write):
    assert "twice" in refusal(write(tmp_path / "t", ("a", b"1"), ("a", b"2")), inside)
    assert "twice" in refusal(write(tmp_path / "u", ("b", b"1"), ("b/c", b"2")), inside)


@WRITERS
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_a_truncated_archive(tmp_path, inside, write, keep):
    noise = bytes(hash((i, i * i)) % 251 for i in range(9000))
    archive = write(tmp_path / "t", ("a", noise))
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * keep)])
    assert "damaged" in refusal(archive, inside)


@pytest.mark.parametrize("content", [b"", b"<!doctype html>" * 99, b"PK\x03\x04", b"\x1f\x8b"])
def test_what_is_no_archive(tmp_path, inside, content):
    (tmp_path / "t").write_bytes(content)
    assert "damaged" in refusal(tmp_path / "t", inside) or not content


@WRITERS
def test_an_empty_archive(tmp_path, inside, write):
    refusal(write(tmp_path / "t"), inside)
