"""Every index once per epoch, in an order that the seed and the epoch decide; a sealed test set."""

import dataclasses
import hashlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnnlab import images
from cnnlab.config import InputError, make_settings
from cnnlab.data import batches, manifest, splits
from cnnlab.data.audit import audit
from cnnlab.data.sources.folder_source import FolderSource
from cnnlab.engine import tf

CLASSES = ["cat", "dog", "owl"]
SIZE = 16
COUNT = 50


@pytest.fixture
def dataset():
    """Fifty images; image i is filled with the number i. The last ten are the test set."""
    pixels = np.zeros((COUNT, SIZE, SIZE, 3), np.uint8)
    pixels[:] = np.arange(COUNT, dtype=np.uint8)[:, None, None, None]
    table = pd.DataFrame(
        {
            "path": [f"{i:02}.jpg" for i in range(COUNT)],
            "label": [CLASSES[i % 3] for i in range(COUNT)],
            "split": ["train"] * 30 + ["validation"] * 10 + ["test"] * 10,
            "picture": [str(i) for i in range(COUNT)],
            "group": "",
            "reason": "",
        }
    )
    return batches.Dataset(pixels, table, CLASSES)


def one_epoch(data, indices, *, batch_size=8, seed=0, epoch=1, transform=None):
    return batches.training_batches(
        data, indices, batch_size=batch_size, seed=seed, epoch=epoch, transform=transform
    )


def order(found):
    """The image numbers in the order they come."""
    return [int(pixel) for pixels, _ in found for pixel in pixels[:, 0, 0, 0]]


def test_labels_and_indices_follow_the_table(dataset):
    assert dataset.labels.dtype == np.int64
    assert dataset.labels.tolist() == [i % 3 for i in range(COUNT)]
    assert dataset.indices("train").tolist() == list(range(30))
    assert dataset.indices("validation").tolist() == list(range(30, 40))
    assert dataset.indices("train").dtype == np.int64
    with pytest.raises(InputError, match="'training'"):
        dataset.indices("training")


def test_units_are_the_pictures_until_groups_are_declared(dataset):
    assert dataset.units.tolist() == [str(i) for i in range(COUNT)]
    assert dataset.groups(np.arange(5)) is None
    table = dataset.table.copy()
    table.loc[[3, 4], "group"] = "patient"
    grouped = dataclasses.replace(dataset, table=table)
    assert grouped.groups(np.array([4, 5, 3])).tolist() == ["group/patient", "5", "group/patient"]


def test_the_test_set_is_sealed_until_opened(dataset):
    with pytest.raises(batches.SealedTestSet, match="sealed"):
        dataset.indices("test")
    for make in (one_epoch, lambda d, i: batches.evaluation_batches(d, i, batch_size=4)):
        with pytest.raises(batches.SealedTestSet):
            make(dataset, np.array([0, 45]))
    opened = dataclasses.replace(dataset, test_open=True)
    assert opened.indices("test").tolist() == list(range(40, 50))
    found = batches.evaluation_batches(opened, opened.indices("test"), batch_size=4)
    assert order(found) == list(range(40, 50))


@pytest.mark.parametrize("batch_size", [1, 7, 8, 30, 64])
def test_every_index_comes_once_per_epoch(dataset, batch_size):
    indices = dataset.indices("train")
    found = order(one_epoch(dataset, indices, batch_size=batch_size))
    assert sorted(found) == indices.tolist()
    assert found != indices.tolist()


def test_any_subset_is_a_list_of_indices(dataset):
    subset = np.array([39, 3, 17, 0])
    assert sorted(order(one_epoch(dataset, subset))) == [0, 3, 17, 39]
    assert subset.tolist() == [39, 3, 17, 0]  # not shuffled in place


def test_the_order_depends_on_seed_and_epoch_only(dataset):
    indices = dataset.indices("train")
    first = order(one_epoch(dataset, indices))
    assert first == order(one_epoch(dataset, indices, batch_size=13))
    assert first != order(one_epoch(dataset, indices, epoch=2))
    assert first != order(one_epoch(dataset, indices, seed=1))
    tf.random.set_seed(5)
    np.random.seed(5)  # noqa: NPY002 - other people's global state must not matter
    assert first == order(one_epoch(dataset, indices))


def test_the_shuffle_is_complete(dataset):
    """Of thirty images in order, one from the end can come among the first."""
    first = [order(one_epoch(dataset, np.arange(30), epoch=e).take(1)) for e in range(4)]
    assert max(max(numbers) for numbers in first) >= 20


def test_labels_stay_with_their_images(dataset):
    for pixels, one_hot in one_epoch(dataset, dataset.indices("train")):
        numbers = pixels[:, 0, 0, 0].numpy().astype(int)
        expected = np.eye(3, dtype=np.float32)[numbers % 3]
        np.testing.assert_array_equal(one_hot.numpy(), expected)


def test_the_transform_gets_each_image_with_its_own_index(dataset):
    def mark(pixels, indices):
        assert pixels.dtype == tf.uint8
        assert indices.dtype == tf.int64
        same = tf.cast(pixels[:, 0, 0, 0], tf.int64) == indices
        return tf.cast(tf.where(same, 200, 0)[:, None, None, None], tf.float32) * tf.ones(
            tf.shape(pixels)
        )

    found = order(one_epoch(dataset, dataset.indices("train"), transform=mark))
    assert found == [200] * 30


def test_both_kinds_of_batches_have_the_same_static_element(dataset):
    spec = (
        tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32),
        tf.TensorSpec((None, 3), tf.float32),
    )
    indices = dataset.indices("train")
    for found in (
        one_epoch(dataset, indices),
        one_epoch(dataset, indices, transform=lambda pixels, _: pixels / 2),
        batches.evaluation_batches(dataset, indices, batch_size=8),
    ):
        assert found.element_spec == spec
        assert int(found.cardinality()) == 4


def test_a_transform_that_changes_the_size_is_an_error(dataset):
    with pytest.raises(ValueError, match="shape"):
        one_epoch(dataset, np.arange(4), transform=lambda pixels, _: pixels[:, ::2])


def test_evaluation_keeps_the_order_and_the_pixels(dataset):
    indices = np.array([5, 39, 2, 2, 30])
    found = list(batches.evaluation_batches(dataset, indices, batch_size=2))
    pixels = np.concatenate([batch[0] for batch in found])
    np.testing.assert_array_equal(pixels, dataset.pixels[indices].astype(np.float32))
    assert [len(batch[0]) for batch in found] == [2, 2, 1]


def test_batches_can_be_read_again(dataset):
    found = one_epoch(dataset, dataset.indices("train"))
    assert order(found) == order(found)


@pytest.mark.parametrize("indices", [[], [-1], [COUNT]])
def test_indices_out_of_range_are_refused(dataset, indices):
    with pytest.raises(InputError, match="indices"):
        batches.evaluation_batches(dataset, np.array(indices, np.int64), batch_size=2)


@pytest.mark.slow
def test_a_folder_becomes_a_dataset(tmp_path):
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for i in range(6):
            coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
            coarse.resize((60, 40)).save(tmp_path / "pictures" / label / f"{i}.jpg")
    first = tmp_path / "pictures" / "cat" / "0.jpg"
    (tmp_path / "pictures" / "cat" / "copy.jpg").write_bytes(first.read_bytes())
    source = FolderSource("pictures", tmp_path / "pictures")
    settings = make_settings("quick", image_size=24)
    files = manifest.build(source)
    table = splits.assign(files, audit.pictures(files, source), settings)
    data = batches.open_dataset(
        table,
        source,
        settings,
        contents=dict(zip(files["path"], files["sha256"], strict=True)),
        cache=tmp_path / "cache",
    )
    assert data.class_names == ["cat", "dog"]
    assert len(data.table) == len(data.pixels) == len(data.labels) == 12
    assert "cat/copy.jpg" not in set(data.table["path"])
    assert not data.test_open
    for i, path in enumerate(data.table["path"]):
        content = (source.root / path).read_bytes()
        np.testing.assert_array_equal(data.pixels[i], images.decode(content, 24))
        assert data.class_names[data.labels[i]] == path.split("/")[0]
    sides = [dataclasses.replace(data, test_open=True).indices(s) for s in splits.SPLITS[:3]]
    assert sorted(np.concatenate(sides).tolist()) == list(range(12))


def test_an_excluded_copy_still_ties_two_groups(tmp_path):
    """The copy in group b is left out, and what is left of b stays with a."""
    rows = [("x", "a", ""), ("x", "b", "duplicate"), ("y", "b", ""), ("z", "", "")]
    table = pd.DataFrame(
        [
            (f"{i}.png", "cat", "excluded" if reason else "train", picture, group, reason)
            for i, (picture, group, reason) in enumerate(rows)
        ],
        columns=splits.COLUMNS,
    )
    contents = {}
    for i, path in enumerate(table["path"]):
        Image.new("RGB", (20, 20), (9 * i, 0, 0)).save(tmp_path / path)
        contents[path] = hashlib.sha256((tmp_path / path).read_bytes()).hexdigest()
    (tmp_path / "cat").mkdir()
    (tmp_path / "dog").mkdir()
    for label in ("cat", "dog"):
        (tmp_path / label / "any.png").touch()
    source, settings = FolderSource("pictures", tmp_path), make_settings("quick")
    cache = tmp_path / "cache"
    data = batches.open_dataset(table, source, settings, contents=contents, cache=cache)
    assert data.units.tolist() == ["group/a", "group/a", "z"]


def test_what_concerns_several_images_of_a_batch_has_targets_and_rows(dataset):
    """Each image and target becomes the mean of its own and the next one's of the batch."""

    def mix(images, targets, rows):
        shifted = (tf.roll(each, -1, axis=0) for each in (images, targets))
        pairs = zip((images, targets), shifted, strict=True)
        images, targets = ((own + other) / 2 for own, other in pairs)
        return images + tf.cast(rows, tf.float32)[:, None, None, None], targets

    rows = dataset.indices("train")
    options = {"batch_size": 8, "seed": 0, "epoch": 1}
    plain = batches.training_batches(dataset, rows, **options)
    mixed = batches.training_batches(dataset, rows, mix=mix, **options)
    assert mixed.element_spec == plain.element_spec
    for (own, targets), (found, shares) in zip(plain, mixed, strict=True):
        own, targets = own.numpy(), targets.numpy()  # image i is filled with i
        np.testing.assert_array_equal(found, own + (own + np.roll(own, -1, axis=0)) / 2)
        np.testing.assert_array_equal(shares, (targets + np.roll(targets, -1, axis=0)) / 2)


def test_a_smaller_size_is_reduced_before_it_is_transformed(dataset):
    """Blocks of 2 × 2 pixels with values i, i, i and i + 3 have the mean i + 0.75, about i + 1."""
    pixels = dataset.pixels.copy()
    pixels[:, 1::2, 1::2] += 3
    small = dataclasses.replace(dataset, pixels=pixels)
    seen = []

    def transform(images, rows):
        seen.append((images.dtype, tuple(images.shape)))
        return images

    found = batches.training_batches(
        small, dataset.indices("train"), batch_size=30, seed=0, epoch=1, image_size=SIZE // 2,
        transform=transform,
    )  # fmt: skip
    assert seen == [(tf.uint8, (None, SIZE // 2, SIZE // 2, 3))]
    ((reduced, _),) = found
    assert reduced.shape == (30, SIZE // 2, SIZE // 2, 3)
    values = reduced.numpy()[:, 0, 0, 0]
    assert (reduced.numpy() == values[:, None, None, None]).all()
    assert sorted(values) == list(range(1, 31))


def test_a_split_without_images_is_refused(tmp_path):
    table = pd.DataFrame([("a", "cat", "excluded", "g", "", "duplicate")], columns=splits.COLUMNS)
    source = FolderSource("pictures", tmp_path)
    with pytest.raises(InputError, match="no image"):
        batches.open_dataset(table, source, make_settings("quick"), contents={}, cache=tmp_path)


def test_a_split_of_images_that_the_manifest_does_not_list_is_refused(tmp_path):
    table = pd.DataFrame([("a", "cat", "train", "g", "", "")], columns=splits.COLUMNS)
    source = FolderSource("pictures", tmp_path)
    with pytest.raises(InputError, match="names a and the manifest does not"):
        batches.open_dataset(table, source, make_settings("quick"), contents={}, cache=tmp_path)
