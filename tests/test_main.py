import errno
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from cnnlab import __version__
from cnnlab.__main__ import main


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
