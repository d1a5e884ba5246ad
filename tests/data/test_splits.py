"""No picture on two sides, fair shares, and a side that no other image can change."""

import numpy as np
import pandas as pd
import pytest

from cnnlab.config import InputError, make_settings
from cnnlab.data import manifest, splits

SETTINGS = make_settings("quick", seed=0)


def table_of(rows):
    """A manifest of accepted images and their pictures.

    From (split, label, name, picture) or (split, label, name, picture, group).
    """
    files = pd.DataFrame(
        [
            {
                "path": "/".join(part for part in (split, label, name) if part),
                "split": split,
                "label": label,
                "status": "accepted",
                "picture": picture,
                "group": "".join(group),
            }
            for split, label, name, picture, *group in rows
        ]
    ).sort_values("path", ignore_index=True)
    pictures = files.set_index("path")["picture"]
    return files.reindex(columns=manifest.COLUMNS, fill_value=""), pictures


def distinct(counts, split=""):
    """Rows of distinct images: counts is label → number."""
    return [
        (split, label, f"{i:04}.jpg", f"{split}{label}{i}")
        for label, count in counts.items()
        for i in range(count)
    ]


def assign(rows, settings=SETTINGS):
    return splits.assign(*table_of(rows), settings)


def sides(table):
    return dict(zip(table["path"], table["split"], strict=True))


def counts(table, split):
    return table[table["split"] == split]["label"].value_counts().to_dict()


def test_the_table_has_one_row_per_accepted_image_in_order():
    files, pictures = table_of(distinct({"cat": 10, "dog": 10}))
    refused = files.iloc[[0, 5]].assign(path=["cat/bad.jpg", "notes.txt"], status="quarantined")
    both = pd.concat([files, refused], ignore_index=True)
    table = splits.assign(both, pictures, SETTINGS)
    assert list(table.columns) == splits.COLUMNS
    assert list(table["path"]) == list(files["path"])
    assert list(table["picture"]) == list(pictures)
    pd.testing.assert_frame_equal(table, splits.assign(files, pictures, SETTINGS))


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5])
def test_the_shares_are_those_of_independent_draws(fraction):
    """Over seeds, counts have the mean and the spread of the binomial distribution."""
    size, seeds = 400, 25
    found = np.zeros((seeds, 2))
    for seed in range(seeds):
        settings = make_settings(
            "quick", seed=seed, validation_fraction=fraction, test_fraction=fraction
        )
        table = assign(distinct({"cat": size, "dog": 3}), settings)
        found[seed] = [counts(table, split)["cat"] for split in ("test", "validation")]
    for column, share in zip(found.T, (fraction, (1 - fraction) * fraction), strict=True):
        spread = np.sqrt(size * share * (1 - share))
        assert np.abs(column - size * share).max() <= 4.5 * spread
        assert abs(column.mean() - size * share) <= 4 * spread / np.sqrt(seeds)
        assert 0.5 * spread <= column.std() <= 1.5 * spread


@pytest.mark.parametrize("size", [3, 4, 5, 8])
@pytest.mark.parametrize("seed", range(8))
def test_every_side_of_a_small_class_has_an_image(size, seed):
    table = assign(distinct({"cat": size, "dog": 100}), make_settings("quick", seed=seed))
    sides_of_cat = table.loc[table["label"] == "cat", "split"]
    assert set(sides_of_cat) == {"train", "validation", "test"}


def test_folders_are_kept_and_only_what_is_missing_is_drawn():
    three = [
        row
        for split, n in (("train", 10), ("validation", 3), ("test", 4))
        for row in distinct({"cat": n, "dog": n}, split)
    ]
    table = assign(three)
    assert all(path.startswith(split) for path, split in sides(table).items())
    without_validation = [row for row in three if row[0] != "validation"]
    table = assign(without_validation)
    assert counts(table, "test") == {"cat": 4, "dog": 4}
    assert all(1 <= n <= 9 for n in counts(table, "validation").values())
    without_test = [row for row in three if row[0] != "test"]
    table = assign(without_test)
    assert counts(table, "validation") == {"cat": 3, "dog": 3}
    assert all(1 <= n <= 9 for n in counts(table, "test").values())
    assert set(table[table["split"] == "test"]["path"].str.split("/").str[0]) == {"train"}


def base():
    """Training, validation and test folders of two classes."""
    return [
        row
        for split, n in (("train", 10), ("validation", 4), ("test", 4))
        for row in distinct({"cat": n, "dog": n}, split)
    ]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (("train", "cat", "z.jpg", "testcat0"), {"train/cat/z.jpg": "copy_of_test"}),
        (("train", "dog", "z.jpg", "testcat0"), {"train/dog/z.jpg": "copy_of_test"}),
        (("validation", "cat", "z.jpg", "testcat0"), {"validation/cat/z.jpg": "copy_of_test"}),
        (("train", "cat", "z.jpg", "validationcat0"), {"train/cat/z.jpg": "copy_of_validation"}),
        (("train", "cat", "z.jpg", "traincat0"), {"train/cat/z.jpg": "duplicate"}),
        (("train", "cat", "0.jpg", "traincat0"), {"train/cat/0000.jpg": "duplicate"}),
        (("validation", "cat", "z.jpg", "validationcat0"), {"validation/cat/z.jpg": "duplicate"}),
        (
            ("train", "dog", "z.jpg", "traincat0"),
            {"train/cat/0000.jpg": "label_conflict", "train/dog/z.jpg": "label_conflict"},
        ),
        (("test", "cat", "z.jpg", "testcat0"), {}),  # the test folder is never changed
    ],
)
def test_a_copy_is_excluded_with_the_right_reason(extra, expected):
    table = assign([*base(), extra])
    excluded = table[table["split"] == "excluded"]
    assert dict(zip(excluded["path"], excluded["reason"], strict=True)) == expected
    assert set(table.loc[table["split"] != "excluded", "reason"]) == {""}


@pytest.mark.parametrize("layout", [("",), ("train", "test"), ("train", "validation", "test")])
@pytest.mark.parametrize("seed", range(10))
def test_no_picture_is_ever_on_two_sides(layout, seed):
    rng = np.random.default_rng(seed)

    def group(own):
        return str(rng.integers(150)) if rng.random() < 0.7 else own

    rows = [
        (split, label, f"{i:03}.jpg", group(f"{label}{i}"))
        for label in ("cat", "dog", "owl")
        for split in layout
        for i in range(60)
    ]
    rows += [(split, label, "own.jpg", f"{split}/{label}/own") for label in ("cat", "dog", "owl")
             for split in layout]  # fmt: skip
    table = assign(rows, make_settings("quick", seed=seed))
    used = table[table["split"] != "excluded"]
    assert (used.groupby("picture")["split"].nunique() == 1).all()
    drawn = used if layout == ("",) else used[used["split"] != "test"]
    assert drawn["picture"].is_unique
    assert ((table["split"] == "excluded") == (table["reason"] != "")).all()
    # Nothing is lost without need: a picture that was excluded everywhere had a conflict.
    lost = set(table["picture"]) - set(used["picture"])
    assert lost == set(table.loc[table["reason"] == "label_conflict", "picture"])


def test_the_same_seed_gives_the_same_split_and_another_one_does_not():
    rows = distinct({"cat": 100, "dog": 100})
    first = assign(rows)
    pd.testing.assert_frame_equal(first, assign(rows))
    assert sides(first) != sides(assign(rows, make_settings("quick", seed=1)))


def test_names_and_order_of_files_do_not_matter():
    rows = distinct({"cat": 50, "dog": 50})
    renamed = [(s, label, f"{99 - int(n[:4]):04}.jpg", g) for s, label, n, g in rows]
    assert by_picture(assign(rows)) == by_picture(assign(renamed))


def by_picture(table):
    return dict(zip(table["picture"], table["split"], strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_no_image_changes_sides_when_others_are_added(seed):
    """Images of all classes, and exact copies of old ones, in random order and any number."""
    rng = np.random.default_rng(seed)
    rows = distinct({"cat": 300, "dog": 120, "owl": 80})
    rng.shuffle(rows)
    rows = sorted(rows, key=lambda row: int(row[2][:4]) >= 60)  # sixty of each come first
    settings = make_settings("quick", seed=seed)
    before = by_picture(assign(rows[:180], settings))
    for end in sorted(rng.choice(np.arange(181, len(rows)), 8, replace=False)):
        copies = [(split, label, f"{rng.integers(10**9)}.jpg", group)
                  for split, label, _, group in rows[: rng.integers(1, 50)]]  # fmt: skip
        table = assign([*rows[:end], *copies], settings)
        after = by_picture(table[table["split"] != "excluded"])
        assert before.items() <= after.items()
        before = after


@pytest.mark.parametrize("seed", range(4))
def test_a_small_class_only_fills_what_would_be_empty(seed):
    """Among five hundred an image stands where its own number puts it; so it soon does alone."""
    settings = make_settings("quick", seed=seed)
    rows = distinct({"cat": 500, "dog": 3})
    own = by_picture(assign(rows, settings))
    for size in (*range(3, 12), 16, 22, 30, 42, 60):
        found = by_picture(assign([*rows[:size], *rows[-3:]], settings))
        filled = {side for side in splits.SPLITS[:3]
                  if not any(own[group] == side for *_, group in rows[:size])}  # fmt: skip
        moved = [group for *_, group in rows[:size] if found[group] != own[group]]
        assert bool(moved) == bool(filled)
        assert len(moved) <= 2
    assert not filled  # of sixty images


def test_a_class_does_not_depend_on_the_others():
    alone = sides(assign(distinct({"cat": 50, "dog": 10})))
    with_more = sides(assign(distinct({"cat": 50, "dog": 10, "owl": 30})))
    assert alone == {path: with_more[path] for path in alone}


@pytest.mark.parametrize(
    "rows",
    [
        distinct({"cat": 10, "tiny": 1}),
        distinct({"cat": 10, "tiny": 2}),  # one for the test, none for validation
        [*distinct({"cat": 10}), *[("", "tiny", f"{i}.jpg", "same") for i in range(9)]],
        [*distinct({"cat": 10, "tiny": 1}, "train"), *distinct({"cat": 5, "tiny": 5}, "test")],
        [*distinct({"cat": 10, "tiny": 5}, "train"), *distinct({"cat": 5}, "test")],
    ],
)
def test_a_class_that_is_too_small_is_named(rows):
    with pytest.raises(InputError, match="'tiny'"):
        assign(rows)


def test_all_classes_that_lack_images_are_named():
    held = [*distinct({"cat": 9, "dog": 9}, "train"), *distinct({"dog": 2}, "test")]
    held += distinct({"ant": 3}, "train")
    with pytest.raises(InputError) as caught:
        assign(held)
    assert str(caught.value) == (
        "Class 'ant' has no usable image for test: 3 accepted, 0 of them excluded as copies. "
        "Add distinct images of it. Nor is there one of 'cat' for test."
    )


def test_a_class_whose_images_were_all_refused_is_named():
    files, pictures = table_of(distinct({"cat": 10, "dog": 10}))
    refused = files.iloc[[0]].assign(path="owl/a.jpg", label="owl", status="quarantined")
    with pytest.raises(InputError, match="'owl'"):
        splits.assign(pd.concat([files, refused], ignore_index=True), pictures, SETTINGS)


def test_pictures_of_another_manifest_are_refused():
    files, pictures = table_of(distinct({"cat": 10, "dog": 10}))
    with pytest.raises(InputError, match="pictures"):
        splits.assign(files, pictures.iloc[1:], SETTINGS)


def test_written_and_read_back_it_is_the_same(tmp_path):
    table = assign(distinct({"NA": 10, 'quo"ted, name': 10}))
    splits.write(table, tmp_path / "splits.csv")
    pd.testing.assert_frame_equal(splits.read(tmp_path / "splits.csv"), table)


def test_a_split_of_an_earlier_version_is_read(tmp_path):
    (tmp_path / "splits.csv").write_text(
        "path,label,split,group,reason\na,cat,train,00f1,\nb,cat,excluded,00f1,duplicate\n"
    )
    table = splits.read(tmp_path / "splits.csv")
    assert list(table.columns) == splits.COLUMNS
    assert list(table["picture"]) == list(splits.units(table)) == ["00f1", "00f1"]
    assert list(table["group"]) == ["", ""]


@pytest.mark.parametrize(
    "content", [None, "", "a,b\n1,2\n", "path,label,split,group,reason\na,b,elsewhere,c,\n"]
)
def test_what_is_no_split_is_refused(tmp_path, content):
    path = tmp_path / "splits.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match="split"):
        splits.read(path)
