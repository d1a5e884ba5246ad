"""Folders from anybody: each is refused in bounded time, by an error of ours in one line."""

import time
from collections import Counter

import folders
import pytest

from cnnlab.artifact import model_folder
from cnnlab.artifact.integrity import ModelRefused
from cnnlab.config import InputError
from cnnlab.serving.predictor import Predictor

SECONDS = 20.0  # on a machine that does other things


@pytest.fixture(scope="module")
def other(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("other") / "model"
    names = [f"label {number}" for number in range(5)]
    model_folder.save(tiny(5, seed=3), folder, class_names=names, run_id="other", card="#\n")
    return folder


def verdict(path) -> str:
    try:
        model_folder.load(path)
    except ModelRefused as error:
        return error.code if str(error).isprintable() else str(error)
    except InputError:
        return folders.MISSING
    return folders.GRAPH


@pytest.mark.slow
def test_every_folder_gets_the_verdict_it_was_made_for(saved, other, tmp_path):
    wrong, counts = {}, Counter()
    for name, path, expected in folders.corpus(saved, other, tmp_path):
        start = time.monotonic()
        found = verdict(path)
        took = time.monotonic() - start
        counts[expected] += 1
        # What only a graph shows may be seen before it is loaded.
        if found != expected and not (expected == folders.GRAPH and found == "foreign_model"):
            wrong[name] = (found, expected)
        assert took < SECONDS, name
    assert wrong == {}
    assert sum(counts.values()) > 90
    assert min(counts.values()) > 1, counts


@pytest.mark.slow
def test_what_only_the_graph_shows_is_refused_when_it_is_opened(saved, other, tmp_path):
    bare = {}
    for name, path, expected in folders.corpus(saved, other, tmp_path):
        if expected == folders.GRAPH:
            try:
                Predictor(path)
            except InputError:
                continue
            except Exception as error:
                bare[name] = type(error).__name__
            else:
                bare[name] = "served"
    assert bare == {}
