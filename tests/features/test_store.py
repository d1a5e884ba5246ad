"""Features are those of the network, computed once, whole or not at all, and verified."""

import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_pictures

from cnnlab import augment, models
from cnnlab.config import InputError
from cnnlab.config.augmentation import AugmentationSettings
from cnnlab.data.batches import SealedTestSet
from cnnlab.features import store
from cnnlab.features.store import BATCH, open_features

ROWS = np.arange(75)  # two batches of 32 and a part; the test set begins behind them


@pytest.fixture(scope="module")
def dataset():
    return small_pictures.pictures()


@pytest.fixture(scope="module")
def body():
    return models.body(small_pictures.network())


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "deep" / "features"


def entries(cache):
    return sorted(path.name for path in cache.glob("*.npy"))


def never(*_):
    raise AssertionError("computed again")


def test_they_are_what_the_body_gives(dataset, body, cache):
    found = open_features(body, dataset, ROWS, cache=cache)
    assert (found.dtype, found.shape) == (np.float32, (75, 8))
    given = body(dataset.pixels[ROWS].astype(np.float32), training=False).numpy()
    np.testing.assert_allclose(found, given, atol=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 0


def test_a_second_opening_computes_nothing(dataset, body, cache, monkeypatch):
    first = np.array(open_features(body, dataset, ROWS, cache=cache))
    monkeypatch.setattr(store, "_compute", never)
    np.testing.assert_array_equal(open_features(body, dataset, ROWS, cache=cache), first)
    assert not list(cache.glob("*.part"))


def test_an_image_has_the_same_bits_in_any_row(dataset, body, cache):
    order = np.random.default_rng(0).permutation(ROWS)
    first = open_features(body, dataset, ROWS, cache=cache)
    np.testing.assert_array_equal(open_features(body, dataset, order, cache=cache), first[order])


def test_test_images_are_refused_until_they_are_opened(dataset, body, cache):
    with pytest.raises(SealedTestSet):
        open_features(body, dataset, np.array([0, 80]), cache=cache)
    opened = replace(dataset, test_open=True)
    assert open_features(body, opened, np.array([0, 80]), cache=cache).shape == (2, 8)


@pytest.mark.slow
def test_whatever_decides_a_feature_names_the_entry(dataset, body, cache):
    brighter = dataset.pixels.copy()
    brighter[3, 0, 0, 0] ^= 1
    other = models.body(small_pictures.network(seed=1))
    varied = {"view": 1, "augmentation": AugmentationSettings()}
    for n, (one, data, rows, options) in enumerate(
        [
            (body, dataset, ROWS, {}),
            (other, dataset, ROWS, {}),
            (body, replace(dataset, pixels=brighter), ROWS, {}),
            (body, dataset, ROWS[:40], {}),
            (body, dataset, ROWS, varied),
            (body, dataset, ROWS, varied | {"view": 2}),
            (body, dataset, ROWS, varied | {"seed": 1}),
            (body, dataset, ROWS, varied | {"augmentation": AugmentationSettings(flip=False)}),
            (body, dataset, ROWS, {"origin": {"cores": 3}}),
        ],
        start=1,
    ):
        open_features(one, data, rows, cache=cache, **options)
        assert len(entries(cache)) == n, options


def test_a_view_is_what_the_augmentation_of_that_epoch_makes(dataset, body, cache):
    chosen = AugmentationSettings(rotation=40)
    found = open_features(body, dataset, ROWS[:5], cache=cache, view=2, augmentation=chosen, seed=7)
    seen = augment.transform(chosen, seed=7, epoch=2)(dataset.pixels[:5], ROWS[:5])
    np.testing.assert_allclose(found, body(seen, training=False).numpy(), atol=1e-5)
    plain = open_features(body, dataset, ROWS[:5], cache=cache)
    assert np.abs(found - plain).max() > 1e-3


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("ending", "harm"),
    [(".npy", flip_a_bit), (".npy", cut), (".json", cut), (".json", Path.unlink)],
)
def test_a_damaged_entry_is_computed_anew(dataset, body, cache, ending, harm):
    first = np.array(open_features(body, dataset, ROWS, cache=cache))
    (file,) = cache.glob(f"*{ending}")
    harm(file)
    np.testing.assert_array_equal(open_features(body, dataset, ROWS, cache=cache), first)


@pytest.mark.parametrize("most", [600, 1500])  # bytes: less than one batch, and than two
def test_a_full_disk_is_said_in_one_line_and_gone_on_from(dataset, body, cache, tmp_path, most):
    expected = np.array(open_features(body, dataset, ROWS, cache=tmp_path / "other"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
    try:
        with pytest.raises(InputError, match=r"Cannot write features in .*: File too large"):
            open_features(body, dataset, ROWS, cache=cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    np.testing.assert_array_equal(open_features(body, dataset, ROWS, cache=cache), expected)
    assert not list(cache.glob("*.part"))


class StoppedError(Exception):
    """Stands for the end of a process."""


@pytest.mark.parametrize("harm", [lambda file: None, cut, flip_a_bit])
def test_what_was_computed_before_an_end_is_used_as_far_as_it_is_whole(
    dataset, body, cache, tmp_path, monkeypatch, harm
):
    expected = np.array(open_features(body, dataset, ROWS, cache=tmp_path / "other"))
    real, calls = store._runner, []

    def runner(after):
        def make(*given):
            run = real(*given)

            def counted(*batch):
                if len(calls) == after:
                    raise StoppedError
                calls.append(1)
                return run(*batch)

            return counted

        return make

    monkeypatch.setattr(store, "_runner", runner(after=2))
    with pytest.raises(StoppedError):
        open_features(body, dataset, ROWS, cache=cache)
    assert entries(cache) == []
    (part,) = cache.glob("*.part")
    harm(part)  # the second batch: the first stays
    calls.clear()
    monkeypatch.setattr(store, "_runner", runner(after=-1))
    np.testing.assert_array_equal(open_features(body, dataset, ROWS, cache=cache), expected)
    assert len(calls) == (2 if harm in (cut, flip_a_bit) else 1)
    assert not part.exists()


# Computes features, and says so after each batch.
CHILD = """
import pathlib, sys, time
import numpy as np
import small_pictures
from cnnlab import models
from cnnlab.features import store

real = store._runner

def runner(*given):
    run = real(*given)
    def told(*batch):
        found = run(*batch)
        print("batch", flush=True)
        time.sleep(float(sys.argv[2]))
        return found
    return told

store._runner = runner
store.open_features(
    models.body(small_pictures.network()), small_pictures.pictures(), np.arange(75),
    cache=pathlib.Path(sys.argv[1]),
)
print("done", flush=True)
"""


def child(cache: Path, pause: float) -> subprocess.Popen:
    paths = os.pathsep.join([str(Path(small_pictures.__file__).parent), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(cache), str(pause)],
        env=os.environ | {"PYTHONPATH": paths}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_a_killed_process_is_gone_on_from_with_the_same_bits(
    cache, dataset, body, tmp_path, monkeypatch
):
    with child(cache, pause=0.3) as killed:
        assert [killed.stdout.readline() for _ in range(2)] == ["batch\n"] * 2
        killed.send_signal(signal.SIGKILL)  # the first batch is written by now
    assert entries(cache) == []
    (part,) = cache.glob("*.part")
    assert part.stat().st_size >= BATCH * 8 * 4
    real, computed = store._runner, []

    def runner(*given):
        run = real(*given)
        return lambda *batch: computed.append(1) or run(*batch)

    monkeypatch.setattr(store, "_runner", runner)
    found = open_features(body, dataset, ROWS, cache=cache)
    assert len(computed) in (1, 2)
    whole = open_features(body, dataset, ROWS, cache=tmp_path / "other")
    np.testing.assert_array_equal(found, whole)
    assert entries(cache) == entries(tmp_path / "other")


@pytest.mark.slow
def test_what_another_process_computes_is_waited_for(cache, dataset, body, monkeypatch):
    monkeypatch.setattr(store, "_compute", never)
    with child(cache, pause=0.3) as other:
        assert other.stdout.readline() == "batch\n"
        found = open_features(body, dataset, ROWS, cache=cache)
        assert list(other.stdout) == ["batch\n"] * 2 + ["done\n"]
    assert found.shape == (75, 8)
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".npy"]
