"""The residual network: its size by arithmetic, its blocks, its stems, its blur."""

import subprocess
import sys

import numpy as np
import pytest

from cnnlab import models
from cnnlab.artifact import model_folder
from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain.network.receptive_field import receptive_field

MODERN = "stem=deep,bottleneck=true,shortcut=average,zero_gamma=true,blur=true"


def parameters(
    width: int, blocks: list[int], classes: int, stem: str, bottleneck: bool
) -> tuple[int, int]:
    """Trainable and fixed ones by the paper: kernels, scales and shifts, the softmax."""
    half = width // 2
    kernels, channels = {
        "small": (3 * 3 * 3 * width, width),
        "imagenet": (7 * 7 * 3 * width, width),
        "deep": (9 * (3 * half + half * half + half * width), half + half + width),
    }[stem]
    before = width
    for stage, count in enumerate(blocks):
        own = width * 2**stage
        end = 4 * own if bottleneck else own
        for block in range(count):
            kernels += (before * own + 9 * own * own + own * end) if bottleneck else 0
            kernels += 0 if bottleneck else 9 * before * own + 9 * own * own
            channels += own + own + end if bottleneck else own + own
            if before != end or (stage > 0 and block == 0):  # a projection
                kernels += before * end
                channels += end
            before = end
    return kernels + 2 * channels + before * classes + classes, 2 * channels


def counted(model: keras.Model) -> tuple[int, int]:
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return trainable, model.count_params() - trainable


def multiply_adds(model: keras.Model) -> int:
    """Of the convolutions and dense layers, an image: a kernel's weights at each place."""
    return sum(
        int(np.prod(layer.kernel.shape)) * int(np.prod(layer.output.shape[1:-1]))
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)
    )


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize(
    ("width", "blocks", "stem"),
    [(4, [1], "small"), (5, [3, 1], "small"), (4, [2, 1, 3], "imagenet"), (8, [1, 2, 1], "deep")],
)
@pytest.mark.slow
def test_the_parameters_are_those_of_the_paper(width, blocks, stem, bottleneck, network) -> None:
    options = f"width={width},blocks={'-'.join(map(str, blocks))},stem={stem}"
    model = network("resnet", options=f"{options},bottleneck={bottleneck}")
    assert counted(model) == parameters(width, blocks, 4, stem, bottleneck)


@pytest.mark.parametrize(
    ("blocks", "stem", "bottleneck", "published"),
    [
        ([2, 2, 2, 2], "imagenet", False, 11_689_512),  # torchvision's resnet18, 34, 50, 101, 152
        ([3, 4, 6, 3], "imagenet", False, 21_797_672),
        ([3, 4, 6, 3], "imagenet", True, 25_557_032),
        ([3, 4, 23, 3], "imagenet", True, 44_549_160),
        ([3, 8, 36, 3], "imagenet", True, 60_192_808),
        ([2, 2, 2, 2], "deep", False, 11_708_744),  # pytorchcv's resneta18, 50b, 101b
        ([3, 4, 6, 3], "deep", True, 25_576_264),
        ([3, 4, 23, 3], "deep", True, 44_568_392),
    ],
)
def test_the_formula_gives_the_published_numbers(blocks, stem, bottleneck, published) -> None:
    assert parameters(64, blocks, 1000, stem, bottleneck)[0] == published


@pytest.mark.slow
def test_resnet_50_takes_the_published_multiply_adds(network) -> None:
    """4.089 G says torchvision; with the stride in the 1×1 (v1) they would be 3.86."""
    options = "width=64,blocks=3-4-6-3,stem=imagenet,bottleneck=true"
    model = network("resnet", options=options, image_size=224, num_classes=1000)
    assert round(multiply_adds(model) / 1e9, 3) == 4.089


@pytest.mark.parametrize("size", [64, 224])
def test_one_block_a_stage_costs_what_the_reference_network_costs(size, network) -> None:
    """Both sums are written out: places by weights of a kernel."""
    reference = network(image_size=size, num_classes=5)
    small = network("resnet", options="blocks=1-1-1-1", image_size=size, num_classes=5)
    dense = (size // 16) ** 2 * 256 * 512 + 512 * 5
    assert multiply_adds(reference) == dense + size**2 * (
        27 * 32 + 288 * 64 // 4 + 576 * 128 // 16 + 1152 * 256 // 64
    )
    stages = 2 * 9 * 16**2 + 3 * (9 * 16 * 32 + 16 * 32 + 9 * 32**2) // 4
    assert multiply_adds(small) == size**2 * (27 * 16 + stages) + 128 * 5
    assert multiply_adds(small) / multiply_adds(reference) == pytest.approx(1.04, abs=0.005)


def test_stages_halve_the_map_and_double_the_channels(network) -> None:
    model = network("resnet", image_size=64, options="width=4")
    maps = [model.get_layer(name).output.shape[1:] for name in models.stages(model)]
    assert maps == [(64, 64, 4), (32, 32, 8), (16, 16, 16), (8, 8, 32)]


def test_the_stem_of_the_paper_divides_the_image_by_four(network) -> None:
    model = network("resnet", image_size=64, options="width=4,blocks=1-1-1,stem=imagenet")
    assert models.stages(model) == ("stage1", "stage2", "stage3")
    assert model.get_layer("stage1").output.shape == (None, 16, 16, 4)
    assert model.get_layer("stem_conv").kernel.shape == (7, 7, 3, 4)


def test_a_block_is_the_rectified_sum_of_its_way_and_the_shortcut(network, photographs) -> None:
    model = network("resnet", options="width=4,blocks=1-1")
    names = ["stage1", "stage2_block1_norm2", "stage2_block1_shortcut_norm", "stage2"]
    view = keras.Model(model.input, [model.get_layer(name).output for name in names])
    _, way, shortcut, out = (np.asarray(each) for each in view(photographs()))
    np.testing.assert_allclose(out, np.maximum(way + shortcut, 0), atol=1e-6)
    # In the first stage nothing changes its shape, so the block's input itself is added.
    names = ["stem_relu", "stage1_block1_norm2", "stage1"]
    view = keras.Model(model.input, [model.get_layer(name).output for name in names])
    stem, way, out = (np.asarray(each) for each in view(photographs()))
    np.testing.assert_allclose(out, np.maximum(way + stem, 0), atol=1e-6)


def test_kernels_begin_as_he_et_al_advise(network) -> None:
    """Deviation √(2 / fan-in): arXiv 1502.01852, equation 10."""
    model = network("resnet", options="width=32,blocks=1-1")
    for name in ("stage1_block1_conv1", "stage2_block1_conv2"):
        kernel = model.get_layer(name).kernel.numpy()
        fan_in = np.prod(kernel.shape[:3])
        assert kernel.std() == pytest.approx(np.sqrt(2 / fan_in), rel=0.05)


def maps(model: keras.Model, images: np.ndarray, *names: str) -> list[np.ndarray]:
    """What the layers of these names give."""
    view = keras.Model(model.input, [model.get_layer(name).output for name in names])
    return [np.asarray(each) for each in view(images)]


def test_a_bottleneck_halves_in_its_3_by_3(network) -> None:
    model = network("resnet", options="width=4,blocks=1-1,bottleneck=true", image_size=32)
    shapes = {
        number: (layer.kernel.shape, layer.output.shape[1:3])
        for number in "123"
        for layer in [model.get_layer(f"stage2_block1_conv{number}")]
    }
    assert shapes == {
        "1": ((1, 1, 16, 8), (32, 32)),
        "2": ((3, 3, 8, 8), (16, 16)),
        "3": ((1, 1, 8, 32), (16, 16)),
    }


def test_the_deep_stem_divides_the_image_by_four(network) -> None:
    model = network("resnet", options="width=4,blocks=1,stem=deep", image_size=64)
    convolutions = [model.get_layer(f"stem_conv{number}") for number in "123"]
    assert [layer.kernel.shape for layer in convolutions] == [
        (3, 3, 3, 2), (3, 3, 2, 2), (3, 3, 2, 4),
    ]  # fmt: skip
    assert [layer.output.shape[1] for layer in convolutions] == [32, 32, 32]
    assert model.get_layer("stage1").output.shape == (None, 16, 16, 4)
    network("resnet", options="width=1,blocks=1,stem=deep")  # half of one is one


def test_an_average_shortcut_sees_every_place(network, photographs) -> None:
    model = network("resnet", options="width=4,blocks=1-1,shortcut=average")
    before, way = maps(model, photographs(), "stage1", "stage2_block1_shortcut_conv")
    means = before.reshape(3, 16, 2, 16, 2, 4).mean(axis=(2, 4))
    kernel = model.get_layer("stage2_block1_shortcut_conv").kernel.numpy()[0, 0]
    np.testing.assert_allclose(way, means @ kernel, atol=1e-5)


@pytest.mark.parametrize("size", [18, 32])
def test_a_strided_shortcut_takes_one_place_of_four(size, network, photographs) -> None:
    """Given few channels, before its convolution; the third stage of 18 has an odd side."""
    model = network("resnet", options="width=8,blocks=1-1-1", image_size=size)
    for stage in (2, 3):
        conv = f"stage{stage}_block1_shortcut_conv"
        before, way = maps(model, photographs(size), f"stage{stage - 1}", conv)
        layer = model.get_layer(conv)
        assert layer.strides == ((1, 1) if before.shape[-1] < 16 else (2, 2))
        picked = before[:, ::2, ::2] @ layer.kernel.numpy()[0, 0]
        np.testing.assert_allclose(way, picked, atol=1e-5)


@pytest.mark.slow
def test_narrow_networks_learn_from_odd_batches() -> None:
    """In a process of its own, which ended by a signal when the 1×1 convolution had the stride."""
    program = """
import numpy as np
from cnnlab import models
from cnnlab.engine import tf
model = models.build("resnet", image_size=32, num_classes=4, seed=0, l2=0.0, dropout=0.0,
                     options="width=4,blocks=1-1-1")
@tf.function
def slopes(images):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.math.log(model(images, training=True)[:, 0]))
    return tape.gradient(loss, [weight.value for weight in model.trainable_weights])
for _ in range(30):
    for count in (1, 3, 5, 7):
        found = slopes(tf.random.uniform((count, 32, 32, 3), 0, 255))
assert all(np.isfinite(each).all() for each in found)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr[-1000:]


@pytest.mark.parametrize("bottleneck", ["false", "true"])
@pytest.mark.parametrize("training", [False, True])
def test_with_zero_gamma_a_block_begins_as_its_shortcut(
    training, bottleneck, network, photographs
) -> None:
    options = f"width=4,blocks=2-2,zero_gamma=true,bottleneck={bottleneck}"
    model = network("resnet", options=options)
    names = ["stage1_block1_relu3" if bottleneck == "true" else "stage1_block1_relu2", "stage1"]
    names += ["stage2_block1_shortcut_norm", names[0].replace("stage1", "stage2"), "stage2"]
    view = keras.Model(model.input, [model.get_layer(name).output for name in names])
    found = view(photographs(), training=training)
    first, end, shortcut, second, last = (np.asarray(each) for each in found)
    assert first.std() > 0.1
    assert np.array_equal(end, first)  # a block whose shape does not change is the identity
    assert np.array_equal(second, np.maximum(shortcut, 0))
    assert np.array_equal(last, second)
    plain = network("resnet", options=options.replace("zero_gamma=true", "zero_gamma=false"))
    moved, kept = maps(plain, photographs(), "stage1", names[0])
    assert not np.allclose(moved, kept)


def test_with_zero_gamma_the_first_step_moves_the_scales(network, photographs) -> None:
    """As the slope of a scale is the sum of what it scales by what comes back: not zero."""
    model = network("resnet", options="width=4,blocks=1-1,zero_gamma=true", dropout=0.0)
    gammas = [model.get_layer(f"stage{stage}_block1_norm2").gamma for stage in (1, 2)]

    @tf.function
    def slopes(images: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(tf.math.log(model(images, training=True)[:, 0]))
        return tape.gradient(loss, [gamma.value for gamma in gammas])

    assert not any(np.any(gamma) for gamma in gammas)
    assert all(np.any(slope) for slope in slopes(photographs()))


def triangle(values: np.ndarray) -> np.ndarray:
    """1-2-1 over 4 in both directions of (B, S, S, K), at the odd places; the border repeated."""
    side = values.shape[1]
    known = np.pad(values, ((0, 0), (0, 2), (0, 2), (0, 0)), mode="edge")
    out = np.zeros((len(values), -(-side // 2), -(-side // 2), values.shape[3]))
    for row, column in np.ndindex(out.shape[1:3]):
        window = known[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
        weights = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
        out[:, row, column] = np.einsum("bhwk,hw->bk", window, weights)
    return out


@pytest.mark.parametrize("size", [16, 18])  # the second stage of 18 has an odd side
def test_blur_is_the_triangle_of_zhang(size, network, photographs) -> None:
    model = network("resnet", options="width=4,blocks=1-1-1,blur=true", image_size=size)
    for stage in (2, 3):
        name = f"stage{stage}_block1_"
        names = [f"{name}relu1", f"{name}blur2", f"stage{stage - 1}", f"{name}shortcut_blur2"]
        whole, thinned, entering, around = maps(model, photographs(size), *names)
        assert whole.shape[1] == entering.shape[1] == -(-size // 2 ** (stage - 2))
        np.testing.assert_allclose(thinned, triangle(whole), atol=1e-5)
        np.testing.assert_allclose(around, triangle(entering), atol=1e-5)


def test_blur_lets_no_checkerboard_through(network) -> None:
    """Which what takes every second place turns into a constant."""
    model = network("resnet", options="width=4,blocks=1-1,blur=true")
    blur = [model.get_layer(f"stage2_block1_blur{number}") for number in "12"]
    board = (np.indices((16, 16)).sum(axis=0) % 2 * 2.0 - 1)[None, :, :, None].astype(np.float32)
    np.testing.assert_allclose(np.asarray(blur[1](blur[0](board)))[:, :-1, :-1], 0, atol=1e-7)
    flat = np.full((1, 16, 16, 1), 3.0, np.float32)
    assert np.array_equal(blur[1](blur[0](flat)), np.full((1, 8, 8, 1), 3.0))


def test_blur_goes_before_every_halving_but_the_first(network) -> None:
    model = network("resnet", options=f"width=4,blocks=1-1-1,{MODERN}", image_size=64)
    strided = {layer.name for layer in model.layers if getattr(layer, "strides", 1) in (2, (2, 2))}
    assert strided == {
        "stem_conv1", "stem_blur2", "stage2_block1_blur2", "stage3_block1_blur2",
        "stage2_block1_shortcut_pool", "stage3_block1_shortcut_pool",
    }  # fmt: skip
    sides = [model.get_layer(name).output.shape[1] for name in models.stages(model)]
    assert sides == [16, 8, 4]
    plain = network("resnet", options="width=4,blocks=1-1-1,stem=deep,bottleneck=true")
    assert model.count_params() == plain.count_params()


@pytest.mark.slow
@pytest.mark.parametrize("options", [MODERN, "stem=imagenet,blur=true"])
def test_it_comes_back_from_files_and_from_the_model_folder(
    options, network, photographs, tmp_path
) -> None:
    model = network("resnet", options=f"width=4,blocks=1-2,{options}", l2=0.0)
    draw = np.random.default_rng(1)  # scales that are not zero, statistics that are not 0 and 1
    model.set_weights([draw.uniform(0.5, 1, each.shape) / np.sqrt(each.size)
                       for each in model.get_weights()])  # fmt: skip
    images = photographs()
    answers = np.asarray(model(images, training=False))
    for name in ("model.h5", "model.keras"):
        model.save(tmp_path / name)
        loaded = keras.saving.load_model(tmp_path / name, compile=False, safe_mode=True)
        assert np.array_equal(loaded(images, training=False), answers)
        assert models.stages(loaded) == models.stages(model) == ("stage1", "stage2")
    folder = tmp_path / "model"
    model_folder.save(model, folder, class_names=list("abcd"), run_id="lab", card="# Card\n")
    again = model_folder.load_keras(folder)
    assert models.answers_digest(again) == models.answers_digest(model)


@pytest.mark.parametrize("options", ["blur=true", MODERN])
def test_the_receptive_field_is_known(options, network) -> None:
    model = network("resnet", options=f"width=2,blocks=1-1,{options}")
    for stage, halvings in zip(models.stages(model), (0, 1), strict=True):
        field = receptive_field(model, stage, 32)
        assert field.height.step == 2**halvings * (4 if "deep" in options else 1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("blocks=2-2-2-2-2", "expected 1 to 4 whole numbers from 1 to 36"),
        ("blocks=2-0", "blocks='2-0'"),
        ("width=0", "In network_options of resnet: width=0 is out of range: expected 1 to 512"),
        ("width=wide", "width='wide': expected a whole number"),
        ("stem=large", "Unknown stem 'large': expected one of small, imagenet, deep"),
        ("shortcut=pool", "Unknown shortcut 'pool': expected one of strided, average"),
        ("bottleneck=yes", "bottleneck='yes': expected true or false"),
        ("blur=3", "blur='3': expected true or false"),
        ("zero_gama=true", "Did you mean zero_gamma"),
        ("widht=3", "Did you mean width"),
    ],
)
def test_odd_options_are_refused(options, says) -> None:
    with pytest.raises(InputError, match=says):
        models.check_options("resnet", options)
