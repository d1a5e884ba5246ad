"""What holds for every figure: it is one, it fits, it reads, and it leaves nothing behind."""

import copy
import io
import pickle

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cnnlab import plots
from cnnlab.plots.style import DPI, WIDTH

NAMES = sorted(set(plots.__all__) - {"heatmap_overlay"})  # it returns pixels


@pytest.fixture(params=NAMES)
def name(request) -> str:
    return request.param


def test_every_figure_has_an_example(examples):
    assert sorted(examples) == NAMES


@pytest.mark.slow
def test_figure_fits_its_page_and_no_texts_overlap(name, examples, texts_of):
    function, arguments = examples[name]
    figure = function(*arguments)
    assert isinstance(figure, Figure)
    width, height = figure.get_size_inches() * figure.dpi
    assert width <= WIDTH * DPI + 1
    boxes = []
    for text in texts_of(figure):
        box = text.get_window_extent()
        assert box.x0 >= -1, text.get_text()
        assert box.y0 >= -1, text.get_text()
        assert box.x1 <= width + 1, text.get_text()
        assert box.y1 <= height + 1, text.get_text()
        if text.get_rotation() in (0, 90):  # the boxes of slanted texts overlap, their ink does not
            boxes.append((text.get_text(), box))
    assert boxes
    for position, (first, box) in enumerate(boxes):
        for second, other in boxes[position + 1 :]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            down = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert across <= 1 or down <= 1, f"{first!r} covers {second!r}"


@pytest.mark.slow
def test_no_meaning_hangs_on_the_names_of_classes(name, examples, magic_examples, texts_of):
    """Each figure shows as many words, in as many styles, as with ordinary names."""

    def words(example):
        function, arguments = example
        shown = [text for text in texts_of(function(*arguments)) if not _number(text.get_text())]
        return len(shown), sum(text.get_style() == "italic" for text in shown)

    assert words(magic_examples[name]) == words(examples[name])


def _number(text):
    return not any(sign.isalpha() or sign in "$_\u200a" for sign in text)


@pytest.mark.slow
def test_figure_leaves_inputs_settings_and_pyplot_alone(name, examples):
    function, arguments = examples[name]
    before = pickle.dumps(arguments)
    settings = copy.deepcopy(dict(matplotlib.rcParams))
    figure = function(*arguments)
    assert figure._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"
    assert pickle.dumps(arguments) == before
    assert dict(matplotlib.rcParams) == settings
    assert plt.get_fignums() == []


def test_same_picture_whatever_the_callers_settings(examples):
    function, arguments = examples["training_history"]
    expected = function(*arguments)._repr_png_()
    with matplotlib.rc_context({"font.size": 20, "axes.grid": True, "axes.facecolor": "black"}):
        assert function(*arguments)._repr_png_() == expected


def test_picture_is_white_and_of_the_stated_size(examples):
    function, arguments = examples["confusion_matrix"]
    figure = function(*arguments)
    with Image.open(io.BytesIO(figure._repr_png_())) as picture:
        width, height = figure.get_size_inches()
        assert picture.size == (int(width * DPI), int(height * DPI))
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_notebook_shows_a_figure_made_without_pyplot(examples):
    from IPython.core.formatters import DisplayFormatter

    function, arguments = examples["probability_bars"]
    data, _ = DisplayFormatter().format(function(*arguments))
    assert set(data) == {"text/plain", "image/png"}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: plots.image_grid([]), "No images"),
        (lambda: plots.image_grid(np.zeros((2, 4, 4, 3)), ["one"]), "2 images but 1 titles"),
        (lambda: plots.image_grid([np.zeros((4, 4, 2))]), r"\(4, 4, 2\)"),
        (lambda: plots.confusion_matrix(np.zeros((2, 3), int), ["a", "b"]), r"\(2, 3\)"),
        (lambda: plots.confusion_matrix(np.eye(2), ["a", "b"], "all"), "'rows' or 'columns'"),
        (lambda: plots.reliability_diagram({}), "No tables"),
        (lambda: plots.probability_bars(["a"], [0.5, 0.5]), "1 labels but 2 probabilities"),
        (lambda: plots.filter_grid(np.zeros((3, 3))), r"\(3, 3\)"),
    ],
)
def test_unusable_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()
