import numpy as np
import pytest
from sklearn.metrics import recall_score

from cnnlab.evaluation import influence, metrics


@pytest.fixture(scope="module")
def case():
    generator = np.random.default_rng(2)
    labels = generator.choice(3, size=80, p=[0.5, 0.3, 0.2])
    scores = np.round(generator.normal(size=(80, 3)) + 1.5 * np.eye(3)[labels], 1)  # with ties
    return labels, np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


def left_out(statistic, labels, probabilities):
    """The jackknife's influences, by brute force: (N - 1) · (figure - figure without the row)."""
    rows = range(len(labels))
    without = [
        statistic(np.delete(labels, row), np.delete(probabilities, row, axis=0)) for row in rows
    ]
    return (len(labels) - 1) * (statistic(labels, probabilities) - np.array(without))


@pytest.mark.parametrize("name", ["macro_auc", "micro_auc"])
def test_auc_influences_are_those_of_leaving_rows_out(case, name):
    loss, found = getattr(influence, name)(*case)
    statistic = getattr(metrics, name)
    assert 1 - loss == pytest.approx(statistic(*case))
    expected = -left_out(statistic, *case)
    tolerance = 1e-9 if name == "macro_auc" else 0.05 * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=tolerance)


def test_losses_average_to_one_minus_auc_on_both_sides(case):
    labels, probabilities = case
    positive, scores = labels == 0, probabilities[:, 0]
    losses = influence.auc_losses(positive, scores)
    for side in (positive, ~positive):
        assert 1 - losses[side].mean() == pytest.approx(metrics.auc(positive, scores))


def test_confusion_influences_are_the_derivatives():
    counts = np.array([[30.0, 4, 2], [3, 20, 1], [0, 5, 10]])
    size, step = counts.sum(), 1e-6
    for name, (figure, found) in influence._confusion_influences(counts).items():
        for cell in np.ndindex(3, 3):
            moved = counts * (1 - step)
            moved[cell] += step * size  # the same size, a little more of this cell
            slope = influence._confusion_influences(moved)[name][0] - figure
            assert found[cell] == pytest.approx(slope / step, abs=1e-4), name
        assert (counts * found).sum() == pytest.approx(0, abs=1e-9)


def test_effective_size_is_the_number_of_images_where_classes_are_alike():
    even = np.array([[90, 5, 5], [5, 90, 5], [5, 5, 90]])
    sizes = influence.effective_sizes(even)
    assert sizes["macro_recall"] == pytest.approx(300, rel=0.02)
    assert sizes["weighted_recall"] == pytest.approx(300, rel=0.02)


def test_a_rare_class_makes_the_macro_recall_worth_fewer_images():
    sizes = influence.effective_sizes(np.array([[900, 100], [1, 9]]))
    assert sizes["macro_recall"] < 60  # half of it rests on ten images
    assert sizes["weighted_recall"] > 900


def test_a_flawless_matrix_has_finite_sizes():
    assert all(0 < size <= 20 for size in influence.effective_sizes(np.diag([10, 10])).values())
    assert all(0 < size <= 10 for size in influence.effective_sizes(np.diag([10, 0])).values())


def test_design_effects_are_those_of_the_jackknife_over_groups():
    """Leaving out each group by hand: eight patients, copies of two images each."""
    generator = np.random.default_rng(0)
    labels, predicted = generator.integers(3, size=(2, 240))
    predicted = np.where(generator.random(240) < 0.7, labels, predicted)
    member = np.arange(240) // 30
    recalls = []
    for group in range(8):
        left = member != group
        recalls.append(recall_score(labels[left], predicted[left], average="macro"))
    whole = recall_score(labels, predicted, average="macro")
    expected = 7 / 8 * np.sum((np.array(recalls) - whole) ** 2)
    moves = 7 * (whole - np.array(recalls))
    assert np.sum(moves**2) / 8 / 7 == pytest.approx(expected)
    counts = np.zeros((3, 3), int)
    np.add.at(counts, (labels, predicted), 1)
    found = influence._left_out_figures(labels * 3 + predicted, counts, member)["macro_recall"]
    np.testing.assert_allclose(found, recalls)


def test_blocks_of_groups_do_not_matter(monkeypatch):
    generator = np.random.default_rng(1)
    labels, predicted = generator.integers(4, size=(2, 200))
    member = np.arange(200) // 10
    whole = influence.design_effects(labels, predicted, 4, member)
    monkeypatch.setattr(influence, "MAX_CELLS", 50)  # three groups a block
    assert influence.design_effects(labels, predicted, 4, member) == whole
    assert all(1 <= effect < 10 for effect in whole.values())
