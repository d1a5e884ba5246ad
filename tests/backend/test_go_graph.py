"""Go refuses the graphs that Python refuses, before TensorFlow opens them."""

import subprocess
from collections import Counter
from pathlib import Path

import graphs
import numpy as np
import pytest
from test_go_contract import by_go

from cnnlab.artifact import allow_list

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def by_python(content: bytes) -> str:
    try:
        allow_list.check_graph(content)
    except allow_list.Foreign:
        return graphs.FOREIGN
    return "ok"


def mutated(content: bytes, count: int) -> list[bytes]:
    """Graphs with some bytes changed, cut out or repeated."""
    draw = np.random.default_rng(3)
    found = []
    for number in range(count):
        start, end = sorted(draw.integers(0, len(content), 2).tolist())
        end = min(end, start + 40)
        middle = (draw.bytes(int(draw.integers(1, 4))), b"", 2 * content[start:end])[number % 3]
        found.append(
            content[:start] + middle + content[start + len(middle) if number % 3 == 0 else end :]
        )
    return found


def test_both_have_one_list() -> None:
    ours = ROOT / "cnnlab" / "artifact" / "allowed.json"
    assert ours.read_bytes() == (ROOT / "backend" / "artifact" / "allowed.json").read_bytes()


def test_the_corpus_gets_the_verdicts_it_was_made_for(contract_verdicts, saved) -> None:
    corpus = graphs.corpus((saved / graphs.PB).read_bytes())
    lines = by_go(contract_verdicts, [content for content, _ in corpus.values()], "graph")
    wrong = {
        name: (line, expected)
        for (name, (_, expected)), line in zip(corpus.items(), lines, strict=True)
        if line.partition(" ")[0] != expected
    }
    assert wrong == {}
    assert max(map(len, lines)) < 400


def test_mutated_graphs_get_the_same_verdict(contract_verdicts, saved) -> None:
    contents = mutated((saved / graphs.PB).read_bytes(), 300)
    pairs = [
        (line.partition(" ")[0], by_python(content), line)
        for line, content in zip(by_go(contract_verdicts, contents, "graph"), contents, strict=True)
    ]
    assert [pair for pair in pairs if pair[0] != pair[1]] == []
    counts = Counter(verdict for verdict, _, _ in pairs)
    assert min(counts["ok"], counts[graphs.FOREIGN]) > 10


@pytest.mark.slow
def test_the_server_refuses_a_model_that_writes_files(server_program, saved, tmp_path) -> None:
    marker = tmp_path / "marker"
    folder = graphs.resealed(saved, tmp_path / "model", graphs.writes(marker))
    command = [server_program, "--model", folder, "--addr", "127.0.0.1:0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert 'there is the operation "WriteFile" in function' in done.stderr.splitlines()[-1]
    assert not marker.exists()
