"""A split that goes on from an earlier one: nothing known changes sides, the test is protected."""

import itertools

import numpy as np
import pandas as pd
import pytest

from cnnlab.config import InputError, make_settings
from cnnlab.data import earlier, manifest, splits

SETTINGS = make_settings("quick", seed=0)


class Folder:
    """Images as rows: (path, content, picture, group); the label is the folder above the file."""

    def __init__(self):
        self.rows = {}

    def add(self, label, names, *, split="", group="", picture=""):
        for name in names:
            path = "/".join(part for part in (split, label, f"{name}.jpg") if part)
            self.rows[path] = (split, label, f"sha-{name}", picture or f"picture-{name}", group)
        return self

    def changed(self, path, **new):
        fields = dict(
            zip(("split", "label", "sha256", "picture", "group"), self.rows[path], strict=True)
        )
        self.rows[path] = tuple((fields | new).values())

    def copy(self):
        other = Folder()
        other.rows = dict(self.rows)
        return other

    def assign(self, before=None, settings=SETTINGS):
        columns = ["path", "split", "label", "sha256", "picture", "group"]
        found = sorted((path, *row) for path, row in self.rows.items())
        files = pd.DataFrame(found, columns=columns).assign(status="accepted")
        pictures = files.set_index("path")["picture"]
        files = files.reindex(columns=manifest.COLUMNS, fill_value="")
        return splits.assign(files, pictures, settings, before)

    def of(self, table, older=None):
        return earlier.of(table, {path: row[2] for path, row in self.rows.items()}, older)


def names(start, stop):
    return [f"{number:03}" for number in range(start, stop)]


def sides(table):
    return dict(zip(table["path"], table["split"], strict=True))


def reasons(table):
    return dict(zip(table["path"], table["reason"], strict=True))


@pytest.fixture
def old():
    return Folder().add("cat", names(0, 40)).add("dog", names(100, 140))


@pytest.fixture
def first(old):
    return old.assign()


def one(table, split, label="cat"):
    """The first image of a class on a side: its name."""
    rows = table[(table["split"] == split) & (table["label"] == label)]
    return rows["path"].iloc[0].split("/")[-1].removesuffix(".jpg")


@pytest.mark.parametrize("rule", ["hash", "rank"])
def test_nothing_known_changes_sides_and_new_images_are_drawn(old, rule):
    settings = make_settings("quick", seed=0, split_rule=rule)
    first = old.assign(settings=settings)
    grown = old.copy().add("cat", names(400, 600)).add("ant", names(300, 360))
    second = grown.assign(old.of(first), settings)
    assert {path: sides(second)[path] for path in sides(first)} == sides(first)
    for label in ("cat", "ant"):
        found = second[second["label"] == label]["split"].value_counts(normalize=True)
        assert 0.1 < found["test"] < 0.3
        assert 0.08 < found["validation"] < 0.3
    if rule == "hash":  # the usual rule: the same sides as without an earlier run
        fresh = grown.assign(settings=settings)
        assert sides(fresh) == sides(second)


def test_without_changes_the_split_is_the_same(old, first):
    pd.testing.assert_frame_equal(old.assign(old.of(first)), first)


def test_another_seed_moves_nothing_known(old, first):
    other = make_settings("quick", seed=1, test_fraction=0.5)
    assert sides(old.assign(settings=other)) != sides(first)
    assert sides(old.assign(old.of(first), other)) == sides(first)


def test_a_moved_image_is_known_by_its_content(old, first):
    name = one(first, "test")
    grown = old.copy()
    del grown.rows[f"cat/{name}.jpg"]
    grown.add("dog", [name])  # it was under the wrong label
    assert sides(grown.assign(old.of(first)))[f"dog/{name}.jpg"] == "test"


@pytest.mark.parametrize("side", ["train", "validation", "test"])
def test_an_image_encoded_again_is_known_by_its_path(old, first, side):
    name = one(first, side)
    grown = old.copy()
    grown.changed(f"cat/{name}.jpg", sha256="sha-other", picture="picture-other")
    assert sides(grown.assign(old.of(first)))[f"cat/{name}.jpg"] == side


def test_where_files_were_numbered_anew_contents_decide(old, first):
    """Every image takes the next one's name; what has the freed name is new."""
    grown = Folder()
    for number in range(40):
        grown.add("cat", names(number, number + 1))
    moved = {f"cat/{n + 1:03}.jpg": old.rows[f"cat/{n:03}.jpg"] for n in range(40)}
    grown.rows = {"cat/000.jpg": ("", "cat", "sha-new", "picture-new", "")} | moved
    grown.add("dog", names(100, 140))
    second = sides(grown.assign(old.of(first)))
    before = sides(first)
    assert all(second[f"cat/{n + 1:03}.jpg"] == before[f"cat/{n:03}.jpg"] for n in range(40))
    now = pd.DataFrame(
        {"path": list(grown.rows), "sha256": [row[2] for row in grown.rows.values()]}
    )
    stood = dict(zip(now["path"], old.of(first).stood(now), strict=True))
    assert [path for path, side in stood.items() if not side] == ["cat/000.jpg"]


@pytest.mark.parametrize("side", ["train", "validation", "test"])
def test_of_a_picture_the_known_copy_is_used(old, first, side):
    name = one(first, side)
    grown = old.copy().add("cat", ["!copy"], picture=f"picture-{name}")  # it sorts first
    second = grown.assign(old.of(first))
    assert sides(second)[f"cat/{name}.jpg"] == side
    reason = "copy_of_test" if side == "test" else "duplicate"
    assert reasons(second)["cat/!copy.jpg"] == reason


def test_a_copy_under_another_label_spoils_no_test_image(old, first):
    name = one(first, "test")
    grown = old.copy().add("dog", ["copy"], picture=f"picture-{name}")
    second = grown.assign(old.of(first))
    assert sides(second)[f"cat/{name}.jpg"] == "test"
    assert reasons(second)["dog/copy.jpg"] == "copy_of_test"
    name = one(first, "train")
    grown = old.copy().add("dog", ["copy"], picture=f"picture-{name}")
    second = grown.assign(old.of(first))
    assert reasons(second)[f"cat/{name}.jpg"] == reasons(second)["dog/copy.jpg"] == "label_conflict"


@pytest.mark.parametrize("side", ["validation", "test"])
def test_a_new_near_copy_that_ties_two_sides_excludes_the_weaker_one(old, first, side):
    train, held = one(first, "train"), one(first, side)
    grown = old.copy().add("cat", ["tie"], picture="picture-tied")
    for name in (train, held):
        grown.changed(f"cat/{name}.jpg", picture="picture-tied")
    second = grown.assign(old.of(first))
    assert sides(second)[f"cat/{held}.jpg"] == side
    assert reasons(second)[f"cat/{train}.jpg"] == f"copy_of_{side}"
    assert sides(second)["cat/tie.jpg"] == "excluded"
    others = {path: split for path, split in sides(first).items() if train not in path}
    assert {path: sides(second)[path] for path in others} == others


def test_groups_join_the_side_that_they_have():
    old = Folder()
    for group, label in itertools.product(range(12), ("cat", "dog")):
        old.add(label, [f"{label}{group}-{n}" for n in range(3)], group=f"{label}{group}")
    first = old.assign()
    grown = old.copy()
    for group, label in itertools.product(range(12), ("cat", "dog")):
        grown.add(label, [f"{label}{group}-new"], group=f"{label}{group}")
    second = grown.assign(old.of(first))
    assert {path: sides(second)[path] for path in sides(first)} == sides(first)
    assert second.groupby("group")["split"].nunique().max() == 1
    # Also where all old images of the group are gone.
    lost = {f"cat{group}" for group in range(0, 12, 2)}
    for path in [path for path, row in grown.rows.items() if row[4] in lost and "new" not in path]:
        del grown.rows[path]
    third = sides(grown.assign(old.of(first), make_settings("quick", seed=7)))
    before = sides(first)
    assert all(third[f"cat/{each}-new.jpg"] == before[f"cat/{each}-0.jpg"] for each in lost)


def test_a_group_that_ties_two_sides_leaves_the_test_whole():
    old = Folder()
    for group, label in itertools.product(range(20), ("cat", "dog")):
        old.add(label, [f"{label}{group}-{n}" for n in range(2)], group=f"{label}{group}")
    first = old.assign()
    side = first.drop_duplicates("group").query("label == 'cat'").set_index("split")["group"]
    held, train = (side[[split]].iloc[0] for split in ("test", "train"))
    grown = old.copy()
    for path, row in old.rows.items():
        if row[4] == train:
            grown.changed(path, group=held)
    grown.add("cat", ["joins"], group=held)
    second = grown.assign(old.of(first))
    assert all(sides(second)[path] == "test" for path, row in old.rows.items() if row[4] == held)
    assert all(
        reasons(second)[path] == "group_of_test"
        for path, row in old.rows.items()
        if row[4] == train
    )
    assert sides(second)["cat/joins.jpg"] == "test"


def test_a_folder_of_test_images_takes_no_other():
    old = (
        Folder().add("cat", names(0, 30), split="train").add("dog", names(100, 130), split="train")
    )
    old.add("cat", names(30, 36), split="test").add("dog", names(130, 136), split="test")
    first = old.assign()
    grown = old.copy().add("cat", ["copy"], split="train", picture="picture-030")
    grown.add("cat", ["more"], split="test")
    second = grown.assign(old.of(first))
    assert {path: sides(second)[path] for path in sides(first)} == sides(first)
    assert reasons(second)["train/cat/copy.jpg"] == "copy_of_test"
    assert sides(second)["test/cat/more.jpg"] == "test"
    # What lies in another folder now stays where it stood: a model knows it.
    moved = {"test/cat/030.jpg": "train/cat/030.jpg", "train/cat/000.jpg": "test/cat/000.jpg"}
    for before, after in moved.items():
        grown.rows[after] = grown.rows.pop(before)
    third = grown.assign(old.of(first))
    assert {after: sides(third)[after] for after in moved.values()} == {
        after: sides(first)[before] for before, after in moved.items()
    }


def test_what_was_excluded_stays_with_its_picture(old):
    """The used copy is deleted: the other, which stands under its name now, takes its place."""
    old.add("cat", ["copy"], picture="picture-000")
    first = old.assign()
    assert reasons(first)["cat/copy.jpg"] == "duplicate"
    grown = old.copy()
    del grown.rows["cat/000.jpg"]
    grown.changed("cat/copy.jpg", picture="picture-copy")
    second = grown.assign(old.of(first))
    assert sides(second)["cat/copy.jpg"] == sides(first)["cat/000.jpg"]


def test_images_that_were_away_come_back_to_their_side(old, first):
    name = one(first, "test")
    without = old.copy()
    row = without.rows.pop(f"cat/{name}.jpg")
    second = without.assign(old.of(first))
    again = without.copy()
    again.rows["cat/back.jpg"] = row
    other = make_settings("quick", seed=5, test_fraction=0.05)
    for _ in range(2):
        third = again.assign(without.of(second, old.of(first)), other)
        assert sides(third)["cat/back.jpg"] == "test"


def test_what_a_second_run_left_out_still_has_the_side_of_the_first(old, first):
    name = one(first, "validation")
    disputed = old.copy().add("dog", ["disputed"], picture=f"picture-{name}")
    before = old.of(first)
    second = disputed.assign(before)
    path = f"cat/{name}.jpg"
    assert reasons(second)[path] == "label_conflict"
    before = disputed.of(second, before)
    for seed in range(8):  # one new draw of five would give it the same side
        third = old.assign(before, SETTINGS.replace(seed=seed))
        assert sides(third)[path] == "validation"


def test_a_class_that_lost_a_side_gets_a_new_image_there_or_is_refused(old, first):
    grown = old.copy()
    for path, side in sides(first).items():
        if side == "test" and path.startswith("cat"):
            del grown.rows[path]
    with pytest.raises(
        InputError, match=r"Class 'cat' has no image on one side any more.*new images"
    ):
        grown.assign(old.of(first))
    grown.add("cat", ["one"])
    second = grown.assign(old.of(first))
    assert sides(second)["cat/one.jpg"] == "test"
    assert all(sides(first).get(path, side) == side for path, side in sides(second).items())


def test_it_is_read_as_it_was_written(old, first, tmp_path):
    found = old.of(first)
    earlier.write(found, tmp_path / "sides.csv")
    pd.testing.assert_frame_equal(earlier.read(tmp_path / "sides.csv").images, found.images)
    with pytest.raises(InputError):
        earlier.of(first, {"cat/000.jpg": "sha"})


def test_the_order_of_the_classes():
    assert earlier.ordered(["b", "a", "b"], []) == ["a", "b"]
    assert earlier.ordered(["a", "b", "c", "d"], ["d", "b"]) == ["d", "b", "a", "c"]
    assert earlier.ordered(["a", "d"], ["d", "b"]) == ["d", "a"]


@pytest.mark.slow
def test_no_draw_ever_moves_a_known_image_or_divides_a_unit():
    """Random folders, grown at random: known images stay or are excluded, no unit is divided."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        old = Folder()
        for number in range(60):
            label, group = rng.choice(["cat", "dog"]), rng.choice(["", "", "g1", "g2", "g3", "g4"])
            picture = f"p{rng.integers(50)}"
            old.add(label, [f"{number:03}"], group=group, picture=picture)
        try:
            first = old.assign()
            grown = old.copy()
            for path in rng.choice(sorted(grown.rows), 6, replace=False):
                del grown.rows[path]
            for number in range(60, 90):
                label, group = rng.choice(["cat", "dog"]), rng.choice(["", "", "g1", "g5", "g6"])
                grown.add(label, [f"{number:03}"], group=group, picture=f"p{rng.integers(70)}")
            second = grown.assign(old.of(first))
        except InputError:
            continue
        now = second.set_index("path")["split"]
        for path, was in sides(first).items():
            if was != "excluded" and path in now:
                assert now[path] in (was, "excluded")
                assert was != "test" or now[path] == "test"
        used = second[second["split"] != "excluded"]
        units = splits.units(second)[used.index]
        assert used.groupby(units)["split"].nunique().max() == 1
        assert not used[used["split"] != "test"].duplicated("picture").any()
