import json

import numpy as np
import pytest
from PIL import Image

TINY = [word for each in ("image_size=16", "batch_size=8", "epochs=1") for word in ("--set", each)]


@pytest.mark.slow
def test_doctor_looks_at_a_folder_and_makes_no_run(call, make_photos, home):
    folder = make_photos(14)
    said = call("doctor", folder, "--profile", "smoke", *TINY)
    assert said.exit_code == 0, said.output
    for name in ("pixels that", "loss before", "learning rate", "time", "memory", "disk"):
        assert any(line.startswith(name) for line in said.stdout.splitlines()), said.output
    assert "images learnt by heart" in said.stdout
    assert not (home / "reports").exists()
    found = json.loads(call("doctor", folder, "--profile", "smoke", *TINY, "--json").stdout)
    assert {"checks", "first_step", "forecast", "suggested_rate"} <= {*found}


@pytest.mark.slow
def test_doctor_refuses_a_class_of_few_images_and_wrong_words(refused, tmp_path):
    rng = np.random.default_rng(0)
    for name, count in (("cat", 30), ("dog", 6)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(count):  # coarse noise: no two are copies
            image = Image.fromarray(rng.integers(0, 256, (6, 6, 3)).astype("uint8"))
            image.resize((48, 48)).save(tmp_path / "pets" / name / f"{number}.png")
    refused(["doctor", tmp_path / "pets"], "class 'dog' has 4", "--set folds=4")
    refused(["doctor", tmp_path / "pets", "--set", "epoch=3"], "'epoch=3'")
    refused(["doctor", "nowhere"], "nowhere")
    refused(["doctor", "--profile", "fast"], "'fast'")
