import io

from cnnlab.runs.progress import Progress


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_gets_one_plain_line():
    stream = io.StringIO()
    with Progress("03_training", cells=3, stream=stream) as progress:
        progress.advance()
        progress.advance()
    assert stream.getvalue() == "03_training               cell 2/3  00:00\n"


def test_a_terminal_gets_a_bar_with_notebook_cell_and_time():
    stream = _Terminal()
    with Progress("03_training", cells=2, stream=stream) as progress:
        progress.advance()
        progress.advance()
    last = stream.getvalue().rstrip("\n").rpartition("\r")[2]
    assert last.startswith("03_training")
    assert "cell 2/2" in last
    assert last.rstrip().endswith("00:00")
