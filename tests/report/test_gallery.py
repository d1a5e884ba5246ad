import base64

import pytest
from matplotlib.figure import Figure

from cnnlab import runs
from cnnlab.report import gallery


@pytest.fixture
def run():
    return runs.open_run("demo", profile="smoke")


def test_key_figures_come_in_their_order_and_the_others_by_name(run):
    for name in ("zebra", "roc_test", "apple", "cam_correct"):
        run.save_figure(Figure(figsize=(1, 1)), name)
    shown, others = gallery.figures(run)
    assert [figure.caption for figure in shown] == [
        "Where the evidence lies when the network is right",
        "Test set: ROC curve of each class against the others",
    ]
    png = (run.folder / "figures" / "cam_correct.png").read_bytes()
    assert base64.b64decode(shown[0].data) == png
    assert others == ["apple", "zebra"]


@pytest.mark.parametrize(("size", "wide"), [((5, 2), True), ((4, 3), False), ((2, 4), False)])
def test_a_figure_much_wider_than_high_has_a_row_of_its_own(run, size, wide):
    figure = Figure(figsize=size)
    figure.subplots().set_position([0, 0, 1, 1])
    run.save_figure(figure, "sample")
    (shown,), _ = gallery.figures(run)
    assert shown.wide is wide


def test_a_run_without_figures_shows_none(run):
    assert gallery.figures(run) == ([], [])
