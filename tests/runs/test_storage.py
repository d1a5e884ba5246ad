import json
import threading

import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.runs import storage


def test_json_holds_plain_values_and_null_for_what_is_not_a_number(tmp_path):
    data = {
        "a": np.float32(0.5),
        "b": np.arange(3),
        "c": (float("nan"), float("inf"), 1.0),
        2: np.bool_(True),
        "path": tmp_path / "x",
    }
    storage.write_json(tmp_path / "x.json", data)
    read = json.loads((tmp_path / "x.json").read_text())
    assert read == {
        "a": 0.5,
        "b": [0, 1, 2],
        "c": [None, None, 1.0],
        "2": True,
        "path": (tmp_path / "x").as_posix(),
    }


@pytest.mark.parametrize("text", ["", "{", "[]", '"text"', '{"settings": {}}', "\udcff"])
def test_a_damaged_run_file_is_one_clear_line(tmp_path, text):
    (tmp_path / "run.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=r"run\.json is damaged"):
        storage.read_state(tmp_path)


def test_a_missing_run_file_says_so(tmp_path):
    with pytest.raises(InputError, match="Cannot read"):
        storage.read_state(tmp_path)


def test_the_lock_keeps_a_second_thread_out(tmp_path):
    entered = threading.Event()

    def enter():
        with storage.locked(tmp_path):
            entered.set()

    thread = threading.Thread(target=enter)
    with storage.locked(tmp_path):
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(5)
    thread.join()
