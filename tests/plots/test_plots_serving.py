import numpy as np
import pandas as pd
import pytest

from cnnlab import plots


def table(clients, scale=1.0):
    return pd.DataFrame(
        {
            "clients": clients,
            "per_second": scale * np.array(clients, float),
            "p50_ms": 1 / scale,
            "p99_ms": 9 / scale,
        }
    )


def test_load_curves_show_both_sides_of_every_kind():
    figure = plots.load_curves({"cached": table([1, 4, 16], 10), "fresh": table([1, 4, 16])})
    rate, wait = figure.axes
    assert [list(line.get_ydata()) for line in rate.lines] == [[10, 40, 160], [1, 4, 16]]
    assert [line.get_ydata()[0] for line in wait.lines] == [0.1, 0.9, 1, 9]
    colours = [line.get_color() for line in wait.lines]
    assert colours == [line.get_color() for line in rate.lines for _ in range(2)]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cached", "fresh"]


def test_ticks_are_the_numbers_of_clients_measured():
    axes = plots.load_curves({"a": table([1, 3]), "b": table([3, 1000])}).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "3", "1,000"]
    assert axes.get_yscale() == axes.get_xscale() == "log"


def test_a_client_that_got_no_answer_is_a_gap(texts_of):
    broken = table([1, 2, 4]).assign(p50_ms=[1, np.nan, 2], per_second=[5, 0, 5])
    figure = plots.load_curves({"fresh": broken})
    assert np.isnan(figure.axes[1].lines[0].get_ydata()[1])
    assert texts_of(figure)  # it can be laid out


def test_nothing_is_refused():
    with pytest.raises(ValueError, match="No tables"):
        plots.load_curves({})
    with pytest.raises(ValueError, match="No rows of fresh"):
        plots.load_curves({"fresh": table([])})
