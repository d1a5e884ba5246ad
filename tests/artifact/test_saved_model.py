import numpy as np
import pytest

from cnnlab import images
from cnnlab.artifact import model_folder, saved_model
from cnnlab.config import InputError
from cnnlab.engine import tf
from cnnlab.evaluation import calibration

PIXELS = np.random.default_rng(2).integers(0, 256, (7, 16, 16, 3), dtype=np.uint8)
NAMES = ["zebra", "ant", "mole"]


@pytest.fixture(scope="module")
def graph(saved):
    return tf.saved_model.load(str(saved / "saved_model"))


@pytest.mark.parametrize(
    ("name", "given", "answer"),
    [
        ("prepare", ("image_bytes", tf.string, []), ("pixels", tf.uint8, [16, 16, 3])),
        (
            "predict",
            ("pixels", tf.uint8, [None, 16, 16, 3]),
            ("probabilities", tf.float32, [None, 3]),
        ),
        (
            "predict_bytes",
            ("image_bytes", tf.string, [None]),
            ("probabilities", tf.float32, [None, 3]),
        ),
    ],
)
def test_signatures_have_the_names_types_and_shapes_of_the_contract(graph, name, given, answer):
    signature = graph.signatures[name]
    arguments = signature.structured_input_signature[1]
    found = [(key, spec.dtype, spec.shape.as_list()) for key, spec in arguments.items()]
    assert found == [given]
    outputs = signature.structured_outputs
    assert [(key, spec.dtype, spec.shape.as_list()) for key, spec in outputs.items()] == [answer]


def test_there_are_no_other_signatures(graph):
    assert set(graph.signatures) == {"prepare", "predict", "predict_bytes"}


def test_prepare_is_bit_equal_to_the_decoder(graph, photos):
    for photo in photos:
        transcoded = images.transcode(photo)
        found = graph.signatures["prepare"](image_bytes=tf.constant(transcoded))["pixels"]
        assert np.array_equal(found, images.prepare(tf.constant(transcoded), 16))


def test_predict_answers_as_the_model(graph, model):
    found = graph.signatures["predict"](pixels=tf.constant(PIXELS))["probabilities"]
    expected = model(PIXELS.astype("float32"), training=False)
    assert np.abs(found - expected).max() <= 1e-6


def test_predict_bytes_equals_prepare_then_predict(graph, photos):
    transcoded = [images.transcode(photo) for photo in photos]
    pixels = [
        graph.signatures["prepare"](image_bytes=tf.constant(one))["pixels"] for one in transcoded
    ]
    expected = graph.signatures["predict"](pixels=tf.stack(pixels))["probabilities"]
    found = graph.signatures["predict_bytes"](image_bytes=tf.constant(transcoded))["probabilities"]
    assert np.array_equal(found, expected)


def test_an_empty_batch_has_an_empty_answer(graph):
    none = tf.zeros((0, 16, 16, 3), tf.uint8)
    assert graph.signatures["predict"](pixels=none)["probabilities"].shape == (0, 3)
    nothing = tf.constant([], tf.string)
    assert graph.signatures["predict_bytes"](image_bytes=nothing)["probabilities"].shape == (0, 3)


def test_bytes_that_are_no_image_are_an_error_and_nothing_worse(graph):
    with pytest.raises(tf.errors.InvalidArgumentError):
        graph.signatures["predict_bytes"](image_bytes=tf.constant([b"not an image"]))


def test_weights_are_stored_once(saved, model):
    weights = sum(weight.nbytes for weight in model.get_weights())
    stored = sum(path.stat().st_size for path in (saved / "saved_model/variables").iterdir())
    assert weights <= stored < weights + 3000  # the index and the graph of objects


def test_a_temperature_of_one_is_the_identity():
    probabilities = tf.constant([[0.2, 0.8]])
    assert saved_model.tempered(probabilities, 1.0) is probabilities


@pytest.mark.parametrize("temperature", [0.5, 2.0, 3.7])
def test_temperature_divides_the_logits(temperature):
    logits = np.random.default_rng(3).normal(0, 3, (20, 4))
    weights = np.exp(logits / temperature)
    found = saved_model.tempered(tf.nn.softmax(tf.constant(logits, tf.float32)), temperature)
    assert np.allclose(found, weights / weights.sum(axis=1, keepdims=True), rtol=0, atol=1e-6)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 1.0, 2.0, 20.0])
def test_numpy_applies_the_same_temperature(temperature):
    rows = np.random.default_rng(4).dirichlet(np.full(5, 0.2), 200).astype("float32")
    rows[0] = [0, 0.5, 0.5, 0, 0]
    found = calibration.apply(rows, temperature)
    assert found.dtype == np.float32
    assert np.abs(found - saved_model.tempered(tf.constant(rows), temperature)).max() <= 1e-6


@pytest.mark.slow
def test_the_h5_file_with_the_temperature_is_the_saved_model(tmp_path, model):
    model_folder.save(
        model, tmp_path / "m", class_names=NAMES, run_id="lab", card="", temperature=0.3
    )
    plain = model_folder.load_keras(tmp_path / "m")(
        PIXELS.astype("float32"), training=False
    ).numpy()
    graph = tf.saved_model.load(str(tmp_path / "m" / "saved_model"))
    found = graph.signatures["predict"](pixels=tf.constant(PIXELS))["probabilities"].numpy()
    assert np.abs(found - calibration.apply(plain, 0.3)).max() <= 1e-6
    assert np.abs(found - plain).max() > 0.01


def test_temperature_keeps_zero_and_one():
    found = saved_model.tempered(tf.constant([[0.0, 1.0], [0.5, 0.5]]), 2.0)
    assert found.numpy().tolist() == [[0.0, 1.0], [0.5, 0.5]]


@pytest.mark.slow
def test_the_graph_applies_the_temperature(tmp_path, model):
    model_folder.save(
        model, tmp_path / "m", class_names=NAMES, run_id="lab", card="", temperature=4.0
    )
    graph = tf.saved_model.load(str(tmp_path / "m" / "saved_model"))
    found = graph.signatures["predict"](pixels=tf.constant(PIXELS))["probabilities"]
    fourth_root = model(PIXELS.astype("float32")).numpy().astype("float64") ** 0.25
    assert np.abs(found - fourth_root / fourth_root.sum(axis=1, keepdims=True)).max() <= 1e-6


@pytest.mark.slow
def test_a_fresh_process_gives_the_same_answers(tmp_path, model, monkeypatch):
    model_folder.save(
        model, tmp_path / "m", class_names=NAMES, run_id="a", card="", temperature=4.0
    )
    monkeypatch.chdir(tmp_path)  # the new process must find the package from anywhere
    plain = model(PIXELS.astype("float32"), training=False)
    expected = saved_model.tempered(plain, 4.0).numpy()
    assert saved_model.fresh_process_difference("m", PIXELS, expected) <= 1e-6
    # Without the temperature it would differ: the comparison above can fail.
    assert np.abs(plain - expected).max() > 0.01


@pytest.mark.slow
def test_a_fresh_process_that_fails_says_why(copied):
    (copied / "model.h5").write_bytes(b"")
    with pytest.raises(RuntimeError, match="cannot use the model in"):
        saved_model.fresh_process_difference(copied, PIXELS, np.zeros((7, 3), "float32"))


def test_nothing_to_compare_is_refused(saved):
    with pytest.raises(InputError, match="7 images and 2 rows"):
        saved_model.fresh_process_difference(saved, PIXELS, np.zeros((2, 3), "float32"))
    with pytest.raises(InputError, match="0 images"):
        saved_model.fresh_process_difference(saved, PIXELS[:0], np.zeros((0, 3), "float32"))


def test_answers_that_cannot_be_compared_are_infinitely_far():
    assert saved_model._difference(np.zeros((2, 3)), np.zeros((2, 4))) == float("inf")
    assert saved_model._difference(np.array([[np.nan]]), np.zeros((1, 1))) == float("inf")
    assert saved_model._difference(np.array([[0.25]]), np.array([[0.5]])) == 0.25
