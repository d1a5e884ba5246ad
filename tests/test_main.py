import errno
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from cnnlab import __version__
from cnnlab.__main__ import GOES_ON, main
from cnnlab.commands.terminal import signals_raised
from cnnlab.places import CannotWrite
from cnnlab.runs import opening


@pytest.mark.slow
def test_help_is_there_at_once_and_loads_nothing_heavy():
    code = (
        "import sys; from cnnlab.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'pandas', 'matplotlib', 'papermill'}\n"
        "sys.exit(f'loaded: {heavy & set(sys.modules)}' if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(command in done.stdout for command in ("run", "audit", "predict"))


def test_the_version_is_the_packages():
    assert CliRunner().invoke(main, ["--version"]).output == f"cnnlab, version {__version__}\n"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_place_that_cannot_be_written_is_told_in_one_line(number, monkeypatch):
    def fails(*_arguments, **_options):
        raise OSError(number, os.strerror(number), "/there/reports")

    monkeypatch.setattr("cnnlab.runs.opening.open_run", fails)
    result = CliRunner().invoke(main, ["run", "--profile", "smoke"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("cnnlab: error: /there/reports: ")
    assert "CNNLAB_HOME" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_mistake_of_the_program_is_not_hidden(monkeypatch):
    def fails(*_arguments, **_options):
        raise FileNotFoundError(errno.ENOENT, "gone", "somewhere")

    monkeypatch.setattr("cnnlab.runs.opening.open_run", fails)
    result = CliRunner().invoke(main, ["run", "--profile", "smoke"])
    assert isinstance(result.exception, FileNotFoundError)


def test_a_full_disk_is_told_with_its_cure(monkeypatch):
    def fails(*_arguments, **_options):
        raise CannotWrite(errno.ENOSPC, "/there/reports/a.csv", "12 kB free in /there")

    monkeypatch.setattr("cnnlab.runs.opening.open_run", fails)
    result = CliRunner().invoke(main, ["run", "--profile", "smoke"])
    assert result.exit_code == 2
    assert result.stderr.startswith(
        "cnnlab: error: Cannot write /there/reports/a.csv: No space left on device "
        "(12 kB free in /there). Make room"
    )
    assert result.stderr.count("\n") == 1


@pytest.fixture
def hearing():
    """Have signals do what they do by default, also under ``nohup`` and in the background."""
    before = {
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_under_nohup_a_closed_terminal_ends_nothing(hearing):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with signals_raised():
        signal.raise_signal(signal.SIGHUP)


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_in_one_line_and_its_status(name, status, monkeypatch, hearing):
    def stopped(*_arguments, **_options):
        signal.raise_signal(getattr(signal, name))

    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)]
    monkeypatch.setattr("cnnlab.runs.opening.open_run", stopped)
    result = CliRunner().invoke(main, ["run", "--profile", "smoke"])
    assert result.exit_code == status
    assert result.stderr == f"cnnlab: stopped by {name}. {GOES_ON}\n"
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)] == before


def test_a_run_that_is_being_executed_is_not_executed_by_a_second_one(home, monkeypatch):
    monkeypatch.setattr("cnnlab.runs.opening.open_run", lambda *_: pytest.fail("opened"))
    with opening.alone("smoke"):
        result = CliRunner().invoke(main, ["run", "--profile", "smoke"])
    assert result.exit_code == 2
    assert result.stderr.startswith(
        f"cnnlab: error: Run 'smoke' is being executed by another process ({os.getpid()} on "
    )
    assert not (home / "reports").exists()
