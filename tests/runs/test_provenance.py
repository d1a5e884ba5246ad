import subprocess
from datetime import datetime

from cnnlab import __version__
from cnnlab.runs import provenance


def _git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_commit_is_named_and_changes_make_it_dirty(tmp_path):
    _git(tmp_path, "init", "-q")
    assert provenance.commit(tmp_path) is None
    (tmp_path / "a").write_text("1")
    _git(tmp_path, "add", "a")
    _git(tmp_path, "commit", "-q", "-m", "one")
    head = _git(tmp_path, "rev-parse", "HEAD")
    assert provenance.commit(tmp_path) == {"id": head, "dirty": False}
    (tmp_path / "a").write_text("2")
    assert provenance.commit(tmp_path) == {"id": head, "dirty": True}


def test_outside_a_checkout_there_is_no_commit(tmp_path):
    (tmp_path / "site-packages").mkdir()
    _git(tmp_path, "init", "-q")
    assert provenance.commit(tmp_path / "site-packages") is None


def test_without_git_there_is_no_commit(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.commit(tmp_path) is None


def test_versions_name_python_and_what_decides_a_number():
    found = provenance.versions()
    assert found["cnnlab"] == __version__
    assert {"python", "tensorflow", "keras", "numpy", "pillow"} <= set(found)
    assert found["python"].startswith("3.")


def test_the_machine_is_described_without_names_of_people_or_hosts():
    found = provenance.machine()
    assert set(found) == {"processor", "cores", "memory_gib", "gpus", "system"}
    assert found["cores"] >= 1
    assert found["processor"]


def test_times_are_utc_and_sort_by_age():
    first, second = provenance.now(), provenance.now()
    assert first <= second
    assert datetime.fromisoformat(first).utcoffset().total_seconds() == 0
