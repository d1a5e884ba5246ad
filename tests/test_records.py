import json
from dataclasses import dataclass, field
from math import inf, isnan, nan
from typing import Any

import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.records import Record, inline, key

KNOWN = {"a": 1, "b": 2}


@dataclass(frozen=True)
class Part(Record):
    share: float
    count: int = 0


@dataclass(frozen=True)
class Checked(Record):
    share: float

    def __post_init__(self):
        if self.share > 1:
            raise InputError("share above 1.")


@dataclass(frozen=True)
class Whole(Record):
    name: str = field(metadata=key("class"))
    parts: tuple[Part, ...] = ()
    named: dict[str, float] = field(metadata=inline(KNOWN), default_factory=dict)
    inner: Part | None = None
    sure: bool | None = None
    rule: Checked | None = None
    anything: Any = None


@dataclass(frozen=True)
class Outer(Record):
    whole: Whole = field(metadata=inline())
    more: int = 0


WHOLE = Whole("x", (Part(0.5, 3), Part(nan)), {"a": 1.5}, Part(0.25), True, Checked(1.0), [1, "y"])
PLAIN = {
    "class": "x",
    "parts": [{"share": 0.5, "count": 3}, {"share": None, "count": 0}],
    "a": 1.5,
    "inner": {"share": 0.25, "count": 0},
    "sure": True,
    "rule": {"share": 1.0},
    "anything": [1, "y"],
}


def test_a_record_is_plain_json_with_nan_as_null():
    assert WHOLE.to_json() == PLAIN
    json.dumps(WHOLE.to_json(), allow_nan=False)
    assert Part(inf).to_json() == {"share": None, "count": 0}


def test_numpy_becomes_plain():
    found = Part(np.float64(0.1), np.int64(2)).to_json()
    assert found == {"share": 0.1, "count": 2}
    assert [type(value) for value in found.values()] == [float, int]


def test_json_becomes_the_record_again():
    read = Whole.from_json(json.loads(json.dumps(PLAIN)))
    assert isnan(read.parts[1].share)
    assert read.parts[0] == WHOLE.parts[0]
    assert (read.name, read.named, read.inner, read.rule) == (
        "x",
        {"a": 1.5},
        Part(0.25),
        WHOLE.rule,
    )
    assert read.to_json() == PLAIN


def test_a_record_inside_another_may_share_its_keys():
    outer = Outer(WHOLE, 4)
    assert outer.to_json() == PLAIN | {"more": 4}
    assert Outer.from_json(PLAIN | {"more": 4}).to_json() == PLAIN | {"more": 4}


def test_a_later_field_has_its_default_and_a_newer_key_is_left_out():
    read = Whole.from_json({"class": "x", "later": 1, "b": 2})
    assert read == Whole("x", named={"b": 2.0})
    assert Outer.from_json({"class": "x"}).more == 0


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "it is [], expected an object"),
        ({}, "it has no class"),
        ({"class": 1}, "class is 1, expected text"),
        ({"class": "x", "parts": {}}, "parts is {}, expected a list"),
        ({"class": "x", "parts": [{"share": 1}, 3]}, "parts[1] is 3, expected an object"),
        ({"class": "x", "parts": [{}]}, "it has no parts[0].share"),
        ({"class": "x", "parts": [{"share": "1"}]}, 'parts[0].share is "1", expected a number'),
        ({"class": "x", "parts": [{"share": True}]}, "parts[0].share is true, expected a number"),
        (
            {"class": "x", "inner": {"share": 1, "count": 1.5}},
            "inner.count is 1.5, expected a whole",
        ),
        ({"class": "x", "inner": {"share": 1, "count": None}}, "inner.count is null, expected"),
        ({"class": "x", "a": "y" * 90}, f'a is "{"y" * 39}…, expected a number'),
        ({"class": "x", "sure": 1}, "sure is 1, expected true or false"),
        ({"class": "x", "rule": {"share": 2}}, "rule: share above 1."),
    ],
)
def test_what_does_not_fit_is_named_with_the_file(data, said):
    with pytest.raises(InputError) as caught:
        Whole.from_json(data, "metrics/x.json")
    assert str(caught.value).startswith(f"metrics/x.json is damaged: {said}")


def test_a_file_that_is_missing_or_no_json_is_named(tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(InputError, match=r"Cannot read .*x\.json: No such file"):
        Part.read(path)
    path.write_text('{"share": 1')
    with pytest.raises(InputError, match=r"x\.json is damaged, it is no JSON"):
        Part.read(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"x\.json is damaged, it is no JSON"):
        Part.read(path)
