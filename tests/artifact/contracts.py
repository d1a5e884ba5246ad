"""The corpus: texts of contract.json that Python and Go must judge alike, each with its verdict.

A generator, not a test. ``corpus`` gives name → (bytes, verdict). The verdict follows from how a
text was made: a sound contract in which one thing was changed. The bounds stand here a second time,
by hand, so that a slip in the schema shows.
"""

import copy
import hashlib
import itertools
import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

OK, DAMAGED = "ok", "damaged"
INVALID, UNSUPPORTED = "invalid_contract", "unsupported_contract"

Case = tuple[str, bytes, str]
Path = tuple[str | int, ...]
HEX = "0123456789abcdef" * 4


class Number(NamedTuple):
    """What a number may be; the bounds themselves are allowed unless ``open``."""

    low: float
    high: float
    integer: bool = True
    open: bool = False


SIZE, COUNT, ROWS = Number(16, 1024), Number(0, 10**15), Number(1, 10**12)
BYTES = Number(0, 2**36)
VERSION = Number(1, 10**6)
TEMPERATURE, THRESHOLD = Number(0.01, 100, integer=False), Number(0, 1, integer=False)
SHARE, MEASURE = Number(0, 1, integer=False, open=True), Number(-1000, 1000, integer=False)
TEXT, HASH, NAME = "text", "hash", "name"
RULES = {
    "conformal": {"coverage": SHARE, "threshold": THRESHOLD, "calibrated_on": ROWS},
    "novelty": {"accepted": SHARE, "threshold": THRESHOLD, "calibrated_on": ROWS},
}
ONNX: Path = ("formats", "onnx")
LEAVES: dict[Path, object] = {
    ("image_size",): SIZE,
    ("temperature",): TEMPERATURE,
    ("parameters",): COUNT,
    ("bytes",): BYTES,
    ("run_id",): TEXT,
    ("class_names", 1): TEXT,
    ("model_id",): HASH,
    ("files", "card.md"): HASH,
    **{(rule, name): kind for rule, names in RULES.items() for name, kind in names.items()},
}
LEAVES_3: dict[Path, object] = {
    **LEAVES,
    (*ONNX, "temperature"): TEMPERATURE,
    (*ONNX, "checks", "max_difference", "limit"): MEASURE,
    (*ONNX, "checks", "max_difference", "measured"): MEASURE,
    (*ONNX, "checks", "max_difference", "images"): Number(1, 10**9),
    (*ONNX, "id"): HASH,
    (*ONNX, "files", "onnx/model.onnx"): HASH,
    **{(*ONNX, rule, name): kind for rule, names in RULES.items() for name, kind in names.items()},
    **{(*place, rule, "score"): NAME for place in ((), ONNX) for rule in RULES},
    ("preprocessing", "fit"): NAME,
    ("preprocessing", "background"): NAME,
}
NODES: dict[Path, str] = {
    ("class_names",): "list",
    ("files",): "object",
    ("conformal",): "rule",
    ("novelty",): "rule",
}
NODES_3: dict[Path, str] = {
    **NODES,
    ("preprocessing",): "object",
    ("formats",): "object",
    ONNX: "object",
    (*ONNX, "files"): "object",
    (*ONNX, "checks"): "object",
    (*ONNX, "checks", "max_difference"): "object",
    (*ONNX, "conformal"): "rule",
    (*ONNX, "novelty"): "rule",
    (*ONNX, "details"): "object",
}
OPTIONAL = {(*ONNX, name) for name in ("temperature", "conformal", "novelty", "details")}
OPEN: set[Path] = {
    ("files",),
    ("formats",),
    (*ONNX, "files"),
    (*ONNX, "checks"),
    (*ONNX, "details"),
}
VALUES: dict[str, Any] = {
    "null": None, "true": True, "a text": "16", "a list": [], "a list of one": [0.5],
    "an object": {}, "a fraction": 16.5, "a whole number": 17,
}  # fmt: skip


def format_2() -> dict[str, Any]:
    """Return a contract as the versions before format 3 wrote it."""
    return {
        "format": 2,
        "class_names": ["zebra", "ant", "鼠 🐭"],
        "image_size": 48,
        "preprocessing_version": 1,
        "temperature": 1.5,
        "conformal": {"coverage": 0.9, "threshold": 0.125, "calibrated_on": 40},
        "novelty": {
            "accepted": 0.95, "threshold": 1 / 3, "calibrated_on": 41, "score": "max_softmax",
        },
        "run_id": "lab",
        "parameters": 1234,
        "model_id": "a" * 64,
        "files": {"card.md": HEX, "model.h5": HEX[::-1], "saved_model/saved_model.pb": HEX},
        "bytes": 5678,
    }  # fmt: skip


def format_3() -> dict[str, Any]:
    """Return a contract of format 3 in which every entry stands."""
    contract = format_2() | {"format": 3}
    del contract["preprocessing_version"]
    contract["preprocessing"] = {"version": 1, "fit": "stretch", "background": "white"}
    contract["conformal"]["score"] = "lac"
    contract["files"]["onnx/model.onnx"] = "b" * 64
    contract["formats"] = {
        "onnx": {
            "files": {"onnx/model.onnx": "b" * 64},
            "id": HEX,
            "checks": {"max_difference": {"limit": 1e-4, "measured": 2.4e-06, "images": 256}},
            "temperature": 1.25,
            "conformal": copy.deepcopy(contract["conformal"]),
            "novelty": copy.deepcopy(contract["novelty"]),
            "details": {"opset": 18},
        }
    }
    return sealed(contract)


def corpus() -> dict[str, tuple[bytes, str]]:
    """Return every text with its verdict: name → (bytes, verdict), the same at every call."""
    found: dict[str, tuple[bytes, str]] = {}
    for part in (sound, lacking, surplus, mistyped, numbers, strings, unknown, exported, texts):
        for name, text, verdict in part():
            assert name not in found, name
            found[name] = (text, verdict)
    return found


def sound() -> Iterator[Case]:
    """Yield contracts as they are written, and others that are no worse."""
    for base in bases():
        number = base["format"]
        yield f"{number}: all entries", written(base), OK
        bare = (
            base | {"conformal": None, "novelty": None} | ({"formats": {}} if number == 3 else {})
        )
        yield f"{number}: no rules", written(bare), OK
        for place, value in {
            ("class_names",): ["a", "b"],
            ("class_names", 0): "=cmd|' /C calc'!A0",
            ("class_names", 2): "<meta http-equiv=refresh>",
            ("run_id",): "../../etc \u2028\n\x7f",
            ("files", "../elsewhere"): HEX,  # no file of the folder has that name
            ("files", "/etc/passwd"): HEX,
            ("files", "..\\elsewhere"): HEX,
            ("files", "C:\\model.h5"): HEX,
            ("files", "CARD.MD"): HEX,  # another file, where case counts
            ("files", "./card.md"): HEX,
            ("files", "a\0b"): HEX,
            ("files", "a\nb\x1b[31m"): HEX,
        }.items():
            yield f"{number}: {place} is {value!r}", written(changed(base, place, value)), OK
        many = changed(base, ("class_names",), [f"class {n}" for n in range(3000)])
        yield f"{number}: 3000 classes", written(many), OK


def lacking() -> Iterator[Case]:
    """Yield contracts without one of their entries."""
    for base in bases():
        nodes = NODES_3 if base["format"] == 3 else NODES
        yield f"{base['format']}: nothing else", written({"format": base["format"]}), INVALID
        for parent in [(), *(place for place in nodes if isinstance(at(base, place), dict))]:
            if parent in OPEN:
                continue
            for name in at(base, parent):
                place = (*parent, name)
                lesser = copy.deepcopy(base)
                del at(lesser, parent)[name]
                verdict = OK if place in OPTIONAL else INVALID
                yield f"{base['format']}: without {place}", written(lesser), verdict
    for place in (("class_names",), ("files",), (*ONNX, "files"), (*ONNX, "checks")):
        empty: Any = [] if place == ("class_names",) else {}
        yield f"3: empty {place}", written(changed(format_3(), place, empty)), INVALID
    yield "3: one class", written(changed(format_3(), ("class_names",), ["a"])), INVALID


def surplus() -> Iterator[Case]:
    """Yield contracts with an entry that nobody knows."""
    for base in bases():
        nodes = NODES_3 if base["format"] == 3 else NODES
        for parent in [(), *(place for place in nodes if isinstance(at(base, place), dict))]:
            if parent in OPEN:
                continue
            for name in ("more", "Format", ""):
                more = written(changed(base, (*parent, name), 1))
                yield f"{base['format']}: {parent} with {name!r}", more, INVALID
    yield "2: preprocessing", written(format_2() | {"preprocessing": {"version": 1}}), INVALID
    yield "2: formats", written(format_2() | {"formats": {}}), INVALID
    yield "3: preprocessing_version", written(format_3() | {"preprocessing_version": 1}), INVALID
    scored = changed(format_2(), ("conformal", "score"), "lac")
    yield "2: a conformal score", written(scored), INVALID
    free = changed(format_3(), (*ONNX, "details"), {"anything": [None, {"at": "all"}, 1e300]})
    yield "3: other details", written(free), OK


def mistyped() -> Iterator[Case]:
    """Yield contracts in which one entry has another type."""
    for base in bases():
        leaves, nodes = (LEAVES_3, NODES_3) if base["format"] == 3 else (LEAVES, NODES)
        for place, kind in [*leaves.items(), *nodes.items(), (version(base), VERSION)]:
            for name, value in VALUES.items():
                if fits(kind, value, place):
                    continue
                text = written(changed(base, place, value))
                yield f"{base['format']}: {place} is {name}", text, INVALID
        for name, value in VALUES.items():
            if name != "a whole number":
                yield (
                    f"{base['format']}: format is {name}",
                    written(base | {"format": value}),
                    INVALID,
                )


def fits(kind: object, value: Any, place: Path) -> bool:
    """Whether a value of ``VALUES`` is allowed where that kind stands."""
    if isinstance(kind, Number):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        inside = kind.low <= value <= kind.high
        return inside and (isinstance(value, int) or not kind.integer)
    if kind == "rule":
        return value is None
    if kind == "object":
        return value == {} and place in {("formats",), (*ONNX, "details")}
    return kind == TEXT and isinstance(value, str)


def version(base: dict[str, Any]) -> Path:
    """Where the version of the preprocessing stands."""
    return ("preprocessing", "version") if base["format"] == 3 else ("preprocessing_version",)


def numbers() -> Iterator[Case]:
    """Yield contracts with numbers at their bounds, beyond them, and written in another way."""
    for base in bases():
        for place, kind in (LEAVES_3 if base["format"] == 3 else LEAVES).items():
            if not isinstance(kind, Number):
                continue
            for value, verdict in edges(kind):
                text = written(changed(base, place, value))
                yield f"{base['format']}: {place} = {value!r}"[:120], text, verdict
        for value in (0, -1, 1.5, 10**6 + 1):
            text = written(changed(base, version(base), value))
            yield f"{base['format']}: {version(base)} = {value!r}", text, INVALID


def edges(kind: Number) -> Iterator[tuple[float, str]]:
    """Yield numbers around the bounds of a kind."""
    low, high = kind.low, kind.high
    for bound, inward in ((low, math.inf), (high, -math.inf)):
        yield bound, INVALID if kind.open else OK
        if kind.integer:
            yield float(bound), OK  # 48.0 is an integer
            yield bound + (1 if inward > 0 else -1), OK
            yield bound + (-1 if inward > 0 else 1), INVALID
            yield bound + 0.5, INVALID
        else:
            yield math.nextafter(bound, inward), OK
            yield math.nextafter(bound, -inward), INVALID
    for far in (-1e308, 1e308, 10**30, -(10**30), 10**400, 2**63, 2**64):
        yield far, INVALID


def strings() -> Iterator[Case]:
    """Yield contracts with odd strings, names and hashes."""
    for base in bases():
        number = base["format"]
        for place in (("run_id",), ("class_names", 1)):
            for name, value, verdict in (
                ("empty", "", INVALID),
                ("blank", " ", OK),
                ("of 1000", "x" * 1000, OK),
                ("of 1001", "x" * 1001, INVALID),
                ("of 1000 beyond 16 bits", "🐭" * 1000, OK),
                ("of 1001 beyond 16 bits", "🐭" * 1001, INVALID),
                ("with NUL", "a\0b", OK),
            ):
                text = written(changed(base, place, value))
                yield f"{number}: {place} {name}", text, verdict
        for place in (("model_id",), ("files", "card.md")):
            for value in (
                HEX[1:],
                HEX + "0",
                HEX.upper(),
                HEX[1:] + "\n",
                HEX + "\n",
                "g" + HEX[1:],
            ):
                text = written(changed(base, place, value))
                yield f"{number}: {place} {value!r}", text, INVALID
        for names in (["a", "a"], ["a", "b", "a"], ["é", "é"]):
            text = written(base | {"class_names": names})
            yield f"{number}: labels {names}", text, INVALID
        composed = written(base | {"class_names": ["\xe9", "e\u0301", "A", "a", "a "]})
        yield f"{number}: labels that look alike", composed, OK
        yield (
            f"{number}: a null among many",
            written(base | {"class_names": [*map(str, range(50)), None]}),
            INVALID,
        )
        for place in (("class_names",), ("files",), ("conformal",), ("novelty",), ("bytes",)):
            for name, value in {
                "itself as text": json.dumps(at(base, place)),
                "itself in a list": [at(base, place)],
                "itself in an object": {"0": at(base, place)},
            }.items():
                text = written(changed(base, place, value))
                yield f"{number}: {place} is {name}", text, INVALID
        yield f"{number}: a file without name", written(changed(base, ("files", ""), HEX)), INVALID


def unknown() -> Iterator[Case]:
    """Yield contracts of later versions: unknown words are unsupported, unless there is a fault."""
    for base in bases():
        for value in (0, 1, 4, 5.0, -3, 10**30, 10**400, 1e300):
            text = written(base | {"format": value})
            yield f"{base['format']}: format {value!r}"[:60], text, UNSUPPORTED
        broken = written(base | {"format": 4, "image_size": None, "more": 1})
        yield f"{base['format']}: broken, of format 4", broken, UNSUPPORTED
        yield (
            f"{base['format']}: format {base['format']}.0",
            written(base | {"format": float(base["format"])}),
            OK,
        )
        later = changed(base, version(base), 2)
        yield f"{base['format']}: preprocessing 2", written(later), UNSUPPORTED
        yield (
            f"{base['format']}: preprocessing 2 and a fault",
            written(later | {"temperature": 0}),
            INVALID,
        )
        yield f"{base['format']}: preprocessing 1.0", written(changed(base, version(base), 1.0)), OK
    yield "4: another text", b'{"format": 4}', UNSUPPORTED
    yield "4: half a pair", b'{"format":4,"x":"\\ud800"}', UNSUPPORTED
    yield "4: no UTF-8", b'{"format":4,"x":"\xff"}', DAMAGED
    yield "4: too many digits", b'{"format":' + b"4" * 5000 + b"}", DAMAGED
    yield "4: too deep", b'{"format":4,"x":' + b"[" * 20 + b"]" * 20 + b"}", DAMAGED
    base = format_3()
    holds_more = changed(base, ("preprocessing",), {"version": 2, "share": 0.875})
    yield "3: preprocessing 2 of another shape", written(holds_more), UNSUPPORTED
    for place in (
        ("preprocessing", "fit"), ("preprocessing", "background"),
        ("conformal", "score"), ("novelty", "score"),
    ):  # fmt: skip
        yield f"3: unknown {place}", written(changed(base, place, "other_1")), UNSUPPORTED
        yield f"3: odd {place}", written(changed(base, place, "Other")), INVALID
        yield f"3: {place} on two lines", written(changed(base, place, "other\n")), INVALID
    words = itertools.product(("stretch", "pad", "crop"), ("white", "black", "grey"))
    for fit, background in words:
        stated = {"version": 1, "fit": fit, "background": background}
        yield f"3: {fit} {background}", written(changed(base, ("preprocessing",), stated)), OK
    swapped = {"version": 1, "fit": "white", "background": "pad"}
    yield "3: swapped words", written(changed(base, ("preprocessing",), swapped)), UNSUPPORTED
    aps = changed(base, ("conformal",), {"score": "aps", "thresholds": [0.1, 0.2]})
    yield "3: a rule of another shape", written(aps), UNSUPPORTED
    yield (
        "2: an unknown score",
        written(changed(format_2(), ("novelty", "score"), "energy")),
        UNSUPPORTED,
    )


def exported() -> Iterator[Case]:
    """Yield contracts whose formats are several, unknown, or do not fit."""
    base = format_3()
    entry = base["formats"]["onnx"]
    shortest = {"files": entry["files"], "id": HEX, "checks": entry["checks"]}
    for name, verdict in {
        "a": OK, "from_the_future_9": OK, "x" * 64: OK, "x" * 65: INVALID, "": INVALID,
        "Onnx": INVALID, "9": INVALID, "openvino-int8": INVALID, "onnx\n": INVALID,
        "../onnx": INVALID, "_": INVALID, "é": INVALID,
    }.items():  # fmt: skip
        text = written(changed(base, ("formats", name), shortest))
        yield f"3: format {name!r}", text, verdict
        text = written(changed(base, (*ONNX, "checks", name), entry["checks"]["max_difference"]))
        yield f"3: check {name!r}", text, verdict
    for count, verdict in ((100, OK), (101, INVALID)):
        formats = {f"f{n}": dict(shortest) for n in range(count)}
        yield f"3: {count} formats", written(base | {"formats": formats}), verdict
    for rule in RULES:
        later = changed(base, (*ONNX, rule), {"score": "later", "quantile": [1, None]})
        yield f"3: a format with another {rule} score", written(later), OK
        yield f"3: a format without {rule}", written(changed(base, (*ONNX, rule), None)), OK
    worse = changed(base, (*ONNX, "checks", "max_difference", "measured"), 0.5)
    yield "3: measured beyond the limit", written(worse), OK  # whoever exports refuses that
    for place, value in {
        (*ONNX, "temperature"): 1.26,
        (*ONNX, "details"): {"opset": 17},
        (*ONNX, "conformal", "threshold"): 0.1251,
        (*ONNX, "id"): "c" * 64,
        ("model_id",): "c" * 64,
    }.items():
        edited = changed(base, place, value)
        yield f"3: {place} edited", as_json(edited), DAMAGED
    renamed = copy.deepcopy(base)
    renamed["formats"]["onnx_2"] = renamed["formats"].pop("onnx")
    yield "3: a format renamed", as_json(renamed), DAMAGED
    for name, digest in (("onnx/other", "b" * 64), ("card.md", "b" * 64)):
        files = written(changed(base, (*ONNX, "files"), {name: digest}))
        yield f"3: a format with a file {name} that is not there", files, DAMAGED


def texts() -> Iterator[Case]:
    """Yield what is not the one text of a JSON object, and what is hard to read."""
    for base in bases():
        number, text = base["format"], written(base)
        for name, other in {
            "cut": text[:-1],
            "with a line more": text + b"\n",
            "with a blank": text.replace(b": ", b":  ", 1),
            "on one line": json.dumps(base, sort_keys=True).encode(),
            "in another order": json.dumps(base, indent=2).encode() + b"\n",
            "not escaped": text.replace(b"\\u9f20", "鼠".encode()),
            "with a mark": b"\xef\xbb\xbf" + text,
            "in UTF-16": text.decode().encode("utf-16"),
            "in Latin-1": text.replace(b"lab", b"l\xe4b"),
            "with an escape": text.replace(b'"lab"', b'"\\u006cab"'),
            "with half a pair": text.replace(b'"lab"', b'"\\ud800"'),
            "with the other half": text.replace(b'"lab"', b'"\\udc00"'),
            "with a key twice": text.replace(
                b'"temperature": 1.5', b'"temperature": 1.5,\n  "temperature": 1.5'
            ),
            "with 1.50": text.replace(b'"temperature": 1.5', b'"temperature": 1.50'),
            "with 15e-1": text.replace(b'"temperature": 1.5', b'"temperature": 15e-1'),
            "with NaN": text.replace(b'"temperature": 1.5', b'"temperature": NaN'),
            "with -Infinity": text.replace(b'"temperature": 1.5', b'"temperature": -Infinity'),
            "with -1e400": text.replace(b'"temperature": 1.5', b'"temperature": -1e400'),
            "with 1E5": text.replace(b": 48,", b": 1E5,"),
            "with 0x30": text.replace(b": 48,", b": 0x30,"),
            "with +48": text.replace(b": 48,", b": +48,"),
            "with a tab": text.replace(b'"lab"', b'"l\tb"'),
            "with NUL": text.replace(b'"lab"', b'"l\0b"'),
            "with an overlong NUL": text.replace(b'"lab"', b'"\xc0\x80"'),
            "with a pair in UTF-8": text.replace(b'"lab"', b'"\xed\xa0\x80"'),
            "with half a pair as a key": text.replace(b'"card.md"', b'"\\ud800"'),
            "with a pair turned": text.replace(b'"lab"', b'"\\udc00\\ud800"'),
            "with a rule's key twice": text.replace(
                b'"coverage": 0.9', b'"coverage": 0.8,\n    "coverage": 0.9'
            ),
            "with a file twice": text.replace(
                b'"card.md": ', b'"card.md": "' + b"c" * 64 + b'",\n    "card.md": '
            ),
            "with a comment": text.replace(b"{", b"{ // lab", 1),
            "with quotes of another kind": text.replace(b'"lab"', b"'lab'"),
            "with text behind": text + b"\n",
            "with zeros behind": text + b"\0" * 99,
            "with two marks": b"\xef\xbb\xbf" * 2 + text,
            "with Infinity": text.replace(b'"temperature": 1.5', b'"temperature": Infinity'),
            "with 1e999": text.replace(b'"temperature": 1.5', b'"temperature": 1e999'),
            "with 5000 digits": text.replace(b": 48,", b": " + b"4" * 5000 + b","),
            "with -0": text.replace(b": 48,", b": -0,"),
            "with 048": text.replace(b": 48,", b": 048,"),
            "with a comma": text.replace(b"\n}\n", b",\n}\n"),
            "deep": as_json(base | {"more": nested(200)}),
            "very deep": as_json(base).replace(b'"lab"', b"[" * 5000 + b"]" * 5000),
        }.items():  # fmt: skip
            assert other != text, name
            yield f"{number}: {name}", other, DAMAGED
        yield (
            f"{number}: with 4000 digits",
            text.replace(b": 48,", b": " + b"4" * 4000 + b","),
            INVALID,
        )
        yield f"{number}: not so deep", as_json(base | {"more": nested(15)}), INVALID
        yield f"{number}: too deep", as_json(base | {"more": nested(16)}), DAMAGED
    for name, value in VALUES.items():
        if value != {}:
            yield f"{name} alone", as_json(value), DAMAGED
    yield "an empty object", as_json({}), INVALID
    for text in (
        b"",
        b"\n",
        b"{",
        b"null",
        b"\xff",
        b"[" * 10**6,
        b"{}{}",
        b'{"format":2}',
        b"\0" * 99,
    ):
        yield f"{text[:20]!r} of {len(text)}", text, DAMAGED
    yield (
        "a million labels that are none",
        as_json(format_3() | {"class_names": [None] * 10**6}),
        INVALID,
    )
    labels = as_json(format_3() | {"class_names": [str(n) for n in range(100_001)]})
    yield "100,001 labels", labels, INVALID
    for count, verdict in ((10_000, OK), (10_001, INVALID)):
        files = {f"saved_model/{n}": HEX for n in range(count)}
        yield f"{count:,} files", as_json(format_2() | {"files": files}), verdict
    yield "a page", b"<!doctype html><title>404</title>" * 99, DAMAGED


def mutated(rng: np.random.Generator, count: int) -> Iterator[bytes]:
    """Yield sound contracts in which up to three entries are others, of any kind and anywhere."""
    odd = [*VALUES.values(), -1, 0, 1, 2, 1.0, 0.5, 1e-300, 10**20, "", "lac", "later", HEX, False]
    for _ in range(count):
        contract = bases()[rng.integers(2)]
        for _ in range(rng.integers(1, 4)):
            node: Any = contract
            while True:
                names = list(node) if isinstance(node, dict) else list(range(len(node)))
                name = names[rng.integers(len(names))]
                if not isinstance(node[name], dict | list) or not node[name] or rng.random() < 0.2:
                    break
                node = node[name]
            chance = rng.random()
            if chance < 0.7:
                node[name] = copy.deepcopy(odd[rng.integers(len(odd))])
            elif chance < 0.85 and len(node) > 1:
                del node[name]
            elif isinstance(node, dict):
                node[["more", "score", "formats", "details"][rng.integers(4)]] = node[name]
        yield written(contract)


def bases() -> list[dict[str, Any]]:
    """Return a sound contract of each format."""
    return [format_2(), format_3()]


def nested(levels: int) -> Any:
    """Return so many lists in one another."""
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def at(value: Any, place: Path) -> Any:
    """Return what stands at a place."""
    for name in place:
        value = value[name]
    return value


def changed(contract: dict[str, Any], place: Path, value: Any) -> dict[str, Any]:
    """Return a contract with another value at a place."""
    other = copy.deepcopy(contract)
    at(other, place[:-1])[place[-1]] = value
    return other


def written(contract: dict[str, Any]) -> bytes:
    """Return the text of a contract whose formats have the ids that belong to them."""
    return as_json(sealed(contract))


def sealed(contract: dict[str, Any]) -> dict[str, Any]:
    """Return a contract in which every format that has an id has its own."""
    formats = contract.get("formats")
    if not isinstance(formats, dict):
        return contract
    other = copy.deepcopy(contract)
    for name, entry in other["formats"].items():
        if isinstance(entry, dict) and len(str(entry.get("id"))) == len(HEX):
            content = {key: entry[key] for key in entry if key != "id"}
            whole = {"entry": content, "model_id": contract.get("model_id"), "name": name}
            text = json.dumps(whole, sort_keys=True)
            entry["id"] = hashlib.sha256(text.encode()).hexdigest()
    return other


def as_json(value: Any) -> bytes:
    """Return a value as a contract is written."""
    return json.dumps(value, sort_keys=True, indent=2).encode() + b"\n"
