"""What graphs and networks may hold is what the exports of the registry hold, and no more."""

import json
from pathlib import Path

import exports
import pytest

from cnnlab.artifact import allow_list, h5

QUICK = ("reference_cnn", "resnet", exports.SEQUENTIAL)
FOUND: dict[str, dict[str, set[str]]] = {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.long)
        for name in (*QUICK, *(each for each in exports.ALL if each not in QUICK))
    ],
)
def test_every_export_would_be_loaded(name, tmp_path) -> None:
    whole: dict[str, set[str]] = {kind: set() for kind in exports.KINDS}
    for file, graph in exports.exported(name, tmp_path):
        allow_list.check_graph((graph / "saved_model.pb").read_bytes())
        h5.check(file)
        assert {path.relative_to(tmp_path).as_posix() for path in graph.rglob("*.*")} == {
            f"{graph.name}/{each.partition('/')[2]}" for each in allow_list.FILES
        }
        for kind, names in exports.held(file, graph).items():
            assert names <= allow_list.allowed(kind)
            whole[kind] |= names
    FOUND[name] = whole


@pytest.mark.slow
@pytest.mark.long
def test_nothing_is_allowed_that_no_export_holds() -> None:
    """Runs behind the others, and judges what they found."""
    if FOUND.keys() != {*exports.ALL}:
        pytest.skip("not every family was exported")
    stated = json.loads((Path(allow_list.__file__).parent / "allowed.json").read_text("utf-8"))
    for kind, names in stated.items():
        earlier = exports.EARLIER.get(kind, set())
        assert names == sorted(earlier.union(*(found[kind] for found in FOUND.values()))), kind
