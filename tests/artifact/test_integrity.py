import hashlib

import pytest

from cnnlab.artifact import integrity
from cnnlab.artifact.integrity import ArtifactDamaged


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "sealed"
    (path / "inner").mkdir(parents=True)
    (path / "inner" / "b").write_bytes(b"bb")
    (path / "a").write_bytes(b"a")
    (path / "list").write_bytes(b"not hashed")
    return path


def test_hashes_are_those_of_the_files_sorted_by_path(folder):
    expected = [(name, hashlib.sha256(text).hexdigest()) for name, text in
                [("a", b"a"), ("inner/b", b"bb")]]  # fmt: skip
    assert list(integrity.hashes(folder, {"list"}).items()) == expected
    assert integrity.total_bytes(folder, integrity.hashes(folder, {"list"})) == 3


def test_a_folder_agrees_with_its_own_hashes(folder):
    expected = integrity.hashes(folder, {"list"})
    (folder / "empty").mkdir()  # some copying tools lose empty folders: they do not count
    integrity.check(folder, expected, {"list"})
    (folder / "inner" / "b").write_bytes(b"bc")
    with pytest.raises(ArtifactDamaged, match=r"inner/b in .* was changed"):
        integrity.check(folder, expected, {"list"})


def test_a_path_that_leaves_the_folder_is_only_a_missing_file(folder):
    (folder.parent / "outside").write_bytes(b"a")
    expected = integrity.hashes(folder, {"list"}) | {"../outside": hashlib.sha256(b"a").hexdigest()}
    with pytest.raises(ArtifactDamaged, match=r"outside .* is missing"):
        integrity.check(folder, expected, {"list"})
