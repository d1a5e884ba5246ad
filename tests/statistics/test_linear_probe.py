import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.model_selection import StratifiedGroupKFold

from cnnlab.statistics import linear_probe

STRENGTHS = (1e-4, 1e-2, 1.0)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    return rng.normal(size=(300, 5)) + 1.5 * np.eye(3, 5)[labels], labels


def test_both_losses_by_hand(rows):
    model = linear_probe.fitted(rows[0][:200], rows[1][:200], 1.0, tolerance=1e-6)
    scores = model.decision_function(rows[0][200:])
    truth = rows[1][200:]
    wrong = np.mean(scores.argmax(axis=1) != truth)
    assert linear_probe.error_rate(model, rows[0][200:], truth) == pytest.approx(wrong)
    assert 0 < wrong < 0.5
    given = log_softmax(scores, axis=1)[np.arange(100), truth]
    assert linear_probe.log_loss(model, rows[0][200:], truth) == pytest.approx(-given.mean())


def test_columns_are_standardised(rows):
    large = rows[0] * np.array([1e6, 1, 1, 1, 1e-6]) + 7
    one, other = (
        linear_probe.fitted(each, rows[1], 0.01, tolerance=1e-8).predict_proba(each)
        for each in (rows[0], large)
    )
    np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("loss", [linear_probe.error_rate, linear_probe.log_loss])
def test_the_strength_with_the_lowest_loss_is_chosen(rows, loss):
    learned, judging = ((each[part] for each in rows) for part in (slice(200), slice(200, 300)))
    learned, judging = tuple(learned), tuple(judging)
    losses = [
        loss(linear_probe.fitted(*learned, strength, tolerance=1e-4), *judging)
        for strength in STRENGTHS
    ]
    found = linear_probe.best_strength(STRENGTHS, learned, judging, loss, tolerance=1e-4)
    assert found == STRENGTHS[int(np.argmin(losses))]


def test_of_equals_the_first_is_chosen(rows):
    found = linear_probe.best_strength(
        STRENGTHS, rows, rows, lambda model, features, labels: 1.0, tolerance=1e-2
    )
    assert found == STRENGTHS[0]


@pytest.mark.parametrize("classes", [2, 3])
def test_one_dense_layer_predicts_the_same(rows, classes):
    features, labels = rows[0] * np.array([100, 1, 1, 1, 0.01]) + 7, rows[1] % classes
    model = linear_probe.fitted(features, labels, 0.1, tolerance=1e-6)
    kernel, bias = linear_probe.as_layer(model)
    assert (kernel.dtype, kernel.shape, bias.dtype) == (np.float32, (5, classes), np.float32)
    given = softmax(features @ kernel.astype(float) + bias, axis=1)
    np.testing.assert_allclose(given, model.predict_proba(features), atol=1e-5)


def test_weights_count_a_row_so_many_times():
    labels = np.array([0, 0, 0, 1, 2])  # columns that say nothing: only the shares can be learnt
    weights = np.array([1.0, 1, 1, 6, 3])
    model = linear_probe.fitted(np.ones((5, 2)), labels, 1.0, tolerance=1e-9, weights=weights)
    np.testing.assert_allclose(model.predict_proba(np.ones((1, 2))), [[0.25, 0.5, 0.25]], atol=1e-4)


def choose(rows, groups=None, strengths=STRENGTHS, **options):
    groups = np.arange(len(rows[1])) if groups is None else groups
    defaults = {"parts": 3, "seed": 0, "tolerance": 1e-7}
    return linear_probe.choose_strength(strengths, *rows, groups, **(defaults | options))


def test_the_strength_is_the_one_with_the_lowest_mean_loss_over_the_parts(rows):
    groups = np.arange(300) // 2
    strengths = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
    splitter = StratifiedGroupKFold(3, shuffle=True, random_state=0)
    expected = {
        strength: np.mean([
            linear_probe.log_loss(
                linear_probe.fitted(rows[0][a], rows[1][a], strength, tolerance=1e-7),
                rows[0][b], rows[1][b],
            )
            for a, b in splitter.split(*rows, groups)
        ])
        for strength in strengths
    }  # fmt: skip
    found = choose(rows, groups, strengths)
    assert found.strength == min(expected, key=lambda each: expected[each]) not in (1e-4, 10.0)
    for strength, loss in found.losses.items():
        assert loss == pytest.approx(expected[strength], abs=1e-4)


def test_no_group_is_ever_divided(rows, monkeypatch):
    groups = np.random.default_rng(1).integers(0, 20, 300)
    seen = []
    real = linear_probe._Path

    def watched(*given):
        seen.append(given[4:6])
        return real(*given)

    monkeypatch.setattr(linear_probe, "_Path", watched)
    choose(rows, groups)
    assert len(seen) == 3
    for learned, held in seen:
        assert not set(groups[learned]) & set(groups[held])
        assert sorted([*learned, *held]) == list(range(300))


def test_after_the_loss_rose_no_further_strength_is_tried(rows):
    random = np.random.default_rng(2).permutation(rows[1])  # nothing to learn: the less the better
    found = choose((rows[0], random), strengths=(1e-3, 10.0, 100.0))
    assert list(found.losses) == [1e-3, 10.0]
    assert found.strength == 1e-3


def test_only_rows_that_may_judge_do(rows):
    features, labels = rows
    wrong = np.where(np.arange(300) < 150, labels, (labels + 1) % 3)
    judging = np.arange(300) < 150
    every, some = choose((features, wrong)), choose((features, wrong), judging=judging)
    assert min(some.losses.values()) < min(every.losses.values()) - 0.03


def test_a_class_of_one_row_is_no_obstacle(rows):
    labels = np.where(np.arange(300) == 7, 3, rows[1])
    assert choose((rows[0], labels)).losses


def test_too_few_rows_to_divide_get_the_middle_strength():
    found = choose((np.eye(3), np.arange(3)))
    assert (found.strength, found.losses) == (STRENGTHS[1], {})
