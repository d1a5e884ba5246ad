"""Names of runs: what the folder of one may be called, and which run or model a name means."""

import os
import re
from pathlib import Path

from cnnlab.config import InputError, home
from cnnlab.config.choices import did_you_mean, one_of

LONGEST = 80  # characters
RESERVED = ("gallery",)  # reports/gallery holds the README's pictures
# No folder can have these names on Windows, whatever follows a dot.
WINDOWS = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def checked(name: str) -> str:
    """Return a run's name, or raise ``InputError`` where it cannot name a folder everywhere."""
    shown = repr(name) if len(name) <= LONGEST else f"{name[:20]!r}… ({len(name)} characters)"
    if not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST - 1}}}", name):
        raise InputError(
            f"A run cannot be called {shown}: expected at most {LONGEST} letters, digits, dots, "
            "hyphens and underscores, beginning with a letter or digit."
        )
    if name in RESERVED or name.endswith(".") or WINDOWS.fullmatch(name):
        why = "it is taken" if name in RESERVED else "Windows has no folders of that name"
        raise InputError(f"A run cannot be called {shown}: {why}. Expected another name.")
    return name


def find(run: str) -> Path:
    """Return the folder of a run that is given by its path or by its name.

    Raises:
        InputError: There is no such run; the message names those there are.
    """
    reports = home() / "reports"
    for folder in (reports / run, Path(run)):
        if run and os.path.isfile(folder / "run.json"):
            return folder.resolve()
    known = sorted(path.parent.name for path in reports.glob("*/run.json"))
    start = run.rstrip("/").rpartition("/")[0]
    if start:  # by its path, so what is meant is told by its path
        known = [f"{start}/{name}" for name in known]
    listed = one_of(run, known) if known else "expected the folder of one, such as reports/quick."
    where = "" if known else f" {reports} has none yet: cnnlab run makes one."
    raise InputError(f"There is no run {run!r}: {listed}{where}")


def unused(name: str) -> str:
    """Return how to name a run, instead of a name that is taken: "--run quick-2"."""
    taken, number = {path.name for path in (home() / "reports").glob("*")}, 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"--run {name}-{number}"


def model(folder: Path) -> Path:
    """Return a model folder that is named on a command line, by its absolute path.

    Raises:
        InputError: It is none; the message names the nearest there is.
    """
    if os.path.isfile(folder / "contract.json"):
        return folder.resolve()
    found = sorted((home() / "reports").glob("*/model/contract.json"))
    known = [min(os.path.relpath(path.parent), str(path.parent), key=len) for path in found]
    of_run = [each for each in known if Path(each).parent.resolve() == folder.resolve()]
    named = [each for each in known if Path(each).parent.name == str(folder)]
    meant = of_run or named
    hint = f" Did you mean {meant[0]}?" if meant else did_you_mean(folder, known)
    what = f"{folder} is no model folder" if folder.is_dir() else f"There is no folder {folder}"
    raise InputError(f"{what}: expected reports/<run>/model, with a contract.json in it.{hint}")
