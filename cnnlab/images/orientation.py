"""EXIF orientation in TensorFlow ops: read from the bytes, applied to an image.

The rules are those of ``headers.exif_orientation``; here they are ops, so that a SavedModel
carries them and a server in any language turns images as training did.
"""

from cnnlab.engine import tf

# What marks an EXIF block and its two byte orders, as 16-bit numbers read big-endian.
_PAIRS_OF_EXIF = (0x4578, 0x6966, 0x0000)  # Exif, two zeros
_PAIRS_OF_LITTLE = (0x4949, 0x2A00)  # II, 42
_PAIRS_OF_BIG = (0x4D4D, 0x002A)  # MM, 42


def orientation(image_bytes: tf.Tensor) -> tf.Tensor:
    """Return the EXIF orientation of a JPEG file; 1 where there is none or it is damaged.

    Only a few short stretches of the bytes are looked at, whatever the file's length, and no
    bytes make it fail. It means nothing for other formats; for PNG it is always 1.

    Args:
        image_bytes: string ().

    Returns:
        int32 (), 1…8.

    Source: CIPA DC-008 (Exif 2.32), 4.5.4 and 4.6.4; TIFF 6.0, section 2.
    """
    start = tf.constant(2)
    for _ in range(2):  # JFIF and its thumbnail may stand before the EXIF block
        marker, length = tf.unstack(_big_endian(_stretch(image_bytes, start, 4), 2))
        start += tf.where(marker == 0xFFE0, 2 + length, 0)
    head = _big_endian(_stretch(image_bytes, start, 14), 7)
    is_exif = tf.reduce_all(tf.gather(head, [0, 2, 3, 4]) == [0xFFE1, *_PAIRS_OF_EXIF])
    little = tf.reduce_all(head[5:] == _PAIRS_OF_LITTLE)
    known_order = little | tf.reduce_all(head[5:] == _PAIRS_OF_BIG)
    end = tf.minimum(start + 2 + head[1], tf.strings.length(image_bytes))

    # The offset counts from the byte order mark. A segment is shorter than 2¹⁶ bytes, so larger
    # ones (negative here, from 2³¹ on) are led past its end, where there is room for no entry.
    offset = _numbers(_stretch(image_bytes, start + 14, 4), tf.int32, 4, little)[0]
    directory = start + 10 + tf.where((offset >= 0) & (offset < 2**16), offset, 2**16)
    count = tf.cast(
        _numbers(_stretch(image_bytes, directory, 2), tf.uint16, 2, little)[0], tf.int32
    )
    count = tf.minimum(count, tf.maximum(end - directory - 2, 0) // 12)
    value = _orientation_entry(_stretch(image_bytes, directory + 2, 12 * count), count, little)
    valid = is_exif & known_order & (value >= 1) & (value <= 8)
    return tf.where(valid, value, 1)


def _orientation_entry(entries: tf.Tensor, count: tf.Tensor, little: tf.Tensor) -> tf.Tensor:
    """Return the largest orientation that a directory's entries give, int32 (); else below 1.

    Args:
        entries: string (), 12 bytes each: tag (2), type (2), count (4), value (2), unused (2).
        count: int32 ().
        little: bool (), the byte order.
    """
    # A length of zero is refused by the op, so two bytes more are asked for and left out again.
    halves = _numbers(entries, tf.uint16, 12 * count + 2, little)[:-1]
    halves = tf.reshape(tf.cast(halves, tf.int32), (-1, 6))  # (count, 6)
    wanted = tf.where(little, [0x0112, 3, 1, 0], [0x0112, 3, 0, 1])  # SHORT, one value
    matches = tf.reduce_all(halves[:, :4] == wanted, axis=1)  # (count,)
    return tf.reduce_max(tf.where(matches, halves[:, 4], 0))


def upright(pixels: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
    """Return an image turned and mirrored as its EXIF orientation asks.

    All eight cases are one transposition and one reversal whose axes depend on ``turn``: two
    ops, no branches.

    Args:
        pixels: (H, W, 3), any number type.
        turn: int32 (), 1…8.

    Returns:
        (H, W, 3) or, from 5 on, (W, H, 3) of the same type.
    """
    transposed = tf.transpose(pixels, tf.where(turn >= 5, [1, 0, 2], [0, 1, 2]))
    flip_rows = tf.reduce_any(turn == [3, 4, 7, 8])
    flip_columns = tf.reduce_any(turn == [2, 3, 6, 7])
    axes = tf.stack([flip_rows, flip_columns, tf.constant(False)])
    return tf.raw_ops.Reverse(tensor=transposed, dims=axes)


def _stretch(image_bytes: tf.Tensor, start: tf.Tensor, count: tf.Tensor | int) -> tf.Tensor:
    """Return at most ``count`` bytes from ``start`` on, string (): fewer at the end, then none."""
    return tf.strings.substr(image_bytes, tf.minimum(start, tf.strings.length(image_bytes)), count)


def _big_endian(stretch: tf.Tensor, count: int) -> tf.Tensor:
    """Return ``count`` 16-bit numbers, int32 (count,); zeros where bytes are missing."""
    numbers = tf.io.decode_raw(stretch, tf.uint16, little_endian=False, fixed_length=2 * count)
    return tf.cast(numbers, tf.int32)


def _numbers(
    stretch: tf.Tensor, kind: tf.DType, length: tf.Tensor | int, little: tf.Tensor
) -> tf.Tensor:
    """Return ``length`` bytes as numbers in the byte order; zeros where bytes are missing."""
    return tf.where(
        little,
        tf.io.decode_raw(stretch, kind, little_endian=True, fixed_length=length),
        tf.io.decode_raw(stretch, kind, little_endian=False, fixed_length=length),
    )
