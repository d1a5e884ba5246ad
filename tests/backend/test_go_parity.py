"""The Go server answers the golden set as Python does: same labels, codes and probabilities."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import product
from pathlib import Path

import golden
import numpy as np
import pandas as pd
import pytest

from cnnlab import models
from cnnlab.artifact import model_folder
from cnnlab.config.data import BACKGROUNDS, FITS
from cnnlab.config.model import MODULES
from cnnlab.engine import keras
from cnnlab.evaluation.conformal import SetRule
from cnnlab.evaluation.ood_detection import NoveltyRule
from cnnlab.images import ImageRejected, Preprocessing, decode, inspect, limits
from cnnlab.serving.predictor import Predictor
from cnnlab.serving.server import parity
from cnnlab.serving.server.server_process import ServerProcess

CLASS_NAMES = ["ant", "bee", "cat", "dog", "eel"]  # no more than an answer lists: all are compared
SIZE = 24
CODES = {
    "empty", "too_many_bytes", "unknown_format", "corrupt", "unsupported", "side_too_small",
    "side_too_large", "too_many_pixels", "aspect_ratio", "animated", "too_many_scans",
}  # fmt: skip


@pytest.fixture(scope="module")
def files() -> golden.Files:
    return golden.files()


def network() -> keras.Model:
    """Random weights: the answers differ much, and feel each pixel."""
    layers, draw = keras.layers, keras.initializers.RandomNormal
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(8, 3, activation="relu", kernel_initializer=draw(stddev=0.3, seed=1)),
            layers.Flatten(),
            layers.Dense(5, "softmax", kernel_initializer=draw(stddev=0.03, seed=2)),
        ]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    model = tmp_path_factory.mktemp("parity") / "model"
    model_folder.save(
        network(),
        model,
        class_names=CLASS_NAMES,
        run_id="parity",
        card="# Card\n",
        temperature=1.3,
        conformal=SetRule(coverage=0.9, threshold=0.15, calibrated_on=100),
        novelty=NoveltyRule(accepted=0.9, threshold=0.4, calibrated_on=100),
    )
    return model


@pytest.fixture(scope="module")
def server(server_program, folder) -> Iterator[ServerProcess]:
    with ServerProcess(folder, program=server_program) as running:
        yield running


def test_the_golden_set_is_large_and_refused_for_every_reason(files) -> None:
    assert len(files) >= 200
    assert len(set(files.values())) > 0.97 * len(files)
    codes = set()
    for content in files.values():
        try:
            inspect(content)
        except ImageRejected as rejected:
            codes.add(rejected.code)
    assert codes == CODES
    attribute = str(limits.ImageRejected.__doc__).split("code:")[1].split("of ``read_file``")[0]
    assert all(f"``{code}``" in attribute for code in CODES)


def test_the_golden_set_is_the_same_for_the_same_seed() -> None:
    first, again, other = (golden.damaged(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again
    assert not set(first.values()) & set(other.values())


@pytest.fixture(scope="module")
def predictor(folder) -> Predictor:
    return Predictor(folder)


@pytest.mark.slow
def test_it_says_of_its_model_what_the_contract_says(server, predictor) -> None:
    stated = predictor.artifact.contract
    expected = {name: stated[name] for name in stated if name not in ("files", "formats")}
    assert server.contract() == expected


@pytest.mark.slow
def test_one_grey_level_in_one_pixel_would_show(predictor) -> None:
    """Otherwise equal answers would say little about equal pixels."""
    rng = np.random.default_rng(3)
    contents = (golden.sizes(rng) | golden.turned(rng)).values()
    pixels = np.stack([predictor.pixels(content) for content in contents]).astype(np.float32)
    moved = pixels.copy()
    rows, columns = rng.integers(0, SIZE, (2, len(pixels)))
    moved[range(len(pixels)), rows, columns, 1] += 1
    before, after = (network().predict(images, verbose=0) for images in (pixels, moved))
    gaps = np.abs(after - before).max(axis=1)
    assert (gaps > parity.TOLERANCE).mean() > 0.9
    assert before.max(axis=1).std() > 0.1  # some answers are sure, others are not


@pytest.mark.slow
@pytest.mark.parametrize(("fit", "background"), [*product(FITS, BACKGROUNDS)][1:])
def test_every_fit_and_background(server_program, tmp_path, fit, background) -> None:
    rng = np.random.default_rng(4)
    files = golden.sizes(rng) | golden.turned(rng) | golden.pngs(rng)
    wanted, place = Preprocessing(fit=fit, background=background), tmp_path / "model"
    named = {"class_names": CLASS_NAMES, "run_id": "fit", "card": "#\n"}
    model_folder.save(network(), place, preprocessing=wanted, **named)
    ours = Predictor(place)
    assert all(
        np.array_equal(ours.pixels(content), decode(content, SIZE, wanted))
        for content in files.values()
    )
    with ServerProcess(place, program=server_program) as running:
        assert running.contract()["preprocessing"] == asdict(wanted)
        table = parity.compare(ours, running.predict, files)
    assert table["same"].all(), table[~table["same"]]


@pytest.mark.slow
def test_every_golden_file_gets_the_same_answer(server, predictor, files) -> None:
    table = parity.compare(predictor, server.predict, files)
    foreign = table["there"] == "foreign_format"
    table["differ"] = ~table["same"] & ~foreign
    print(summary(table))  # shown by -s, as README says, and where it fails
    assert table[table["differ"]].empty
    # Go decodes nothing, so it refuses what Python converts, good or bad, and nothing else.
    signatures = (b"\xff\xd8\xff", b"\x89PNG")
    assert not any(files[name].startswith(signatures) for name in table["file"][foreign])
    assert set(table["there"]) >= CODES
    assert set(table["there"]) - CODES == {"foreign_format", *CLASS_NAMES}


@pytest.mark.slow
def test_as_many_classes_are_listed_as_python_lists(server, predictor) -> None:
    content = next(iter(golden.sizes(np.random.default_rng(1)).values()))
    for top, asked in ((1, 1), (3, 3), (5, None), (5, "all"), (9, 9)):
        here, there = predictor.predict(content, top).to_json(), server.predict(content, asked)
        assert [each["label"] for each in there["top"]] == [each["label"] for each in here["top"]]
        assert len(there["top"]) == min(top, len(CLASS_NAMES))
    refused = server.predict(content, 0)["error"]["message"]
    assert refused == "top is '0': expected a whole number of 1 or more, or all."


def warmed_up(name: str, size: int, options: str) -> keras.Model:
    """A network of the registry whose normalisations have seen images and whose answers differ."""
    model = models.build(
        name, image_size=size, num_classes=len(CLASS_NAMES), seed=0, l2=0.0, dropout=0.5,
        options=options,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    shades = rng.uniform(0, 255, (64, 1, 1, 3))  # pictures that differ in more than noise
    images = np.clip(rng.normal(shades, 40, (64, size, size, 3)), 0, 255).astype(np.float32)
    for _ in range(20):
        model(images, training=True)
    head = model.layers[-1]
    head.kernel.assign(head.kernel * 10)
    head.bias.assign(-np.log(model(images, training=False)).mean(axis=0))
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        *((name, SIZE, "") for name in MODULES),
        ("resnet", SIZE, "blocks=1-2,stem=deep,bottleneck=true,shortcut=average,blur=true"),
        ("mobilenet_v2", 32, ""),
    ],
)
def test_every_architecture_is_served_as_python_answers(
    name, size, options, server_program, tmp_path
) -> None:
    model = warmed_up(name, size, options)
    model_folder.save(model, tmp_path / "model", class_names=CLASS_NAMES, run_id=name, card="#\n")
    files = dict(sorted(golden.sizes(np.random.default_rng(1)).items())[:40])
    with ServerProcess(tmp_path / "model", program=server_program) as running:
        table = parity.compare(Predictor(tmp_path / "model"), running.predict, files)
    assert table["same"].all(), table[~table["same"]]
    answered = table[table["difference"].notna()]
    assert len(answered) > 20
    assert answered["there"].nunique() > 1  # one answer to everything would say little


@pytest.mark.slow
def test_a_pretrained_network_answers_the_golden_set_alike(server_program, files, tmp_path) -> None:
    """Weights that others trained, with a head whose answers differ from picture to picture."""
    size = 64
    model = models.build(
        "efficientnet_lite0", image_size=size, num_classes=len(CLASS_NAMES), seed=0, l2=0.0,
        dropout=0.5, weights="pretrained",
    )  # fmt: skip
    rng = np.random.default_rng(0)
    shades = rng.uniform(0, 255, (32, 1, 1, 3))
    images = np.clip(rng.normal(shades, 40, (32, size, size, 3)), 0, 255).astype(np.float32)
    model.layers[-1].bias.assign(-np.log(model(images, training=False)).mean(axis=0))
    model_folder.save(model, tmp_path / "model", class_names=CLASS_NAMES, run_id="lite", card="#\n")
    with ServerProcess(tmp_path / "model", program=server_program) as running:
        table = parity.compare(Predictor(tmp_path / "model"), running.predict, files)
    differ = table[~table["same"] & (table["there"] != "foreign_format")]
    assert differ.empty, differ
    answered = table[table["difference"].notna()]
    assert len(answered) > 100
    assert answered["difference"].max() <= parity.TOLERANCE
    assert answered["there"].nunique() > 1


def summary(table: pd.DataFrame) -> str:
    """The parity table: by Go's verdict the files, how many differ, and the largest |Δp|."""
    verdict = table["there"].where(table["difference"].isna(), "answered")
    rows = table.groupby(verdict).agg(
        files=("file", "size"), differ=("differ", "sum"), largest=("difference", "max")
    )
    return rows.sort_values("files", ascending=False).rename_axis("Go says").to_string(na_rep="")
