import numpy as np
import pytest

from cnnlab.evaluation import intervals, registry, scoring


@pytest.mark.parametrize("classes", [2, 4])
def test_an_evaluation_holds_every_metric_as_its_entry_computes_it(classes):
    generator = np.random.default_rng(classes)
    labels = generator.integers(classes, size=60)
    odds = generator.random((60, classes)) + np.eye(classes)[labels]
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    names = [f"c{number}" for number in range(classes)]
    found = scoring.evaluate(labels, probabilities, names, samples=20, seed=0)
    for name, metric in registry.METRICS.items():
        estimate = found.score(name).estimate
        assert estimate == pytest.approx(metric.compute(labels, probabilities)), name


def test_every_interval_of_its_own_belongs_to_a_metric():
    assert {*intervals.METHODS} <= {*registry.METRICS}


def test_every_metric_says_what_it_is():
    labels = [metric.label for metric in registry.METRICS.values()]
    assert len({*labels}) == len(labels)
    assert all(metric.meaning for metric in registry.METRICS.values())
    places = {registry.CARD, registry.HEADLINE, registry.FOLDS, registry.COMPARISON}
    assert {place for metric in registry.METRICS.values() for place in metric.shown} == places


def test_values_and_differences_as_they_are_shown():
    metric = registry.Metric("x", "", lambda *_: 0.0, format=".1f")
    assert [metric.text(value) for value in (0.25, float("nan"))] == ["0.2", "–"]
    shown = [metric.difference(value) for value in (1.0, -1.0, float("nan"))]
    assert shown == ["+1.0", "−1.0", "–"]
