"""What is wrong on a command line is told before anything heavy is imported.

Times depend on the machine, so what is counted are the packages that are loaded.
"""

import json
import os
import subprocess
import sys

import pytest

from cnnlab.runs import open_run

HEAVY = (
    *("tensorflow", "keras", "papermill", "nbclient", "pandas", "numpy", "scipy", "sklearn"),
    *("matplotlib", "IPython"),
)

PROBE = """
import json, sys
from click.testing import CliRunner
from cnnlab.__main__ import main

heavy, cases = json.loads(sys.argv[1])
for case in cases:
    result = CliRunner().invoke(main, case)
    loaded = [name for name in heavy if name in sys.modules]
    print(json.dumps([result.exit_code, result.stderr, loaded]))
    if loaded:
        break
"""

REFUSED = [
    (["rum"], "Did you mean 'run'?"),
    (["run", "--profil", "full"], "Did you mean '--profile'?"),
    (["run", "--set", "epoch=3"], "Did you mean epochs?"),
    (["run", "--set", "epochs=0"], "out of range: expected 1 to 10000"),
    (["run", "--set", "loss=focl"], "Did you mean focal?"),
    (["run", "--set", "architecture=resnet5"], "Did you mean resnet50?"),
    (["run", "--set", "stages=heads"], "'heads' is none of"),
    (["run", "--set", "weights=gone.h5"], "no weights file"),
    (["run", "--profile", "quik"], "Did you mean quick?"),
    (["run", "--data", "here/photo"], "Did you mean here/photos?"),
    (["run", "--data", "fashon_mnist"], "Did you mean fashion_mnist?"),
    (["run", "--data", "flowers"], "run `cnnlab fetch flowers` first"),
    (["run", "--run", "mine", "--set", "epochs=3"], "epochs is 2 there, 3 asked"),
    (["run", "--run", "../mine"], "cannot be called"),
    (["run", "--only", "09"], "no notebook 09"),
    (["settings", "mien"], "Did you mean mine?"),
    (["reproduce", "reports/mien"], "Did you mean reports/mine?"),
    (["reproduce", "mine", "--set", "epoch=3"], "Did you mean epochs?"),
    (["compare", "mine", "mien"], "Did you mean mine?"),
    (["doctor", "here/photo"], "Did you mean here/photos?"),
    (["doctor", "here/photos", "--profile", "quik"], "Did you mean quick?"),
    (["doctor", "here/photos", "--set", "weights=gone.h5"], "no weights file"),
    (["run", "--from", "mien", "--run", "new"], "Did you mean mine?"),
    (["run", "--from", "mine", "--run", "new"], "has no manifest.csv yet"),
    (["run", "--from", "mine"], "--from begins another run"),
    (["audit", "here/photo/"], "Did you mean here/photos?"),
    (["audit", "here/much/too/deep/photos"], "fashion_mnist.\n"),
    (["backbones", "here/photo"], "Did you mean here/photos?"),
    (["backbones", "here/photos", "--backbones", "vgg-16"], "Did you mean vgg16?"),
    (["backbones", "here/photos", "--backbones", "vgg16=gone.h5"], "no weights file"),
    (["predict", "--model", "reports/mien/model", "a.png"], "Did you mean reports/mine/model?"),
    (["predict", "--model", "reports/mine/model", "a.png"], "contract.json"),
    (["predict", "--model", "reports/mine/model", "here/*.gif"], "matches no file"),
    (["sign", "reports/mine", "--key", "a.key"], "Did you mean reports/mine/model?"),
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(home))
        run = open_run("mine", profile="smoke")
    run.save_text("model/contract.json", "{}")
    (home / "here" / "photos").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps([HEAVY, [case for case, _ in REFUSED]])],
        cwd=home,
        env={**os.environ, "CNNLAB_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("number", range(len(REFUSED)), ids=[" ".join(c) for c, _ in REFUSED])
def test_it_is_told_at_once(outcomes, number):
    status, said, loaded = outcomes[number]
    assert loaded == []
    assert status == 2
    assert REFUSED[number][1] in said
