"""Who made a model folder: an Ed25519 signature (RFC 8032) over the bytes of its contract.

The contract holds the hash of every other file, so one signature covers the folder. It lies beside
the contract as ``contract.sig``, 64 bytes, which other programs check as well:
``openssl pkeyutl -verify -pubin -inkey KEY.pub -rawin -in contract.json -sigfile contract.sig``.
Whoever trusts a key trusts all that its owner signs, older models among it; a key is not revoked.
"""

import os
from pathlib import Path
from typing import Any

from cnnlab.artifact.integrity import ArtifactDamaged, ModelRefused, open_regular
from cnnlab.config import InputError

SIGNATURE = "contract.sig"
SIGNATURE_BYTES = 64
MAX_KEY_BYTES = 16 * 2**10
CODE = "untrusted"


def new_key(path: Path) -> Path:
    """Write a new private key, readable by its owner alone, and return the path of its public key.

    Args:
        path: Where the private key goes, PEM (PKCS 8), not encrypted; the public key goes beside
            it, with ``.pub`` behind the name.

    Raises:
        InputError: There is such a file already; it is not replaced.
    """
    ed25519, serialization = _cryptography()
    public = path.with_name(path.name + ".pub")
    for file in (path, public):
        if os.path.lexists(file):
            raise InputError(f"{file} exists: expected a new name, as keys are kept.")
    key = ed25519.Ed25519PrivateKey.generate()
    private_text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public_text = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for file, text, mode in ((path, private_text, 0o600), (public, public_text, 0o644)):
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            stream.write(text)
    return public


def signature(content: bytes, key: Path) -> bytes:
    """Return the signature of a contract's bytes by a private key's file.

    Raises:
        InputError: The file holds no Ed25519 private key, or one that asks for a password.
    """
    ed25519, serialization = _cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        found = serialization.load_pem_private_key(_read(key), password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, ed25519.Ed25519PrivateKey):
        raise InputError(
            f"{key} holds no Ed25519 private key without a password: expected a PEM file, as "
            "cnnlab sign --new-key writes it."
        )
    signed: bytes = found.sign(content)
    return signed


def check(folder: Path, content: bytes, key: Path) -> None:
    """Raise unless a folder's signature is that of its contract by a trusted public key.

    Args:
        folder: The model folder.
        content: The whole of its ``contract.json``.
        key: The file of the public key.

    Raises:
        ModelRefused: ``untrusted``: there is no signature, or another.
        InputError: The file holds no Ed25519 public key.
    """
    ed25519, serialization = _cryptography()
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        trusted = serialization.load_pem_public_key(_read(key))
    except (ValueError, UnsupportedAlgorithm):
        trusted = None
    if not isinstance(trusted, ed25519.Ed25519PublicKey):
        raise InputError(
            f"{key} holds no Ed25519 public key: expected the PEM file that ends with .pub, as "
            "cnnlab sign --new-key writes it."
        )
    try:
        with open_regular(folder, SIGNATURE) as file:
            trusted.verify(file.read(SIGNATURE_BYTES + 1), content)
    except (ArtifactDamaged, InvalidSignature):
        raise ModelRefused(
            CODE,
            f"{SIGNATURE} in {folder} is not the signature of its contract by {key.name}: use a "
            "model that the owner of that key signed, or sign this one with cnnlab sign.",
        ) from None


def _read(key: Path) -> bytes:
    try:
        with key.open("rb") as file:
            return file.read(MAX_KEY_BYTES)
    except OSError as error:
        raise InputError(f"Cannot read the key {key}: {error.strerror}.") from None


def _cryptography() -> tuple[Any, Any]:
    """Return the modules of the library, which is an extra: nothing else of cnnlab needs it."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise InputError(
            "Signatures need the package cryptography: pip install 'cnnlab[signing]'."
        ) from None
    return ed25519, serialization
