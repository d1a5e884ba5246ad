"""Optimizers and schedules: their values against the formulas, and the settings' choices."""

from dataclasses import replace

import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.config.training import TrainingSettings
from cnnlab.engine import keras
from cnnlab.training.optimizers import OPTIMIZERS, SCHEDULES, optimizer, rate
from cnnlab.training.recipe import Stage

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
