"""``contract.json``: what a model folder says about itself, over the hashes of all its files.

``contract.schema.json`` describes formats 2 and 3. Python checks contracts by it; the Go server
does so by code of its own, tested to give the same verdict with the same code.
"""

import json
from pathlib import Path
from typing import Any

from cnnlab import hashing
from cnnlab.artifact import integrity, schema, signing
from cnnlab.artifact.integrity import ModelRefused, damaged
from cnnlab.config import InputError
from cnnlab.hashing import canonical_json

CONTRACT = "contract.json"
UNLISTED = frozenset({CONTRACT, signing.SIGNATURE})  # files of a folder that it has no hashes of
FORMAT = 3  # what is written
READ = (2, 3)  # what is read
MAX_BYTES = 16 * 2**20
MAX_DEPTH = 16  # of objects and lists in one another
# The contract lies inside the H5 file, too, whose hash is in ``files``. What may change without
# the network is left out there.
OUTSIDE_H5 = ("files", "bytes", "formats")


def write_contract(folder: Path, contract: dict[str, Any]) -> dict[str, Any]:
    """Write the contract over all files of a new folder, and return it.

    Raises:
        ModelRefused: It would be refused when it is read.
    """
    files = integrity.hashes(folder, UNLISTED)
    whole = contract | {"files": files, "bytes": integrity.total_bytes(folder, files)}
    text = canonical_json(whole, indent=2) + "\n"
    parse(text.encode(), folder)
    (folder / CONTRACT).write_text(text, "utf-8")
    return whole


def read_contract(folder: Path, trusted_key: Path | None = None) -> dict[str, Any]:
    """Return the contract of a model folder; see ``parse`` and, with a key, ``signing.check``."""
    with integrity.open_regular(folder, CONTRACT) as file:
        content = file.read(MAX_BYTES)
    if trusted_key:
        signing.check(folder, content, trusted_key)
    return parse(content, folder)


def parse(content: bytes, folder: Path) -> dict[str, Any]:
    """Return the contract that a text holds, as it stands there.

    Args:
        content: The whole of ``contract.json``, exactly as ``write_contract`` writes it.
        folder: The model folder that the errors name.

    Raises:
        ModelRefused: ``.code`` is the verdict. A format of a later version is
            ``unsupported_contract`` whatever else the object holds.
    """
    try:
        contract = json.loads(content.decode("utf-8"))
        if not isinstance(contract, dict) or not _shallow(contract):
            raise ValueError
        # Catches what JSON itself would let pass: another spacing, a key given twice.
        canonical = (canonical_json(contract, indent=2) + "\n").encode()
    except (ValueError, RecursionError):
        raise damaged(folder, CONTRACT, "was changed") from None
    number = contract.get("format")
    if schema.TYPES["integer"](number) and number not in READ:
        raise ModelRefused(
            "unsupported_contract",
            f"The model in {folder} has format {schema.brief(number)}: expected 2 or 3. "
            "Use the version of cnnlab that wrote it, or save the model again.",
        )
    if canonical != content or not _is_text(contract):
        raise damaged(folder, CONTRACT, "was changed")
    _check_entries(contract, folder)
    _check_formats(contract, folder)
    return contract


def format_id(model_id: str, name: str, entry: dict[str, Any]) -> str:
    """Return the id of an exported format: a SHA-256 over all that its predictions depend on.

    Args:
        model_id: The id of the model that it was made from.
        name: Its name in ``formats``.
        entry: What stands there; an ``id`` in it does not count.
    """
    content = {name: value for name, value in entry.items() if name != "id"}
    whole = {"entry": content, "model_id": model_id, "name": name}
    return hashing.json_digest(whole)


def check_facts(facts: dict[str, Any]) -> None:
    """Raise InputError unless entries of a new contract, by name, have the values they may have."""
    stated = schema.contract_schema()["$defs"]["format3"]["properties"]
    for fault in schema.faults(facts, {"properties": stated}):
        raise InputError(f"No contract may hold this, so nothing is saved. {fault.said}.")


def _check_entries(contract: dict[str, Any], folder: Path) -> None:
    """Raise unless the schema holds; what only ``enum`` refuses is unsupported, not invalid."""
    unknown = None
    for fault in schema.faults(contract, schema.contract_schema()):
        if fault.keyword != "enum":
            raise _refused("invalid_contract", fault, folder)
        unknown = unknown or fault
    if unknown:
        raise _refused("unsupported_contract", unknown, folder)


def _refused(code: str, fault: schema.Fault, folder: Path) -> ModelRefused:
    """Return the refusal that names an entry, what came and what was expected."""
    advice = "Use the version of cnnlab that wrote it, or save the model again."
    return ModelRefused(code, f"{CONTRACT} in {folder}: {fault.said}. {advice}")


def _check_formats(contract: dict[str, Any], folder: Path) -> None:
    """Compare ``formats`` with its ids and with ``files``: the H5 file does not hold it."""
    for name, entry in contract.get("formats", {}).items():
        if entry["id"] != format_id(contract["model_id"], name, entry):
            raise damaged(folder, CONTRACT, f"has another id than its format {name!r}")
        if not entry["files"].items() <= contract["files"].items():
            raise damaged(folder, CONTRACT, f"lists other files than its format {name!r}")


def _shallow(value: Any, levels: int = MAX_DEPTH) -> bool:
    """Return whether JSON nests no deeper: written with indents, deep text grows as its square."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels >= 0 and all(_shallow(each, levels - 1) for each in inner)


def _is_text(contract: dict[str, Any]) -> bool:
    r"""Return whether every string can be written: half of a surrogate pair, ``\ud800``, cannot."""
    try:
        json.dumps(contract, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
