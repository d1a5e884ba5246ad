import hashlib
import json
import os
import shutil

import h5py
import numpy as np
import pytest

from cnnlab import models
from cnnlab.artifact import model_folder
from cnnlab.artifact.model_folder import ArtifactDamaged
from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.evaluation.conformal import SetRule
from cnnlab.evaluation.ood_detection import NoveltyRule
from cnnlab.hashing import canonical_json
from cnnlab.images import Preprocessing

NAMES = ["zebra", "ant", "mole"]
PIXELS = np.random.default_rng(1).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
FILES = {
    "card.md",
    "model.h5",
    "saved_model/fingerprint.pb",
    "saved_model/saved_model.pb",
    "saved_model/variables/variables.data-00000-of-00001",
    "saved_model/variables/variables.index",
}


def save(model, folder, **changed):
    values = {"class_names": NAMES, "run_id": "lab", "card": "card", **changed}
    return model_folder.save(model, folder, **values)


def contract_of(folder):
    return json.loads((folder / "contract.json").read_text())


def flip_byte(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_the_contract_describes_the_folder(saved, model):
    contract = contract_of(saved)
    assert {name: contract[name] for name in contract if name not in ("files", "model_id")} == {
        "format": 3,
        "class_names": NAMES,
        "image_size": 16,
        "preprocessing": {"version": 1, "fit": "stretch", "background": "white"},
        "temperature": 1.0,
        "conformal": None,
        "novelty": None,
        "run_id": "lab",
        "parameters": model.count_params(),
        "bytes": sum((saved / name).stat().st_size for name in FILES),
        "formats": {},
    }
    assert set(contract["files"]) == FILES
    for name, digest in contract["files"].items():
        assert hashlib.sha256((saved / name).read_bytes()).hexdigest() == digest


def test_load_gives_the_contract_in_the_order_of_the_labels(saved):
    loaded = model_folder.load(saved)
    assert loaded.contract == contract_of(saved)
    assert loaded.class_names == NAMES
    assert (loaded.image_size, loaded.temperature, loaded.run_id) == (16, 1.0, "lab")
    assert loaded.preprocessing == Preprocessing(version=1, fit="stretch", background="white")
    assert loaded.formats == {}
    assert len(loaded.model_id) == 64


def test_the_rules_come_back_to_the_last_bit(tmp_path, model):
    threshold = float(np.float32(0.1))  # exact in float64, and not 0.1
    rules = {"conformal": SetRule(0.9, threshold, 40), "novelty": NoveltyRule(0.95, 1 / 3, 41)}
    save(model, tmp_path / "m", **rules)
    contract = contract_of(tmp_path / "m")
    assert contract["conformal"] == {
        "score": "lac", "coverage": 0.9, "threshold": threshold, "calibrated_on": 40,
    }  # fmt: skip
    assert contract["novelty"] == {
        "score": "max_softmax", "accepted": 0.95, "threshold": 1 / 3, "calibrated_on": 41,
    }  # fmt: skip
    loaded = model_folder.load(tmp_path / "m")
    assert {"conformal": loaded.conformal, "novelty": loaded.novelty} == rules


def test_without_rules_there_are_none(saved):
    loaded = model_folder.load(saved)
    assert (loaded.conformal, loaded.novelty) == (None, None)


def test_the_h5_file_carries_labels_size_version_run_and_model(saved):
    with h5py.File(saved / "model.h5") as file:
        inner = json.loads(file.attrs["cnnlab_contract"])
        assert "optimizer_weights" not in file
    outer = contract_of(saved)
    outside = ("files", "bytes", "formats")
    assert inner == {name: outer[name] for name in outer if name not in outside}


def test_the_h5_file_reloads_with_plain_keras(saved, model):
    loaded = keras.models.load_model(saved / "model.h5", compile=False, safe_mode=True)
    for found, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(found, expected)
    images = PIXELS.astype("float32")
    assert np.array_equal(loaded(images).numpy(), model(images).numpy())


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_flipped_byte_is_refused_in_every_file(copied, name):
    flip_byte(copied / name, (copied / name).stat().st_size // 2)
    with pytest.raises(ArtifactDamaged, match=name.replace(".", r"\.")):
        model_folder.load(copied)
    with pytest.raises(ArtifactDamaged):
        model_folder.load_keras(copied)


def test_no_byte_of_the_contract_can_change(saved, copied):
    path = copied / "contract.json"
    content = (saved / "contract.json").read_bytes()
    for position in range(0, len(content), 23):
        path.write_bytes(content)
        flip_byte(path, position)
        with pytest.raises(InputError):
            model_folder.load(copied)


def test_a_contract_edited_by_hand_is_refused(copied):
    contract = contract_of(copied)
    contract["class_names"] = NAMES[::-1]
    (copied / "contract.json").write_text(json.dumps(contract, indent=2, sort_keys=True) + "\n")
    with pytest.raises(ArtifactDamaged, match=r"contract\.json .*agree with model\.h5"):
        model_folder.load(copied)


@pytest.mark.parametrize("name", ["contract.json", "card.md", "saved_model/saved_model.pb"])
def test_a_missing_file_is_named(copied, name):
    (copied / name).unlink()
    with pytest.raises(ArtifactDamaged, match=rf"{name} .*missing"):
        model_folder.load(copied)


def test_an_extra_file_is_named(copied):
    (copied / "saved_model" / "assets").mkdir(exist_ok=True)
    (copied / "saved_model" / "assets" / "more.txt").touch()
    with pytest.raises(ArtifactDamaged, match=r"saved_model/assets/more\.txt"):
        model_folder.load(copied)


@pytest.mark.parametrize("name", ["card.md", "contract.json", "saved_model/variables"])
def test_a_link_is_refused_though_its_content_is_right(copied, tmp_path, name):
    shutil.move(copied / name, tmp_path / "elsewhere")
    (copied / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactDamaged, match=name):
        model_folder.load(copied)


def test_a_fifo_is_refused_without_waiting(copied):
    (copied / "card.md").unlink()
    os.mkfifo(copied / "card.md")
    with pytest.raises(ArtifactDamaged, match=r"card\.md"):
        model_folder.load(copied)


def test_no_folder_is_a_clear_error(tmp_path):
    with pytest.raises(InputError, match="No model folder at"):
        model_folder.load(tmp_path / "none")


def test_write_card_replaces_the_card_and_its_hash_only(copied):
    before = contract_of(copied)
    after = model_folder.write_card(copied, "# Zebras é\n")
    assert (copied / "card.md").read_text("utf-8") == "# Zebras é\n"
    assert model_folder.load(copied).contract == after == contract_of(copied)
    digest = hashlib.sha256("# Zebras é\n".encode()).hexdigest()
    assert after["files"].pop("card.md") == digest != before["files"].pop("card.md")
    assert after.pop("bytes") - before.pop("bytes") == len("# Zebras é\n".encode()) - len(
        "# Card\n"
    )
    assert after == before
    assert [path.name for path in copied.parent.iterdir()] == ["model"]


def test_write_card_does_not_seal_a_damaged_model(copied):
    flip_byte(copied / "model.h5", 3000)
    with pytest.raises(ArtifactDamaged, match=r"model\.h5"):
        model_folder.write_card(copied, "all is well")
    assert (copied / "card.md").read_text() == "# Card\n"


def test_a_card_does_not_bring_back_a_model_that_was_replaced_meanwhile(copied, monkeypatch):
    write = model_folder.write_contract

    def overtaken(new, contract):
        newer = contract_of(copied) | {"run_id": "another"}
        (copied / "contract.json").write_text(canonical_json(newer, indent=2) + "\n")
        return write(new, contract)

    monkeypatch.setattr(model_folder, "write_contract", overtaken)
    with pytest.raises(InputError, match=r"Another process saved the model in .* anew meanwhile"):
        model_folder.write_card(copied, "# Zebras")
    assert contract_of(copied)["run_id"] == "another"
    assert (copied / "card.md").read_text() == "# Card\n"


@pytest.mark.slow
def test_equal_models_have_equal_ids_and_any_difference_another(tiny, tmp_path, saved):
    same = save(tiny(), tmp_path / "same", run_id="other", card="other")["model_id"]
    assert same == contract_of(saved)["model_id"]
    reloaded = model_folder.load_keras(saved)
    assert save(reloaded, tmp_path / "reloaded")["model_id"] == same
    changed = tiny()
    changed.get_layer("answer").bias.assign([0, 0, 1e-6])
    others = [
        save(changed, tmp_path / "weights")["model_id"],
        save(tiny(), tmp_path / "labels", class_names=NAMES[::-1])["model_id"],
        save(tiny(), tmp_path / "temperature", temperature=2.0)["model_id"],
    ]
    assert len({same, *others}) == 4


def test_the_id_depends_on_what_an_answer_depends_on_and_on_nothing_else(saved, model):
    same = contract_of(saved)["model_id"]
    assert model_folder.identity(model, class_names=NAMES) == same
    rules = {"conformal": SetRule(0.9, 0.25, 40), "novelty": NoveltyRule(0.95, 0.5, 40)}
    changes = [
        {"temperature": 2.0},
        {"class_names": NAMES[::-1]},
        *({k: v} for k, v in rules.items()),
    ]
    others = [model_folder.identity(model, **{"class_names": NAMES} | each) for each in changes]
    assert len({same, *others}) == 5


@pytest.mark.parametrize("part", ["version", "fit", "background", "conformal", "novelty"])
def test_the_id_depends_on_preprocessing_and_scores(tiny, part):
    rules = {"conformal": SetRule(0.9, 0.25, 40), "novelty": NoveltyRule(0.95, 0.5, 40)}
    model = tiny()
    facts = model_folder._facts(model, NAMES, 1.0, **rules, preprocessing=Preprocessing())
    other = json.loads(json.dumps(facts))
    place, name = ("preprocessing", part) if part not in rules else (part, "score")
    assert other[place][name] in (1, "stretch", "white", "lac", "max_softmax")
    other[place][name] = "another"
    assert model_folder._model_id(model, facts) != model_folder._model_id(model, other)


def test_saving_replaces_an_earlier_model_completely(copied, tiny):
    (copied / "left over.txt").touch()
    contract = save(tiny(seed=9), copied, run_id="second")
    assert model_folder.load(copied).contract == contract
    assert [path.name for path in copied.parent.iterdir()] == ["model"]


def test_a_failed_save_leaves_the_earlier_model(copied, tiny, monkeypatch):
    def full(*_):
        raise OSError("no space left")

    before = contract_of(copied)
    monkeypatch.setattr(model_folder, "export", full)
    with pytest.raises(OSError, match="no space"):
        save(tiny(seed=9), copied)
    assert model_folder.load(copied).contract == before
    assert [path.name for path in copied.parent.iterdir()] == ["model"]


def test_a_failed_rename_puts_the_earlier_model_back(copied, tiny, monkeypatch):
    real, calls = os.replace, []

    def second_fails(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError("interrupted")
        real(source, target)

    before = contract_of(copied)
    monkeypatch.setattr("cnnlab.files.os.replace", second_fails)
    with pytest.raises(OSError, match="interrupted"):
        save(tiny(seed=9), copied)
    assert model_folder.load(copied).contract == before
    assert [path.name for path in copied.parent.iterdir()] == ["model"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path, model):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds something else"):
        save(model, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_link_in_the_place_of_the_folder_is_not_replaced(tmp_path, model, copied):
    (tmp_path / "link").symlink_to(copied)
    with pytest.raises(InputError, match="is not a folder"):
        save(model, tmp_path / "link")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"class_names": ["a", "b"]}, "2 labels for a model with 3 outputs"),
        ({"class_names": ["a", "b", "a"]}, "not all different"),
        ({"class_names": "abc"}, "not all different"),
        ({"temperature": 0.0}, "temperature: got 0.0: expected at least 0.01"),
        ({"temperature": 101}, "temperature: got 101.0: expected at most 100"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"class_names": ["a", "b", ""]}, "class_names: 2: got '': expected 1 characters or more"),
        ({"class_names": ["a", "b", None]}, "class_names: 2: got None: expected the type string"),
        ({"run_id": ""}, "run_id: got '': expected 1 characters or more"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, model, changed, message):
    with pytest.raises(InputError, match=message):
        save(model, tmp_path / "model", **changed)
    assert not any(tmp_path.iterdir())


def test_a_model_of_another_shape_is_refused(tmp_path):
    flat = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, activation="softmax")])
    with pytest.raises(InputError, match=r"\(None, 5\) to \(None, 3\)"):
        save(flat, tmp_path / "model")


def test_an_image_size_that_no_reader_takes_is_refused(tmp_path):
    small = keras.Sequential(
        [keras.Input((15, 15, 3)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    )
    with pytest.raises(InputError, match="image_size: got 15: expected at least 16"):
        save(small, tmp_path / "model")


def test_weights_that_are_not_finite_are_refused(tmp_path, tiny):
    diverged = tiny()
    diverged.get_layer("answer").bias.assign([0, np.nan, 0])
    with pytest.raises(InputError, match="answer/bias has values that are not finite"):
        save(diverged, tmp_path / "model")


def test_a_lambda_layer_is_refused(tmp_path, tiny):
    base = tiny()
    outputs = keras.layers.Lambda(lambda x: x)(base.output)
    with pytest.raises(InputError, match="without Lambda"):
        save(keras.Model(base.input, outputs), tmp_path / "model")


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
@pytest.mark.slow
def test_a_half_precision_model_is_saved_in_float32(tmp_path, tiny, policy):
    half = tiny(dtype=policy)
    before = [np.array(weight) for weight in half.get_weights()]
    save(half, tmp_path / "model")
    loaded = model_folder.load_keras(tmp_path / "model")
    assert {weight.dtype for weight in loaded.weights} == {"float32"}
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    for found, expected in zip(loaded.get_weights(), before, strict=True):
        assert np.array_equal(found, expected.astype("float32"))
    assert half.get_layer("conv").compute_dtype == policy.removeprefix("mixed_")
    graph = tf.saved_model.load(str(tmp_path / "model" / "saved_model"))
    answers = graph.signatures["predict"](pixels=tf.constant(PIXELS))["probabilities"]
    assert np.abs(answers - loaded(PIXELS.astype("float32"))).max() <= 1e-6


@pytest.mark.slow
def test_a_compiled_model_is_saved_without_its_optimizer(tmp_path, tiny, recwarn):
    compiled = tiny()
    compiled.compile("adam", loss="categorical_crossentropy")
    compiled.train_on_batch(PIXELS.astype("float32"), np.eye(3, dtype="float32")[[0, 1, 2, 0]])
    save(compiled, tmp_path / "model")
    with h5py.File(tmp_path / "model" / "model.h5") as file:
        assert not {"training_config", "optimizer_weights"} & {*file, *file.attrs}
    # On Python 3.13 TensorFlow's own compiler uses what Python deprecates; no user sees that.
    assert not [each for each in recwarn if each.category is not DeprecationWarning]


def test_saving_is_silent(tmp_path, model, capfd, caplog):
    save(model, tmp_path / "model")
    model_folder.load_keras(tmp_path / "model")
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


@pytest.mark.slow
def test_the_reference_network_keeps_its_answers(tmp_path):
    network = models.build(
        "reference_cnn", image_size=16, num_classes=3, seed=0, l2=1e-4, dropout=0.5
    )
    save(network, tmp_path / "model")
    images = PIXELS.astype("float32")
    assert np.array_equal(model_folder.load_keras(tmp_path / "model")(images), network(images))
