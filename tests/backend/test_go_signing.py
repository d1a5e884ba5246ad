"""Go trusts the signatures that Python makes, and no others."""

import subprocess
from pathlib import Path
from shutil import copytree

import graphs
import pytest

from cnnlab.artifact import contract, model_folder, signing
from cnnlab.artifact.integrity import ModelRefused

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def key(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "lab.key"
    signing.new_key(file)
    return file


def by_python(folder: Path, key: Path | None) -> str:
    try:
        model_folder.load(folder, trusted_key=key)
    except ModelRefused as refused:
        return refused.code
    return "ok"


@pytest.fixture(scope="module")
def folders(saved, key, tmp_path_factory) -> dict[str, Path]:
    """Model folders by what was done to them, all of them signed before."""
    place = tmp_path_factory.mktemp("folders")
    first = Path(copytree(saved, place / "signed"))
    model_folder.sign(first, key)
    found = {"signed": first}

    def another(name: str) -> Path:
        found[name] = Path(copytree(first, place / name))
        return found[name]

    (another("unsigned") / "contract.sig").unlink()
    (another("long signature") / "contract.sig").write_bytes(bytes(100))
    (another("another signature") / "contract.sig").write_bytes(bytes(64))
    signing.new_key(place / "other.key")
    model_folder.sign(another("by another"), place / "other.key")
    (another("a changed card") / "card.md").write_text("changed")
    (another("a changed contract") / "contract.json").write_text("{")
    with (another("a space more") / "contract.json").open("a") as file:
        file.write(" ")
    beside = another("a file beside the graph")
    (beside / "saved_model" / "saved_model.pbtxt").write_bytes(b"")
    contract.write_contract(beside, contract.read_contract(beside))
    found["writes a file"] = graphs.resealed(first, place / "w", graphs.writes(place / "marker"))
    model_folder.write_card(another("a new card"), "new")
    return found


EXPECTED = {  # with the key, and without it
    "signed": ("ok", "ok"),
    "unsigned": ("untrusted", "ok"),
    "long signature": ("untrusted", "ok"),
    "another signature": ("untrusted", "ok"),
    "by another": ("untrusted", "ok"),
    "a changed card": ("damaged", "damaged"),
    "a changed contract": ("untrusted", "damaged"),
    "a space more": ("untrusted", "damaged"),
    "a file beside the graph": ("untrusted", "foreign_model"),
    "writes a file": ("untrusted", "foreign_model"),
    "a new card": ("untrusted", "ok"),
}


@pytest.mark.parametrize("insists", [True, False])
def test_both_trust_the_same_folders(folder_verdicts, folders, key, insists) -> None:
    public = key.with_name("lab.key.pub")
    command = [folder_verdicts, *(["-key", public] if insists else []), *folders.values()]
    done = subprocess.run(command, capture_output=True, check=True, timeout=120)
    by_both = {
        name: (
            line.split()[0].replace("graph", "ok"),
            by_python(folder, public if insists else None),
        )
        for line, (name, folder) in zip(
            done.stdout.decode().splitlines(), folders.items(), strict=True
        )
    }
    expected = {name: codes[0 if insists else 1] for name, codes in EXPECTED.items()}
    assert by_both == {name: (code, code) for name, code in expected.items()}
