"""Pixels: the one decoder and resizer, in TensorFlow ops."""

import functools
import re
from collections.abc import Callable

import numpy as np

from cnnlab.engine import tf
from cnnlab.images.headers import JPEG_SIGNATURE, PNG_SIGNATURE
from cnnlab.images.limits import ImageRejected
from cnnlab.images.orientation import orientation, upright
from cnnlab.images.preprocessing import STANDARD, Preprocessing
from cnnlab.images.validation import transcode

_STRIP = 2**21  # pixels: sums of 16 bits take 64 MB then, and each strip costs a copy of the image


def prepare(
    image_bytes: tf.Tensor, size: int, preprocessing: Preprocessing = STANDARD
) -> tf.Tensor:
    """Return the pixels of a JPEG or PNG file: the same ones in training and in serving.

    - JPEG is decoded with the accurate DCT, which is what Pillow uses; PNG with an alpha channel
      that is laid over the background. Of 16-bit samples the upper eight bits count. CMYK is read
      as Adobe's inverted inks where the Adobe marker stands, else as plain ones; black is mixed in
      rounding down, so such files may be one grey level darker than elsewhere.
    - The image is fitted to a square: bilinear, antialiased, rounded. ``stretch`` takes each side
      to S. ``pad`` takes the longer side to S and the shorter one to S · shorter ÷ longer, rounded,
      at least 1, and puts it in the middle of the background; where the borders cannot be equal,
      the one on the left or on top is a pixel narrower. ``crop`` takes the square in the middle,
      whose side is the shorter one and which may begin at half a pixel.
    - It is turned upright after it was resized: that gives what turning first would give, for a
      fraction of the work.

    None of the fits ever makes an image of more than S × S pixels, whatever the proportions.
    Nothing is checked here that costs memory: pass bytes that ``inspect`` has accepted.

    Args:
        image_bytes: string (), a whole file.
        size: Side S of the result.
        preprocessing: Fit and background.

    Returns:
        uint8 (S, S, 3), RGB, 0…255, upright.

    Raises:
        tf.errors.InvalidArgumentError: When run, for bytes that are not a readable JPEG or PNG.
    """
    fitted, level = _FITS[preprocessing.fit], preprocessing.level
    with tf.device("CPU:0"):  # where the decoders are: small steps between would only travel
        is_png = tf.strings.substr(image_bytes, 0, len(PNG_SIGNATURE)) == PNG_SIGNATURE
        resized = tf.cond(
            is_png,
            lambda: fitted(_decode_png(image_bytes, level), size)[:, :, :3],
            lambda: fitted(_decode_jpeg(image_bytes), size),
        )
        turned = upright(resized, orientation(image_bytes))
        if preprocessing.fit == "pad":
            turned = _bordered(turned, size, level)
        return tf.cast(tf.round(tf.ensure_shape(turned, (size, size, 3))), tf.uint8)


def _decode_jpeg(image_bytes: tf.Tensor) -> tf.Tensor:
    """Return uint8 (H, W, 3). Anything but JPEG is an error: the op itself would take more."""
    is_jpeg = tf.strings.substr(image_bytes, 0, len(JPEG_SIGNATURE)) == JPEG_SIGNATURE
    check = tf.debugging.Assert(is_jpeg, ["image_bytes: expected a JPEG or PNG file."])
    with tf.control_dependencies([] if check is None else [check]):  # None when run eagerly
        return tf.io.decode_jpeg(image_bytes, channels=3, dct_method="INTEGER_ACCURATE")


def _decode_png(image_bytes: tf.Tensor, level: int) -> tf.Tensor:
    """Return uint8 (H, W, 4): the image laid over a grey level, so that hidden colours stay hidden.

    The fourth channel means nothing. It stays because leaving it out would be another copy of
    the image: one of 25 megapixels takes 100 MB.
    """
    rgba = tf.io.decode_png(image_bytes, channels=4)
    # Where a file has no transparency the op fills the alpha channel with the largest sample of
    # the file's own bit depth, which is 255 from 8 bits on, but 1, 3 or 15 below.
    depth = tf.io.decode_raw(tf.strings.substr(image_bytes, 24, 1), tf.uint8)[0]
    filler = tf.where(depth < 8, tf.bitwise.left_shift(tf.constant(1, tf.uint8), depth) - 1, 255)
    opaque = tf.reduce_all(rgba[:, :, 3] == filler)
    return tf.cond(opaque, lambda: rgba, lambda: _laid_over(rgba, level))


def _laid_over(rgba: tf.Tensor, level: int) -> tf.Tensor:
    """Return uint8 (H, W, 4) for uint8 (H, W, 4), rounded half up; the fourth channel is lost.

    One strip of rows after the other, because the sums take 16 bits.
    """
    height, width, _ = tf.unstack(tf.shape(rgba))
    step = tf.maximum(_STRIP // width, 1)
    most, ground = tf.constant(255, tf.uint16), tf.constant(level, tf.uint16)

    def lay(top: tf.Tensor, image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        strip = tf.cast(image[top : top + step], tf.uint16)
        alpha = strip[:, :, 3:]
        # The largest sum is 255² + 127: no step leaves 16 bits.
        laid = tf.cast((strip * alpha + ground * (most - alpha) + most // 2) // most, tf.uint8)
        rows = tf.range(top, top + tf.shape(laid)[0])
        return top + step, tf.tensor_scatter_nd_update(image, rows[:, None], laid)

    return tf.while_loop(
        lambda top, _: top < height, lay, (tf.constant(0), rgba), parallel_iterations=1
    )[1]


def _stretched(pixels: tf.Tensor, size: int) -> tf.Tensor:
    """Return float32 (S, S, C) for uint8 (H, W, C); each channel on its own."""
    return tf.image.resize(pixels, (size, size), method="bilinear", antialias=True)


def _contained(pixels: tf.Tensor, size: int) -> tf.Tensor:
    """Return float32 (h, w, C), the whole image: its longer side S, its shorter one in proportion.

    Args:
        pixels: uint8 (H, W, C).
        size: S.
    """
    sides = tf.shape(pixels)[:2]
    longer = tf.reduce_max(sides)
    fitting = tf.maximum((2 * size * sides + longer) // (2 * longer), 1)  # half a pixel is one
    whole = tf.image.resize(pixels, fitting, method="bilinear", antialias=True)
    return tf.cast(whole, tf.float32)  # which an image that has the size already is not


def _cropped(pixels: tf.Tensor, size: int) -> tf.Tensor:
    """Return float32 (S, S, C) for uint8 (H, W, C): the square in the middle.

    ``tf.image.resize`` is this op without a translation. With one, nothing is cut out or enlarged
    that is not asked for, and a middle between two pixels stays one when the image is mirrored.
    """
    sides = tf.cast(tf.shape(pixels)[:2], tf.float32)
    shorter = tf.reduce_min(sides)
    scale = size / shorter
    return tf.raw_ops.ScaleAndTranslate(
        images=pixels[None],
        size=(size, size),
        scale=tf.stack([scale, scale]),
        translation=(shorter - sides) / 2 * scale,
        kernel_type="triangle",
        antialias=True,
    )[0]


def _bordered(pixels: tf.Tensor, size: int, level: int) -> tf.Tensor:
    """Return float32 (S, S, 3): an upright image float32 (h, w, 3) in the middle of a level."""
    missing = size - tf.shape(pixels)[:2]
    borders = tf.stack([missing // 2, missing - missing // 2], axis=1)  # (2, 2)
    return tf.pad(pixels, tf.pad(borders, [[0, 1], [0, 0]]), constant_values=level)


_FITS = {"stretch": _stretched, "pad": _contained, "crop": _cropped}


@functools.lru_cache(maxsize=16)
def _compiled(size: int, preprocessing: Preprocessing) -> Callable[[bytes], tf.Tensor]:
    """Return ``prepare`` for one size and preprocessing as a graph, traced once."""
    specification = [tf.TensorSpec((), tf.string)]
    return tf.function(lambda image_bytes: prepare(image_bytes, size, preprocessing), specification)


def decode(image_bytes: bytes, size: int, preprocessing: Preprocessing = STANDARD) -> np.ndarray:
    """Return the pixels of an image file of any accepted format.

    Args:
        image_bytes: A whole file.
        size: Side S of the result.
        preprocessing: Fit and background.

    Returns:
        uint8 (S, S, 3), RGB, 0…255, upright.

    Raises:
        ImageRejected: By ``inspect``, or ``corrupt`` where the pixels cannot be decoded.
    """
    readable = tf.constant(transcode(image_bytes))  # a copy: the other, large as PNG, is freed
    try:
        return _compiled(size, preprocessing)(readable).numpy()
    except tf.errors.OpError as error:
        reason = re.sub(r"\{\{.*?\}\} ?", "", error.message.split("\n")[0])  # names of graph nodes
        raise ImageRejected("corrupt", f"The image cannot be decoded: {reason}") from None
