"""Names in any script: an installed font draws them, or their codes are shown and that is said."""

import warnings

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from cnnlab import plots
from cnnlab.plots import fonts
from cnnlab.plots.style import drawable, fitted, new_figure


def box(width, height):
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for place in ((0, height), (width, height), (width, 0)):
        pen.lineTo(place)
    pen.closePath()
    return pen.glyph()


def write_font(path, family, signs):
    """Write a font in which each of some characters is a black box."""
    names = [".notdef", *(f"uni{ord(sign):04X}" for sign in signs)]
    builder = FontBuilder(1000)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap(dict(zip(map(ord, signs), names[1:], strict=True)))
    builder.setupGlyf({name: box(800, 700) for name in names})
    builder.setupHorizontalMetrics(dict.fromkeys(names, (900, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return str(path)


@pytest.fixture
def install(monkeypatch):
    """Return a function that installs fonts, so to speak, on a machine that has only ours."""

    def make(*paths):
        fonts.has.cache_clear()
        monkeypatch.setattr(fonts, "_families", [])
        monkeypatch.setattr(fonts, "_fonts", [])
        monkeypatch.setattr(fonts, "_in_vain", {})
        monkeypatch.setattr(fonts, "_installed", lambda: [*paths])

    yield make
    fonts.has.cache_clear()


def drawn(name):
    return plots.image_grid(np.zeros((1, 8, 8, 3), np.uint8), [name])._repr_png_()


def test_an_installed_font_draws_what_ours_lacks(install, tmp_path, capsys):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    first = write_font(tmp_path / "han.ttf", "Test Han", "日本")
    second = write_font(tmp_path / "thai.ttf", "Test Thai", "ไ")
    install(str(tmp_path / "broken.ttf"), str(tmp_path / "gone.ttf"), first, second)
    assert drawable("日本 ไ a") == "日本 ไ a"
    assert fonts.families() == [fonts.BASE, "Test Han", "Test Thai"]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        pictures = {drawn(name) for name in ("日", "日日", "ไ", "a")}
    assert (len(pictures), said) == (4, [])
    assert capsys.readouterr().out == ""


def test_a_font_is_used_in_text_that_was_made_before_it_was_found(install, tmp_path):
    install(write_font(tmp_path / "han.ttf", "Test Han", "日"))
    figure = plots.image_grid(np.zeros((1, 8, 8, 3), np.uint8), ["日"])
    assert figure._repr_png_() == drawn("日")


def test_what_no_font_has_is_shown_by_its_code_and_said_once(install, capsys):
    install()
    name = "日本語の動物たち"
    assert drawable(name) == name.encode("unicode_escape").decode()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        drawn(name)
        drawn("한")
    assert said == []
    (line,) = capsys.readouterr().out.splitlines()
    assert "Chinese, Japanese or Korean characters, such as U+65E5" in line
    assert "fonts-noto-cjk" in line
    assert drawable("🦒ไ") == "\\U0001f992\\u0e44"
    emoji, thai = capsys.readouterr().out.splitlines()
    assert "emoji, such as U+1F992" in emoji
    assert "fonts-noto-core" in thai


def test_fonts_are_not_searched_for_every_character(install, monkeypatch):
    opened = []
    install("a.ttf", "b.ttf")
    monkeypatch.setattr(fonts, "_opened", opened.append)
    drawable("".join(map(chr, range(0x4E00, 0x4E80))))
    assert len(opened) == 2 * fonts.TRIES


def test_plain_fonts_come_before_bold_and_ornate_ones():
    paths = ["/f/NotoSerifCJK-Bold.ttc", "/f/Zapf.ttf", "/f/NotoSansCJK-Regular.ttc"]
    paths.append("/f/NotoSansCJK-Bold.ttc")
    assert [path[3:] for path in sorted(paths, key=fonts._rank)] == [
        *("NotoSansCJK-Regular.ttc", "Zapf.ttf", "NotoSansCJK-Bold.ttc", "NotoSerifCJK-Bold.ttc")
    ]


def test_wide_characters_take_the_room_of_two(install, tmp_path):
    install(write_font(tmp_path / "han.ttf", "Test Han", "日"))
    assert fitted("日" * 10, 10) == "\n".join(["日" * 5] * 2)
    assert fitted("日" * 11, 10) == f"{'日' * 5}\n{'日' * 4}…"
    assert fitted("a" * 10, 10) == "a" * 10


def test_arabic_letters_are_joined():
    """Six that touch are narrower than the same ones one by one."""
    figure = new_figure(2)
    texts = [figure.text(0, 0, text) for text in ("قققققق", "\u200c".join("قققققق"))]
    joined, apart = (text.get_window_extent().width for text in texts)
    assert 0 < joined < 0.8 * apart
