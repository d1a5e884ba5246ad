import json
import os
import sys

import pytest

from cnnlab.artifact import contract
from cnnlab.serving import predictor


class _Predictor:
    """Answers by the first byte, without a model."""

    class_names = ("cat", "dog")

    def __init__(self, folder, *, cache_folder=None, trusted_key=None):
        self.folder = folder
        self.cached = cache_folder is not None

    def predict(self, image_bytes, top=5):
        if not image_bytes:
            raise predictor.ImageRejected("empty", "The file is empty.")
        if image_bytes.startswith(b"<"):
            raise predictor.ImageRejected("unknown_format", "This is not an image.")
        top = (("cat", 0.75), ("dog", 0.25))
        sure = image_bytes.startswith(b"\x89PNG")
        doubts = ((), None) if sure else (("cat", "dog"), True)
        return predictor.Prediction("cat", 0.75, top, *doubts, self.cached, "0" * 64, "1" * 64, 2.5)


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setattr(predictor, "Predictor", _Predictor)
    monkeypatch.setattr(contract, "read_contract", lambda *_: {"class_names": ["cat", "dog"]})
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "contract.json").touch()
    return tmp_path / "model"


def lines_of(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_predict_prints_an_aligned_table(call, model, photos):
    long = photos / "cat" / "a long name.png"
    long.write_bytes(b"\x89PNG")
    result = call("predict", "--model", model, photos / "dog" / "1.png", long, "gone.jpg")
    assert result.exit_code == 1
    head, *rows = result.stdout.splitlines()
    assert head.split() == ["path", "label", "probability", "remarks"]
    assert rows[1] == f"{long}  cat      0.750"
    column = head.index("label")
    assert [row[column:].split()[0] for row in rows] == ["cat", "cat", "error"]
    assert rows[2][head.index("remarks") :] == "not_found: gone.jpg does not exist."


def test_predict_says_how_far_to_trust_an_answer(call, model, photos):
    image = photos / "cat" / "photo.bin"
    image.write_bytes(b"another")
    plain = call("predict", "--model", model, image).stdout
    assert plain.endswith("  0.750        plausible: cat, dog; perhaps none of these\n")
    (answer,) = lines_of(call("predict", "--model", model, "--json", image))
    assert (answer["plausible"], answer["none_of_these"]) == (["cat", "dog"], True)
    image.write_bytes((photos / "cat" / "0.png").read_bytes())
    (answer,) = lines_of(call("predict", "--model", model, "--json", image))
    assert (answer["plausible"], answer["none_of_these"]) == ([], None)


def test_json_is_the_answer_with_its_path(call, model, photos):
    image = photos / "cat" / "0.png"
    (answer,) = lines_of(call("predict", "--model", model, "--json", image))
    expected = _Predictor(model).predict(image.read_bytes()).to_json()
    assert answer == {"path": str(image), **expected}


def test_a_bad_file_is_an_error_for_that_file_only(call, model, photos):
    bad = photos / "dog" / "page.jpg"
    bad.write_text("<!doctype html>")
    for asked in ([bad, photos / "cat" / "0.png"], [photos / "dog"]):
        result = call("predict", "--model", model, "--json", *asked)
        assert result.exit_code == 1
        answers = {line.pop("path"): line for line in lines_of(result)}
        assert answers.pop(str(bad)) == {
            "error": {"code": "unknown_format", "message": "This is not an image."}
        }
        assert {answer["label"] for answer in answers.values()} == {"cat"}


def test_a_missing_file_is_an_error_for_that_file_only(call, model, photos):
    gone = photos / "none.png"
    result = call("predict", "--model", model, "--json", gone, photos / "cat" / "0.png")
    assert result.exit_code == 1
    first, second = lines_of(result)
    assert first["error"]["code"] == "not_found"
    assert second["label"] == "cat"


def test_a_folder_is_answered_in_order_and_what_is_no_image_is_skipped(call, model, photos):
    (photos / "cat" / "notes.txt").write_text("<notes>")
    (photos / "cat" / "done").write_text("")
    result = call("predict", "--model", model, "--json", photos)
    assert result.exit_code == 0
    answers = {line["path"].removeprefix(f"{photos}/"): line for line in lines_of(result)}
    pictures = [f"{label}/{number}.png" for label in ("cat", "dog") for number in range(3)]
    assert list(answers) == sorted([*pictures, "cat/done", "cat/notes.txt"])
    skipped = [answers["cat/done"]["skipped"], answers["cat/notes.txt"]["skipped"]]
    assert [one["code"] for one in skipped] == ["not_an_image"] * 2
    table = call("predict", "--model", model, photos).stdout
    assert "skipped               not_an_image\n" in table


def test_what_is_named_itself_must_be_an_image(call, model, photos):
    notes = photos / "cat" / "notes.txt"
    notes.write_text("<notes>")
    result = call("predict", "--model", model, "--json", notes)
    assert result.exit_code == 1
    assert lines_of(result)[0]["error"]["code"] == "unknown_format"


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_is_the_image_that_it_leads_to(call, model, photos, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "link.jpg").symlink_to(photos / "dog" / "1.png")
    (tmp_path / "mine" / "gone").symlink_to("nowhere")
    result = call("predict", "--model", model, "--json", tmp_path / "mine")
    gone, link = lines_of(result)
    assert (gone["skipped"]["code"], link["label"]) == ("not_found", "cat")
    assert lines_of(call("predict", "--model", model, "--json", link["path"]))[0]["label"] == "cat"
    assert call("predict", "--model", model, tmp_path / "mine" / "gone").exit_code == 1


def test_a_pattern_that_matches_nothing_is_bad_input(refused, model, photos):
    refused(["predict", "--model", model, f"{photos}/*.jpg"], "*.jpg' matches no file")


def test_no_image_among_the_files_is_bad_input(call, model, tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("<a>")
    result = call("predict", "--model", model, tmp_path / "texts")
    assert result.exit_code == 2
    assert "None of the 1 files is an image" in result.stderr


def test_a_cache_folder_is_used(call, model, photos, tmp_path):
    image = photos / "cat" / "0.png"
    result = call("predict", "--model", model, "--cache", tmp_path / "answers", image)
    assert result.stdout.endswith("  from the cache\n")


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="names are always Unicode there")
def test_predict_prints_odd_names_on_one_line_and_as_json(call, refused, model, photos):
    image_bytes = (photos / "cat" / "0.png").read_bytes()
    odd = photos / "cat" / os.fsdecode(b"red\x1b]0;\n\xff.png")
    odd.write_bytes(image_bytes)
    plain = call("predict", "--model", model, odd)
    assert plain.exit_code == 0, plain.output
    row = plain.stdout.splitlines()[1]
    assert row == f"{photos}/cat/red\\x1b]0;\\n\\xff.png  cat      0.750"
    odd.unlink()
    (gone,) = lines_of(call("predict", "--model", model, "--json", odd))
    assert gone["path"] == f"{photos}/cat/red\x1b]0;\n\\xff.png"
    assert gone["error"]["message"] == f"{gone['path']} does not exist."
    refused(["predict", "--model", odd, photos], "\\x1b]0;")


def test_predict_tells_a_missing_model(refused, photos):
    asked = ["predict", "--model", "nowhere", photos / "cat" / "0.png"]
    refused(asked, "There is no folder nowhere: expected reports/<run>/model")


def test_a_blank_trusted_key_is_no_key(refused, model, photos, monkeypatch):
    monkeypatch.setenv("CNNLAB_TRUSTED_KEY", "")
    refused(["predict", "--model", model, photos], "CNNLAB_TRUSTED_KEY is blank")


def test_where_no_file_exists_no_model_is_loaded_to_say_so(call, model, monkeypatch):
    monkeypatch.setattr(predictor, "Predictor", lambda *_, **__: pytest.fail("loaded"))
    result = call("predict", "--model", model, "--json", "gone.jpg", "away.jpg")
    assert result.exit_code == 1
    assert [line["error"]["code"] for line in lines_of(result)] == ["not_found"] * 2


def test_a_model_of_a_run_is_meant_where_the_run_is_named(refused, home, photos):
    folder = home / "reports" / "first" / "model"
    folder.mkdir(parents=True)
    (folder / "contract.json").touch()
    for named in (home / "reports" / "first", "first", home / "reports" / "fist" / "model"):
        refused(["predict", "--model", named, photos], "Did you mean ", "reports/first/model?")
