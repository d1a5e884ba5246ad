"""HEIC and AVIF by their brands; HEIC with a reader, without one, and with a real one."""

import io

import crafted
import numpy as np
import pytest
from PIL import Image, ImageFile

from cnnlab.images import ImageRejected, Preprocessing, decode, foreign, format_of, inspect


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        *((crafted.heif(brand, "mif1", "avif"), "heic") for brand in crafted.HEIC),
        (crafted.heif("avif", "mif1", "heic"), "avif"),
        (crafted.heif("avis"), "avif"),
        (crafted.heif("mif1", "mif1", "heic"), "heic"),
        (crafted.heif("msf1", "hevc"), "heic"),
        (crafted.heif("mif1", "MA1A", "avif", "heic"), "avif"),
        (crafted.heif("mif1", *["miaf"] * 63, "heic"), "heic"),
        (crafted.heif("mif1", *["miaf"] * 64, "heic"), "heif"),  # there is an end to looking
        (crafted.heif("mif1", "heic", box=16), "heif"),  # behind the box is something else
        (crafted.heif("mif1", "heic", box=19), "heif"),
        (crafted.heif("mif1", "heic", box=2**32 - 1), "heic"),
        (crafted.heif("mif1", "heic", box=0), "heif"),
        (crafted.heif("mif1")[:12], "heif"),
        (crafted.heif("heic")[:12], "heic"),
        (crafted.heif("heic")[:11], ""),
        (crafted.heif("mp42", "heic"), ""),
        (b"\0\0\0\x18free" + crafted.heif("heic"), ""),
    ],
)
def test_a_brand_says_how_the_picture_is_coded(content, expected):
    assert format_of(content) == expected


def test_an_avif_of_the_general_brand_is_read():
    whole = crafted.encoded(crafted.picture(), "AVIF")
    assert whole[4:12] == b"ftypavif"
    general = whole[:8] + b"mif1" + whole[12:]
    assert inspect(general) == inspect(whole)
    np.testing.assert_array_equal(decode(general, 16), decode(whole, 16))


@pytest.fixture
def without(monkeypatch):
    monkeypatch.setattr(foreign, "heic_reader", lambda: "")


@pytest.mark.parametrize(
    ("brands", "named"),
    [(("heic", "mif1"), "An iPhone HEIC photo"), (("mif1", "miaf"), "A HEIF image")],
)
def test_without_a_reader_it_is_named_with_the_cure(without, brands, named):
    with pytest.raises(ImageRejected) as caught:
        decode(crafted.heif(*brands), 16)
    assert caught.value.code == "unsupported"
    assert caught.value.message == (
        f"{named}, which nothing here reads: convert it to JPEG, or run: pip install pi-heif "
        "(decoders under the LGPL)."
    )


def test_no_reader_is_a_dependency():
    """The wheels hold LGPL and GPL libraries: they may be used, and are not handed on."""
    from importlib.metadata import requires

    named = " ".join(requires("cnnlab") or ()).lower().replace("-", "_")
    assert not [name for name in foreign.HEIC_READERS if name in named]


class Stub(ImageFile.ImageFile):
    """Stands for a reader's plugin: behind the file type box lies a PNG."""

    format = "HEIF"

    def _open(self):
        content = self.fp.read()
        self._image = Image.open(io.BytesIO(content[int.from_bytes(content[:4], "big") :]))
        self._size, self._mode, self.tile = self._image.size, self._image.mode, []

    def load(self):
        if self.tile == [] and self._image:
            self.im = self._image.copy().im
            self._image = None
        return super().load()


@pytest.fixture
def reader(monkeypatch):
    """A reader is there, and so is what it registers with Pillow."""
    monkeypatch.setattr(foreign, "heic_reader", lambda: "stub")
    monkeypatch.setitem(Image.OPEN, "HEIF", (Stub, lambda head: head[4:8] == b"ftyp"))
    monkeypatch.setattr(Image, "ID", [*Image.ID, "HEIF"])


def heic(image: Image.Image) -> bytes:
    return crafted.heif("heic", "mif1")[:20] + crafted.encoded(image, "PNG")


def test_with_a_reader_it_is_an_image_like_any_other(reader):
    image = crafted.translucent()
    content, png = heic(image), crafted.encoded(image, "PNG")
    header = inspect(content)
    assert (header.format, header.width, header.height) == ("heic", *image.size)
    for wanted in (Preprocessing(), Preprocessing(fit="pad", background="black")):
        np.testing.assert_array_equal(decode(content, 16, wanted), decode(png, 16, wanted))


def test_with_a_reader_limits_hold_and_damage_is_damage(reader):
    with pytest.raises(ImageRejected, match="of HEIC; as JPEG or PNG 25,000,000 are") as caught:
        inspect(heic(Image.new("1", (4100, 3100))))
    assert caught.value.code == "too_many_pixels"
    for content in (crafted.heif("heic"), heic(crafted.picture())[:60]):
        with pytest.raises(ImageRejected) as caught:
            decode(content, 16)
        assert caught.value.code == "corrupt"


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_real_one_is_read_upright(orientation):
    """Where pillow-heif is installed, which can also write HEIC: of Exif as bytes it makes a turn.

    That turn is what a reader applies; the orientation in the EXIF block of a HEIF file is not.
    """
    pytest.importorskip("pillow_heif").register_heif_opener()
    image, exif, content = crafted.picture(64, 48), Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    image.save(content, "HEIF", quality=95, exif=exif.tobytes())
    jpeg = crafted.encoded(image, "JPEG", quality=95, subsampling=0, exif=exif)
    assert inspect(content.getvalue()).format == "heic"
    found = [decode(each, 24).astype(int) for each in (content.getvalue(), jpeg)]
    assert np.abs(found[0] - found[1]).mean() < 6
