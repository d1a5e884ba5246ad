"""The experiment's functions give what their steps give one by one, and never see the test set."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cnnlab import experiment, images, training
from cnnlab.artifact import model_folder
from cnnlab.config import InputError
from cnnlab.data.batches import SealedTestSet, evaluation_batches
from cnnlab.evaluation import calibration, conformal, metrics, ood_detection
from cnnlab.serving.predictor import Predictor

pytestmark = pytest.mark.slow  # they train


def test_a_classifier_is_what_its_steps_give_one_by_one(classifier, dataset, settings):
    train, validation = dataset.indices("train"), dataset.indices("validation")
    model = training.new_model(dataset, settings)
    fitted = training.train(model, dataset, train, validation, settings)
    assert training.weights_digest(classifier.model) == training.weights_digest(model)
    assert list(classifier.history.history["loss"]) == list(fitted.history["loss"])
    raw = training.predict(model, evaluation_batches(dataset, validation, batch_size=8))
    temperature = calibration.fit_temperature(dataset.labels[validation], raw)
    served = calibration.apply(raw, temperature)
    assert classifier.rules.temperature == temperature
    assert classifier.rules.sets == conformal.fit(dataset.labels[validation], served)
    assert classifier.rules.none_of_these == ood_detection.fit(served)
    predictions, result = classifier.validation.predictions, classifier.validation.result
    np.testing.assert_array_equal(predictions.raw, raw)
    np.testing.assert_array_equal(predictions.probabilities, served)
    assert result.calibration == classifier.rules
    accuracy = metrics.accuracy(dataset.labels[validation], served)
    assert result.scores.score("accuracy").estimate == accuracy
    assert list(predictions.table(dataset)["path"]) == list(dataset.table["path"][validation])
    assert classifier.model_id == model_folder.identity(
        model, class_names=["bright", "dark"], temperature=temperature,
        conformal=classifier.rules.sets, novelty=classifier.rules.none_of_these,
    )  # fmt: skip


def test_only_the_seed_of_the_training_differs(classifier, dataset, settings):
    other = experiment.fit_classifier(dataset, settings, seed=1)
    assert other.model_id != classifier.model_id
    first, second = classifier.validation, other.validation
    np.testing.assert_array_equal(first.predictions.rows, second.predictions.rows)
    assert first.result.scores.interval.seed == second.result.scores.interval.seed
    assert experiment.fit_classifier(dataset, settings, seed=0).model_id == classifier.model_id


def test_the_test_images_decide_nothing(classifier, dataset, settings):
    pixels = np.array(dataset.pixels)
    pixels[dataset.table["split"] == "test"] = 0
    other = experiment.fit_classifier(replace(dataset, pixels=pixels), settings)
    assert other.model_id == classifier.model_id


def test_a_sealed_test_set_is_not_evaluated(classifier, dataset, settings):
    with pytest.raises(SealedTestSet):
        experiment.evaluate(classifier, dataset, settings)


def test_the_test_record_agrees_with_its_arrays(classifier, opened, settings):
    tested = experiment.evaluate(classifier, opened, settings)
    found, result = tested.predictions, tested.result
    assert list(found.rows) == list(np.flatnonzero(opened.table["split"] == "test"))
    assert found.temperature == classifier.rules.temperature
    share = (found.probabilities.argmax(axis=1) == opened.labels[found.rows]).mean()
    assert result.scores.score("accuracy").estimate == share
    assert result.sets.size == tested.set_sizes.mean()
    assert len(tested.novel_scores) == settings.evaluation.strangers
    limit = classifier.rules.none_of_these.threshold
    assert result.none_of_these.strangers == (tested.novel_scores < limit).mean()
    assert result.none_of_these.known == (found.probabilities.max(axis=1) < limit).mean()
    tables = found.reliability()
    assert list(tables) == ["as trained", *(["served"] if found.temperature != 1 else [])]
    assert tables["as trained"]["count"].sum() == len(found.rows)


def test_a_loaded_classifier_is_tested_like_the_one_that_was_saved(
    classifier, saved, dataset, opened, settings
):
    loaded = experiment.load(saved)
    assert loaded.model_id == classifier.model_id
    assert loaded.rules == classifier.rules
    assert (loaded.class_names, loaded.history) == (classifier.class_names, None)
    tests = [experiment.evaluate(each, opened, settings) for each in (classifier, loaded)]
    assert tests[0].result == tests[1].result
    np.testing.assert_array_equal(tests[0].novel_scores, tests[1].novel_scores)
    again = experiment.validate(loaded, dataset, settings)
    assert again.result == classifier.validation.result


def test_fit_and_background_reach_the_contract_the_graph_and_the_pictures_of_no_class(
    dataset, opened, settings, tmp_path, monkeypatch
):
    seen, decode = [], images.decode

    def watched(content, size, preprocessing):
        seen.append(preprocessing)
        return decode(content, size, preprocessing)

    monkeypatch.setattr(images, "decode", watched)
    wanted = images.Preprocessing(fit="pad", background="black")
    found = experiment.fit_classifier(dataset, settings.replace(fit="pad", background="black"))
    experiment.evaluate(found, opened, settings)
    assert {*seen} == {wanted}
    found.save(tmp_path / "model", run_id="demo", card="")
    loaded, predictor = experiment.load(tmp_path / "model"), Predictor(tmp_path / "model")
    assert found.preprocessing == loaded.preprocessing == predictor.preprocessing == wanted
    assert loaded.model_id == found.model_id
    content = io.BytesIO()
    Image.effect_noise((40, 16), 90).convert("LA").save(content, "PNG")
    expected = decode(content.getvalue(), 16, wanted)
    np.testing.assert_array_equal(predictor.pixels(content.getvalue()), expected)
    assert (expected[[0, -1]] == 0).all()


def test_other_classes_and_a_model_without_rules_are_refused(
    classifier, opened, settings, tmp_path
):
    other = replace(opened, class_names=["dark", "bright"])
    with pytest.raises(InputError, match=r"are bright, dark, those of the data dark, bright: exp"):
        experiment.evaluate(classifier, other, settings)
    bare = {"class_names": ["bright", "dark"], "run_id": "demo", "card": ""}
    model_folder.save(classifier.model, tmp_path / "model", **bare)
    with pytest.raises(InputError, match="has no rule for prediction sets"):
        experiment.load(tmp_path / "model")
