import os
import sys

import pytest

from cnnlab.commands.paths import Found, find
from cnnlab.config import InputError


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Some files below the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("b/2.jpg", "b/10.jpg", "b/c/deep.png", "a.jpg", "[a].jpg", "b/.git/x", "b/.hid"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return tmp_path


def found(*names):
    return [one.path for one in find(names)]


def test_a_file_stands_for_itself_even_if_it_is_not_there(files):
    assert find(["a.jpg", "none.jpg"]) == [Found("a.jpg", True), Found("none.jpg", True)]


def test_a_folder_stands_for_all_below_it_but_hidden_files(files):
    assert find(["b"]) == [Found(f"b/{name}", False) for name in ("10.jpg", "2.jpg", "c/deep.png")]
    assert found("./b/") == ["./b/10.jpg", "./b/2.jpg", "./b/c/deep.png"]


def test_a_pattern_stands_for_what_it_matches(files):
    assert find(["?.jpg"]) == [Found("a.jpg", False)]
    assert found("b/*.jpg") == ["b/10.jpg", "b/2.jpg"]
    assert found("b/*") == ["b/10.jpg", "b/2.jpg", "b/c/deep.png"]
    assert set(found("**/*.png", "**/1*.jpg")) == {"b/c/deep.png", "b/10.jpg"}
    assert sorted(found("**")) == sorted(["[a].jpg", "a.jpg", *found("b")])


def test_a_file_of_that_very_name_goes_before_the_pattern(files):
    assert find(["[a].jpg"]) == [Found("[a].jpg", True)]
    (files / "[a].jpg").unlink()
    assert find(["[a].jpg"]) == [Found("a.jpg", False)]


def test_each_file_is_found_once_where_it_was_first(files):
    assert found("a.jpg", "./a.jpg", "b/c", "b", "?.jpg") == [
        "a.jpg", "b/c/deep.png", "b/10.jpg", "b/2.jpg",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["*.bmp", "empty", "nowhere/**"])
def test_what_matches_nothing_is_refused(files, name):
    (files / "empty").mkdir()
    with pytest.raises(InputError, match="matches no file"):
        find(["a.jpg", name])


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_are_followed_but_not_in_a_circle_or_to_what_is_found_already(files):
    (files / "link").symlink_to("b/c")
    (files / "b" / "c" / "loop").symlink_to("..")
    (files / "b" / "again").symlink_to("c")
    assert found("link") == ["link/deep.png"]
    assert found("b") == ["b/10.jpg", "b/2.jpg", "b/c/deep.png"]
    (files / "d").mkdir()
    (files / "d" / "far").symlink_to("../b")
    (files / "d" / "near.jpg").symlink_to("../a.jpg")
    assert found("d") == ["d/near.jpg", "d/far/10.jpg", "d/far/2.jpg", "d/far/c/deep.png"]


def test_a_folder_that_cannot_be_listed_is_told(files, monkeypatch):
    scan = os.scandir

    def fail(folder):
        if os.fspath(folder).endswith("c"):
            raise PermissionError(13, "Permission denied", folder)
        return scan(folder)

    monkeypatch.setattr(os, "scandir", fail)
    assert find(["b"])[-1] == Found("b/c", False, unreadable=True)
