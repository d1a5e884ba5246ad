"""EXIF orientation in TensorFlow ops: read from the bytes, applied to a square image.

The rules are those of ``headers.exif_orientation``; here they are ops, so that a SavedModel
carries them and a server in any language turns images as training did.
"""

from cnnlab.engine import tf


def orientation(image_bytes: tf.Tensor) -> tf.Tensor:
    """Return the EXIF orientation of a JPEG file; 1 where there is none or it is damaged.

    Only a few short stretches of the bytes are looked at, whatever the file's length. Bytes of
    any other kind give 1. Never fails.

    Args:
        image_bytes: string ().

    Returns:
        int32 (), 1…8.

    Source: CIPA DC-008 (Exif 2.32), 4.5.4 and 4.6.4; TIFF 6.0, section 2.
    """
    start = tf.constant(2)
    for _ in range(2):  # JFIF and its thumbnail may stand before the EXIF block
        head = _window(image_bytes, start, 4)
        is_app0 = _equal(head[:2], b"\xff\xe0")
        start += tf.where(is_app0, 2 + 256 * head[2] + head[3], 0)
    head = _window(image_bytes, start, 18)
    is_exif = (
        _equal(_window(image_bytes, tf.constant(0), 2), b"\xff\xd8")
        & _equal(head[:2], b"\xff\xe1")
        & _equal(head[4:10], b"Exif\0\0")
    )
    little, big = _equal(head[10:14], b"II*\0"), _equal(head[10:14], b"MM\0*")
    end = tf.minimum(start + 2 + 256 * head[2] + head[3], tf.strings.length(image_bytes))

    # Offsets count from the byte order mark. A segment is shorter than 2¹⁶ bytes, so an offset
    # whose upper half is not zero points outside: no need for more than 32 bits.
    halves = _numbers(head[14:18], little)
    upper, lower = tf.where(little, halves[1], halves[0]), tf.where(little, halves[0], halves[1])
    directory = start + 10 + lower
    room = tf.maximum(end - directory - 2, 0) // 12
    count = tf.minimum(_numbers(_window(image_bytes, directory, 2), little)[0], room)
    value = _orientation_entry(_window(image_bytes, directory + 2, 12 * count), little)
    valid = is_exif & (little | big) & (upper == 0) & (value >= 1) & (value <= 8)
    return tf.where(valid, value, 1)


def _orientation_entry(directory: tf.Tensor, little: tf.Tensor) -> tf.Tensor:
    """Return the value of the first entry that is an orientation, 0 if none is.

    Args:
        directory: int32 (12 n,), the bytes of n entries: tag, type, count (4 bytes), value (4).
        little: bool (), the byte order.
    """
    halves = tf.reshape(_numbers(directory, little), (-1, 6))
    one = tf.where(little, [1, 0], [0, 1])  # a count of 1 as two halves
    wanted = tf.concat([[0x0112, 3], one], axis=0)
    matches = tf.reduce_all(halves[:, :4] == wanted, axis=1)  # (n,)
    # With one row of zeros appended, "no match" needs no case of its own.
    values = tf.concat([tf.boolean_mask(halves[:, 4], matches), [0]], axis=0)
    return values[0]


def upright(pixels: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
    """Return a square image turned and mirrored as its EXIF orientation asks.

    All eight cases are one transposition and one reversal whose axes depend on ``turn``: two
    ops, no branches.

    Args:
        pixels: (S, S, 3), any number type.
        turn: int32 (), 1…8.

    Returns:
        (S, S, 3) of the same type.
    """
    transposed = tf.transpose(pixels, tf.where(turn >= 5, [1, 0, 2], [0, 1, 2]))
    flip_rows = tf.reduce_any(turn == [3, 4, 7, 8])
    flip_columns = tf.reduce_any(turn == [2, 3, 6, 7])
    axes = tf.stack([flip_rows, flip_columns, tf.constant(False)])
    return tf.ensure_shape(tf.raw_ops.Reverse(tensor=transposed, dims=axes), pixels.shape)


def _window(image_bytes: tf.Tensor, start: tf.Tensor, count: tf.Tensor | int) -> tf.Tensor:
    """Return ``count`` bytes from ``start`` on as int32 (count,), zeros past the end."""
    start = tf.minimum(start, tf.strings.length(image_bytes))  # a start past the end is an error
    part = tf.strings.substr(image_bytes, start, count)
    # A length of zero is refused by the op, so one byte more is read and left out again.
    padded = tf.io.decode_raw(part, tf.uint8, fixed_length=count + 1)
    return tf.cast(padded[:count], tf.int32)


def _numbers(window: tf.Tensor, little: tf.Tensor) -> tf.Tensor:
    """Return bytes, int32 (2 n,), as 16-bit numbers, int32 (n,), in the byte order."""
    pairs = tf.reshape(window, (-1, 2))
    return tf.linalg.matvec(pairs, tf.where(little, [1, 256], [256, 1]))


def _equal(window: tf.Tensor, expected: bytes) -> tf.Tensor:
    """Return whether the bytes, int32 (n,), are the expected ones: bool ()."""
    return tf.reduce_all(window == list(expected))
