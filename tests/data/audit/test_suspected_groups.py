"""Groups that nobody declared: when they are suspected, and how to declare or dismiss them."""

import os
import random
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnnlab.config import InputError, make_settings
from cnnlab.data.audit import group_advice, suspected_groups, taken
from cnnlab.data.audit.suspected_groups import Suspicion
from cnnlab.data.sources import groups

QUICK = make_settings("quick")
PATIENTS = {
    f"{label}/patient{p:02}_{f:03}.png": label
    for label in ("ill", "well")
    for p in range(8)
    for f in range(3)
}


def folders(names, each, labels=("ill", "well"), below=""):
    return {
        f"{label}/{name}/{below}{n:02}.png": label
        for label in labels
        for name in names
        for n in range(each)
    }


@pytest.mark.parametrize(
    ("labels", "count"),
    [
        (folders([f"patient{p}" for p in range(8)], 3), 8),
        (folders([f"patient{p}" for p in range(8)], 3, below="first/"), 8),
        (folders([f"patient{p}" for p in range(4)], 200), 4),  # large, but numbered
        (folders(["anna", "bob", "carl"], 5), 3),
        (folders(["a", "b", "c"], 5) | {f"ill/{n}.png": "ill" for n in range(9)}, 3),
        ({f"train/{path}": label for path, label in folders("abcd", 5).items()}, 4),
        # A table gives the labels: each patient's folder holds both classes.
        ({f"scans/p{p}/{n}.png": ("ill", "well")[n % 2] for p in range(5) for n in range(6)}, 5),
    ],
)
def test_sub_folders_of_classes_are_groups_that_the_pattern_declares(labels, count):
    found = suspected_groups.by_folders(labels)
    assert found is not None
    assert len(set(found.groups.values())) == count
    captured = groups.by_pattern(found.pattern, list(labels))
    assert {path: captured[path] for path in found.groups} == found.groups
    assert not any(captured.get(path) for path in set(labels) - set(found.groups))


@pytest.mark.parametrize(
    "labels",
    [
        {f"{label}/{n}.png": label for label in "ab" for n in range(50)},
        folders(["images"], 50),
        folders(["batch1", "batch2"], 50),
        folders(["poodle", "beagle", "boxer", "collie"], 150),  # kinds, not groups
        folders("abc", 2) | {f"ill/{n}.png": "ill" for n in range(50)},  # most lie elsewhere
        {f"all/{n}.png": "ab"[n % 2] for n in range(50)},  # a table's
        {f"{['cat', 'dog', 'cow'][n % 3]}s/{n}.png": ["cat", "dog", "cow"][n % 3]
         for n in range(60)},  # a table's, whose folders say no more than its labels
        {},
    ],
)  # fmt: skip
def test_other_sub_folders_are_no_groups(labels):
    assert suspected_groups.by_folders(labels) is None


def photo(path, time="2021:03:04 15:30:10", model="D90", *, tag=0x9003):
    exif = Image.Exif()
    if model:
        exif[0x0110] = model
    if tag == 0x0132:
        exif[tag] = time
    else:
        exif.get_ifd(0x8769)[tag] = time
    Image.new("RGB", (16, 16)).save(path, exif=exif)
    return path.read_bytes()


def test_camera_and_minute_are_those_of_the_exposure(tmp_path):
    path = tmp_path / "a.jpg"
    assert taken.read(photo(path)) == ("D90", "2021-03-04 15:30")
    assert taken.read(photo(path, model="")) == ("unnamed camera", "2021-03-04 15:30")
    assert taken.read(photo(path, tag=0x0132)) is None  # when the file was changed
    for unset in ("0000:00:00 00:00:00", "    :  :     :  :  ", "2021", ""):
        assert taken.read(photo(path, unset)) is None
    for none in (b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"):
        assert taken.read(none) is None


def test_a_damaged_exif_block_is_none_or_another_time(tmp_path):
    data = bytearray(photo(tmp_path / "a.jpg"))
    chance = random.Random(0)
    for _ in range(4000):
        damaged = bytearray(data[: chance.randrange(2, 260)])
        for _ in range(chance.randrange(1, 9)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        found = taken.read(bytes(damaged))
        assert found is None or len(found.minute) == 16


def manifest_of(paths, **columns):
    table = pd.DataFrame({"path": list(paths), "status": "accepted", "group": "", "phash": ""})
    table["label"] = [path.split("/")[0] for path in paths]
    table["format"] = [path.rsplit(".")[-1].replace("jpg", "jpeg") for path in paths]
    return table.assign(**columns), pd.Series(list(paths), index=list(paths))


def test_photos_of_one_camera_and_minute_are_suspected(tmp_path):
    (tmp_path / "cat").mkdir()
    names = [f"cat/{letter}.jpg" for letter in "abcdefghijkl"]
    for number, name in enumerate(names):
        photo(tmp_path / name, f"2021:03:04 15:{number // 3:02}:{number:02}")
    found = suspected_groups.search(*manifest_of(names), tmp_path, QUICK)
    (camera,) = found
    assert (camera.rule, camera.pattern) == ("camera", "")
    assert [camera.groups[name][-2:] for name in names] == [f"{n // 3:02}" for n in range(12)]
    for number, name in enumerate(names):  # two cameras, whose minutes are no groups
        photo(tmp_path / name, f"2021:03:04 15:{number // 2:02}:00", f"camera {number % 2}")
    assert suspected_groups.search(*manifest_of(names), tmp_path, QUICK) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
def test_what_took_the_place_of_a_photo_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    photo(tmp_path / "a.jpg")
    found = suspected_groups.times(tmp_path, ["pipe.jpg", "gone.jpg", "a.jpg"])
    assert found == {"a.jpg": ("D90", "2021-03-04 15:30")}


def test_a_few_photos_of_one_minute_among_many_are_chance():
    moments = {f"{n}.jpg": taken.Taken("D90", f"minute {n}") for n in range(100)}
    moments |= {f"{n}+.jpg": moments[f"{n}.jpg"] for n in range(4)}
    assert suspected_groups.by_camera(moments) is None
    moments |= {f"{n}+.jpg": moments[f"{n}.jpg"] for n in range(10)}
    assert len(suspected_groups.by_camera(moments).groups) == 20


def hashes(count, chains):
    """Distant hashes, and chains of which each is 4 bits from the one before."""
    rng = np.random.default_rng(0)
    found = {f"alone{n}": f"{rng.integers(2**63):016x}" for n in range(count)}
    for chain in range(chains):
        start = int(rng.integers(2**63))
        for n in range(4):
            found[f"{chain}/{n}"] = f"{start ^ ((1 << 4 * n) - 1):016x}"
    return found


def test_pictures_that_look_alike_are_suspected_if_they_are_many():
    found = suspected_groups.by_looks(hashes(20, 5) | {"flat": "", "flat too": ""})
    assert found is not None
    assert found.groups == {f"{c}/{n}": f"{c}/0" for c in range(5) for n in range(4)}
    assert suspected_groups.by_looks(hashes(200, 5)) is None  # one picture in eleven
    assert suspected_groups.by_looks(hashes(2, 2)) is None  # two groups
    assert suspected_groups.by_looks({"flat": ""}) is None


def test_where_more_pictures_look_a_little_less_alike_it_is_chance():
    """Three pairs of 1 bit, and 12 of 8 to 10, in each set: simple pictures are all alike."""
    rng = np.random.default_rng(0)
    near = {
        f"{number}/{pair}/{twin}": f"{int(start) ^ (15 << 8 * pair) ^ (twin << 40):016x}"
        for number, start in enumerate(rng.integers(2**63, size=9))
        for pair in range(3)
        for twin in (0, 1)
    }
    assert suspected_groups.by_looks(near) is None
    first = {path: text for path, text in near.items() if "/0/" in path}
    assert len(suspected_groups.by_looks(first).groups) == 18
    assert suspected_groups.by_looks({}) is None


def test_pairs_of_frames_that_are_all_alike_are_not_held_at_once(monkeypatch):
    """Three scenes of 500 frames have 374,250 pairs, 6 MB of them."""
    monkeypatch.setattr(suspected_groups, "HELD", 2**15)
    rng = np.random.default_rng(0)
    scenes = [int(each) for each in rng.integers(0, 2**64, 3, np.uint64)]
    frames = {f"{n}/{k}": f"{scene ^ 1 << k % 6:016x}"
              for n, scene in enumerate(scenes) for k in range(500)}  # fmt: skip
    tracemalloc.start()
    found = suspected_groups.by_looks(frames)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len({*found.groups.values()}) == 3
    assert all(path[0] == group[0] for path, group in found.groups.items())
    assert most < 5e6


def test_copies_do_not_count_as_pictures_that_look_alike(tmp_path):
    chains = hashes(4, 5)
    table, pictures = manifest_of(chains, phash=list(chains.values()))
    (looks,) = suspected_groups.search(table, pictures, tmp_path, QUICK)
    assert looks.rule == "looks"
    copies = pictures.index.str.split("/").str[0]  # each chain is one picture
    again = pd.Series(copies, index=pictures.index)
    assert suspected_groups.search(table, again, tmp_path, QUICK) == []


def test_a_rule_that_finds_nothing_new_is_left_out(tmp_path):
    table, pictures = manifest_of(PATIENTS)
    starts = np.random.default_rng(0).integers(2**62, size=len(PATIENTS) // 3)
    frames = [int(start) ^ 1 << frame for start in starts for frame in range(3)]
    alike = table.assign(phash=[f"{number:016x}" for number in frames])
    assert suspected_groups.by_looks(dict(zip(alike["path"], alike["phash"], strict=True)))
    found = suspected_groups.search(alike, pictures, tmp_path, QUICK)
    assert [each.rule for each in found] == ["names"]


def test_declared_or_dismissed_groups_are_not_suspected(tmp_path):
    table, pictures = manifest_of(PATIENTS)
    assert len(suspected_groups.search(table, pictures, tmp_path, QUICK)) == 1
    dismissed = make_settings("quick", ["group_by=none"])
    assert dismissed.data.group_pattern == ""
    assert suspected_groups.search(table, pictures, tmp_path, dismissed) == []
    table.loc[0, "group"] = "somebody"
    assert suspected_groups.search(table, pictures, tmp_path, QUICK) == []
    assert suspected_groups.search(table[:0], pictures[:0], tmp_path, QUICK) == []


def test_a_suspicion_counts_the_groups_that_the_split_divides():
    found = suspected_groups.by_names(PATIENTS)
    table = pd.DataFrame({"path": list(PATIENTS), "split": "train"})
    assert group_advice.rows([found], table)[0]["divided"] == 0
    frame, patient = table["path"].str[-5], table["path"].str[-10:-8]
    table.loc[(frame == "2") & (patient != "03"), "split"] = "test"
    table.loc[(frame == "1") & (patient == "03"), "split"] = "excluded"  # stands nowhere
    (row,) = group_advice.rows([found], table)
    assert row == {
        "rule": "names",
        "groups": 8,
        "images": 48,
        "divided": 7,
        "example": "patient00",
        "pattern": r"(patient\d+)",
    }
    (said,) = group_advice.described([row], "photos")
    assert said == (
        "48 images look like 8 groups, by the names of their files, such as 'patient00', 7 of them "
        "on several sides of the split: if the images of a group belong together (one patient, "
        r"video or burst), declare them by --set 'group_by=(patient\d+)'; if not, dismiss them by "
        "--set group_by=none"
    )
    (said,) = group_advice.described([row | {"pattern": "", "divided": 0}], "my photos")
    assert "such as 'patient00': if" in said
    assert "by cnnlab audit 'my photos' --groups names groups.csv and put that" in said


def test_a_table_of_suspected_groups_declares_them(tmp_path):
    names = {'cat/a, "b".jpg': "one, two", "cat/ü.jpg": "one, two", "dog/c.jpg": "D90; 15:30"}
    found = [Suspicion("camera", names)]
    file = tmp_path / groups.TABLE
    said = group_advice.write(found, "camera", str(file))
    assert said == f"{file}: 3 images in 2 groups."
    assert groups.by_table(tmp_path, frozenset(names)) == names
    with pytest.raises(InputError, match="no rule 'name': expected one of names, folders"):
        group_advice.write(found, "name", "x.csv")
    with pytest.raises(InputError, match="There is no folder"):
        group_advice.write(found, "camera", str(tmp_path / "new" / "x.csv"))
    with pytest.raises(InputError, match="exists: name another file"):
        group_advice.write(found, "camera", str(file))
    with pytest.raises(InputError, match="no suspected groups 'looks' to write: expected camera"):
        group_advice.write(found, "looks", "x.csv")
    with pytest.raises(InputError, match="nothing is suspected here"):
        group_advice.write([], "looks", "x.csv")
