import dataclasses
import json

from cnnlab.serving.prediction import Prediction

TOP = (("ant", 0.75), ("mole", 0.25))
PREDICTION = Prediction("ant", 0.75, TOP, ("ant", "mole"), False, True, "ab", "cd", 1.5)


def test_to_json_is_the_answer_of_a_server_in_its_order():
    assert list(json.loads(json.dumps(PREDICTION.to_json())).items()) == [
        ("label", "ant"),
        ("probability", 0.75),
        ("top", [{"label": "ant", "probability": 0.75}, {"label": "mole", "probability": 0.25}]),
        ("plausible", ["ant", "mole"]),
        ("none_of_these", False),
        ("cached", True),
        ("elapsed_ms", 1.5),
        ("sha256", "ab"),
        ("model_id", "cd"),
    ]


def test_no_field_is_left_out():
    assert set(PREDICTION.to_json()) == {field.name for field in dataclasses.fields(Prediction)}


def test_the_time_it_took_makes_no_other_answer():
    assert dataclasses.replace(PREDICTION, elapsed_ms=9.0) == PREDICTION
    assert dataclasses.replace(PREDICTION, cached=False) != PREDICTION
