import math
from dataclasses import replace

import numpy as np
import pytest

from cnnlab.config import InputError, make_settings
from cnnlab.experiment import backbone_ranking, backbones, split_source
from cnnlab.experiment.backbone_ranking import Comparison, Row
from cnnlab.experiment.backbones import Backbone
from cnnlab.features import store
from cnnlab.training import probe

TINY = ["network_options=width=4,blocks=1-1", "folds=2"]


def row(accuracy, cpu_seconds, **values):
    known = {"architecture": "net", "weights": "pretrained", "image_size": 96,
             "accuracy": accuracy, "low": 0.0, "high": 1.0, "cpu_seconds": cpu_seconds,
             "milliseconds": 1.0, "parameters": 9}  # fmt: skip
    return Row(**known | values)


def answers(*right, of=40):
    """Which of 40 images are right: those of the slices."""
    found = np.zeros(of, bool)
    for part in right:
        found[part] = True
    return found


def test_rows_are_placed_by_their_answers_to_the_same_images():
    rows = [row(0.9, 9), row(0.875, 3), row(0.7, 1)]
    correct = [answers(slice(36)), answers(slice(35)), answers(slice(28))]
    best, alike, behind = backbone_ranking.ranked(rows, correct, None)
    assert (best.standing, best.behind) == ("best", 0)
    assert math.isnan(best.p)
    assert (alike.standing, alike.p) == ("alike", 1.0)  # one image alone tells nothing
    assert alike.behind == pytest.approx(0.025)
    # 8 images speak for the best, none against it: two sides of 1 in 2⁸.
    assert (behind.standing, behind.p) == ("behind", pytest.approx(2 / 2**8))
    found = Comparison(40, 2, 5, None, (best, alike, behind))
    assert found.best is best
    assert found.recommended is alike
    assert Comparison.from_json(found.to_json()).recommended == alike


def test_images_of_one_group_are_one_piece_of_evidence():
    rows, correct = [row(0.9, 9), row(0.7, 1)], [answers(slice(36)), answers(slice(28))]
    groups = np.array([f"g{n // 8}" for n in range(40)])
    assert backbone_ranking.ranked(rows, correct, groups)[1].standing == "alike"


def test_of_equally_good_rows_the_cheapest_is_the_best():
    rows, correct = [row(0.5, 9), row(0.5, 2)], [answers(slice(20)), answers(slice(20, 40))]
    first, second = backbone_ranking.ranked(rows, correct, None)
    assert (first.standing, second.standing) == ("alike", "best")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([row(0.9, 9)], "compared to nothing"),
        ([row(0.9, 9), row(0.5, 1, standing="behind")], "Every other row is behind it"),
        ([row(0.9, 1), row(0.88, 2, standing="alike")], "1 of 1 others is not told apart"),
        ([row(0.9, 1), row(0.88, 2, standing="alike")], "It is also the cheapest"),
        (
            [row(0.9, 8), row(0.88, 2, image_size=64, standing="alike"),
             row(0.87, 4, standing="alike"), row(0.5, 1, standing="behind")],
            "2 of 3 others are not told apart from it (McNemar's test on the same held-out images, "
            "p ≥ 0.05), which does not mean that they are equal. The cheapest of these is net at "
            "64 pixels: 0.880 for 25% of the CPU time.",
        ),
    ],
)  # fmt: skip
def test_the_verdict_follows_from_the_rows(rows, says):
    assert says in backbone_ranking.verdict(Comparison(40, 2, 5, None, tuple(rows)))


def test_a_row_says_what_its_network_begins_with():
    names = [row(0.5, 1, weights=each).network for each in ("pretrained", "random", "/a/b.h5")]
    assert names == ["net", "net (random)", "net (file)"]


@pytest.fixture
def settings(make_photos):
    return make_settings("transfer", TINY, source=str(make_photos(8)))


def test_networks_without_their_weights_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    here, missing = backbones.at_hand()
    assert here == [Backbone("efficientnet_lite0")]
    assert " mobilenet_v2, " in missing
    assert " nasnet_mobile, " in missing
    assert "efficientnet_lite0" not in missing
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "nasnet_mobile_no_top.h5").touch()
    here, missing = backbones.at_hand()
    assert here == [Backbone("efficientnet_lite0"), Backbone("nasnet_mobile")]
    assert "nasnet_mobile" not in missing


def test_nothing_to_compare_is_told(settings):
    with pytest.raises(InputError, match="make setup brings those of efficientnet_lite0"):
        backbones.variants(settings, [], [16])


@pytest.mark.slow
def test_every_backbone_at_every_size_once(settings):
    named = [Backbone("resnet", "random"), Backbone("efficientnet_lite0", "random")]
    plain = settings.replace(network_options="")
    found = backbones.variants(plain, [*named, named[0]], [24, 16, 24])
    sizes = [(each.data.image_size, each.model.architecture) for each in found]
    assert sizes == [(16, "resnet"), (16, "efficientnet_lite0"),
                     (24, "resnet"), (24, "efficientnet_lite0")]  # fmt: skip
    assert {each.training.stages for each in found} == {"probe"}


@pytest.mark.parametrize(
    ("backbone", "size", "says"),
    [
        (Backbone("resnett", "random"), 16, "Unknown architecture 'resnett'"),
        (Backbone("resnet", "pretrained"), 16, "resnet"),
        (Backbone("efficientnet_lite0", "nowhere.pth"), 96, "no weights file 'nowhere.pth'"),
        (Backbone("efficientnet_lite0"), 16, "at least 32"),
        (Backbone("reference_cnn", "random"), 16, "globally"),
    ],
)
def test_what_cannot_be_compared_is_refused_at_once(settings, backbone, size, says):
    with pytest.raises(InputError, match=says):
        backbones.variants(settings.replace(network_options=""), [backbone], [size])


@pytest.mark.slow
def test_tiny_networks_are_compared(settings, capsys):
    variants = backbones.variants(settings, [Backbone("resnet", "random")], [16, 20])
    found = backbones.compare(variants, split_source.split(settings).open)
    said = capsys.readouterr().out
    assert "resnet at 16 pixels: 1 of 2" in said
    assert (found.classes, found.folds, found.groups) == (2, 2, None)
    assert [each.image_size for each in found.rows] == [16, 20]
    for each in found.rows:
        assert each.low <= each.accuracy <= each.high
        assert min(each.cpu_seconds, each.milliseconds) > 0
    again = backbones.compare(variants[:1], split_source.split(settings).open)
    assert again.best.accuracy == found.rows[0].accuracy


@pytest.mark.slow
def test_test_images_are_not_looked_at(settings):
    (variant,) = backbones.variants(settings, [Backbone("resnet", "random")], [16])
    opened = split_source.split(settings).open(variant)
    tested = (opened.table["split"] == "test").to_numpy()
    found = backbones.compare([variant], lambda _: opened)
    assert found.images == (~tested).sum() < len(tested)
    pixels = np.array(opened.pixels)
    pixels[tested] = 0
    other = backbones.compare([variant], lambda _: replace(opened, pixels=pixels))
    assert other.best.accuracy == found.best.accuracy


def test_too_few_images_of_a_class_are_told_by_its_name(settings):
    variants = backbones.variants(settings.replace(folds=9), [Backbone("resnet", "random")], [16])
    with pytest.raises(InputError, match=r"Class 'cat' has . independent images .* 9 folds"):
        backbones.compare(variants, split_source.split(settings).open)


@pytest.mark.slow
def test_the_run_that_follows_finds_the_features(settings, monkeypatch):
    plain = settings.replace(network_options="")
    (variant,) = backbones.variants(plain, [Backbone("efficientnet_lite0")], [32])
    opened = split_source.split(plain).open
    first = backbones.compare([variant], opened)

    def fails(*_):
        raise AssertionError("features are computed again")

    monkeypatch.setattr(store, "_compute", fails)
    assert backbones.compare([variant], opened).best.accuracy == first.best.accuracy
    run = make_settings("transfer", ["image_size=32"], source=plain.data.source)
    model = backbones.training.new_model(opened(run), run)
    assert probe.features(model, opened(run), run).views[0].shape[1] == 1280
    other = replace(opened(run), pixels=255 - opened(run).pixels)
    with pytest.raises(AssertionError, match="computed again"):  # the check can fail
        probe.features(model, other, run)
