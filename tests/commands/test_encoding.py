"""Terminals that cannot carry every character: the command goes on and every character is told."""

import io
import json
import os
import subprocess
import sys

import pytest
from hostile_names import NAMES

from cnnlab.commands import encoding, terminal

COMMAND = [sys.executable, "-m", "cnnlab"]
ELSEWHERE = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "cp1252:strict"},
    {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


def called(arguments, extra, cwd):
    """Return status, standard output and standard error of the command, as bytes."""
    unset = {"LC_ALL", "LANG", "PYTHONUTF8", "PYTHONIOENCODING"}
    clean = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=cwd, env=clean | extra, capture_output=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("extra", ELSEWHERE, ids=lambda extra: " ".join(extra.values()))
def test_a_terminal_of_another_encoding_gets_what_it_can_show(extra, home):
    status, out, error = called(["settings"], extra, home)
    assert (status, error) == (0, b"")
    shown = out.decode(extra.get("PYTHONIOENCODING", "ascii").partition(":")[0], "strict")
    assert ("1–10000" if "cp1252:strict" in extra.values() else "1-10000") in shown
    status, out, error = called(["run", "--data", "日本/Kätze 🙂"], extra, home)
    assert (status, out) == (2, b"")
    assert error.startswith(b"cnnlab: error: There is no data folder '")
    assert b"Traceback" not in error
    assert error.count(b"\n") == 1


@pytest.fixture
def stream(monkeypatch):
    """Make standard output one of an encoding; returns a function: what was written, as bytes."""

    def make(name):
        written = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=name))
        encoding.carry_any_text()
        return lambda: (sys.stdout.flush(), written.getvalue())[1]

    return make


@pytest.mark.parametrize("name", ["ascii", "latin-1", "cp1252", "shift_jis", "koi8-r", "cp437"])
def test_every_name_is_carried_and_json_stays_json(stream, name):
    written = stream(name)
    terminal.print_json({"names": NAMES})
    assert json.loads(written().decode(name)) == {"names": NAMES}
    terminal.print_table(["name"], [[each] for each in NAMES])
    assert written().decode(name).count("\n") == len(NAMES) + 3


def test_signs_are_replaced_by_their_likes_and_letters_by_their_codes(stream):
    written = stream("ascii")
    print("0.917 ± 0.018 · 0–1 → 日 é \udcff …")
    assert written() == b"0.917 +/- 0.018 . 0-1 -> \\u65e5 \\xe9 \\udcff ...\n"


def test_unicode_stays_what_it_is(stream):
    written = stream("utf-8")
    print("± 日")
    assert written() == "± 日\n".encode()


@pytest.mark.parametrize("given", [{}, {"PYTHONIOENCODING": "cp1252"}])
@pytest.mark.parametrize("closed", [False, True])
def test_where_names_are_no_utf8_the_program_begins_anew_once(monkeypatch, given, closed):
    begun = []

    def begin(program, arguments, environment):
        begun.append((program, arguments[0], environment["PYTHONUTF8"],
                      environment.get("PYTHONIOENCODING")))  # fmt: skip
        monkeypatch.setenv("PYTHONUTF8", environment["PYTHONUTF8"])

    monkeypatch.delenv("PYTHONUTF8", raising=False)
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
    stream = io.TextIOWrapper(io.BytesIO(), encoding="iso8859-1")
    monkeypatch.setattr(sys, "stdout", None if closed else stream)
    monkeypatch.setattr(os, "execve", begin)
    encoding.read_names_as_utf8()
    encoding.read_names_as_utf8()  # the locale says the same again
    terminal = given.get("PYTHONIOENCODING", None if closed else "iso8859-1")
    assert begun == [(sys.executable, sys.executable, "1", terminal)]
