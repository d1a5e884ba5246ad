"""The decoder, with Pillow as oracle for every kind of JPEG and PNG; the same in every setting."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from cnnlab.engine import tf
from cnnlab.images import ImageRejected, decode, pixels, prepare

SIZES = (16, 50, 224)  # smaller, in between, larger


def photo(width: int = 97, height: int = 61, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Blobs, edges and noise: compression, chroma sampling and resizing all leave traces on it."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8))
    image = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    image[10:30, 20:50] = (250, 20, 40)
    image += rng.integers(-25, 26, image.shape)
    return Image.fromarray(image.clip(0, 255).astype(np.uint8)).convert(mode)


def encoded(image: Image.Image, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def png(
    width: int, height: int, depth: int, colour: int, rows: bytes, *, interlaced: bool = False
) -> bytes:
    """A PNG of exactly these samples; those of an interlaced one come with their filter bytes."""

    def chunk(data: bytes) -> bytes:
        return struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))

    stride = len(rows) // height
    lines = [b"\0" + rows[y * stride : (y + 1) * stride] for y in range(height)]
    data = zlib.compress(rows if interlaced else b"".join(lines))
    ihdr = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    parts = (b"IHDR" + ihdr, b"IDAT" + data, b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(chunk, parts))


def by_pillow(image: Image.Image, size: int) -> np.ndarray:
    """The image laid over white and resized by Pillow: int (S, S, 3)."""
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized).astype(int)


def assert_close(image_bytes: bytes, image: Image.Image | None = None, within: int = 1) -> None:
    for size in SIZES:
        with Image.open(io.BytesIO(image_bytes)) as stored:
            expected = by_pillow(image or stored, size)
        assert np.abs(decode(image_bytes, size).astype(int) - expected).max() <= within


@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": "4:4:4"},
        {"subsampling": "4:2:2"},
        {"subsampling": "4:2:0"},
        {"progressive": True},
        {"quality": 20, "optimize": True},
        {"restart_marker_rows": 1},
        {"keep_rgb": True},
    ],
)
@pytest.mark.parametrize("shape", [(97, 61), (64, 64), (33, 301)])
def test_jpeg(shape: tuple[int, int], options: dict[str, object]) -> None:
    assert_close(encoded(photo(*shape), "JPEG", **options))


def test_grey_jpeg() -> None:
    image_bytes = encoded(photo(mode="L"), "JPEG")
    assert_close(image_bytes)
    red, green, blue = np.moveaxis(decode(image_bytes, 50), 2, 0)
    np.testing.assert_array_equal(red, green)
    np.testing.assert_array_equal(red, blue)


def cmyk() -> bytes:
    """A CMYK JPEG with much black, as Pillow writes it: inverted, with the Adobe marker.

    TensorFlow multiplies black in rounding down, Pillow rounding to the nearest: that is the
    second grey level in the comparisons below. Without black there is none.
    """
    channels = [photo(mode="L", seed=seed) for seed in range(4)]
    return encoded(Image.merge("CMYK", channels), "JPEG", quality=95)


def test_cmyk_jpeg_without_black() -> None:
    assert_close(encoded(photo(mode="CMYK"), "JPEG"))


def test_cmyk_jpeg_with_black() -> None:
    assert_close(cmyk(), within=2)


def test_ycck_jpeg() -> None:
    """The same samples, said to be YCCK: the marker's last byte is the transform."""
    image_bytes = bytearray(cmyk())
    place = image_bytes.index(b"Adobe") + 11
    assert image_bytes[place] == 0
    image_bytes[place] = 2
    assert np.abs(decode(bytes(image_bytes), 50).astype(int) - decode(cmyk(), 50)).max() > 50
    assert_close(bytes(image_bytes), within=2)


def test_cmyk_jpeg_without_adobe_marker_holds_plain_inks() -> None:
    """Pillow takes every CMYK JPEG as inverted; the format says so only with the marker."""
    image_bytes = cmyk()
    start = image_bytes.index(b"\xff\xee")
    length = int.from_bytes(image_bytes[start + 2 : start + 4], "big")
    unmarked = image_bytes[:start] + image_bytes[start + 2 + length :]
    with Image.open(io.BytesIO(unmarked)) as stored:
        inks = Image.fromarray(255 - np.asarray(stored), "CMYK")
    assert_close(unmarked, inks, within=2)


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "LA", "RGBA", "PA"])
def test_png(mode: str) -> None:
    image = photo(mode="RGBA" if mode == "PA" else "L" if mode == "LA" else mode)
    if mode in ("LA", "RGBA", "PA"):
        image = image.convert("LA" if mode == "LA" else "RGBA")
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    if mode == "PA":  # a palette with an alpha for each colour
        image = image.quantize(64)
    assert_close(encoded(image, "PNG"))


def test_png_with_one_transparent_colour() -> None:
    image = photo()
    image.paste((1, 2, 3), (0, 0, 40, 40))
    assert_close(encoded(image, "PNG", transparency=(1, 2, 3)))


def test_colours_hidden_by_transparency_stay_hidden() -> None:
    image = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    assert (decode(encoded(image, "PNG"), 16) == 255).all()


@pytest.mark.parametrize(("alpha", "expected"), [(0, 255), (1, 254), (128, 127), (255, 0)])
def test_black_over_white_is_rounded(alpha: int, expected: int) -> None:
    image = Image.new("RGBA", (9, 9), (0, 0, 0, alpha))
    assert (decode(encoded(image, "PNG"), 16) == expected).all()


def test_every_colour_under_every_alpha_is_rounded_exactly() -> None:
    colour, alpha = np.mgrid[:256, :256]
    image = np.stack([colour, 255 - colour, colour, alpha], axis=2).astype(np.uint8)
    exact = (image[..., :3] * (alpha / 255)[..., None] + 255 - alpha[..., None]).astype(float)
    pixels = decode(encoded(Image.fromarray(image), "PNG"), 256)  # its own size: no resampling
    assert np.abs(pixels - exact).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("strip", [1, 97 * 7, 97 * 61 - 1, 97 * 61])
@pytest.mark.slow
def test_strips_of_a_transparent_image_fit_together(monkeypatch, strip: int) -> None:
    image = photo(mode="RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image_bytes = encoded(image, "PNG")
    whole = decode(image_bytes, 61)
    monkeypatch.setattr(pixels, "_STRIP", strip)
    for run in (prepare, tf.function(prepare)):
        np.testing.assert_array_equal(run(tf.constant(image_bytes), 61), whole)


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_of_sixteen_bits_the_upper_eight_count(colour: int, channels: int) -> None:
    rng = np.random.default_rng(5)
    samples = rng.integers(0, 65536, (16, 16, channels))
    if channels in (2, 4):
        samples[..., -1] = 65535
    image_bytes = png(16, 16, 16, colour, samples.astype(">u2").tobytes())
    expected = samples[..., : 3 if channels > 2 else 1] >> 8
    np.testing.assert_array_equal(decode(image_bytes, 16), np.broadcast_to(expected, (16, 16, 3)))


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_grey_of_few_bits_fills_the_range(depth: int) -> None:
    samples = np.arange(256).reshape(16, 16) % 2**depth
    bits = (samples[..., None] >> np.arange(depth)[::-1]) & 1
    image_bytes = png(16, 16, depth, 0, np.packbits(bits.reshape(16, -1), axis=1).tobytes())
    expected = samples * (255 // (2**depth - 1))
    np.testing.assert_array_equal(decode(image_bytes, 16)[..., 0], expected)


def test_interlaced_png() -> None:
    """In one colour an interlaced image is its seven passes, all alike."""
    passes = [(2, 2), (2, 2), (4, 2), (4, 4), (8, 4), (8, 8), (16, 8)]  # columns, rows of 16 × 16
    lines = b"".join((b"\0" + b"\x0a\x14\x1e" * columns) * rows for columns, rows in passes)
    image_bytes = png(16, 16, 8, 2, lines, interlaced=True)
    assert (decode(image_bytes, 16) == (10, 20, 30)).all()


def test_own_size_is_left_alone() -> None:
    image = photo(50, 50)
    np.testing.assert_array_equal(decode(encoded(image, "PNG"), 50), image)


@pytest.mark.parametrize("name", ["GIF", "WEBP", "BMP", "TIFF"])
def test_prepare_takes_jpeg_and_png_only(name: str) -> None:
    """TensorFlow's ops would take some of these, in other shapes and through other decoders."""
    image_bytes = encoded(photo(), name)
    with pytest.raises(tf.errors.InvalidArgumentError):
        prepare(tf.constant(image_bytes), 16)
    compiled = tf.function(lambda image_bytes: prepare(image_bytes, 16))
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected a JPEG or PNG"):
        compiled(tf.constant(image_bytes))
    assert decode(image_bytes, 16).shape == (16, 16, 3)


def test_undecodable_pixels_are_a_refusal() -> None:
    image_bytes = encoded(photo(), "PNG")
    place = image_bytes.index(b"IDAT") + 50
    with pytest.raises(ImageRejected, match=r"cannot be decoded: [^{]") as caught:
        decode(image_bytes[:place] + b"\0\0\0" + image_bytes[place + 3 :], 16)
    assert caught.value.code == "corrupt"


@pytest.mark.parametrize("turn", range(2, 9))
def test_turning_after_the_resize_equals_turning_before(turn: int) -> None:
    """But for float rounding: one grey level apart, in fewer than one value of five hundred."""
    exif = Image.Exif()
    exif[0x0112] = turn
    image_bytes = encoded(photo(), "JPEG", exif=exif)
    with Image.open(io.BytesIO(image_bytes)) as image:
        turned_first = encoded(ImageOps.exif_transpose(image), "PNG")
    for size in SIZES:
        difference = np.abs(decode(image_bytes, size).astype(int) - decode(turned_first, size))
        assert difference.max() <= 1
        assert difference.mean() <= 2e-3


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("transparent", [False, True])
def test_palettes_of_few_bits(depth: int, transparent: bool) -> None:
    image = photo().quantize(2**depth)
    options = {"transparency": 1} if transparent else {}
    image_bytes = encoded(image, "PNG", bits=depth, **options)
    assert image_bytes[24] == depth
    assert_close(image_bytes)


class Module(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((), tf.string)])
    def prepare(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"pixels": prepare(image_bytes, 32)}


@pytest.mark.slow
def test_the_same_pixels_in_every_setting(tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    transparent = photo()
    transparent.putalpha(100)
    files = [
        encoded(photo(), "JPEG", exif=exif),
        encoded(photo(mode="L"), "JPEG"),
        encoded(transparent, "PNG"),
    ]
    tf.saved_model.save(Module(), tmp_path, signatures={"prepare": Module().prepare})
    signature = tf.saved_model.load(tmp_path).signatures["prepare"]
    mapped = tf.data.Dataset.from_tensor_slices(files).map(
        lambda image_bytes: prepare(image_bytes, 32), num_parallel_calls=2
    )
    assert mapped.element_spec == tf.TensorSpec((32, 32, 3), tf.uint8)
    for image_bytes, in_pipeline in zip(files, mapped.as_numpy_iterator(), strict=True):
        eager = prepare(tf.constant(image_bytes), 32).numpy()
        np.testing.assert_array_equal(in_pipeline, eager)
        np.testing.assert_array_equal(decode(image_bytes, 32), eager)
        np.testing.assert_array_equal(signature(tf.constant(image_bytes))["pixels"], eager)


def test_no_python_in_the_graph() -> None:
    graph = tf.function(lambda image_bytes: prepare(image_bytes, 32)).get_concrete_function(
        tf.TensorSpec((), tf.string)
    )
    definition = graph.graph.as_graph_def()
    functions = [node.op for function in definition.library.function for node in function.node_def]
    operations = {node.op for node in definition.node} | set(functions)
    assert "DecodeJpeg" in operations
    assert not {"PyFunc", "EagerPyFunc", "PyFuncStateless"} & operations
