import math

import pytest

from cnnlab.artifact import model_folder
from cnnlab.evaluation.conformal import SetRule
from cnnlab.evaluation.ood_detection import NoveltyRule
from cnnlab.serving.predictor import Predictor
from cnnlab.serving.server import parity


@pytest.fixture(scope="module")
def predictor(saved) -> Predictor:
    return Predictor(saved)


def compared(predictor, content, **changes):
    """The row of one file, where the other program answers as ours does but for changes."""

    def ask(image_bytes):
        return predictor.predict(image_bytes).to_json() | changes

    (row,) = parity.compare(predictor, ask, {"a photo": content}).to_dict("records")
    return row


def test_itself_is_the_same(predictor, photos):
    row = compared(predictor, photos[0])
    assert (row["file"], row["difference"], row["same"]) == ("a photo", 0, True)
    assert row["here"] == row["there"] == predictor.predict(photos[0]).label


def test_the_largest_difference_of_any_class_counts(predictor, photos):
    top = predictor.predict(photos[0]).to_json()["top"]
    gaps = (0, 3e-6, -9e-6)
    moved = [
        each | {"probability": each["probability"] + gap}
        for each, gap in zip(top, gaps, strict=True)
    ]
    row = compared(predictor, photos[0], top=moved)
    assert row["difference"] == pytest.approx(9e-6)
    assert row["same"]
    far = [top[0], top[1] | {"probability": top[1]["probability"] + 2e-5}, top[2]]
    assert not compared(predictor, photos[0], top=far)["same"]


def test_a_class_that_only_one_lists_differs_by_all_of_it(predictor, photos):
    top = predictor.predict(photos[0]).to_json()["top"]
    row = compared(predictor, photos[0], top=top[:-1])
    assert row["difference"] == pytest.approx(top[-1]["probability"])


@pytest.mark.parametrize(
    "changes",
    [
        {"label": "else"},
        {"plausible": ["else"]},
        {"none_of_these": True},
        {"sha256": "0"},
        {"model_id": "0"},
        {"error": {"code": "empty"}},
    ],
)
def test_every_field_of_the_answer_counts(predictor, photos, changes):
    assert not compared(predictor, photos[0], **changes)["same"]


@pytest.mark.parametrize(("distance", "same"), [(0.0, True), (9e-6, True), (2e-5, False)])
@pytest.mark.slow
def test_only_at_its_threshold_a_rule_may_say_something_else(
    predictor, model, photos, tmp_path, distance, same
):
    plain = predictor.predict(photos[0])
    (first, most), (second, probability) = plain.top[:2]
    model_folder.save(
        model,
        tmp_path / "model",
        class_names=predictor.class_names,
        run_id="lab",
        card="",
        conformal=SetRule(0.9, probability + distance, 9),
        novelty=NoveltyRule(0.95, most + distance, 9),
    )
    ruled = Predictor(tmp_path / "model")
    said = ruled.predict(photos[0])
    plausible = [first] if second in said.plausible else [first, second]
    for other in ({"plausible": plausible}, {"none_of_these": not said.none_of_these}):
        assert compared(ruled, photos[0], **other)["same"] is same


def test_times_and_caches_do_not(predictor, photos):
    assert compared(predictor, photos[0], cached=True, elapsed_ms=99.0)["same"]


def test_refusals_are_compared_by_their_codes(predictor):
    files = {"nothing": b"", "no image": b"text", "both": b"GIF89a"}
    codes = {b"": "empty", b"text": "corrupt"}

    def ask(content):
        return {"error": {"code": codes[content]}} if content in codes else {"label": "corrupt"}

    table = parity.compare(predictor, ask, files).set_index("file")
    assert table["same"].tolist() == [True, False, False]
    assert table.loc["no image", "here"] == "unknown_format"
    assert table.loc["no image", "there"] == "corrupt"
    assert all(map(math.isnan, table["difference"]))
