import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cnnlab.config import InputError
from cnnlab.evaluation import ood_detection
from cnnlab.evaluation.ood_detection import NoveltyRule, Separation


def rows_of(scores):
    """Return answers whose largest probabilities are the given ones."""
    best = np.asarray(scores)
    return np.stack([1 - best, best], axis=1)


def test_at_most_one_known_image_in_twenty_falls_below():
    known = np.random.default_rng(0).permutation(np.linspace(0.6, 0.95, 200))
    rule = ood_detection.fit(rows_of(known))
    # ⌈201 · 0.95⌉ = 191 of 201 must reach it: the tenth smallest of the 200.
    assert rule == NoveltyRule(0.95, float(np.float32(np.sort(known)[9])), 200)
    assert ood_detection.flagged(rows_of(known), rule.threshold).sum() == 9


def test_new_known_images_are_accepted_as_promised():
    generator = np.random.default_rng(1)
    flagged = []
    for _ in range(400):
        rows = rows_of(0.5 + generator.beta(5, 1, 299) / 2)
        rule = ood_detection.fit(rows[:99])
        flagged.append(ood_detection.flagged(rows[99:], rule.threshold).mean())
    assert np.mean(flagged) == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize(("count", "threshold"), [(1, 0.0), (18, 0.0), (19, 0.75)])
def test_too_few_images_flag_nothing(count, threshold):
    assert ood_detection.fit(rows_of(np.full(count, 0.75))).threshold == threshold


def test_a_score_on_the_threshold_is_accepted():
    known = rows_of(np.full(30, 0.9))
    rule = ood_detection.fit(known)
    assert not ood_detection.flagged(known, rule.threshold).any()
    assert ood_detection.flagged(known, np.nextafter(rule.threshold, 1)).all()


def test_separation_agrees_with_scikit_learn_and_with_counting():
    generator = np.random.default_rng(2)
    known, novel = generator.beta(6, 1, 400).round(2), generator.beta(3, 2, 300).round(2)
    found = ood_detection.separation(known, novel)
    truth = np.repeat([1, 0], [400, 300])
    assert found.auroc == pytest.approx(roc_auc_score(truth, np.concatenate([known, novel])))
    strictest = max(t for t in known if (known >= t).mean() >= 0.95)
    assert found.fpr95 == (novel >= strictest).mean()


def test_separation_at_its_ends():
    assert ood_detection.separation(np.array([0.8, 0.9]), np.array([0.1, 0.2])) == Separation(
        1.0, 0.0
    )
    assert ood_detection.separation(np.array([0.5, 0.5]), np.array([0.5])) == Separation(0.5, 1.0)
    for known, novel in (([], [0.5]), ([0.5], [])):
        with pytest.raises(InputError, match="at least one of each"):
            ood_detection.separation(np.array(known), np.array(novel))


def test_scores_are_the_largest_probabilities_as_float32():
    assert ood_detection.scores(np.array([[0.1, 0.9]])).tolist() == [float(np.float32(0.9))]


def test_a_rule_out_of_range_is_refused():
    with pytest.raises(InputError, match="threshold from 0 to 1"):
        NoveltyRule(0.95, 2.0, 40)
    with pytest.raises(InputError, match="expected 'max_softmax'"):
        NoveltyRule(0.95, 0.5, 40, "energy")


def test_a_group_of_many_images_counts_as_one():
    known = np.linspace(0.6, 0.95, 39)
    rows = np.repeat(np.arange(39), [200] + [1] * 38)  # the lowest score 200 times, of one camera
    plain = ood_detection.fit(rows_of(known))
    assert ood_detection.fit(rows_of(known[rows]), groups=rows).threshold == plain.threshold
    assert ood_detection.fit(rows_of(known[rows])).threshold < plain.threshold
    assert ood_detection.fit(rows_of(known[rows]), groups=rows // 3).threshold == 0  # 13 groups
