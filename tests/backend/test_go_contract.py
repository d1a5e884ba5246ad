"""Go judges every contract as Python does: the same verdict, the same code."""

import struct
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import contracts
import numpy as np

from cnnlab.artifact import contract
from cnnlab.artifact.integrity import ModelRefused


def by_go(program: Path, texts: Iterable[bytes], *arguments: str) -> list[str]:
    sent = b"".join(struct.pack(">I", len(text)) + text for text in texts)
    done = subprocess.run(
        [program, *arguments], input=sent, capture_output=True, check=True, timeout=120
    )
    return done.stdout.decode().splitlines()


def by_python(text: bytes) -> str:
    try:
        contract.parse(text, Path("/models/lab"))
    except ModelRefused as refused:
        return refused.code
    return "ok"


def test_the_corpus_gets_the_verdicts_it_was_made_for(contract_verdicts) -> None:
    corpus = contracts.corpus()
    lines = by_go(contract_verdicts, [text for text, _ in corpus.values()])
    found = dict(zip(corpus, lines, strict=True))
    wrong = {
        name: (found[name], expected)
        for name, (_, expected) in corpus.items()
        if found[name].partition(" ")[0] != expected
    }
    assert wrong == {}
    assert max(map(len, lines)) < 600  # one line, however much was sent


def test_mutated_contracts_get_the_same_verdict(contract_verdicts) -> None:
    texts = list(contracts.mutated(np.random.default_rng(13), 1500))
    pairs = [
        (go.partition(" ")[0], by_python(text), text)
        for go, text in zip(by_go(contract_verdicts, texts), texts, strict=True)
    ]
    assert [pair for pair in pairs if pair[0] != pair[1]] == []
    counts = Counter(verdict for verdict, _, _ in pairs)
    assert min(counts[code] for code in ("ok", "invalid_contract", "unsupported_contract")) > 20
