"""Which names of files suggest groups, and which look as if they did and do not."""

import random
import uuid

import pytest

from cnnlab.config import make_settings
from cnnlab.data.audit import numbered_names
from cnnlab.data.sources import groups

CHANCE = random.Random(0)
DAYS = [(month, day) for month in range(1, 13) for day in range(1, 29)]


def clock():
    hour, minute, second = (CHANCE.randrange(most) for most in (24, 60, 60))
    return f"{hour:02}{minute:02}{second:02}"


def letters(count, alphabet="abcdefghijklmnopABCDEF-_0123456789"):
    return "".join(CHANCE.choices(alphabet, k=count))


def by_class(first, second, numbers=range(300)):
    """Two classes of names of their own."""
    return [(label, name.format(n)) for label, name in (("a", first), ("b", second))
            for n in numbers]  # fmt: skip


def labelled(names):
    """Path → class; names without one are dealt to two classes in turn."""
    pairs = (("ab"[n % 2], name) if isinstance(name, str) else name for n, name in enumerate(names))
    return {f"train/{label}/{name}": label for label, name in pairs}


# What is found, as group → number of images: the names, and how the first group is called.
GROUPS = {
    "patient07_003": ([f"patient{p:02}_{f:03}.png" for p in range(8) for f in range(6)], 8),
    "Patient 7 (3)": ([f"Patient {p} ({f}).png" for p in range(8) for f in range(6)], 8),
    "P7-3": ([f"P{p}-{f}.tif" for p in range(8) for f in range(6)], 8),
    "07_003": ([f"{p:02}_{f:03}.png" for p in range(8) for f in range(6)], 8),
    "003_patient07": ([f"{f:03}_patient{p:02}.png" for p in range(8) for f in range(6)], 8),
    "no extension": ([f"patient{p:02}_{f:03}" for p in range(8) for f in range(6)], 8),
    "all frames of one class": (
        [("ab"[p % 2], f"patient{p:02}_{f:03}.png") for p in range(8) for f in range(6)], 8),
    "IMG_2031-burst2, a few among plain ones": (
        [f"IMG_{1900 + 37 * b}-burst{f}.jpg" for b in range(8) for f in range(4)]
        + [f"IMG_{n:04}.jpg" for n in range(300)], 8),
    "video3_frame0012": (
        [f"video{v}_frame{f * 30:05}.jpg" for v in range(5) for f in range(40)], 5),
    "two videos of each patient": (
        [f"p{p:02}v{v}_{f:03}.png" for p in range(6) for v in (1, 2) for f in range(4)], 6),
    "some slices of each": (
        [f"subj{p}_slice{n:03}.png" for p in range(10) for n in CHANCE.sample(range(200), 7)], 10),
    "person1_bacteria_2, numbered through": (
        [f"person{p}_{'virus' if p % 2 else 'bacteria'}_{3 * p + f}.jpeg"
         for p in range(60) for f in range(1 + p % 4)], 60),
    "cells of a slide": (
        [f"C{c}P{c + 1}thinF_IMG_20150619_{114756 + c}a_cell_{k}.png"
         for c in range(20) for k in CHANCE.sample(range(200), 12)], 20),
    "tracks of traffic signs": (
        [(c, f"{t:05}_{f:05}.ppm") for c in "ab" for t in range(30) for f in range(30)], 30),
    "views of a product": (
        [f"sku{n}_{v}.jpg" for n in CHANCE.sample(range(1000, 9999), 40) for v in (1, 2, 3)], 40),
    "people by name": (
        [f"{name}_{n}.jpg" for name in ("anna", "bob", "carl", "dora", "emil", "fay")
         for n in range(6)], 6),
    "received in one day": (
        [f"IMG-202103{d:02}-WA{n:04}.jpg" for d in range(1, 20) for n in range(2 + d % 4)], 19),
}  # fmt: skip

NONE = {
    "cat001": by_class("cat{:03}.jpg", "dog{:03}.jpg", range(1, 401)),
    "cat.1": by_class("cat.{}.jpg", "dog.{}.jpg"),
    "cat (1)": by_class("cat ({}).jpg", "dog ({}).jpg"),
    "set1_001": by_class("cats1_{:03}.jpg", "dogs1_{:03}.jpg"),
    "label_number": by_class("0_{}.png", "1_{}.png"),
    "IMG_0001": [f"IMG_{n:04}.jpg" for n in range(400)],
    "numbers": [f"{n}.png" for n in range(400)],
    "two random numbers": [
        f"{CHANCE.randrange(10**5)}_{CHANCE.randrange(10**5)}.png" for _ in range(400)
    ],
    "names of several cameras": [
        f"{camera}{n:04}.jpg" for camera in ("DSC_", "IMG_", "DSCN", "P101") for n in range(100)
    ],
    "names of several search engines": [
        f"{engine}_{n:04}.jpg" for engine in ("google", "bing", "yahoo") for n in range(100)
    ],
    "kinds of birds in one class": [
        f"{kind}_{n:03}.jpg" for kind in map("kind{}".format, "abcdefghijklmnop") for n in range(60)
    ],
    "date and time": [f"IMG_2021{m:02}{d:02}_{clock()}.jpg" for m, d in DAYS for _ in range(3)],
    "date and time, bare": [f"2021{m:02}{d:02}_{clock()}.jpg" for m, d in DAYS for _ in range(3)],
    "date and milliseconds": [
        f"PXL_2021{m:02}{d:02}_{clock()}{CHANCE.randrange(1000):03}.jpg" for m, d in DAYS
    ],
    "screenshots": [
        f"Screenshot 2021-{m:02}-{d:02} at {clock()[:2]}.{clock()[2:4]}.{clock()[4:]}.png"
        for m, d in DAYS
    ],
    "one a day": [f"field_2021-{m:02}-{d:02}.png" for m, d in DAYS],
    "one a day, in words": [f"field 2021_{m:02}_{d:02} b.png" for m, d in DAYS],
    "years": [f"scan_{year}_{n:03}.png" for year in range(2019, 2023) for n in range(60)],
    "UUIDs": [f"{uuid.UUID(int=CHANCE.getrandbits(128))}.jpg" for _ in range(2000)],
    "hashes": [f"{CHANCE.getrandbits(64):016x}.jpg" for _ in range(2000)],
    "number and hash": [f"{n:04}_{CHANCE.getrandbits(32):08x}.jpg" for n in range(400)],
    "short random names": [f"{letters(8)}.jpg" for _ in range(2000)],
    "ids of videos": [f"{letters(11)}_{CHANCE.randrange(10)}.jpg" for _ in range(2000)],
    "photo and secret": [
        f"{CHANCE.randrange(10**6, 10**9)}_{CHANCE.getrandbits(40):010x}_n.jpg" for _ in range(2000)
    ],
    "synset of a class": by_class("n01440764_{}.JPEG", "n02085620_{}.JPEG", range(5, 30000, 97)),
    "many synsets in a class": [
        f"n{2085620 + 97 * s:08}_{n}.JPEG"
        for s in range(60)
        for n in CHANCE.sample(range(30000), 30)
    ],
    "numbered in one file": [f"ILSVRC2012_val_{n:08}.JPEG" for n in range(500)],
    "birds, image and id": [
        f"Bird_{b}x_{n:04}_{CHANCE.randrange(10**6)}.jpg" for b in range(20) for n in range(30)
    ],
    "age, sex and time": [
        f"{CHANCE.randrange(90)}_{CHANCE.randrange(2)}_2017{CHANCE.randrange(10**13):013}.jpg"
        for _ in range(2000)
    ],
    "a size": [f"photo{n:03}_640x480.jpg" for n in range(300)],
    "copies made by hand": [f"IMG_{n:04}.jpg" for n in range(300)]
    + [f"IMG_{n:04} (1).jpg" for n in range(0, 300, 9)],
    "difficulty, number and flags": [
        f"{how}_{n}_{CHANCE.randrange(2)}{CHANCE.randrange(2)}.jpg"
        for how in ("easy", "mid", "hard")
        for n in range(200)
    ],
    "two groups": [f"video{v}_{f:03}.png" for v in (1, 2) for f in range(50)],
    "nothing": [],
}


@pytest.mark.parametrize("name", GROUPS)
def test_names_with_a_number_and_a_counter_are_groups_that_the_pattern_declares(name):
    names, count = GROUPS[name]
    labels = labelled(names)
    found, pattern = numbered_names.found(labels)
    assert len(set(found.values())) == count
    declared = make_settings("quick", [f"group_by={pattern}"]).data.group_pattern
    captured = groups.by_pattern(declared, list(labels))
    assert {path: captured[path] for path in found} == found
    alone = [group for path, group in captured.items() if path not in found]
    assert len(set(alone)) == len(alone)  # what else is captured groups nothing
    assert not set(alone) & set(found.values())
    assert " " not in pattern  # or a notebook's parameter could not hold it


@pytest.mark.parametrize("name", NONE)
def test_other_names_with_numbers_are_no_groups(name):
    assert numbered_names.found(labelled(NONE[name])) == ({}, "")


def test_a_plain_prefix_gives_a_plain_pattern():
    assert numbered_names.found(labelled(GROUPS["patient07_003"][0]))[1] == r"(patient\d+)"
    assert numbered_names.found(labelled(GROUPS["two videos of each patient"][0]))[1] == r"(p\d+)"


def test_a_prefix_that_folders_have_too_gives_no_plain_pattern():
    """Or all that is not numbered would be one group of its class."""
    names = [f"p{p}_{f}.png" for p in range(8) for f in range(6)]
    labels = {
        f"train/{label}/{name}": label for label in ("p1", "p2") for name in [*names, "x.png"]
    }
    found, pattern = numbered_names.found(labels)
    assert len(set(found.values())) == 8
    assert pattern != r"(p\d+)"
    assert groups.by_pattern(pattern, list(labels)) == found
