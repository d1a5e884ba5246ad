import json

import pytest

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
def test_doctor_refuses_a_class_of_few_images_and_wrong_words(refused, make_photos):
    folder = make_photos(20)
    for number in range(5, 20):
        (folder / "dog" / f"{number}.png").unlink()
    refused(["doctor", folder], "class 'dog' has 3", "--set folds=3")
    refused(["doctor", folder, "--set", "epoch=3"], "'epoch=3'")
    refused(["doctor", "nowhere"], "nowhere")
    refused(["doctor", "--profile", "fast"], "'fast'")
