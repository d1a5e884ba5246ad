import math

import pytest

from cnnlab import hashing

# Published test vectors: FIPS 180-2, appendix B.
VECTORS = [
    (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ),
    (b"a" * 10**6, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
]


@pytest.mark.parametrize(("content", "published"), VECTORS, ids=len)
def test_bytes_parts_and_files_have_the_published_digest(content, published, tmp_path):
    path = tmp_path / "content.bin"
    path.write_bytes(content)
    parts = [content[start : start + 7] for start in range(0, len(content), 7)]
    assert hashing.digest(content) == published
    assert hashing.digest(memoryview(content)) == published
    assert hashing.stream_digest(iter(parts)) == published
    assert hashing.file_digest(path) == published
    with path.open("rb") as opened:
        assert hashing.file_digest(opened) == published


def test_the_digest_of_no_parts_is_that_of_no_bytes():
    assert hashing.stream_digest([]) == hashing.digest(b"")


def test_equal_values_are_the_same_text():
    assert hashing.canonical_json({"b": [1, 2.5, None], "a": {"ü": True}}) == (
        '{"a": {"\\u00fc": true}, "b": [1, 2.5, null]}'
    )
    assert hashing.canonical_json({"b": 1, "a": []}, indent=2) == '{\n  "a": [],\n  "b": 1\n}'


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        hashing.json_digest({"score": [value]})


def test_a_value_is_named_by_its_canonical_text():
    assert hashing.json_digest({"b": 1, "a": "é"}) == hashing.digest(b'{"a": "\\u00e9", "b": 1}')
