"""Figures with names that no font, legend or formula likes; a warning would be red text."""

import numpy as np
import pandas as pd
import pytest
from hostile_names import NAMES

from cnnlab import plots
from cnnlab.plots.style import INK, drawable, fitted

# What text engines stumble over; the rest is letters to them.
ODD = [each for each in NAMES if not each.isascii() or not each.isprintable() or len(each) > 99]
ODD += [each for each in NAMES if each.isascii() and each[0] in "_$\\ ."]
FEW = [ODD[number::3] for number in range(3)]
PIXELS = np.zeros((12, 8, 8, 3), np.uint8)


def texts(figure):
    return {
        text.get_text() for text in figure.findobj(match=lambda each: hasattr(each, "get_text"))
    }


def test_a_name_is_drawn_as_it_is_or_escaped():
    for name in NAMES:
        shown = drawable(name)
        assert shown.removeprefix("\u200a").isprintable() or "\n" in shown
        if name.isascii() and name.isprintable():
            assert shown.removeprefix("\u200a") == name
    assert drawable("日本") == "\\u65e5\\u672c"
    assert drawable("\u202egpj") == "\\u202egpj"


@pytest.mark.slow
@pytest.mark.parametrize("names", FEW, ids=range(len(FEW)))
def test_every_kind_of_figure_takes_any_name(names):
    count = len(names)
    figures = [
        plots.image_grid(PIXELS[:count], names),
        plots.confusion_matrix(np.eye(count, dtype=int), names),
        plots.embedding_map(np.random.default_rng(0).random((count, 2)), names, PIXELS[:count]),
        plots.class_balance(pd.DataFrame({"label": names, "split": "", "count": 3})),
        plots.image_pairs(PIXELS[:count], PIXELS[:count], names),
        plots.picture_rows(dict.fromkeys(names, PIXELS[:2])),
        plots.probability_bars(names, [1 / count] * count, title=f"truth: {names[0]}"),
        plots.confused_pairs([PIXELS[:2]], [PIXELS[:2]], [(names[0], names[-1])]),
    ]
    score = {"support": 3, "precision": 0.5, "recall": 0.5, "f1": 0.5}
    figures.append(plots.per_class_scores([score | {"class": name} for name in names]))
    curve = (np.array([0.0, 1.0]), np.array([0.0, 1.0]), 0.5)
    figures.append(plots.roc_curves(dict.fromkeys(names, curve)))
    means = np.zeros((count, 8, 8, 3), np.uint8)
    figures.append(plots.class_means(means, np.zeros((count, 3)), names))
    for figure in figures:
        assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_class_with_an_underscore_stands_in_the_legend():
    figure = plots.embedding_map(np.zeros((4, 2)), ["_a", "b"] * 2, PIXELS[:4])
    shown = [text.get_text().strip("\u200a") for text in figure.legends[0].get_texts()]
    assert shown == ["_a", "b"]
    assert fitted("$x$", 9) == "$x$"
    assert "$x$" in texts(plots.image_grid(PIXELS[:1], ["$x$"]))


def test_a_class_that_is_called_as_an_average_is_none():
    curve = (np.array([0.0, 1.0]), np.array([0.0, 1.0]), 0.5)
    names = ["macrophage", "micro average", "microwave"]
    figure = plots.roc_curves(dict.fromkeys(names, curve), {"micro average": curve})
    black = [line.get_color() == INK for line in figure.axes[0].get_lines()[:4]]
    assert black == [False, False, False, True]
    legend = figure.legends[0].get_texts()
    assert [text.get_style() for text in legend] == ["normal"] * 3 + ["italic"]
