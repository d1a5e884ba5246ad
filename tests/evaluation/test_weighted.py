import numpy as np
import pytest
from sklearn import metrics as oracle

from cnnlab.evaluation import weighted


@pytest.fixture
def case():
    generator = np.random.default_rng(5)
    labels = generator.integers(3, size=40)
    probabilities = np.round(generator.dirichlet(np.ones(3), size=40), 1)  # many ties
    weights = generator.multinomial(40, np.full(40, 1 / 40), size=6).astype(float)
    return labels, probabilities, weights


def test_weights_mean_what_repeating_the_rows_means(case):
    labels, probabilities, weights = case
    positive, scores = labels == 0, probabilities[:, 0]
    aucs = weighted.auc(positive, scores, weights)
    precisions = weighted.average_precision(positive, scores, weights)
    for resample, row in enumerate(weights.astype(int)):
        index = np.repeat(np.arange(40), row)
        again = positive[index], scores[index]
        assert aucs[resample] == pytest.approx(oracle.roc_auc_score(*again))
        assert precisions[resample] == pytest.approx(oracle.average_precision_score(*again))


def test_scores_work_over_any_leading_axes():
    counts = np.random.default_rng(5).integers(20, size=(6, 3, 3))
    stacked = counts.reshape(2, 3, 3, 3)
    for score in (weighted.precision, weighted.recall, weighted.f1):
        assert score(stacked).shape == (2, 3, 3)
        np.testing.assert_array_equal(score(stacked).reshape(6, 3), score(counts))
    assert weighted.accuracy(stacked).shape == (2, 3)


def test_average_precision_of_a_resample_without_positives_is_nan():
    positive, scores = np.array([True, False]), np.array([0.2, 0.8])
    found = weighted.average_precision(positive, scores, np.array([[0.0, 2.0], [1.0, 1.0]]))
    assert np.isnan(found[0])
    assert found[1] == 0.5


def test_auc_of_a_resample_without_negatives_is_nan():
    positive, scores = np.array([True, False]), np.array([0.2, 0.8])
    found = weighted.auc(positive, scores, np.array([[2.0, 0.0], [1.0, 1.0]]))
    assert np.isnan(found[0])
    assert found[1] == 0


def test_mean_of_what_is_defined():
    values = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(weighted.defined_mean(values), [2.0, np.nan])
