import pytest

from cnnlab import runs
from cnnlab.report import findings


@pytest.fixture
def run():
    return runs.open_run("demo", profile="smoke")


def _row(method, gap, beats, images=24):
    low, high = (None, None) if gap is None else (gap - 0.1, gap + 0.1)
    limits = {"gap": gap, "gap_low": low, "gap_high": high}
    return {"method": method, "images": images, "beats_both": beats} | limits


def _judge(run, **tables):
    run.save_json("metrics/explanations.json", {"faithfulness": tables})
    return findings.heatmaps(run)


def _tested(confusion, f1):
    return {
        "n": sum(map(sum, confusion)),
        "class_names": [name for name, _ in f1],
        "interval": {"level": 0.95},
        "per_class": [{"class": name, "f1": value} for name, value in f1],
        "confusion": confusion,
    }


def test_before_anything_was_measured_nothing_is_said(run):
    assert findings.findings(run) == []
    assert findings.heatmaps(run) is None


def test_the_baselines_are_no_methods_and_a_measure_may_lack_a_method(run):
    random = _row("random", None, None)
    judged = _judge(run, deletion=[_row("A", 0.2, True), random], pointing=[random])
    assert judged.measures == ["deletion", "pointing"]
    assert list(judged.methods) == ["A"]
    first, second = judged.methods["A"]
    assert (first.gap, first.beats_both) == (0.2, True)
    assert second is None


def test_the_sentence_names_what_beats_both_always_sometimes_and_never(run):
    deletion = [_row("A", 0.2, True), _row("B", 0.2, True), _row("C", -0.2, False)]
    road = [_row("A", 0.2, True), _row("B", 0.01, False), _row("C", -0.2, False)]
    sentence = _judge(run, deletion=deletion, ROAD=road).sentence
    assert sentence.startswith("On 24 images, A beats both")
    assert "By some measures only: B (deletion)." in sentence
    assert "By none: C. Nothing shows" in sentence


def test_if_all_are_good_nothing_is_held_against_them(run):
    sentence = _judge(run, deletion=[_row("A", 0.2, True), _row("B", 0.2, True)]).sentence
    assert sentence.startswith("On 24 images, A and B beat both")
    assert sentence.endswith("by every measure.")


def test_too_few_maps_to_judge_are_no_defeat(run):
    judged = _judge(run, deletion=[_row("A", 0.2, None)])
    assert judged.methods["A"][0].beats_both is None
    assert "By none" not in judged.sentence
    assert "too few maps to judge: A" in judged.sentence


def test_data_and_test_images_in_words(run):
    audit = {
        "files": {"found": 1234, "accepted": 1200, "quarantined": 34, "skipped": 0},
        "reasons": {"quarantined": {"side_too_small": 30, "corrupt": 4}},
        "findings": {"exact_leak": 2, "near_leak": 1, "outlier": 9},
    }
    run.save_json("metrics/audit.json", audit)
    scores = (("a", 0.8), ("<b>", 0.5), ("c", None))
    sets = {"promised": 0.9, "coverage": 0.95, "size": 1.25}
    flags = {"known": 0.05, "strangers": 0.4}
    test = _tested([[4, 1], [2, 3]], scores)
    run.save_json("metrics/test.json", test | {"sets": sets, "none_of_these": flags})
    said = {finding.about: finding.text for finding in findings.findings(run)}
    assert said["Data"] == (
        "1,234 files were found and 1,200 accepted; 34 are in quarantine (30 side too small, "
        "4 corrupt). 3 others were copies of test images and are left out."
    )
    assert said["Test images"] == (
        "7 of 10 are classified right. The class with the lowest F1 is <b> (0.500)."
    )
    assert "90 % of cases" in said["When it is unsure"]
    assert "95.0 % of the test images, with 1.25 classes" in said["When it is unsure"]
    assert "40.0 % of pictures that show no known class" in said["When it is unsure"]


def test_of_equally_good_classes_none_is_the_worst(run):
    run.save_json("metrics/test.json", _tested([[1, 0], [0, 1]], (("a", 1.0), ("b", 1.0))))
    assert [found.text for found in findings.findings(run)] == ["2 of 2 are classified right."]
