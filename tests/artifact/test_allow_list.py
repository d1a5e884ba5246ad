"""Nothing of a graph runs that no export of cnnlab holds."""

import json
import re
from pathlib import Path

import graphs
import pytest

from cnnlab.artifact import allow_list, contract, model_folder
from cnnlab.artifact.integrity import ModelRefused
from cnnlab.serving.predictor import Predictor


@pytest.fixture(scope="module")
def corpus(saved) -> dict[str, tuple[bytes, str]]:
    return graphs.corpus((saved / graphs.PB).read_bytes())


def verdict(content: bytes) -> str:
    try:
        allow_list.check_graph(content)
    except allow_list.Foreign as found:
        return graphs.FOREIGN if str(found).isprintable() and len(str(found)) < 300 else str(found)
    return "ok"


def test_the_corpus_gets_its_verdicts(corpus) -> None:
    assert len(corpus) > 110
    wrong = {name for name, (content, expected) in corpus.items() if verdict(content) != expected}
    assert wrong == set(), {name: corpus[name][1] for name in wrong}


@pytest.mark.parametrize("bound", ["MAX_BYTES", "MAX_FUNCTIONS", "MAX_NODES"])
def test_a_graph_is_no_larger_than_the_bounds(corpus, bound, monkeypatch) -> None:
    monkeypatch.setattr(allow_list, bound, 10)
    with pytest.raises(allow_list.Foreign, match="has more than 10 "):
        allow_list.check_graph(corpus["as it is"][0])


def test_a_model_that_writes_files_is_refused_before_it_runs(saved, tmp_path) -> None:
    marker = tmp_path / "marker"
    folder = graphs.resealed(saved, tmp_path / "model", graphs.writes(marker))
    with pytest.raises(
        ModelRefused, match=r"'WriteFile' in function '__inference_prepare_"
    ) as said:
        Predictor(folder)
    assert said.value.code == "foreign_model"
    assert not marker.exists()


def test_a_model_that_reads_files_is_refused_by_everybody(saved, tmp_path) -> None:
    folder = graphs.resealed(saved, tmp_path / "model", graphs.reads(Path("/etc/hostname")))
    for ask in (model_folder.load, model_folder.load_keras, Predictor):
        with pytest.raises(ModelRefused, match="'ReadFile'"):
            ask(folder)
    with pytest.raises(ModelRefused, match="'ReadFile'"):
        model_folder.write_card(folder, "#")


@pytest.mark.parametrize(
    "name",
    [
        "saved_model.pbtxt", "saved_model.cpb", "assets/vocabulary", "assets.extra/x", "debug/x",
        "variables/variables.data-00001-of-00002", "keras_metadata.pb",
    ],
)  # fmt: skip
def test_no_other_file_stands_beside_the_graph(copied, name) -> None:
    path = copied / "saved_model" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    contract.write_contract(copied, contract.read_contract(copied))
    with pytest.raises(ModelRefused, match=rf"saved_model/{name}' is unexpected"):
        model_folder.load(copied)


def test_a_graph_less_is_refused(copied) -> None:
    (copied / graphs.PB).unlink()
    contract.write_contract(copied, contract.read_contract(copied))
    with pytest.raises(ModelRefused, match=r"saved_model.pb' is missing"):
        model_folder.load(copied)


def test_nothing_is_listed_twice_or_out_of_order() -> None:
    text = (Path(allow_list.__file__).parent / "allowed.json").read_text("utf-8")
    stated = json.loads(text)
    assert all(names == sorted(set(names)) for names in stated.values())
    assert text == json.dumps(stated, indent=1, sort_keys=True) + "\n"


def test_what_is_listed_touches_no_file_but_the_weights() -> None:
    known = allow_list.allowed("operations")
    words = re.compile(
        "File|Read|Write|Py|Dataset|Record|Save|Restore|Merge|Table|Summary|Remote|Rpc|Send|Recv|"
        "Print|Debug|Assign|Checkpoint|Collective|Custom|Host|Xla|Load|Dump|Proto|Encode"
    )
    assert {op for op in known if words.search(op)} == {"ReadVariableOp"}
