"""What an image may be: the limits, the header they are checked on, and the refusal."""

from dataclasses import dataclass

from cnnlab.config import InputError

MAX_BYTES = 10 * 2**20
MAX_PIXELS = 25_000_000  # of JPEG and PNG: their decoders need up to eleven bytes for each
MAX_FOREIGN_PIXELS = 12_500_000  # of the others, which cost two decoders and up to 16 bytes each
MIN_SIDE = 8
MAX_SIDE = 10_000
MAX_RATIO = 50  # long side / short side
MAX_SCANS = 50  # of a progressive JPEG: each one is a pass over all pixels; encoders write ~10


class ImageRejected(InputError):  # noqa: N818 - a verdict on the image, not a fault of the program
    """The bytes are not an image that is accepted here.

    Attributes:
        code: Short and stable, for tables and answers to programs: ``empty``,
            ``too_many_bytes``, ``unknown_format``, ``corrupt``, ``unsupported``,
            ``side_too_small``, ``side_too_large``, ``too_many_pixels``, ``aspect_ratio``,
            ``animated``, ``too_many_scans``; of ``read_file`` also ``not_found``,
            ``not_a_regular_file``, ``unreadable``.
        message: One sentence for a person.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)  # both, so that it survives pickling between processes
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Header:
    """What an image's first bytes say of it.

    Attributes:
        format: ``jpeg``, ``png``, ``gif``, ``bmp``, ``webp``, ``tiff``, ``avif``, ``heic`` or
            ``heif``.
        width: Pixels across, as stored: before the orientation is applied.
        height: Pixels down, as stored.
        orientation: EXIF orientation 1…8 that is still to be applied.
        frames: Images in the file.
    """

    format: str
    width: int
    height: int
    orientation: int
    frames: int


def check_bytes(image_bytes: bytes) -> None:
    """Refuse nothing at all and too much.

    Raises:
        ImageRejected: ``empty`` or ``too_many_bytes``.
    """
    if not image_bytes:
        raise ImageRejected("empty", "The file is empty: expected an image.")
    if len(image_bytes) > MAX_BYTES:
        raise too_many_bytes(len(image_bytes))


def too_many_bytes(length: int) -> ImageRejected:
    """Return the refusal of an image of more than ``MAX_BYTES``, which need not be at hand."""
    return ImageRejected(
        "too_many_bytes",
        f"The image has {megabytes(length, up=True)} MB: at most {megabytes(MAX_BYTES)} are "
        "accepted.",
    )


def megabytes(length: int, *, up: bool = False) -> str:
    """Return bytes as millions of bytes with one digit, rounded down, or up.

    Rounded up what came and down what is allowed, what is too much always reads as more.

    Example:
        >>> megabytes(10_485_760), megabytes(10_485_761, up=True)
        ('10.4', '10.5')
    """
    tenths = -(-length // 100_000) if up else length // 100_000
    return f"{tenths // 10}.{tenths % 10}"


def check_header(header: Header) -> None:
    """Refuse an image whose decoding would be pointless or dangerous.

    The checks are made in the order of this text, so that every program that makes them gives
    the same code.

    Raises:
        ImageRejected: ``side_too_small``, ``side_too_large``, ``too_many_pixels``,
            ``aspect_ratio`` or ``animated``.
    """
    short, long = sorted((header.width, header.height))
    size = f"The image is {header.width}×{header.height} pixels"
    if short < MIN_SIDE:
        raise ImageRejected("side_too_small", f"{size}: each side must have at least {MIN_SIDE}.")
    if long > MAX_SIDE:
        raise ImageRejected("side_too_large", f"{size}: each side may have at most {MAX_SIDE:,}.")
    native = header.format in ("jpeg", "png")
    most = MAX_PIXELS if native else MAX_FOREIGN_PIXELS
    if short * long > most:
        more = "" if native else f"; as JPEG or PNG {MAX_PIXELS:,} are"
        raise ImageRejected(
            "too_many_pixels",
            f"{size}: at most {most:,} are accepted of {header.format.upper()}{more}.",
        )
    if long > MAX_RATIO * short:
        raise ImageRejected(
            "aspect_ratio", f"{size}: one side may be at most {MAX_RATIO} times the other."
        )
    if header.frames > 1:
        raise ImageRejected(
            "animated", f"The {header.format.upper()} file holds several images: expected one."
        )
