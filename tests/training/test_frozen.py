"""Heads on features: what they answer is what the network answers, and costs no network."""

from dataclasses import replace

import numpy as np
import pytest
import small_pictures

from cnnlab import training
from cnnlab.config import InputError, make_settings
from cnnlab.data.batches import SealedTestSet, evaluation_batches
from cnnlab.features import store
from cnnlab.training import folds, frozen, probe, subsets

RESNET = ("image_size=16", "architecture=resnet", "network_options=width=4,blocks=1-1")
HIDDEN = "hidden_units=6"


def settings_of(*changes: str):
    return make_settings("smoke", [*RESNET, "stages=probe", *changes])


@pytest.fixture(scope="module")
def dataset():
    return small_pictures.pictures()


@pytest.fixture
def quick(monkeypatch):
    """Train hidden layers for a moment."""
    monkeypatch.setattr(probe, "EPOCHS", 3)


def trained(dataset, settings, *, seed=0):
    model = training.new_model(dataset, settings, seed=seed)
    sides = [dataset.indices(side) for side in ("train", "validation")]
    return model, training.train(model, dataset, *sides, settings, seed=seed)


def by_network(model, dataset, rows):
    return training.predict(model, evaluation_batches(dataset, rows, batch_size=32))


@pytest.mark.parametrize("changes", [(), (HIDDEN,), ("class_weight=balanced", "feature_views=1")])
@pytest.mark.slow
def test_the_network_answers_as_its_features_do(dataset, quick, changes):
    settings = settings_of(*changes)
    model, fitted = trained(dataset, settings)
    rows = np.array([70, 3, 41, 12, 0])
    given = training.answers(model, dataset, rows, settings)
    np.testing.assert_allclose(given, by_network(model, dataset, rows), atol=1e-6)
    (row,) = fitted.history.to_dict(orient="records")
    validation = dataset.indices("validation")
    judged, labels = by_network(model, dataset, validation), dataset.labels[validation]
    penalty = float(sum(model.losses))
    loss = -np.log(judged[np.arange(len(labels)), labels]).mean() + penalty
    assert row["validation_loss"] == pytest.approx(loss, abs=1e-5)
    assert row["validation_accuracy"] == pytest.approx(np.mean(judged.argmax(axis=1) == labels))
    learned = by_network(model, dataset, np.arange(60)).argmax(axis=1) == dataset.labels[:60]
    assert row["accuracy"] == pytest.approx(learned.mean())


def test_only_the_head_is_fitted(dataset):
    settings = settings_of()
    model, before = (training.new_model(dataset, settings) for _ in range(2))
    training.train(model, dataset, np.arange(60), np.arange(60, 75), settings)
    *body, kernel, bias = [
        np.array_equal(one, other)
        for one, other in zip(model.get_weights(), before.get_weights(), strict=True)
    ]
    assert all(body)
    assert not kernel and not bias  # noqa: PT018


@pytest.mark.slow
def test_test_images_pass_through_the_network_itself(dataset, monkeypatch):
    settings = settings_of()
    model, _ = trained(dataset, settings)
    rows = np.array([3, 80])
    with pytest.raises(SealedTestSet):
        training.answers(model, dataset, rows, settings)
    monkeypatch.setattr(probe, "features", None)
    opened = replace(dataset, test_open=True)
    found = training.answers(model, opened, rows, settings)
    np.testing.assert_array_equal(found, by_network(model, opened, rows))


def test_features_of_a_sealed_test_set_are_not_computed(dataset):
    found = probe.features(training.new_model(dataset, settings_of()), dataset, settings_of())
    assert found.views[0].shape == (75, 8)
    np.testing.assert_array_equal(found.position[75:], -1)


@pytest.mark.slow
def test_a_second_head_computes_no_features(dataset, monkeypatch):
    trained(dataset, settings_of())

    def never(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr("cnnlab.features.store._compute", never)
    trained(dataset, settings_of("class_weight=balanced", "more_seeds=1,2"))


def test_views_of_other_code_are_not_used(dataset, monkeypatch):
    settings = settings_of("feature_views=1")
    model, asked = training.new_model(dataset, settings), []
    monkeypatch.setattr(probe, "origin", lambda: {"code": "other", "cores": -1})
    probe.features(model, dataset, settings)
    real = store._compute
    monkeypatch.setattr(store, "_compute", lambda *each: (asked.append(each[4]), real(*each)))
    monkeypatch.setattr(probe, "origin", lambda: {"code": "newer", "cores": -1})
    probe.features(model, dataset, settings)
    assert len(asked) == 1  # of the view
    assert asked[0]


@pytest.mark.slow
def test_views_change_what_is_learned_and_nothing_else(dataset):
    settings = settings_of("feature_views=2")
    model = training.new_model(dataset, settings)
    plain, more = (probe.features(model, dataset, each) for each in (settings_of(), settings))
    rows = np.arange(60, 75)
    np.testing.assert_array_equal(plain.of(rows), more.of(rows))
    assert more.to_learn(rows).shape == (45, 8)
    np.testing.assert_array_equal(more.to_learn(rows)[:15], plain.of(rows))
    heads = [
        probe.fitted_head(each, dataset, np.arange(60), rows, settings, seed=0)
        for each in (plain, more)
    ]
    assert not np.array_equal(heads[0].answers(plain.of(rows)), heads[1].answers(plain.of(rows)))


@pytest.mark.parametrize("changes", [(), (HIDDEN,)])
@pytest.mark.slow
def test_the_order_of_the_images_is_irrelevant(dataset, quick, changes):
    settings, rows = settings_of(*changes), np.arange(60)
    found = probe.features(training.new_model(dataset, settings), dataset, settings)
    first, other = (
        probe.fitted_head(found, dataset, given, np.arange(60, 75), settings, seed=0)
        for given in (rows, np.random.default_rng(0).permutation(rows))
    )
    np.testing.assert_array_equal(first.answers(found.of(rows)), other.answers(found.of(rows)))


POOL = np.arange(75)[::-1].copy()  # positions in the pool are not row numbers
PAIRS = [(np.flatnonzero(np.arange(75) % 3 != n), np.arange(75)[n::3]) for n in range(3)]


@pytest.mark.slow
def test_a_fold_is_what_a_network_trained_on_its_images_answers(dataset, capsys):
    settings = settings_of()
    given = folds.fold_runner(dataset, POOL, settings)(PAIRS)
    model = training.new_model(dataset, settings, seed=folds.child_seed(0, "fold/2"))
    learned, held = (POOL[each] for each in PAIRS[1])
    training.train(model, dataset, learned, held, settings, seed=folds.child_seed(0, "fold/2"))
    np.testing.assert_allclose(given[1][0], by_network(model, dataset, held), atol=1e-6)
    assert "fold 2/3  1 epoch" in capsys.readouterr().out


@pytest.mark.slow
def test_folds_of_one_frozen_network_build_it_once(dataset, monkeypatch, tmp_path, quick):
    built, told = [], []

    def built_once(*_, seed):
        built.append(seed)
        return small_pictures.network()

    monkeypatch.setattr(frozen, "new_model", built_once)
    monkeypatch.setattr(folds, "train_each", in_this_process(folds.train_each))
    (tmp_path / "of_others.pth").write_bytes(b"weights")
    named = ("architecture=efficientnet_lite0", f"weights={tmp_path / 'of_others.pth'}", HIDDEN)
    settings = make_settings("smoke", ["image_size=16", "stages=probe", *named])
    run = folds.fold_runner(
        dataset, POOL, settings, folder=tmp_path / "f", report=lambda *row: told.append(row)
    )
    first = run(PAIRS)
    assert len(built) == 1
    assert [(fold, row["epoch"], row["last"]) for fold, row in told] == [
        (fold, 1, True) for fold in (1, 2, 3)
    ]
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == [
        f"fold-{fold}.npz" for fold in (1, 2, 3)
    ]
    monkeypatch.setattr(frozen, "fitted", None)
    for one, other in zip(first, run(PAIRS), strict=True):
        np.testing.assert_array_equal(one[0], other[0])


def in_this_process(real):
    def watched(*given, jobs, **options):
        assert jobs == 1
        return real(*given, jobs=jobs, **options)

    return watched


@pytest.mark.slow
def test_parts_of_the_images_are_learned_from_features(dataset, monkeypatch):
    settings, told = settings_of(), []
    monkeypatch.setattr(subsets, "train", None)
    validation = dataset.indices("validation")

    def score(labels, given):
        assert labels.tolist() == dataset.labels[validation].tolist()
        return {"accuracy": float(np.mean(given.argmax(axis=1) == labels))}

    run = subsets.subset_runner(
        dataset, dataset.indices("train"), validation, settings, score,
        lambda *row: told.append(row),
    )  # fmt: skip
    assert run(np.arange(60), 0)["accuracy"] > 0.5
    assert run(np.arange(12), 0).keys() == {"accuracy"}
    assert [number for number, _ in told] == [1, 2]


def test_a_class_without_images_is_named(dataset):
    rows = np.flatnonzero(dataset.labels[:60] != 1)
    with pytest.raises(InputError, match=r"class 1 of 3 has no training image"):
        frozen.fitted(dataset, rows, np.arange(60, 75), settings_of(), 0)


def test_views_without_a_probe_are_refused():
    with pytest.raises(InputError, match="feature_views=1 and stages='all'"):
        make_settings("smoke", ["feature_views=1"])


def test_a_hidden_layer_is_refused_where_no_network_pools():
    with pytest.raises(InputError, match="hidden_units=4 and reference_cnn"):
        training.trainer.check(make_settings("smoke", ["image_size=16", "hidden_units=4"]))
