import dataclasses
import hashlib
import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cnnlab import images
from cnnlab.artifact import model_folder
from cnnlab.artifact.model_folder import ArtifactDamaged
from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.evaluation import conformal, ood_detection
from cnnlab.evaluation.conformal import SetRule
from cnnlab.evaluation.ood_detection import NoveltyRule
from cnnlab.images import ImageRejected
from cnnlab.serving import predictor as module
from cnnlab.serving.cache import Cache, entry_bytes
from cnnlab.serving.predictor import BATCH_SIZE, CACHE_BYTES, Prediction, Predictor

NAMES = ["zebra", "ant", "mole"]
ENTRY = entry_bytes(len(NAMES))


@pytest.fixture(scope="module")
def shared(saved):
    """Return a predictor without cache, for tests that look at answers only."""
    return Predictor(saved, cache_bytes=0)


@pytest.fixture(scope="module")
def loaded(saved):
    return Predictor(saved)


@pytest.fixture
def predictor(loaded, monkeypatch):
    """Return a predictor whose cache is empty."""
    monkeypatch.setattr(loaded, "cache", Cache(CACHE_BYTES))
    return loaded


def fields(prediction):
    """Return what must not depend on when and from where an answer came."""
    varying = ("cached", "elapsed_ms")
    return {k: v for k, v in dataclasses.asdict(prediction).items() if k not in varying}


def test_the_answer_is_the_models(shared, saved, model, photos):
    for photo in photos:
        expected = model(images.decode(photo, 16)[None].astype("float32"))[0].numpy()
        found = shared.predict(photo)
        assert dict(found.top) == pytest.approx(dict(zip(NAMES, expected, strict=True)), abs=1e-6)
        assert found.label == NAMES[expected.argmax()] == found.top[0][0]
        assert found.probability == found.top[0][1]
        assert [p for _, p in found.top] == sorted((p for _, p in found.top), reverse=True)
        assert found.sha256 == hashlib.sha256(photo).hexdigest()
        assert found.model_id == model_folder.load(saved).model_id == shared.model_id


def test_it_knows_its_contract(shared):
    assert (shared.class_names, shared.image_size) == (NAMES, 16)


@pytest.mark.slow
def test_labels_keep_their_order(tmp_path, tiny, photos):
    certain = tiny()
    certain.get_layer("answer").kernel.assign(np.zeros((784, 3)))
    certain.get_layer("answer").bias.assign(np.log([0.1, 0.6, 0.3]))
    model_folder.save(certain, tmp_path / "m", class_names=NAMES, run_id="lab", card="")
    found = Predictor(tmp_path / "m").predict(photos[0])
    assert [label for label, _ in found.top] == ["ant", "mole", "zebra"]
    assert [p for _, p in found.top] == pytest.approx([0.6, 0.3, 0.1])


@pytest.mark.slow
def test_equal_probabilities_are_listed_in_label_order(tmp_path, tiny, photos):
    undecided = tiny()
    undecided.get_layer("answer").kernel.assign(np.zeros((784, 3)))
    model_folder.save(undecided, tmp_path / "m", class_names=NAMES, run_id="lab", card="")
    assert [label for label, _ in Predictor(tmp_path / "m").predict(photos[0]).top] == NAMES


def test_an_artifact_without_rules_promises_nothing(shared, photos):
    found = shared.predict(photos[0])
    assert (found.plausible, found.none_of_these) == ((), None)


@pytest.mark.slow
def test_the_rules_of_the_artifact_are_applied_to_cached_answers_too(model, tmp_path, photos):
    rules = {"conformal": SetRule(0.9, 0.0, 40), "novelty": NoveltyRule(0.95, 1.0, 40)}
    model_folder.save(model, tmp_path / "m", class_names=NAMES, run_id="lab", card="", **rules)
    predictor = Predictor(tmp_path / "m")
    for cached in (False, True):
        found = predictor.predict(photos[0], top=1)
        assert set(found.plausible) == set(NAMES)
        assert (found.none_of_these, found.cached) == (True, cached)


TENTH = float(np.float32(0.1))  # above 0.1: what a float32 probability of 0.1 is


@pytest.mark.parametrize(
    ("plausible_from", "flagged_below", "plausible", "none_of_these"),
    [
        (0.0, 0.0, ("ant", "zebra", "mole", "rat"), False),  # best first, then in label order
        (TENTH, 0.5, ("ant", "zebra", "mole", "rat"), False),  # on the threshold is enough
        (np.nextafter(TENTH, 1), np.nextafter(0.5, 1), ("ant", "zebra", "mole"), True),
        (0.9, 1.0, ("ant",), True),  # the best one is plausible whatever the threshold
    ],
)
def test_thresholds_decide_what_is_plausible_and_what_is_none_of_these(
    shared, photos, monkeypatch, plausible_from, flagged_below, plausible, none_of_these
):
    row = np.array([0.2, 0.5, 0.2, 0.1], "float32")
    known = dataclasses.replace(
        shared.artifact, contract=shared.artifact.contract | {"class_names": [*NAMES, "rat"]}
    )
    monkeypatch.setattr(shared, "artifact", known)
    monkeypatch.setattr(shared._graph, "predict", lambda _: row)
    monkeypatch.setattr(shared, "_set_rule", SetRule(0.9, float(plausible_from), 40))
    monkeypatch.setattr(shared, "_ood_rule", NoveltyRule(0.95, float(flagged_below), 40))
    found = shared.predict(photos[0], top=1)
    assert (found.plausible, found.none_of_these) == (plausible, none_of_these)


@pytest.mark.parametrize(("top", "listed"), [(1, 1), (2, 2), (3, 3), (99, 3)])
def test_top_says_how_many_are_listed(shared, photos, top, listed):
    assert len(shared.predict(photos[0], top=top).top) == listed


def test_an_answer_is_ready_for_json(shared, photos):
    assert json.loads(json.dumps(shared.predict(photos[0]).to_json()))["cached"] is False


def test_a_cached_answer_is_the_fresh_one(predictor, photos):
    fresh = [predictor.predict(photo) for photo in photos]
    again = [predictor.predict(photo) for photo in photos]
    assert not any(one.cached for one in fresh)
    assert all(one.cached for one in again)
    assert [fields(one) for one in again] == [fields(one) for one in fresh]
    stats = predictor.cache.stats()
    assert (stats.hits, stats.misses) == (5, 5)
    assert len(predictor.predict(photos[0], top=1).top) == 1  # the cache holds all classes


def test_a_cached_answer_runs_no_model(predictor, photos, monkeypatch):
    predictor.predict(photos[0])
    monkeypatch.setattr(predictor, "_graph", None)
    assert predictor.predict(photos[0]).cached


def test_no_cache_caches_nothing(shared, photos):
    assert not any(shared.predict(photos[0]).cached for _ in range(2))


def test_pixels_are_what_the_decoder_gives(shared, photos):
    for photo in photos:
        found = shared.pixels(photo)
        assert (found.dtype, found.shape) == (np.uint8, (16, 16, 3))
        assert np.array_equal(found, images.decode(photo, 16))


def test_bad_images_are_refused_with_a_code(shared, photos):
    for content, code in (
        (b"", "empty"),
        (b"<html>", "unknown_format"),
        (photos[3][: len(photos[3]) // 2], "corrupt"),
    ):
        for ask in (shared.pixels, shared.predict):
            with pytest.raises(ImageRejected) as caught:
                ask(content)
            assert caught.value.code == code


@pytest.mark.parametrize("wrong", ["photo.jpg", None, np.zeros(3, "uint8")])
def test_only_bytes_are_taken(shared, wrong):
    for ask in (shared.pixels, shared.predict, lambda given: shared.predict_many([given])):
        with pytest.raises(InputError, match="expected the bytes of an image file"):
            ask(wrong)


def test_a_list_of_no_class_is_refused(shared, photos):
    with pytest.raises(InputError, match="top=0"):
        shared.predict(photos[0], top=0)


def test_many_are_answered_in_order_and_a_bad_one_harms_no_other(shared, photos):
    contents = [photos[0], b"bad", *photos[1:], b""]
    found = shared.predict_many(contents, top=2)
    assert [getattr(one, "code", None) for one in found] == [
        None, "unknown_format", None, None, None, None, "empty",
    ]  # fmt: skip
    for content, answer in zip(contents, found, strict=True):
        if isinstance(answer, Prediction):
            single = shared.predict(content, top=2)
            assert answer.sha256 == single.sha256
            assert answer.probability == pytest.approx(single.probability, abs=1e-6)
            assert len(answer.top) == 2


def test_none_are_answered_with_none(shared):
    assert shared.predict_many([]) == []
    assert [type(one) for one in shared.predict_many([b"", b"x"])] == [ImageRejected] * 2


def test_many_run_in_batches_and_each_image_once(predictor, photos, monkeypatch):
    sizes = []
    run = predictor._graph.probabilities
    monkeypatch.setattr(
        predictor._graph,
        "probabilities",
        lambda pixels: (sizes.append(len(pixels)), run(pixels))[1],
    )
    found = predictor.predict_many(photos * 10)
    assert sizes == [5]
    assert [one.sha256 for one in found] == [hashlib.sha256(p).hexdigest() for p in photos * 10]
    assert [one.cached for one in found] == [False] * BATCH_SIZE + [True] * (50 - BATCH_SIZE)
    assert predictor.cache.stats().misses == 5


def test_the_rules_mean_what_the_evaluation_means_by_them(shared, photos, monkeypatch):
    draw = np.random.default_rng(7)
    for _ in range(50):
        row = draw.choice(np.float32([0.1, 0.2, 0.3, 0.4]), 3)  # many equal ones
        thresholds = draw.choice(row, 2).astype("float64") + draw.choice([-1e-9, 0, 1e-9], 2)
        set_rule = SetRule(0.9, float(thresholds[0]), 9)
        novelty_rule = NoveltyRule(0.9, float(thresholds[1]), 9)
        monkeypatch.setattr(shared._graph, "predict", lambda _, row=row: row)
        monkeypatch.setattr(shared, "_set_rule", set_rule)
        monkeypatch.setattr(shared, "_ood_rule", novelty_rule)
        found = shared.predict(photos[0])
        members = conformal.sets(row[None], set_rule.threshold)[0]
        assert set(found.plausible) == {
            name for name, member in zip(NAMES, members, strict=True) if member
        }
        assert found.none_of_these is bool(
            ood_detection.flagged(row[None], novelty_rule.threshold)[0]
        )


def test_the_time_of_an_answer_is_that_of_its_batch(predictor, photos, monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(module, "perf_counter", lambda: next(clock))
    assert predictor.predict(photos[0]).elapsed_ms == 3000  # asked, run, run done, answered
    assert predictor.predict(photos[0]).elapsed_ms == 1000
    assert predictor.cache.stats().saved_ms == 1000  # the run that the hit was spared
    both = predictor.predict_many(photos[1:3])
    assert [one.elapsed_ms for one in both] == [3000, 4000]
    predictor.predict(photos[1])
    assert predictor.cache.stats().saved_ms == 1500  # its half of a run of two


def test_identical_requests_at_once_run_the_model_once(predictor, photos, monkeypatch):
    ready, runs = threading.Barrier(500), []
    run = predictor._graph.predict

    def slow(content):
        runs.append(content)
        time.sleep(0.05)  # the others come while it runs
        return run(content)

    def ask(_):
        ready.wait()
        return predictor.predict(photos[0])

    monkeypatch.setattr(predictor._graph, "predict", slow)
    with ThreadPoolExecutor(500) as pool:
        found = list(pool.map(ask, range(500)))
    assert len(runs) == 1
    assert len({tuple(fields(one).items()) for one in found}) == 1


def test_an_answer_that_came_meanwhile_is_not_computed_again(predictor, photos, monkeypatch):
    first = predictor.predict(photos[0])
    monkeypatch.setattr(predictor.cache, "get", lambda name: None)  # asked just before
    monkeypatch.setattr(predictor, "_graph", None)
    assert fields(predictor.predict(photos[0])) == fields(first)


def test_a_failure_is_the_askers_own_and_is_not_remembered(predictor, photos, monkeypatch):
    run = predictor._graph.predict

    def fail(content):
        raise MemoryError

    monkeypatch.setattr(predictor._graph, "predict", fail)
    with pytest.raises(MemoryError):
        predictor.predict(photos[0])
    monkeypatch.setattr(predictor._graph, "predict", run)
    assert not predictor.predict(photos[0]).cached


def test_a_refusal_is_shared_and_not_remembered(predictor):
    for _ in range(2):
        assert predictor.predict_many([b"x", b"x"])[1].code == "unknown_format"
    assert predictor.cache.stats().entries == 0


def test_another_predictor_finds_the_answer_on_disk(predictor, saved, photos, tmp_path):
    predictor.cache = Cache(CACHE_BYTES, tmp_path / "answers")
    fresh = predictor.predict(photos[0])
    other = Predictor(saved, cache_folder=tmp_path / "answers")
    found = other.predict(photos[0])
    assert (fresh.cached, found.cached) == (False, True)
    assert fields(found) == fields(fresh)  # to the last bit
    assert other.cache.stats().disk_hits == 1
    assert other.cache.stats().saved_ms > 0


def test_a_damaged_answer_on_disk_is_computed_again(predictor, photos, tmp_path):
    predictor.cache = Cache(0, tmp_path / "answers")
    fresh = predictor.predict(photos[0])
    (entry,) = (tmp_path / "answers").iterdir()
    entry.write_bytes(entry.read_bytes()[:-9])
    found = [predictor.predict(photos[0]) for _ in range(2)]
    assert [one.cached for one in found] == [False, True]
    assert [fields(one) for one in found] == [fields(fresh)] * 2
    assert predictor.cache.stats().disk_faults == 1


@pytest.mark.slow
def test_no_answer_is_stale_across_a_hundred_swaps_of_the_model(
    tmp_path, tiny, photos, monkeypatch
):
    """Two models that answer differently share one cache, and threads never stop asking."""
    served = []
    for number, favourite in enumerate(NAMES[:2]):
        certain = tiny()
        certain.get_layer("answer").kernel.assign(np.zeros((784, 3)))
        certain.get_layer("answer").bias.assign(np.eye(3)[number] * 9)
        model_folder.save(certain, tmp_path / favourite, class_names=NAMES, run_id="lab", card="")
        served.append(Predictor(tmp_path / favourite))
    # Memory forgets: the disk answers.
    served[0].cache = served[1].cache = Cache(3 * ENTRY, tmp_path / "answers")
    current, asked, done = [served[0]], [0] * 4, threading.Event()

    def ask(worker):
        wrong = 0
        while not done.is_set():
            predictor = current[0]
            found = predictor.predict(photos[(worker + asked[worker]) % 5])
            expected = NAMES[served.index(predictor)]
            wrong += (found.label, found.model_id) != (expected, predictor.model_id)
            asked[worker] += 1
        return wrong

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(ask, number) for number in range(4)]
        for number in range(100):
            current[0] = served[number % 2]
            enough = sum(asked) + 12
            while sum(asked) < enough and not any(worker.done() for worker in workers):
                time.sleep(0.001)
        done.set()
        assert sum(worker.result() for worker in workers) == 0
    assert len(list((tmp_path / "answers").iterdir())) == 10


def test_threads_get_the_answers_of_their_own_images(predictor, photos):
    predictor.cache = Cache(3 * ENTRY)  # room for three: entries come and go
    alone = {photo: fields(predictor.predict(photo)) for photo in photos}
    requests = photos * 40
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(predictor.predict, requests))
    assert [fields(one) for one in found] == [alone[photo] for photo in requests]
    stats = predictor.cache.stats()
    assert stats.evictions > 0
    assert stats.bytes <= 3 * ENTRY


def test_a_damaged_model_is_refused(copied):
    (copied / "card.md").write_text("better than it is")
    with pytest.raises(ArtifactDamaged, match=r"card\.md"):
        Predictor(copied)


def test_a_model_that_gives_no_probabilities_is_refused(tmp_path, tiny):
    base = tiny()
    doubled = keras.Model(base.input, keras.layers.Rescaling(2.0, name="twice")(base.output))
    model_folder.save(doubled, tmp_path / "m", class_names=NAMES, run_id="lab", card="")
    with pytest.raises(ArtifactDamaged, match="sum to one"):
        Predictor(tmp_path / "m")
