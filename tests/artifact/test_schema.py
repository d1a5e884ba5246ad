"""The keywords of JSON Schema, each beside the library that knows them all."""

import pytest
from jsonschema import Draft202012Validator

from cnnlab.artifact import schema

VALUES = [
    None, True, False, 0, 1, 1.0, -1, 1.5, 10**400, 1e300, "", "a", "ab", "a\n", "é🐭", "lac",
    [], [1], ["a", "a"], ["a", "b", "c"], [1, True], [None, {}], {}, {"a": 1}, {"a": "x", "b": 2},
    {"score": "lac"}, {"score": "other", "more": 1},
]  # fmt: skip
SCHEMAS = [
    True,
    {"type": "integer"},
    {"type": "number"},
    {"type": ["object", "null"]},
    {"type": "string", "minLength": 2, "maxLength": 2},
    {"type": "array"},
    {"enum": [1, "a"]},
    {"const": 1},
    {"minimum": 1, "maximum": 1.5},
    {"exclusiveMinimum": 0, "exclusiveMaximum": 1.5},
    {"pattern": "^[a-z]", "not": {"pattern": "[^a-z0-9_]"}},
    {"minItems": 1, "maxItems": 2, "items": {"type": "string"}},
    {"uniqueItems": True},
    {"minProperties": 1, "maxProperties": 1},
    {"required": ["a", "b"]},
    {"properties": {"a": {"type": "integer"}}, "additionalProperties": False},
    {"properties": {"a": True}, "additionalProperties": {"type": "integer"}},
    {"propertyNames": {"const": "a"}},
    {"allOf": [{"type": "number"}, {"not": {"type": "integer"}}]},
    {"if": {"required": ["score"]}, "then": {"additionalProperties": False}},
    *({"$ref": f"#/$defs/{name}"} for name in sorted(schema.contract_schema()["$defs"])),
]


@pytest.mark.parametrize("stated", SCHEMAS, ids=str)
def test_every_keyword_refuses_what_the_library_refuses(stated):
    whole = stated if stated is True else stated | {"$defs": schema.contract_schema()["$defs"]}
    library = Draft202012Validator(whole)
    for value in VALUES:
        found = {fault.keyword for fault in schema.faults(value, stated)}
        expected = {error.validator for error in library.iter_errors(value)}
        assert found == expected, value


def test_a_keyword_that_is_not_known_is_not_passed_over():
    with pytest.raises(NotImplementedError, match="'dependentRequired'"):
        list(schema.faults({"a": 1}, {"dependentRequired": {}}))


def test_a_fault_is_said_in_one_short_line():
    long = {"a" * 500: {"b\x1b\n": ["ü" * 10_000]}}
    nested = {"additionalProperties": {"additionalProperties": {"items": {"type": "null"}}}}
    (fault,) = schema.faults(long, nested)
    assert fault.said.isprintable()
    assert len(fault.said) < 300
    assert "b\\x1b\\n: 0: got " in fault.said


def test_the_first_fault_comes_before_the_rest_is_read():
    faults = schema.faults([None] * 10**6, {"items": {"type": "string"}})
    assert next(faults).said == "0: got None: expected the type string"
