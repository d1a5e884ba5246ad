"""Contracts: one schema, one verdict a text, and never an exception without a code."""

import hashlib
import json
import runpy
from collections import Counter
from pathlib import Path

import contracts
import h5py
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from cnnlab.artifact import contract, h5, model_folder, schema
from cnnlab.artifact.integrity import ArtifactDamaged, ModelRefused
from cnnlab.artifact.records import Artifact, Check
from cnnlab.config import InputError
from cnnlab.config.data import BACKGROUNDS, FITS
from cnnlab.evaluation import conformal, ood_detection
from cnnlab.images import PREPROCESSING_VERSION, Preprocessing
from cnnlab.serving.predictor import Predictor

FOLDER = Path("/models/lab")
CORPUS = contracts.corpus()
TEST_MODELS = (
    Path(__file__).resolve().parents[2] / "backend" / "internal" / "testmodels" / "make.py"
)
as_format_2 = runpy.run_path(str(TEST_MODELS))["as_format_2"]


def verdict(text: bytes) -> str:
    try:
        contract.parse(text, FOLDER)
    except ModelRefused as refused:
        return refused.code
    return "ok"


def by_schema(value: object) -> str:
    """What the schema alone says, by the validator of its reference implementation."""
    found = {
        error.validator
        for error in Draft202012Validator(schema.contract_schema()).iter_errors(value)
    }
    if not found:
        return "ok"
    return "unsupported_contract" if found == {"enum"} else "invalid_contract"


def test_the_corpus_is_large_and_the_same_each_time():
    again = contracts.corpus()
    assert again == CORPUS
    counts = Counter(verdict for _, verdict in CORPUS.values())
    assert len(CORPUS) >= 300
    assert len({text for text, _ in CORPUS.values()}) > 0.97 * len(CORPUS)
    assert len(counts) == 4
    assert min(counts.values()) >= 25, counts


def test_the_schema_is_one():
    Draft202012Validator.check_schema(schema.contract_schema())


def test_the_schema_knows_the_words_of_this_version():
    known = schema.contract_schema()["$defs"]
    stated = known["preprocessing"]["then"]["properties"]
    assert known["preprocessing_version"]["enum"] == [PREPROCESSING_VERSION]
    assert stated["fit"]["enum"] == list(FITS)
    assert stated["background"]["enum"] == list(BACKGROUNDS)
    assert known["known_conformal"]["properties"]["score"]["enum"] == [conformal.SCORE]
    assert known["known_novelty"]["properties"]["score"]["enum"] == [ood_detection.SCORE]


def test_every_contract_gets_the_verdict_it_was_made_for():
    wrong = {
        name: (verdict(text), expected)
        for name, (text, expected) in CORPUS.items()
        if verdict(text) != expected
    }
    assert wrong == {}


@pytest.mark.slow
def test_the_schema_alone_agrees_wherever_it_can():
    """It cannot see a text, nor compare ids and files; a later format it can only name."""
    compared, wrong = 0, {}
    for name, (text, expected) in CORPUS.items():
        if expected == "damaged" or len(text) > 10**6:
            continue
        value = json.loads(text)
        if value.get("format") in (2, 3) or expected != "unsupported_contract":
            compared += 1
            if by_schema(value) != expected:
                wrong[name] = (by_schema(value), expected)
    assert wrong == {}
    assert compared > 300


def test_every_refusal_is_one_line_that_names_the_entry():
    texts = [
        (name, text)
        for name, (text, expected) in CORPUS.items()
        if expected in ("invalid_contract", "unsupported_contract") and len(text) < 10**5
    ]
    for name, text in texts:
        with pytest.raises(InputError) as caught:
            contract.parse(text, FOLDER)
        message = str(caught.value)
        assert str(FOLDER) in message, name
        assert len(message) < 500, name
        assert message.isprintable(), (name, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"format": 1}', "format 1: expected 2 or 3"),
        (
            contracts.written(contracts.format_3() | {"image_size": "48"}),
            "image_size: got '48': expected the type integer",
        ),
        (
            contracts.written(
                contracts.changed(contracts.format_3(), ("preprocessing", "fit"), "letterbox")
            ),
            "preprocessing: fit: got 'letterbox': expected one of ['stretch', 'pad', 'crop']",
        ),
    ],
)
def test_a_refusal_says_what_came_and_what_was_expected(text, message):
    with pytest.raises(ModelRefused) as caught:
        contract.parse(text, FOLDER)
    assert message in str(caught.value)


def opened(contract_of: dict) -> Artifact:
    return Artifact(FOLDER, contract.parse(contracts.written(contract_of), FOLDER))


def test_both_formats_read_the_same():
    one, other = opened(contracts.format_2()), opened(contracts.format_3())
    for name in (
        "class_names", "image_size", "preprocessing", "temperature", "conformal", "novelty",
        "model_id", "run_id",
    ):  # fmt: skip
        assert getattr(one, name) == getattr(other, name), name
    assert one.formats == {}
    assert one.conformal.score == "lac"
    assert one.preprocessing == Preprocessing(1, "stretch", "white")


def test_whole_numbers_may_be_written_as_floats():
    stated = contracts.changed(contracts.format_3(), ("image_size",), 48.0)
    stated = contracts.changed(stated, ("conformal", "calibrated_on"), 40.0)
    found = opened(stated)
    assert (type(found.image_size), type(found.conformal.calibrated_on)) == (int, int)


def test_a_format_has_its_own_entries_and_the_rest_of_the_model():
    model = opened(contracts.format_3())
    onnx = model.format("onnx")
    assert onnx.temperature == 1.25 != model.temperature
    assert onnx.paths == [FOLDER / "onnx/model.onnx"]
    assert onnx.checks == {"max_difference": Check(1e-4, 2.4e-06, 256)}
    assert onnx.details == {"opset": 18}
    assert onnx.id not in (model.model_id, "")
    stated = contracts.format_3()
    for name in ("temperature", "conformal", "novelty", "details"):
        del stated["formats"]["onnx"][name]
    plain = opened(stated).format("onnx")
    assert plain.id != onnx.id
    assert (plain.temperature, plain.conformal, plain.novelty, plain.details) == (
        model.temperature, model.conformal, model.novelty, {},
    )  # fmt: skip
    none = contracts.changed(contracts.format_3(), ("formats", "onnx", "conformal"), None)
    assert opened(none).format("onnx").conformal is None
    with pytest.raises(InputError, match=r"has no format 'openvino': contract\.json lists onnx"):
        model.format("openvino")


@pytest.mark.parametrize("rule", ["conformal", "novelty"])
def test_a_format_by_an_unknown_score_is_refused_when_it_is_used(rule):
    later = contracts.changed(
        contracts.format_3(), ("formats", "onnx", rule), {"score": "later", "quantiles": [1]}
    )
    model = opened(later)
    assert model.conformal
    assert model.novelty
    with pytest.raises(ModelRefused, match="score 'later'") as caught:
        getattr(model.format("onnx"), rule)
    assert caught.value.code == "unsupported_contract"


def test_the_id_of_a_format_covers_all_that_it_says():
    entry = contracts.format_3()["formats"]["onnx"]
    assert contract.format_id("a" * 64, "onnx", entry) == entry["id"]
    others = {
        contract.format_id("b" * 64, "onnx", entry),
        contract.format_id("a" * 64, "onnx_2", entry),
        *(
            contract.format_id("a" * 64, "onnx", entry | {name: None})
            for name in entry
            if name != "id"
        ),
    }
    assert len({entry["id"], *others}) == 2 + len(entry)


# From here on whole folders, whose hashes are right whatever the contract says.


@pytest.mark.slow
def test_a_folder_of_format_2_answers_as_before(saved, copied, photos):
    as_format_2(copied)
    earlier, now = Predictor(copied), Predictor(saved)
    assert earlier.artifact.contract["format"] == 2
    assert "preprocessing" not in earlier.artifact.contract
    for content in photos:
        assert earlier.predict(content) == now.predict(content)
    model_folder.write_card(copied, "# Another card\n")
    assert model_folder.load(copied).contract["format"] == 2


def test_formats_may_come_later_and_are_checked(saved, copied):
    stated = with_format(copied)
    loaded = model_folder.load(copied)
    assert loaded.formats.keys() == {"onnx"}
    assert loaded.format("onnx").paths[0].read_bytes() == b"a graph"
    assert loaded.model_id == model_folder.load(saved).model_id
    assert model_folder.write_card(copied, "# Another card\n")["formats"] == stated["formats"]
    (copied / "onnx" / "model.onnx").write_bytes(b"another")
    with pytest.raises(ArtifactDamaged, match=r"onnx/model\.onnx .*was changed"):
        model_folder.load(copied)


@pytest.mark.parametrize("name", ["image_size", "more", "conformal"])
def test_no_contract_is_written_that_would_be_refused(copied, name):
    stated = contract.read_contract(copied)
    before = (copied / "contract.json").read_bytes()
    with pytest.raises(ModelRefused, match=name):
        contract.write_contract(copied, stated | {name: 2})
    assert (copied / "contract.json").read_bytes() == before


@pytest.mark.parametrize("kind", ["number", "array", "bytes", "none"])
def test_what_stands_in_the_h5_file_may_be_anything(copied, kind):
    other = {"number": 3, "array": np.arange(4), "bytes": np.void(b"\xff"), "none": h5py.Empty("f")}
    with h5py.File(copied / "model.h5", "r+") as file:
        file.attrs[h5.ATTRIBUTE] = other[kind]
    contract.write_contract(copied, contract.read_contract(copied))
    with pytest.raises(ArtifactDamaged, match=r"agree with model\.h5"):
        model_folder.load(copied)


def with_format(folder: Path) -> dict:
    """Add a format to a model folder, and return its contract."""
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"a graph")
    stated = contract.read_contract(folder)
    digest = hashlib.sha256(b"a graph").hexdigest()
    check = {"limit": 1e-4, "measured": 0.0, "images": 1}
    entry = {"files": {"onnx/model.onnx": digest}, "checks": {"max_difference": check}}
    entry["id"] = contract.format_id(stated["model_id"], "onnx", entry)
    return contract.write_contract(folder, stated | {"formats": {"onnx": entry}})
