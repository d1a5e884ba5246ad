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


def test_a_log_also_shows_what_the_cell_said_last():
    stream = io.StringIO()
    with Progress("04_kfold", cells=3, stream=stream) as progress:
        progress.advance()
        progress.say("fold 1\n fold 2:  epoch 3 \n")
        progress.say("\n")
    assert stream.getvalue() == "04_kfold                  cell 1/3  00:00  fold 2: epoch 3\n"


def test_what_a_cell_said_ends_with_it():
    stream = _Terminal()
    with Progress("04_kfold", cells=2, stream=stream) as progress:
        progress.say("0 %\r50 %")
        assert progress.said == "50 %"
        progress.advance()
        assert progress.said == ""
    assert "50 %" not in stream.getvalue().rstrip("\n").rpartition("\r")[2]
