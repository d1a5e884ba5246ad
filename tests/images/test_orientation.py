"""EXIF orientation in the graph, against Pillow, hand-made blocks and thousands of damaged ones."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from cnnlab.engine import tf
from cnnlab.images import inspect, orientation, prepare
from cnnlab.images.headers import exif_orientation
from cnnlab.images.orientation import upright

ORDERS = {"<": b"II*\0", ">": b"MM\0*"}
JFIF = b"\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
JFXX = b"\xff\xe0\x00\x0cJFXX\0\x10abc\0"
SHORT = 3


def entry(order: str, tag: int, kind: int, count: int, value: int) -> bytes:
    return struct.pack(order + "HHIHH", tag, kind, count, value, 0)


def exif(order: str, *entries: bytes, offset: int = 8, count: int | None = None) -> bytes:
    """An APP1 segment whose first directory holds the entries."""
    directory = struct.pack(order + "H", len(entries) if count is None else count)
    tiff = (ORDERS[order] + struct.pack(order + "I", offset)).ljust(min(offset, 999), b"\xaa")
    payload = b"Exif\0\0" + tiff + directory + b"".join(entries) + bytes(4)
    return b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload


def turned(order: str, turn: int) -> bytes:
    """A usual APP1 segment: the orientation among other entries."""
    others = [entry(order, tag, 4, 1, 72) for tag in (0x0100, 0x0101, 0x011A)]
    return exif(order, *others[:2], entry(order, 0x0112, SHORT, 1, turn), others[2])


@pytest.fixture(scope="module")
def bare() -> bytes:
    """A JPEG without APP segments, whose turns all differ: it starts with two bytes, FF D8."""
    ramp = np.linspace(0, 255, 24 * 40 * 3).reshape(24, 40, 3)
    ramp[:12, :10] = (255, 0, 0)
    file = io.BytesIO()
    Image.fromarray(ramp.astype(np.uint8)).save(file, "JPEG", quality=95)
    image_bytes = file.getvalue()
    assert image_bytes[2:20] == JFIF
    return image_bytes[:2] + image_bytes[20:]


def with_segments(bare: bytes, *segments: bytes) -> bytes:
    return bare[:2] + b"".join(segments) + bare[2:]


def read(image_bytes: bytes) -> int:
    """The orientation by both readers, which must agree."""
    value = int(orientation(tf.constant(image_bytes)))
    assert value == exif_orientation(image_bytes)
    return value


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("before", [(), (JFIF,), (JFIF, JFXX)])
def test_reads_and_applies_what_pillow_does(
    bare: bytes, order: str, turn: int, before: tuple[bytes, ...]
) -> None:
    image_bytes = with_segments(bare, *before, turned(order, turn))
    assert read(image_bytes) == turn == inspect(image_bytes).orientation
    with Image.open(io.BytesIO(image_bytes)) as image:
        assert image.getexif()[0x0112] == turn
        right = ImageOps.exif_transpose(image).resize((16, 16), Image.Resampling.BILINEAR)
    pixels = prepare(tf.constant(image_bytes), 16).numpy()
    assert np.abs(pixels.astype(int) - np.asarray(right, int)).max() <= 1


@pytest.mark.parametrize("turn", range(1, 9))
def test_turning_a_square_is_exact(turn: int) -> None:
    pixels = np.arange(5 * 5 * 3, dtype=np.uint8).reshape(5, 5, 3)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = turn
    result = upright(tf.constant(pixels), tf.constant(turn))
    np.testing.assert_array_equal(result, ImageOps.exif_transpose(image))


@pytest.mark.parametrize("order", "<>")
class TestUnusualBlocks:
    def value(self, bare: bytes, *segments: bytes) -> int:
        return read(with_segments(bare, *segments))

    def test_directory_at_an_unusual_offset(self, bare: bytes, order: str) -> None:
        right = entry(order, 0x0112, SHORT, 1, 6)
        assert self.value(bare, exif(order, right, offset=200)) == 6

    def test_hundreds_of_entries(self, bare: bytes, order: str) -> None:
        others = [entry(order, 0x9000 + index, 4, 1, 7) for index in range(500)]
        assert self.value(bare, exif(order, *others, entry(order, 0x0112, SHORT, 1, 8))) == 8

    @pytest.mark.parametrize("value", [0, 9, 256, 1536, 0xFFFF])
    def test_values_that_mean_nothing(self, bare: bytes, order: str, value: int) -> None:
        assert self.value(bare, exif(order, entry(order, 0x0112, SHORT, 1, value))) == 1

    @pytest.mark.parametrize(("kind", "count"), [(2, 1), (4, 1), (3, 0), (3, 2), (3, 65536)])
    def test_other_types_and_counts(self, bare: bytes, order: str, kind: int, count: int) -> None:
        assert self.value(bare, exif(order, entry(order, 0x0112, kind, count, 6))) == 1

    def test_of_several_the_largest_counts(self, bare: bytes, order: str) -> None:
        entries = [entry(order, 0x0112, SHORT, 1, value) for value in (3, 8, 6)]
        assert self.value(bare, exif(order, *entries)) == 8

    def test_entries_that_the_count_leaves_out(self, bare: bytes, order: str) -> None:
        right = entry(order, 0x0112, SHORT, 1, 6)
        assert self.value(bare, exif(order, right, count=0)) == 1
        assert self.value(bare, exif(order, right, count=0xFFFF)) == 6

    def test_entries_past_the_end_of_the_segment(self, bare: bytes, order: str) -> None:
        segment = turned(order, 6)
        for length in range(2, len(segment) - 2):
            short = segment[:2] + struct.pack(">H", length) + segment[4:]
            end_of_entry = 2 + 6 + 8 + 2 + 3 * 12  # the length field, Exif, TIFF header, entries
            assert self.value(bare, short) == (6 if length >= end_of_entry else 1)

    @pytest.mark.parametrize("offset", [0x7FFFFFFF, 0x80000000, 0x80000008, 0xFFFFFFFF, 0x10008])
    def test_offsets_far_outside(self, bare: bytes, order: str, offset: int) -> None:
        right = entry(order, 0x0112, SHORT, 1, 6)
        assert self.value(bare, exif(order, right, offset=offset)) == 1

    def test_blocks_where_they_may_not_stand(self, bare: bytes, order: str) -> None:
        segment = turned(order, 6)
        comment = b"\xff\xfe\x00\x06abcd"
        assert self.value(bare, comment, segment) == 1
        assert self.value(bare, JFIF, JFXX, JFXX, segment) == 1
        assert self.value(bare, segment.replace(b"Exif", b"XMP:")) == 1
        assert self.value(bare, segment.replace(ORDERS[order], b"IM*\0")) == 1


@pytest.mark.parametrize("image_bytes", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff\xe1", b"a" * 99])
def test_bytes_of_any_kind_give_one(image_bytes: bytes) -> None:
    assert read(image_bytes) == 1


def test_every_truncation_is_read_alike(bare: bytes) -> None:
    image_bytes = with_segments(bare, JFIF, turned("<", 6))
    values = {read(image_bytes[:length]) for length in range(110)}
    assert values == {1, 6}


def test_png_pixels_are_taken_as_stored() -> None:
    """Pillow would turn a PNG by its eXIf chunk; here, deliberately, nothing does."""
    block = Image.Exif()
    block[0x0112] = 6
    image = Image.fromarray(np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3))
    with_block, without = io.BytesIO(), io.BytesIO()
    image.save(with_block, "PNG", exif=block)
    image.save(without, "PNG")
    with Image.open(with_block) as stored:
        assert ImageOps.exif_transpose(stored).size == (8, 12)
    assert inspect(with_block.getvalue()).orientation == 1
    np.testing.assert_array_equal(
        prepare(tf.constant(with_block.getvalue()), 8), prepare(tf.constant(without.getvalue()), 8)
    )


def check_mutations(bare: bytes, count: int, seed: int) -> None:
    """Damage EXIF blocks at random: the graph says what the plain reader says, sizes stay right."""
    rng = np.random.default_rng(seed)
    damaged = []
    for _ in range(count):
        order = "<>"[rng.integers(2)]
        segment = bytearray(turned(order, int(rng.integers(1, 9))))
        for _ in range(rng.integers(1, 9)):
            # From the order mark on: the segment's own length stays, so the pixels stay readable.
            place = rng.integers(10, len(segment))
            segment[place] = rng.choice([0, 1, 3, 6, 8, 0x12, 0x7F, 0xFF, rng.integers(256)])
        damaged.append(with_segments(bare, *([JFIF] * rng.integers(2)), bytes(segment)))
    batches = tf.data.Dataset.from_tensor_slices(damaged).map(
        lambda image_bytes: (orientation(image_bytes), prepare(image_bytes, 16))
    )
    turns, shapes = [], set()
    for turn, pixels in batches.as_numpy_iterator():
        turns.append(turn)
        shapes.add(pixels.shape)
    assert shapes == {(16, 16, 3)}
    assert turns == [exif_orientation(image_bytes) for image_bytes in damaged]
    assert set(turns) == set(range(1, 9))  # some blocks survived their damage


def test_damaged_blocks(bare: bytes) -> None:
    check_mutations(bare, 400, seed=1)


@pytest.mark.slow
def test_many_damaged_blocks(bare: bytes) -> None:
    check_mutations(bare, 4000, seed=2)


def test_any_damage_to_the_first_bytes_is_read_alike(bare: bytes) -> None:
    """Here lengths and markers are hit too; such a file need not decode, but must be read."""
    rng = np.random.default_rng(4)
    image_bytes = with_segments(bare, JFIF, turned(">", 6))[:120]
    damaged = []
    for _ in range(400):
        mutated = bytearray(image_bytes)
        for _ in range(rng.integers(1, 5)):
            mutated[rng.integers(len(mutated))] = rng.choice([0, 255, rng.integers(256)])
        damaged.append(bytes(mutated[: rng.integers(60, 120)]))
    turns = tf.data.Dataset.from_tensor_slices(damaged).map(orientation).as_numpy_iterator()
    assert list(turns) == [exif_orientation(mutated) for mutated in damaged]


def test_reading_costs_about_a_hundred_small_ops() -> None:
    """The time itself depends on the machine; what causes it is pinned: no loop, few ops."""
    graph = tf.function(orientation).get_concrete_function(tf.TensorSpec((), tf.string)).graph
    kinds = [operation.type for operation in graph.get_operations() if operation.type != "Const"]
    assert len(kinds) <= 120
    assert not {"While", "StatelessWhile", "If", "PyFunc", "EagerPyFunc"} & set(kinds)
