"""The three files of the environment agree; make and CI call the same; the wheel is whole."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
DIRECT = [*PROJECT["dependencies"], *(text for extra in EXTRAS.values() for text in extra)]
PYTHONS = ("3.11", "3.12", "3.13")


def _locked():
    """Return (requirement, number of hashes) for each entry of the lock."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", re.sub(r"^\s*#.*\n", "", text, flags=re.M).strip())
    for entry in entries:
        line, *hashes = entry.replace("\\\n", "\n").splitlines()
        yield Requirement(line.strip()), sum("--hash=sha256:" in text for text in hashes)


LOCKED = list(_locked())


def _versions(name, python):
    """Return the versions that the lock gives a Linux machine for a package."""
    full = {"python_version": python, "python_full_version": f"{python}.0"}
    system = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"}
    return [
        Version(str(entry.specifier).removeprefix("=="))
        for entry, _ in LOCKED
        if canonicalize_name(entry.name) == canonicalize_name(name)
        and (entry.marker is None or Marker(str(entry.marker)).evaluate({**full, **system}))
    ]


def test_the_lock_is_read_whole():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert len(LOCKED) == len(re.findall(r"^[A-Za-z0-9].*==", text, flags=re.M)) > 100


def test_every_entry_of_the_lock_is_one_version_with_hashes():
    for entry, hashes in LOCKED:
        assert re.fullmatch(r"==[^,*]+", str(entry.specifier)), entry
        assert entry.url is None, entry
        assert hashes > 0, entry


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("text", DIRECT)
def test_every_direct_dependency_is_locked_within_its_bounds(text, python):
    wanted = Requirement(text)
    versions = _versions(wanted.name, python)
    assert len(versions) == 1
    assert versions[0] in wanted.specifier


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_extra_is_installed(extra):
    """No test is skipped for the want of one: `make setup` installs what the lock has."""
    for wanted in map(Requirement, EXTRAS[extra]):
        if wanted.marker is None or wanted.marker.evaluate():
            assert metadata.version(wanted.name) in wanted.specifier, wanted


def test_every_direct_dependency_has_a_lower_bound():
    for text in DIRECT:
        assert any(bound.operator == ">=" for bound in Requirement(text).specifier), text


def test_the_lock_is_for_every_python_that_the_project_allows():
    allowed = Requirement(f"python{PROJECT['requires-python']}").specifier
    assert [python for python in ("3.10", *PYTHONS, "3.14") if python in allowed] == list(PYTHONS)


def test_the_conda_environment_is_python_pip_and_the_same_packages():
    lines = (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines()
    content = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    start = content.index("  - pip:")
    assert content[:start] == [
        "name: cnnlab",
        "channels:",
        "  - conda-forge",
        "dependencies:",
        f"  - python{PROJECT['requires-python']}",
        "  - pip",
    ]
    packages = [line.removeprefix("    - ").strip('"') for line in content[start + 1 :]]
    assert packages == [*DIRECT, "-e ."]


@pytest.mark.parametrize("name", ["pyproject.toml", "environment.yml", "requirements.lock"])
def test_no_file_names_a_package_index(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"index-url|--find-links|^-[if]\b", text, flags=re.M)


def test_help_lists_every_target_in_one_line_each():
    done = subprocess.run(["make", "-C", ROOT, "-s"], capture_output=True, text=True, check=True)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.M).group(1).split()
    lines = [line for line in done.stdout.splitlines() if line.startswith("make ")]
    assert [line.split()[1] for line in lines] == phony
    assert all(len(line.split()) > 2 for line in lines)


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Call make in a folder with a stub for ``cnnlab``; returns the arguments that the stub got."""
    root = tmp_path_factory.mktemp("it's a $HOME")
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    stub = root / ".venv" / "bin" / "cnnlab"
    stub.parent.mkdir(parents=True)
    stub.write_text('#!/bin/sh\nprintf "%s\\0" "$@" > called\n')
    stub.chmod(0o755)
    (root / ".venv" / ".installed").touch()

    def call(*arguments, **environment):
        command = ["make", "-C", str(root), "-s", "run", *arguments]
        clean = {name: text for name, text in os.environ.items() if name not in VARIABLES}
        done = subprocess.run(
            command, env=clean | environment, capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        assert sorted(path.name for path in root.iterdir()) == [
            *(".venv", "Makefile", "called", "pyproject.toml", "requirements.lock")
        ]
        return (root / "called").read_text(encoding="utf-8").split("\0")[:-1]

    return call


VARIABLES = {
    "DATA": "data",
    "PROFILE": "profile",
    "RUN": "run",
    "FROM": "from",
    "ONLY": "only",
    "SET": "overrides",
    "SEEDS": "seeds",
    "JOBS": "jobs",
}
NAMES = [
    *("Anna's photos", "pay$day", "a $(HOME) b", "${DATA}", "$$", "#1", "a # b", "a;touch x", "-x"),
    *(
        "`touch x`",
        "$(touch x)",
        "$(shell touch x)",
        "$(error x)",
        '"a" b',
        "a\\",
        "a\\ b",
        "*",
        "~",
    ),
    *(
        "a&touch x",
        "a|touch x",
        "<a>",
        "!x",
        "%a=b",
        "Café 日本 🙂",
        "  two  spaces ",
        "$@",
        "a\tb",
    ),
]


def test_make_lets_python_keep_its_bytecode():
    """Whatever the shell says: TensorFlow takes ten seconds longer to import without."""
    probe = 'include Makefile\nprobe:\n\t@echo "[$$PYTHONDONTWRITEBYTECODE]"\n'
    done = subprocess.run(
        ["make", "-s", "-f", "-", "probe"],
        cwd=ROOT,
        input=probe,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_make_run_passes_its_variables_on(make):
    assert make() == ["run"]
    assert make("DATA=", "PROFILE=full") == ["run", "--profile=full"]
    called = make("DATA=my photos", "RUN=mine", "SET=epochs=3 seed=1", "ONLY=03,05", "JOBS=2")
    assert called == [
        *("run", "--data=my photos", "--run=mine", "--only=03,05"),
        *("--overrides=epochs=3 seed=1", "--jobs=2"),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_make_passes_any_text_on_as_it_is_and_executes_nothing(make, name):
    given = dict.fromkeys(VARIABLES, name)
    wanted = sorted(f"--{option}={name}" for option in VARIABLES.values())
    assert sorted(make(**given)[1:]) == wanted
    assert sorted(make(*(f"{key}={text}" for key, text in given.items()))[1:]) == [
        text.replace("=  two", "=two")
        for text in wanted  # make drops spaces after its =
    ]


def test_make_refuses_names_in_small_letters():
    """It would drop them without a word, and train on the shapes."""
    command = ["make", "-C", str(ROOT), "help", "data=photos", "seeds=1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "make does not know data seeds: the names are written in capitals" in done.stderr


def test_ci_runs_the_commands_of_the_readme():
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert script.splitlines()[-1] == "make test"
    assert "set -euo pipefail" in script
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert "run: .ci/run" in workflow
    assert "run: make run" in workflow
    assert "path: reports/quick" in workflow


def test_actions_are_pinned_by_commit():
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    used = re.findall(r"uses: (.*)", workflow)
    assert len(used) >= 5
    for line in used:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}  # v[\d.]+", line), line


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_template(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    files = [
        path for path in (ROOT / "cnnlab").rglob("*") if path.suffix in (".py", ".jinja", ".json")
    ]
    assert len(files) > 20
    assert {path.relative_to(ROOT).as_posix() for path in files} <= held
    assert {"cnnlab/report/templates/index.html.jinja"} <= held


@pytest.mark.parametrize(
    ("cores", "gibibytes", "processes"),
    [(2, 23, 2), (16, 64, 16), (16, 8, 2), (1, 64, 0), (8, 4, 0)],
)
def test_as_many_tests_run_side_by_side_as_cores_and_memory_allow(
    cores, gibibytes, processes, request, monkeypatch
):
    memory = SimpleNamespace(available=gibibytes * 2**30)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(Path, "exists", lambda _: False)  # no container's limit
    found = request.config.hook.pytest_xdist_auto_num_workers(config=request.config)
    assert found == processes


def test_no_two_test_modules_share_a_name():
    """Pytest imports them by their bare names: the second of two would not be collected."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted({*names})
