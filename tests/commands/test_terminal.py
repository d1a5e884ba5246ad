"""What a terminal is given: no name moves its cursor, turns the reading order or opens a link."""

import json

from hostile_names import NAMES

from cnnlab.commands import terminal


def test_a_table_shows_names_in_lines_of_their_own(capsys):
    terminal.print_table(NAMES[-12:], [[name] * 12 for name in NAMES])
    lines = capsys.readouterr().out.split("\n")
    assert len(lines) == len(NAMES) + 3
    assert all(line.isprintable() for line in lines)


def test_json_is_the_same_and_shows_every_character(capsys):
    names = [*NAMES, "\x9b31m", "\U000e0041tag", "\u2029"]
    for indent in (None, 2):
        terminal.print_json({"names": names}, indent)
        text = capsys.readouterr().out
        assert json.loads(text) == {"names": names}
        assert all(line.isprintable() for line in text.split("\n"))
    terminal.print_json("日本 é")
    assert capsys.readouterr().out == '"日本 é"\n'


def test_an_error_is_one_line(capsys):
    for name in NAMES:
        terminal.complain(f"There is no {name}.")
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert error.strip("\n").isprintable()
