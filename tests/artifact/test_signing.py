"""With a trusted key, only what its owner signed is loaded; without one, nothing changes."""

import stat
from pathlib import Path
from shutil import copytree

import pytest
from click.testing import CliRunner

from cnnlab.__main__ import main
from cnnlab.artifact import contract, model_folder, signing
from cnnlab.artifact.integrity import ArtifactDamaged, ModelRefused
from cnnlab.config import InputError
from cnnlab.serving.predictor import Predictor


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> tuple[Path, Path]:
    """Two private keys; each public key lies beside its own."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "theirs"):
        signing.new_key(folder / name)
    return folder / "ours", folder / "theirs"


@pytest.fixture(scope="module")
def signed(saved, keys, tmp_path_factory) -> Path:
    """A signed model folder that no test may change."""
    folder = Path(copytree(saved, tmp_path_factory.mktemp("signed") / "model"))
    model_folder.sign(folder, keys[0])
    return folder


def public(key: Path) -> Path:
    return key.with_name(key.name + ".pub")


@pytest.mark.slow
def test_what_the_trusted_key_signed_is_loaded(signed, saved, keys) -> None:
    trusted = model_folder.load(signed, trusted_key=public(keys[0]))
    assert (
        trusted.contract == model_folder.load(signed).contract == model_folder.load(saved).contract
    )
    assert model_folder.load_keras(signed, trusted_key=public(keys[0])).name == "tiny"
    assert Predictor(signed, trusted_key=str(public(keys[0]))).model_id == trusted.model_id


def test_the_signature_is_what_other_programs_check(signed, keys) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(public(keys[0]).read_bytes())
    content = (signed / "contract.sig").read_bytes()
    key.verify(content, (signed / "contract.json").read_bytes())
    assert len(content) == 64


def another_key(folder: Path, keys: tuple[Path, Path]) -> None:
    model_folder.sign(folder, keys[1])


def no_signature(folder: Path, keys: tuple[Path, Path]) -> None:
    (folder / "contract.sig").unlink()


def changed_contract(folder: Path, keys: tuple[Path, Path]) -> None:
    stated = contract.read_contract(folder)
    contract.write_contract(folder, stated | {"run_id": "another"})


def changed_signature(folder: Path, keys: tuple[Path, Path]) -> None:
    content = bytearray((folder / "contract.sig").read_bytes())
    content[5] ^= 1
    (folder / "contract.sig").write_bytes(content)


def longer_signature(folder: Path, keys: tuple[Path, Path]) -> None:
    content = (folder / "contract.sig").read_bytes()
    (folder / "contract.sig").write_bytes(content + b"\n")


def linked_signature(folder: Path, keys: tuple[Path, Path]) -> None:
    (folder / "contract.sig").rename(folder.parent / "elsewhere")
    (folder / "contract.sig").symlink_to(folder.parent / "elsewhere")


def no_contract(folder: Path, keys: tuple[Path, Path]) -> None:
    (folder / "contract.json").write_text("{")


@pytest.mark.parametrize(
    "change",
    [another_key, no_signature, changed_contract, changed_signature, longer_signature,
     linked_signature, no_contract],
)  # fmt: skip
def test_what_the_trusted_key_did_not_sign_is_refused(signed, keys, change, tmp_path) -> None:
    folder = Path(copytree(signed, tmp_path / "model"))
    change(folder, keys)
    with pytest.raises(ModelRefused, match=r"is not the signature .* by ours.pub") as refused:
        model_folder.load(folder, trusted_key=public(keys[0]))
    assert refused.value.code == "untrusted"


def test_a_signature_does_not_save_a_changed_file(signed, keys, tmp_path) -> None:
    folder = Path(copytree(signed, tmp_path / "model"))
    (folder / "card.md").write_text("another")
    with pytest.raises(ArtifactDamaged, match=r"card\.md"):
        model_folder.load(folder, trusted_key=public(keys[0]))
    with pytest.raises(ArtifactDamaged, match=r"card\.md"):
        model_folder.sign(folder, keys[0])


def test_a_new_card_asks_for_a_new_signature(signed, keys, tmp_path) -> None:
    folder = Path(copytree(signed, tmp_path / "model"))
    model_folder.write_card(folder, "another")
    assert not (folder / "contract.sig").exists()
    model_folder.sign(folder, keys[0])
    assert model_folder.load(folder, trusted_key=public(keys[0])).contract["run_id"] == "lab"


def test_keys_are_private_and_never_replaced(keys, tmp_path) -> None:
    assert stat.S_IMODE(keys[0].stat().st_mode) == 0o600
    assert b"PRIVATE" not in public(keys[0]).read_bytes()
    with pytest.raises(InputError, match="keys are kept"):
        signing.new_key(keys[0])
    (tmp_path / "new.pub").write_text("mine")
    with pytest.raises(InputError, match="keys are kept"):
        signing.new_key(tmp_path / "new")
    assert not (tmp_path / "new").exists()


# PEM files of a kind of key that nobody knows (object identifier 1.2.3.4).
UNKNOWN = [
    "-----BEGIN PUBLIC KEY-----\nMAswBQYDKgMEAwIAAA==\n-----END PUBLIC KEY-----\n",
    "-----BEGIN PRIVATE KEY-----\nMA4CAQAwBQYDKgMEBAIEAA==\n-----END PRIVATE KEY-----\n",
]


@pytest.mark.parametrize("content", ["", "no key", None, *UNKNOWN])
def test_a_file_that_is_no_key_is_said(signed, keys, content, tmp_path) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    wrong = (file, public(keys[0])), (file, keys[0])
    for key in wrong[0]:
        with pytest.raises(InputError, match=r"holds no Ed25519 private key|Cannot read"):
            signing.signature(b"x", key)
    for key in wrong[1]:
        with pytest.raises(InputError, match=r"holds no Ed25519 public key|Cannot read"):
            model_folder.load(signed, trusted_key=key)


def test_the_command_makes_a_key_signs_and_insists(saved, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    copytree(saved, "model")
    run = CliRunner().invoke
    assert run(main, ["sign", "--new-key", "lab.key"]).exit_code == 0
    asked = ["predict", "--model", "model", "--trusted-key", "lab.key.pub", "model/card.md"]
    refused = run(main, asked)
    assert refused.exit_code == 2
    assert "is not the signature of its contract by lab.key.pub" in refused.output
    assert (
        run(main, ["sign", "model", "--key", "lab.key"]).output
        == f"{tmp_path}/model/contract.sig written.\n"
    )
    assert "not the signature" not in run(main, asked).output
    for wrong in (["sign"], ["sign", "model"], ["sign", "model", "--new-key", "x"]):
        assert (
            "Expected a MODEL with --key FILE, or --new-key FILE alone." in run(main, wrong).output
        )
