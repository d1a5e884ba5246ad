"""Over a hundred crafted files end as expected; 20,000 mutated ones end, and with a code."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import crafted
import mutated
import numpy as np
import pytest
from PIL import EpsImagePlugin

from cnnlab.images import ImageRejected, decode, inspect, transcode

SIZE = 32
FILES = crafted.files()


def test_there_are_a_hundred_of_both_kinds_in_all_formats() -> None:
    accepted = [name for name, (_, expected) in FILES.items() if expected == crafted.ACCEPTED]
    assert len(accepted) >= 100
    assert len(FILES) - len(accepted) >= 100
    for name in crafted.FORMATS:
        assert any(other.startswith(name) for other in accepted)


@pytest.mark.parametrize("name", FILES)
def test_crafted_file(name: str) -> None:
    image_bytes, expected = FILES[name]
    codes, messages = [], []
    for step in (inspect, transcode, lambda data: decode(data, SIZE)):
        try:
            result = step(image_bytes)
        except ImageRejected as rejection:
            codes.append(rejection.code)
            messages.append(rejection.message)
    assert (codes[-1] if codes else crafted.ACCEPTED) == expected
    assert all(message and "\n" not in message for message in messages)
    assert len(set(codes)) <= 1  # whichever step refuses, the code is the same
    if not codes:
        assert (result.dtype, result.shape) == (np.uint8, (SIZE, SIZE, 3))


def test_ghostscript_is_never_reached(monkeypatch) -> None:
    """Pillow reads EPS by starting Ghostscript, which runs the program that the file is."""

    def reached(*_: object, **__: object) -> None:
        raise SystemExit("reached")  # not an Exception: nothing on the way may swallow it

    monkeypatch.setattr(EpsImagePlugin, "EpsImageFile", reached)
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", reached)
    monkeypatch.setattr(EpsImagePlugin, "_accept", reached)
    monkeypatch.setattr(subprocess, "Popen", reached)
    for name in (name for name in FILES if "EPS" in name or "PostScript" in name):
        with pytest.raises(ImageRejected) as caught:
            decode(FILES[name][0], SIZE)
        assert caught.value.code == ("corrupt" if "signature" in name else "unknown_format")


def test_a_mutation_is_the_same_every_time_and_another_each_time() -> None:
    seeds = mutated.seeds()
    first, again = ([mutated.mutated(i, seeds) for i in range(300)] for _ in range(2))
    assert first == again
    assert len(set(first)) > 290
    assert sum(data not in seeds for data in first) > 290


def test_what_is_no_refusal_counts_as_broken(monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("seed")

    monkeypatch.setattr(mutated, "decode", broken)
    assert mutated.ending(crafted.png(2, 8, False)) == "broken: KeyError: 'seed'"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX timers")
def test_twenty_thousand_mutated_files(tmp_path) -> None:
    """In two processes: whatever kills one fails the test and names the file."""
    count, workers = 20_000, 2
    program = Path(mutated.__file__)
    running = [
        subprocess.Popen(
            [sys.executable, program, str(i), str(workers), str(count), tmp_path / f"{i}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for i in range(workers)
    ]
    endings: Counter[str] = Counter()
    for i, process in enumerate(running):
        output, errors = process.communicate()
        last = (tmp_path / f"{i}").read_text().strip() if (tmp_path / f"{i}").exists() else "none"
        assert process.returncode == 0, (
            f"mutated.mutated({last}, mutated.seeds()) ended its process with "
            f"{process.returncode}: {errors.decode(errors='replace')[-2000:]}"
        )
        report = json.loads(output)
        assert report["broken"] == []
        assert report["slowest"][0] <= mutated.SECONDS, report
        assert report["largest"][0] <= mutated.MEGABYTES, report
        assert report["kept"] <= mutated.MEGABYTES, report
        endings.update(report["endings"])
    assert endings.total() == count
    assert endings[crafted.ACCEPTED] > 1000  # the mutations are not all hopeless
    assert len(endings) >= 8  # and reach many different checks
