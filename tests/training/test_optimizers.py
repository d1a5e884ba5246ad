"""Optimizers and schedules: their values against the formulas, and the settings' choices."""

from dataclasses import replace

import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.config.training import TrainingSettings
from cnnlab.engine import keras
from cnnlab.training.optimizers import OPTIMIZERS, optimizer
from cnnlab.training.recipe import Recipe, Stage
from cnnlab.training.schedules import SCHEDULES, rate, used

STAGE = Stage(epochs=5, learning_rate=0.3)


def test_a_constant_rate_is_a_number() -> None:
    assert rate(STAGE, steps=7) == 0.3


@pytest.mark.parametrize(("schedule", "warmup"), [("constant", 2), ("cosine", 0), ("cosine", 2)])
def test_the_rate_of_every_step(schedule: str, warmup: int) -> None:
    """w steps up from 0, then as it is or half a cosine down to 0 at step 20."""
    found = rate(replace(STAGE, schedule=schedule, warmup_epochs=warmup), steps=4)
    w = 4 * warmup
    for step in range(21):
        down = 0.3 if schedule == "constant" else 0.15 * (1 + np.cos(np.pi * (step - w) / (20 - w)))
        expected = 0.3 * step / w if step < w else down
        assert float(found(step)) == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        # Of 20 steps 6 are the rise: 1/25, halfway between that and 1 at step 3, 1 at step 6, half
        # of the fall at step 13.
        ("one_cycle", 0, {0: 0.04, 3: 0.52, 6: 1.0, 13: (1 + 1e-4) / 2, 20: 1e-4}),
        # 4 epochs of 4 steps rise: halfway at step 8, then half of the fall at step 18.
        ("one_cycle", 4, {0: 0.04, 8: 0.52, 16: 1.0, 18: (1 + 1e-4) / 2, 20: 1e-4}),
        ("step", 0, {0: 1, 9: 1, 10: 0.1, 14: 0.1, 15: 0.01, 19: 0.01}),
        # One epoch rises; the half of the other 16 steps ends at step 12, three quarters at 16.
        ("step", 1, {0: 0, 1: 0.25, 3: 0.75, 4: 1, 11: 1, 12: 0.1, 15: 0.1, 16: 0.01, 19: 0.01}),
    ],
)
def test_steps_of_one_cycle_and_step_by_hand(
    schedule: str, warmup: int, expected: dict[int, float]
) -> None:
    found = rate(replace(STAGE, schedule=schedule, warmup_epochs=warmup), steps=4)
    for number, share in expected.items():
        assert float(found(number)) == pytest.approx(0.3 * share, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_every_schedule_holds_for_the_shortest_stages(schedule: str, steps: int) -> None:
    found = rate(Stage(1, schedule=schedule, learning_rate=0.3), steps)
    rates = [float(found(each)) if callable(found) else found for each in range(steps)]
    assert max(rates) == pytest.approx(0.3)
    assert min(rates) > 0


def test_a_schedule_can_be_stored_with_its_optimizer() -> None:
    made = rate(replace(STAGE, schedule="step", warmup_epochs=1), steps=4)
    stored = keras.optimizers.schedules.serialize(made)
    again = keras.optimizers.schedules.deserialize(stored)
    assert [float(again(each)) for each in range(20)] == [float(made(each)) for each in range(20)]


def test_the_rates_used_are_those_of_every_batch_that_ran() -> None:
    """Stages of 1, 2 and 3 epochs, of which the training ended within the last; a probe is none."""
    stages = (
        Stage(1, "probe"),
        Stage(2, learning_rate=0.1, schedule="cosine"),
        Stage(3, learning_rate=0.2),
    )
    table = used(Recipe(stages), epochs=5, steps=4)
    cosine = [0.05 * (1 + np.cos(np.pi * done / 8)) for done in range(8)]
    np.testing.assert_allclose(table["rate"], [*cosine, *[0.2] * 8], rtol=1e-5)
    np.testing.assert_array_equal(table["epoch"], np.repeat([2, 3, 4, 5], 4))
    np.testing.assert_array_equal(table["stage"], np.repeat([2, 3], 8))
    np.testing.assert_array_equal(table["step"], np.arange(16))
    assert used(Recipe(stages), epochs=1, steps=4).empty


def test_a_stage_too_short_for_a_step_is_refused() -> None:
    with pytest.raises(InputError, match="a stage of 15 batches: its weights would never change"):
        rate(replace(STAGE, accumulate=16), steps=3)
    assert rate(replace(STAGE, accumulate=15), steps=3) == 0.3


@pytest.mark.parametrize("change", [{"schedule": "cosine"}, {"warmup_epochs": 1}])
def test_a_schedule_needs_to_know_how_many_batches_there_are(change: dict) -> None:
    with pytest.raises(InputError, match="do not say how many they are"):
        rate(replace(STAGE, **change), steps=-2)  # tf.data's word for that
    assert rate(STAGE, steps=-2) == 0.3


def variables() -> list:
    """A kernel of ones and a bias of ones."""
    return [
        keras.Variable(np.ones((2, 2), np.float32), name="kernel"),
        keras.Variable(np.ones(2, np.float32), name="bias"),
    ]


def step(name: str, weight_decay: float, gradient: float) -> tuple[float, float]:
    """One step of a stage's optimizer at rate 0.3; the kernel's and the bias's first number."""
    stage, pair = replace(STAGE, optimizer=name, weight_decay=weight_decay), variables()
    made = optimizer(stage, 0.3, pair)
    made.apply([np.full(each.shape, gradient, np.float32) for each in pair], pair)
    kernel, bias = (np.asarray(each).flat[0] for each in pair)
    return float(kernel), float(bias)


def test_one_step_of_each_by_hand() -> None:
    """Without a gradient only decay moves, and only kernels: 1 − 0.3 · 0.1.

    With one of 2, gradient descent moves by 0.3 · 2 and Adam's first step by the rate itself.
    """
    assert step("adamw", 0.1, 0.0) == pytest.approx((0.97, 1.0))
    assert step("sgd", 0.1, 0.0) == pytest.approx((0.97, 1.0))
    assert step("sgd", 0.0, 2.0) == pytest.approx((0.4, 0.4))
    assert step("adam", 0.0, 2.0) == pytest.approx((0.7, 0.7), rel=1e-5)


def test_a_factor_is_of_the_step_and_of_the_decay() -> None:
    """A quarter of the rate for the kernel, a half for the bias, by the same sums as above."""

    def step(name: str, weight_decay: float, gradient: float) -> tuple[float, ...]:
        stage, pair = replace(STAGE, optimizer=name, weight_decay=weight_decay), variables()
        made = optimizer(stage, 0.3, pair, factors=(0.25, 0.5))
        made.apply([np.full(each.shape, gradient, np.float32) for each in pair], pair)
        return tuple(float(np.asarray(each).flat[0]) for each in pair)

    assert step("adamw", 0.1, 0.0) == pytest.approx((1 - 0.3 * 0.25 * 0.1, 1.0))
    assert step("sgd", 0.1, 0.0) == pytest.approx((1 - 0.3 * 0.25 * 0.1, 1.0))
    assert step("sgd", 0.0, 2.0) == pytest.approx((0.85, 0.7))
    assert step("adam", 0.0, 2.0) == pytest.approx((0.925, 0.85), rel=1e-5)


def test_nesterov_by_hand() -> None:
    """Velocity v ← 0.9 v − 0.1 g, weights move by 0.9 v − 0.1 g: −0.19, then −0.271."""
    pair = variables()
    made = optimizer(replace(STAGE, optimizer="nesterov"), 0.1, pair)
    for expected in (1 - 0.19, 1 - 0.19 - 0.271):
        made.apply([np.ones(each.shape, np.float32) for each in pair], pair)
        assert float(np.asarray(pair[1])[0]) == pytest.approx(expected)


@pytest.mark.parametrize("norm", [0.5, 3.0, 100.0])
def test_clipping_is_by_the_norm_over_all_variables(norm: float) -> None:
    """Against NumPy; the norm is 5 here: √(4 · 2² + 2 · (3/√2)²)."""
    pair = variables()
    gradients = [np.full((2, 2), 2, np.float32), np.full(2, 3 / np.sqrt(2), np.float32)]
    whole = np.sqrt(sum(float(np.sum(each**2)) for each in gradients))
    assert whole == pytest.approx(5)
    made = optimizer(replace(STAGE, optimizer="sgd", clip_norm=norm), 0.1, pair)
    made.apply(gradients, pair)
    for variable, gradient in zip(pair, gradients, strict=True):
        expected = 1 - 0.1 * gradient * min(1, norm / whole)
        np.testing.assert_allclose(np.asarray(variable), expected, rtol=1e-5)


def test_what_is_clipped_is_the_mean_of_the_batches() -> None:
    """Gradients 3 and −1 of a bias: their mean is 1, and clipped to 0.5; each alone is larger."""
    bias = [keras.Variable(np.ones(1, np.float32), name="bias")]
    stage = replace(STAGE, optimizer="sgd", clip_norm=0.5, accumulate=2, weight_decay=0.1)
    made, found = optimizer(stage, 0.1, bias), []
    for gradient in (3.0, -1.0):
        made.apply([np.full(1, gradient, np.float32)], bias)
        found.append(float(np.asarray(bias[0])[0]))
    assert found == pytest.approx([1.0, 1 - 0.1 * 0.5])


def test_gradient_descent_has_momentum() -> None:
    pair = variables()
    made = optimizer(replace(STAGE, optimizer="sgd"), 0.1, pair)
    for _ in range(2):  # velocities −0.1 and −0.19
        made.apply([np.ones(each.shape, np.float32) for each in pair], pair)
    assert float(np.asarray(pair[1])[0]) == pytest.approx(1 - 0.1 - 0.19)


def test_names_do_not_count_what_was_made_before() -> None:
    for name in OPTIMIZERS:
        stage = replace(STAGE, optimizer=name, weight_decay=0.1)
        assert {optimizer(stage, 0.1, variables()).name for _ in range(3)} == {name}


def test_the_settings_offer_all_of_them() -> None:
    fields = TrainingSettings.__dataclass_fields__
    assert fields["optimizer"].metadata["choices"] == tuple(OPTIMIZERS)
    assert fields["schedule"].metadata["choices"] == tuple(SCHEDULES)
