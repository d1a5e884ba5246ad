"""Groups that the user declared: on one side, never deduplicated; the classes still everywhere."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from test_splits import assign, base
from test_splits import sides as sides_of

from cnnlab.config import InputError, child_seed, make_settings
from cnnlab.data import sides, splits
from cnnlab.data.batches import Dataset
from cnnlab.evaluation import crossval, intervals
from cnnlab.training.held_out import hold_out


def patients(count, frames=6, labels=("cat", "dog"), split=""):
    """``frames`` distinct images of each class of every patient."""
    return [
        (split, label, f"p{p}-{i}.jpg", f"{label}{p}-{i}", f"p{p}")
        for label in labels
        for p in range(count)
        for i in range(frames)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_no_patient_is_on_two_sides_and_nothing_is_deduplicated(seed):
    table = assign(patients(8), make_settings("quick", seed=seed))
    assert len(table) == 96
    assert set(table["split"]) == {"train", "validation", "test"}
    assert (table.groupby("group")["split"].nunique() == 1).all()
    assert (table.groupby(["label", "split"]).size() > 0).all()
    assert list(splits.units(table)) == list("group/" + table["group"])


@pytest.mark.parametrize("seed", range(5))
def test_neither_folds_nor_a_hold_out_divide_a_patient(seed):
    table = assign(patients(8))
    dataset = Dataset(np.zeros((len(table), 1)), table, ["cat", "dog"])
    for training, held_out in crossval.folds(dataset.labels, dataset.units, 4, seed):
        assert not set(table["group"][training]) & set(table["group"][held_out])
        rest, cut = hold_out(dataset, training, 0.2, seed)
        assert not set(table["group"][rest]) & set(table["group"][cut])
        for side in (held_out, rest, cut):
            assert set(table["label"][side]) == {"cat", "dog"}


def test_a_hold_out_with_every_class_on_both_sides_is_found_or_refused():
    """Class b is in two of six patients; any part that holds neither or both is passed over."""
    groups = np.repeat([f"p{p}" for p in range(6)], 4)
    labels = np.where(np.isin(groups, ["p0", "p1"]) & (np.arange(24) % 4 == 0), "b", "a")
    table = pd.DataFrame({"label": labels, "picture": np.arange(24).astype(str), "group": groups})
    dataset = Dataset(np.zeros((24, 1)), table, ["a", "b"])
    for seed in range(20):
        parts = hold_out(dataset, np.arange(24), 0.2, seed)
        assert all(set(labels[part]) == {"a", "b"} for part in parts)
    odd = {"p0": "ab", "p1": "bc", "p2": "ca"}  # each pair of classes shares one patient
    table = pd.DataFrame([(c, f"{g}{c}", g) for g, both in odd.items() for c in both],
                         columns=["label", "picture", "group"])  # fmt: skip
    dataset = Dataset(np.zeros((6, 1)), table, ["a", "b", "c"])
    with pytest.raises(InputError, match="every class on both sides"):
        hold_out(dataset, np.arange(6), 0.5, 0)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (("train", "cat", "z.jpg", "new", "g"), {"train/cat/z.jpg": "group_of_test"}),
        (("validation", "dog", "z.jpg", "new", "g"), {"validation/dog/z.jpg": "group_of_test"}),
        (("train", "cat", "z.jpg", "new", "v"), {"train/cat/z.jpg": "group_of_validation"}),
        (("train", "cat", "z.jpg", "new", "other"), {}),
        (("train", "cat", "z.jpg", "testcat1", "g"), {"train/cat/z.jpg": "copy_of_test"}),
        # A copy of a test image shows that its whole group stands in the test.
        (("test", "cat", "z.jpg", "traincat5", ""),
         {f"train/cat/000{i}.jpg": "copy_of_test" if i == 5 else "group_of_test"
          for i in (4, 5)}),
    ],
)  # fmt: skip
def test_a_group_of_a_given_folder_is_kept_out_of_the_others(extra, expected):
    rows = [
        (*row, {"testcat0": "g", "validationdog3": "v", "traincat4": "t", "traincat5": "t"}.get(
            row[3], ""))
        for row in base()
    ]  # fmt: skip
    table = assign([*rows, extra])
    excluded = table[table["split"] == "excluded"]
    assert dict(zip(excluded["path"], excluded["reason"], strict=True)) == expected


def test_copies_inside_a_group_and_between_groups_are_still_copies():
    rows = patients(8)
    twin = ("", "cat", "z.jpg", "cat0-0", "p0")
    other = ("", "cat", "y.jpg", "cat1-0", "p2")
    odd = ("", "dog", "x.jpg", "cat3-0", "p4")
    table = assign([*rows, twin, other, odd])
    excluded = table[table["split"] == "excluded"].set_index("path")["reason"].to_dict()
    assert excluded == {
        "cat/z.jpg": "duplicate",
        "cat/y.jpg": "duplicate",
        "cat/p3-0.jpg": "label_conflict",
        "dog/x.jpg": "label_conflict",
    }
    used = table[table["split"] != "excluded"]
    assert (used.groupby("group")["split"].nunique() == 1).all()
    tied = used.groupby("group")["split"].first()
    assert tied["p1"] == tied["p2"]
    assert tied["p3"] == tied["p4"]


def test_units_are_the_connected_parts_named_by_their_first_group():
    rows = [("x", ""), ("y", "b"), ("y", "c"), ("z", "c"), ("z", ""), ("v", "a"), ("w", "")]
    table = pd.DataFrame(rows, columns=["picture", "group"])
    named = ["x", *["group/b"] * 4, "group/a", "w"]
    assert list(splits.units(table)) == named
    shuffled = table.sample(frac=1, random_state=3)
    assert splits.units(shuffled).sort_index().tolist() == named


@pytest.mark.parametrize("seed", range(3))
def test_no_group_changes_sides_when_images_and_groups_are_added(seed):
    settings = make_settings("quick", seed=seed)
    before = sides_of(assign(patients(60, frames=1), settings))
    after = sides_of(assign([*patients(60, frames=4), *patients(90, frames=1)[-30:]], settings))
    assert {path: after[path] for path in before} == before


def test_shares_are_those_of_the_groups():
    """Each group draws once, whatever its size: the number of groups is binomial."""
    found = []
    for seed in range(30):
        table = assign(patients(200, frames=2), make_settings("quick", seed=seed))
        found.append(table.loc[table["split"] == "test", "group"].nunique())
    assert abs(np.mean(found) - 40) < 4 * np.sqrt(200 * 0.2 * 0.8 / 30)
    assert 0.5 < np.std(found) / np.sqrt(200 * 0.2 * 0.8) < 1.5


@pytest.mark.parametrize("seed", range(30))
def test_classes_that_share_groups_are_on_every_side(seed):
    """Cats live in five groups, dogs in five, and one group has both; owls are everywhere."""
    rows = [
        ("", label, f"{g}.jpg", f"{label}{g}", f"g{g}")
        for label, own in (("cat", range(5)), ("dog", range(4, 9)), ("owl", range(9)))
        for g in own
    ]
    table = assign(rows, make_settings("quick", seed=seed))
    assert (table.groupby("group")["split"].nunique() == 1).all()
    assert (table.groupby("label")["split"].nunique() == 3).all()


@pytest.mark.parametrize(
    ("groups", "part"),
    [
        (["a"], "stand in 1 group (a), and a group is never divided"),
        (["b", "a"], "stand in 2 groups (a, b)"),
    ],
)
def test_a_class_in_too_few_groups_is_named_with_them(groups, part):
    tiny = [("", "tiny", f"{i}.jpg", f"t{i}", groups[i % len(groups)]) for i in range(12)]
    with pytest.raises(InputError) as caught:
        assign([*patients(8), *tiny])
    assert "Class 'tiny' is too small to split: its 12 distinct training image(s)" in str(
        caught.value
    )
    assert part in str(caught.value)
    assert "from other groups" in str(caught.value)


def test_classes_whose_groups_cannot_be_divided_are_named():
    """Three classes, each pair of which shares a group that no third one divides."""
    rows = [
        ("train", label, f"{g}.jpg", f"{label}{g}", g)
        for g, both in {"x": "ab", "y": "bc", "z": "ca"}.items()
        for label in both
    ]
    rows += [("test", label, "0.jpg", f"test{label}", "") for label in "abc"]
    with pytest.raises(
        InputError, match=r"Class '\w' cannot stand on every side: it is in 2 groups"
    ):
        assign(rows)


def test_without_groups_a_number_is_that_of_the_picture():
    """Written out from its description, so that no later version moves an image."""
    rows = [("", label, f"{i}.jpg", f"{label}{i}") for label in ("cat", "dog") for i in range(200)]
    table = assign(rows)
    salt = child_seed(0, "split/test")
    for picture, split in zip(table["picture"], table["split"], strict=True):
        number = int.from_bytes(hashlib.sha256(f"{salt}/{picture}".encode()).digest()[:8], "big")
        assert (number / 2**64 < 0.2) == (split == "test")


RANK = make_settings("quick", split_rule="rank")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [5, 7, 40, 41, 100])
def test_rank_gives_exact_shares(size, seed):
    sizes = {"cat": size, "dog": 63}
    rows = [("", label, f"{i}.jpg", f"{label}{i}") for label, n in sizes.items() for i in range(n)]
    table = assign(rows, make_settings("quick", seed=seed, split_rule="rank"))
    counts = table.groupby("label")["split"].value_counts()
    for label, n in sizes.items():
        test = max(1, round(0.2 * n))
        assert counts[label, "test"] == test
        assert counts[label, "validation"] == max(1, round(0.2 * (n - test)))


def test_rank_takes_the_first_of_each_class_by_their_numbers():
    rows = [("", c, f"{i}.jpg", f"{c}{i}") for c in ("cat", "dog") for i in range(40)]
    table = assign(rows, RANK)
    table["number"] = [sides.own_number(child_seed(0, "split/test"), p) for p in table["picture"]]
    for _, members in table.groupby("label"):
        in_test = members["split"] == "test"
        assert members.loc[in_test, "number"].max() < members.loc[~in_test, "number"].min()


@pytest.mark.parametrize("seed", range(20))
def test_rank_divides_patients_evenly_and_never_one_of_them(seed):
    table = assign(patients(10), make_settings("quick", seed=seed, split_rule="rank"))
    counts = table.groupby("split")["group"].nunique()
    assert counts.to_dict() == {"test": 2, "train": 6, "validation": 2}
    assert (table.groupby("group")["split"].nunique() == 1).all()


def mixed(seed):
    """Forty groups of one to three classes, one to eight images of each."""
    rng = np.random.default_rng(seed)
    return [
        ("", label, f"{g}-{i}.jpg", f"{label}{g}-{i}", f"g{g}")
        for g in range(40)
        for label in rng.choice(["cat", "dog", "owl"], rng.integers(1, 4), replace=False)
        for i in range(rng.integers(1, 9))
    ]


@pytest.mark.slow
def test_rank_comes_nearer_to_the_share_with_groups_of_any_size_and_mixture():
    """In images of the class that is farthest from its fifth; a group has up to eight of each."""
    worst = {"hash": [], "rank": []}
    for seed in range(20):
        for rule, found in worst.items():
            table = assign(mixed(seed), make_settings("quick", seed=seed, split_rule=rule))
            assert (table.groupby("group")["split"].nunique() == 1).all()
            assert (table.groupby("label")["split"].nunique() == 3).all()
            in_test = (table["split"] == "test").groupby(table["label"])
            found.append((in_test.sum() - 0.2 * in_test.count()).abs().max())
    assert np.mean(worst["rank"]) < 0.6 * np.mean(worst["hash"])
    assert max(worst["rank"]) < 16


def test_rank_moves_few_when_one_image_is_added():
    rows = [("", c, f"{i}.jpg", f"{c}{i}") for c in ("cat", "dog") for i in range(60)]
    before = sides_of(assign(rows[:-19], RANK))
    for end in range(-18, 0):
        after = sides_of(assign(rows[:end], RANK))
        assert sum(after[path] != side for path, side in before.items()) <= 2
        assert all(after[path] == side for path, side in before.items() if path.startswith("cat"))
        before = after


def test_an_interval_rests_on_patients_where_they_were_declared():
    """Eight patients, of whom two are always wrong: eight votes, not ninety-six."""
    table = assign(patients(8))
    dataset = Dataset(np.zeros((len(table), 1)), table, ["cat", "dog"])
    hits = ~table["group"].isin(["p0", "p1"]).to_numpy()
    by_image = intervals.proportion(hits)
    by_patient = intervals.proportion(hits, groups=dataset.groups(np.arange(len(table))))
    assert by_patient.high - by_patient.low > 2 * (by_image.high - by_image.low)
