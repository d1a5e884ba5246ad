import json
import os
import sys

import pytest

from cnnlab.deploy import predict


class _Predictor:
    """Answers by the first byte, without a model."""

    def __init__(self, folder):
        self.folder = folder

    def predict(self, image_bytes, top=5):
        if image_bytes.startswith(b"<"):
            raise predict.ImageRejected("unknown_format", "This is not an image.")
        top = (("cat", 0.75), ("dog", 0.25))
        sure = image_bytes.startswith(b"\x89PNG")
        doubts = ((), None) if sure else (("cat", "dog"), True)
        return predict.Prediction("cat", 0.75, top, *doubts, False, "0" * 64, "1" * 64)


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "Predictor", _Predictor)
    (tmp_path / "model").mkdir()
    return tmp_path / "model"


def test_predict_prints_aligned_lines(call, model, photos):
    long = photos / "cat" / "0.png"
    result = call("predict", "--model", model, long, photos / "dog" / "1.png")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == f"{long}  cat  0.750"
    assert len({line.index("  cat") for line in result.stdout.splitlines()}) == 1


def test_predict_says_how_far_to_trust_an_answer(call, model, photos):
    image = photos / "cat" / "photo.bin"
    image.write_bytes(b"another")
    plain = call("predict", "--model", model, image)
    assert plain.stdout == f"{image}  cat  0.750  plausible: cat, dog  perhaps none of these\n"
    answer = json.loads(call("predict", "--model", model, "--json", image).stdout)
    assert (answer["plausible"], answer["none_of_these"]) == (["cat", "dog"], True)
    image.write_bytes((photos / "cat" / "0.png").read_bytes())
    answer = json.loads(call("predict", "--model", model, "--json", image).stdout)
    assert (answer["plausible"], answer["none_of_these"]) == ([], None)


def test_a_bad_file_is_an_error_for_that_file_only(call, model, photos):
    bad = photos / "dog" / "page.jpg"
    bad.write_text("<!doctype html>")
    result = call("predict", "--model", model, "--json", bad, photos / "cat" / "0.png")
    assert result.exit_code == 1
    first, second = map(json.loads, result.stdout.splitlines())
    assert first == {
        "file": str(bad),
        "error": {"code": "unknown_format", "message": "This is not an image."},
    }
    assert (second["label"], second["probability"]) == ("cat", 0.75)
    assert second["file"].endswith("0.png")


def test_a_missing_file_is_an_error_for_that_file_only(call, model, photos):
    result = call("predict", "--model", model, photos / "none.png", photos / "cat" / "0.png")
    assert result.exit_code == 1
    first, second = result.stdout.splitlines()
    assert "error: " in first
    assert second.endswith("cat  0.750")


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="names are always Unicode there")
def test_predict_prints_odd_names_on_one_line_and_as_json(call, refused, model, photos):
    image_bytes = (photos / "cat" / "0.png").read_bytes()
    odd = photos / "cat" / os.fsdecode(b"red\x1b[31m\n\xff.png")
    odd.write_bytes(image_bytes)
    plain = call("predict", "--model", model, odd)
    assert plain.exit_code == 0, plain.output
    assert plain.stdout == f"{photos}/cat/red\\x1b[31m\\n\\xff.png  cat  0.750\n"
    odd.unlink()
    gone = json.loads(call("predict", "--model", model, "--json", odd).stdout)
    assert gone["file"] == f"{photos}/cat/red\x1b[31m\n\\xff.png"
    assert gone["error"]["message"] == f"{gone['file']} does not exist."
    refused(["predict", "--model", odd, photos], "\\x1b[31m")


def test_predict_tells_a_missing_model(refused, photos):
    asked = ["predict", "--model", "nowhere", photos / "cat" / "0.png"]
    refused(asked, "no model folder 'nowhere'")
