"""the validation: what is let in, what is refused with which code, and that nothing hangs."""

import contextlib
import errno
import io
import os
import pickle
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from cnnlab.config import InputError
from cnnlab.images import (
    MAX_BYTES,
    Header,
    ImageRejected,
    decode,
    inspect,
    read_file,
    transcode,
)

FOREIGN = ("GIF", "BMP", "WEBP", "TIFF", "AVIF")


def picture(width: int = 30, height: int = 20, mode: str = "RGB") -> Image.Image:
    """A picture whose four corners differ, so that no turn of it equals another."""
    ramp = np.linspace(0, 255, width * height * 3).reshape(height, width, 3)
    ramp[: height // 2, : width // 2] = (255, 0, 0)
    return Image.fromarray(ramp.astype(np.uint8)).convert(mode)


def encoded(image: Image.Image, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def opened(image_bytes: bytes) -> Image.Image:
    return Image.open(io.BytesIO(image_bytes))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, ihdr: bytes | None = None) -> bytes:
    """A PNG header of any size, with no pixels behind it."""
    ihdr = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0) if ihdr is None else ihdr
    parts = (chunk(b"IHDR", ihdr), *chunks, chunk(b"IDAT", b""), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def jpeg(width: int, height: int, *, marker: int = 0xC0, precision: int = 8) -> bytes:
    """A JPEG header of any size, with no pixels behind it."""
    frame = struct.pack(">BHHB", precision, height, width, 3) + bytes(9)
    start = b"\xff\xd8\xff\xe0\x00\x10JFIF\0" + bytes(9)
    return start + bytes([0xFF, marker]) + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xd9"


def refusal(image_bytes: bytes) -> str:
    with pytest.raises(ImageRejected) as caught:
        transcode(image_bytes)
    assert str(caught.value) == caught.value.message != ""
    assert "\n" not in caught.value.message
    return caught.value.code


@pytest.mark.parametrize("name", ["JPEG", "PNG", *FOREIGN])
def test_header_is_what_pillow_says(name: str) -> None:
    image_bytes = encoded(picture(61, 47), name)
    assert inspect(image_bytes) == Header(name.lower(), 61, 47, 1, 1)


@pytest.mark.parametrize(
    "options", [{"progressive": True}, {"comment": b"x" * 300}, {"dpi": (9, 9)}]
)
def test_jpeg_header_is_found_behind_other_segments(options: dict[str, object]) -> None:
    assert inspect(encoded(picture(61, 47), "JPEG", **options)).width == 61


def test_jpeg_header_is_found_behind_fill_bytes() -> None:
    image_bytes = encoded(picture(), "JPEG")
    filled = image_bytes[:20] + b"\xff" * 5 + image_bytes[20:]
    assert inspect(filled) == inspect(image_bytes)
    np.testing.assert_array_equal(decode(filled, 16), decode(image_bytes, 16))


@pytest.mark.parametrize(
    ("image_bytes", "code"),
    [
        (b"", "empty"),
        (bytes(MAX_BYTES + 1), "too_many_bytes"),
        (b"\xff", "unknown_format"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "unknown_format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unknown_format"),
        (b"\xff\xd8\xff", "corrupt"),
        (b"\xff\xd8\xff\xd9", "corrupt"),
        (b"\xff\xd8\xff\xe0\x00\x01", "corrupt"),
        (b"\xff\xd8\xff\xda\x00\x02\xff\xd9", "corrupt"),
        (b"\xff\xd8" + b"\xff\xfe\x00\x02" * 5000 + jpeg(99, 99)[2:], "corrupt"),
        (jpeg(99, 99)[:-2], "corrupt"),
        (b"\xff\xd8\xff\xc0\x00\x11\x08", "corrupt"),
        (b"\x89PNG\r\n\x1a\n", "corrupt"),
        (b"GIF89a", "corrupt"),
        (b"BM not a bitmap", "corrupt"),
        (b"RIFF\x04\0\0\0WEBP", "corrupt"),
        (b"II*\0", "corrupt"),
        (b"\0\0\0\x1cftypavif", "corrupt"),
        (encoded(picture(4, 4), "JPEG"), "side_too_small"),
        (encoded(picture(4, 4), "PNG"), "side_too_small"),
        (encoded(picture(4, 4), "GIF"), "side_too_small"),
        (jpeg(50_000, 50_000), "side_too_large"),
        (png(50_000, 50_000), "side_too_large"),
        (png(2**31, 2**31), "side_too_large"),
        (png(0, 10), "side_too_small"),
        (jpeg(9_000, 9_000), "too_many_pixels"),
        (png(9_000, 9_000), "too_many_pixels"),
        (jpeg(100, 100, marker=0xC3), "unsupported"),
        (jpeg(100, 100, marker=0xC9), "unsupported"),
        (jpeg(100, 100, precision=12), "unsupported"),
    ],
)
def test_refusals(image_bytes: bytes, code: str) -> None:
    assert refusal(image_bytes) == code


@pytest.mark.parametrize("header", [jpeg, png])
@pytest.mark.parametrize(
    ("width", "height", "code"),
    [
        (8, 8, ""),
        (7, 8, "side_too_small"),
        (8, 7, "side_too_small"),
        (8, 400, ""),
        (401, 8, "aspect_ratio"),
        (8, 401, "aspect_ratio"),
        (10_000, 2_500, ""),
        (10_001, 2_000, "side_too_large"),
        (10_000, 2_501, "too_many_pixels"),
    ],
)
def test_limits_are_exact(header: object, width: int, height: int, code: str) -> None:
    image_bytes = header(width, height)  # type: ignore[operator]
    if code:
        assert refusal(image_bytes) == code
    else:
        assert inspect(image_bytes).width == width


@pytest.mark.parametrize("name", ["GIF", "WEBP", "BMP"])
def test_bombs_of_other_formats_are_refused_unopened(name: str) -> None:
    image_bytes = bytearray(encoded(picture(), name))
    if name == "GIF":
        image_bytes[6:10] = struct.pack("<HH", 60_000, 60_000)
    elif name == "WEBP":  # lossy: two 14-bit sides after the start code of the frame
        start = image_bytes.index(b"\x9d\x01\x2a") + 3
        image_bytes[start : start + 4] = struct.pack("<HH", 16_000, 16_000)
    else:
        image_bytes[18:26] = struct.pack("<ii", 60_000, 60_000)
    assert refusal(bytes(image_bytes)) in ("too_many_pixels", "side_too_large")


@pytest.mark.parametrize("name", ["GIF", "WEBP", "TIFF", "PNG", "AVIF"])
def test_animations_are_refused(name: str) -> None:
    frames = [picture(), picture().rotate(180)]
    image_bytes = encoded(frames[0], name, save_all=True, append_images=frames[1:])
    assert refusal(image_bytes) == "animated"


def test_png_animation_of_one_frame_is_a_picture() -> None:
    one, two = (chunk(b"acTL", struct.pack(">II", frames, 0)) for frames in (1, 2))
    assert inspect(png(9, 9, one)).frames == 1
    assert refusal(png(9, 9, two)) == "animated"


def test_png_header_is_checked() -> None:
    good = png(9, 9)
    assert refusal(good[:20] + b"\x07" + good[21:]) == "corrupt"  # the checksum is wrong
    for fields in [(3, 2, 0, 0, 0), (8, 5, 0, 0, 0), (8, 2, 1, 0, 0), (8, 2, 0, 0, 2)]:
        assert refusal(png(9, 9, ihdr=struct.pack(">IIBBBBB", 9, 9, *fields))) == "corrupt"
    assert refusal(good[:33]) == "corrupt"  # no data


@pytest.mark.parametrize("name", ["JPEG", "PNG", *FOREIGN])
def test_truncated_files_are_corrupt(name: str) -> None:
    image_bytes = encoded(picture(80, 60), name)
    for length in (len(image_bytes) // 2, len(image_bytes) * 9 // 10):
        with pytest.raises(ImageRejected) as caught:
            decode(image_bytes[:length], 16)
        assert caught.value.code == "corrupt"


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_with_endless_scans_is_refused(progressive: bool) -> None:
    """Each scan is a pass over all pixels and may have a dozen bytes: hours in one file."""
    image_bytes = encoded(picture(80, 60), "JPEG", progressive=progressive)
    start = image_bytes.rindex(b"\xff\xda")
    scan = image_bytes[start:-2]
    hidden = b"\xff\xfe\x00\x04\xff\xd9"  # a comment that looks like the end
    bomb = image_bytes[:start] + hidden + scan * 200 + image_bytes[-2:]
    assert refusal(bomb) == "too_many_scans"
    assert inspect(image_bytes).width == 80


def test_what_follows_the_end_of_a_jpeg_does_not_matter() -> None:
    """Telephones append films, and further pictures, to photographs."""
    image_bytes = encoded(picture(), "JPEG")
    assert inspect(image_bytes + b"\xff\xda" * 999 + b"\xff\xc0") == inspect(image_bytes)


def test_thumbnail_in_the_metadata_is_not_the_picture() -> None:
    image_bytes = encoded(picture(60, 40), "JPEG")
    thumbnail = b"Exif\0\0" + encoded(picture(16, 16), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    assert inspect(image_bytes[:2] + segment + image_bytes[2:]).width == 60


def test_jpeg_and_png_are_admitted_as_they_are() -> None:
    for name in ("JPEG", "PNG"):
        image_bytes = encoded(picture(), name)
        assert transcode(image_bytes) is image_bytes


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_other_formats_become_png_with_the_same_pixels(name: str, mode: str) -> None:
    image = picture(mode=mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    image_bytes = encoded(image, name)
    with (
        Image.open(io.BytesIO(image_bytes)) as stored,
        Image.open(io.BytesIO(transcode(image_bytes))) as png,
    ):
        assert png.format == "PNG"
        np.testing.assert_array_equal(png.convert("RGBA"), stored.convert("RGBA"))


@pytest.mark.parametrize("name", ["WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_other_formats_are_turned_upright(name: str, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    image_bytes = encoded(picture(), name, exif=exif)
    with (
        Image.open(io.BytesIO(image_bytes)) as stored,
        Image.open(io.BytesIO(transcode(image_bytes))) as png,
    ):
        assert png.size == ((20, 30) if turn >= 5 else (30, 20))
        assert png.getexif().get(0x0112, 1) == 1
        np.testing.assert_array_equal(png, ImageOps.exif_transpose(stored))
    if name == "TIFF":  # the size is given upright, so nothing is left to turn
        assert inspect(image_bytes).orientation == 1
        assert inspect(image_bytes).width == png.width
    else:
        assert inspect(image_bytes).orientation == turn


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "LA"])
def test_tiff_of_any_mode_is_admitted(mode: str) -> None:
    image = picture(mode="L").convert("LA") if mode == "LA" else picture().convert(mode)
    with opened(transcode(encoded(image, "TIFF"))) as png:
        np.testing.assert_array_equal(png.convert("RGBA"), image.convert("RGBA"))


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bits_are_kept(order: str) -> None:
    values = (np.arange(30 * 20, dtype=np.uint16) * 109).reshape(20, 30)
    header = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    entries = [(256, 30), (257, 20), (258, 16), (259, 1), (262, 1), (273, 150), (277, 1), (278, 20)]
    entries.append((279, values.nbytes))
    directory = struct.pack(order + "H", len(entries))
    for tag, value in entries:
        directory += struct.pack(order + "HHIHH", tag, 3, 1, value, 0)
    tiff = (header + directory + bytes(4)).ljust(150, b"\0") + values.astype(order + "u2").tobytes()
    with opened(transcode(tiff)) as png:
        np.testing.assert_array_equal(np.asarray(png), values)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_without_a_range_are_refused(mode: str) -> None:
    assert refusal(encoded(picture(mode="L").convert(mode), "TIFF")) == "unsupported"


@pytest.mark.parametrize("name", ["JPEG", "PNG", *FOREIGN])
def test_damage_is_refused_or_read_but_nothing_else(name: str) -> None:
    rng = np.random.default_rng(3)
    image_bytes = encoded(picture(40, 30), name)
    for _ in range(40):
        damaged = bytearray(image_bytes)
        for _ in range(rng.integers(1, 6)):
            damaged[rng.integers(4, len(damaged))] = rng.integers(256)
        with contextlib.suppress(ImageRejected):
            assert decode(bytes(damaged), 16).shape == (16, 16, 3)


def test_rejection_is_bad_input_and_survives_pickling() -> None:
    rejected = pickle.loads(pickle.dumps(ImageRejected("corrupt", "Damaged.")))
    assert isinstance(rejected, InputError)
    assert (rejected.code, rejected.message, str(rejected)) == ("corrupt", "Damaged.", "Damaged.")


class TestReadFile:
    def code(self, path: object) -> str:
        with pytest.raises(ImageRejected) as caught:
            read_file(path)  # type: ignore[arg-type]
        assert os.fspath(path) in caught.value.message  # type: ignore[call-overload]
        return caught.value.code

    def test_regular_files(self, tmp_path) -> None:
        for content in (b"", b"abc", bytes(MAX_BYTES)):
            (tmp_path / "file").write_bytes(content)
            assert read_file(tmp_path / "file") == content
        (tmp_path / "file").write_bytes(bytes(MAX_BYTES + 1))
        assert self.code(tmp_path / "file") == "too_many_bytes"

    def test_what_is_no_file(self, tmp_path) -> None:
        os.mkfifo(tmp_path / "pipe")  # opened without a writer it would wait for ever
        (tmp_path / "zero").symlink_to("/dev/zero")
        (tmp_path / "file").write_bytes(b"abc")
        (tmp_path / "link").symlink_to(tmp_path / "file")
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        assert read_file(tmp_path / "link") == b"abc"
        for path in (tmp_path / "pipe", tmp_path / "zero", tmp_path / "loop", tmp_path):
            assert self.code(path) == "not_a_regular_file"
        assert self.code("/dev/zero") == "not_a_regular_file"
        assert self.code(tmp_path / "missing") == "not_found"

    def test_unreadable(self, tmp_path, monkeypatch) -> None:
        (tmp_path / "secret").write_bytes(b"abc")

        def refused(*args: object, **options: object) -> int:  # as for anyone but root
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(os, "open", refused)
        assert self.code(tmp_path / "secret") == "unreadable"
