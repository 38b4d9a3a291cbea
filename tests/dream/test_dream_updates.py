from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dream.recipes import Optimizer
from dream.updates import initial_state, update

STEPS = 6


def directions() -> list[np.ndarray]:
    generator = np.random.Generator(np.random.PCG64(4))
    return [generator.normal(size=(2, 3, 4, 3)).astype(np.float32) for _ in range(STEPS)]


def run(optimizer: Optimizer, momentum: float = 0.9) -> list[np.ndarray]:
    """The steps of one compiled function, as the ascent takes them: its state goes round."""

    @tf.function(autograph=False)
    def step(direction: Any, state: Any, index: Any) -> Any:
        return update(optimizer, direction, state, index, tf.constant(momentum))

    state, found = initial_state(optimizer, tf.constant(directions()[0])), []
    for index, direction in enumerate(directions()):
        moved, state = step(tf.constant(direction), state, tf.constant(index))
        found.append(moved.numpy())
    return found


def test_the_plain_step_is_the_direction_and_remembers_nothing():
    np.testing.assert_array_equal(run(Optimizer.STEP), directions())
    assert initial_state(Optimizer.STEP, tf.zeros([1, 2, 2, 3])) == ()


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_momentum_is_the_average_of_all_directions_so_far_each_older_one_weighing_less(momentum: float):
    found = run(Optimizer.MOMENTUM, momentum)

    for index, moved in enumerate(found):
        weights = [momentum ** (index - age) if index != age else 1.0 for age in range(index + 1)]
        expected = np.average(np.array(directions()[: index + 1], np.float64), axis=0, weights=weights)
        np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-5)


def test_adam_takes_the_published_steps():
    first = second = np.zeros((2, 3, 4, 3))

    for index, (direction, moved) in enumerate(zip(directions(), run(Optimizer.ADAM), strict=True), start=1):
        first = 0.9 * first + 0.1 * direction.astype(np.float64)
        second = 0.999 * second + 0.001 * direction.astype(np.float64) ** 2
        expected = first / (1 - 0.9**index) / (np.sqrt(second / (1 - 0.999**index)) + 1e-8)
        np.testing.assert_allclose(moved, expected, rtol=5e-4, atol=1e-5)


@pytest.mark.parametrize("optimizer", Optimizer)
def test_a_steady_direction_gives_steps_of_the_same_length_with_every_optimizer(optimizer: Optimizer):
    direction = tf.ones([1, 2, 2, 3])
    state = initial_state(optimizer, direction)

    for index in range(5):
        moved, state = update(optimizer, direction, state, tf.constant(index), tf.constant(0.9))
        np.testing.assert_allclose(moved.numpy(), 1.0, rtol=1e-3)


@pytest.mark.parametrize("optimizer", Optimizer)
def test_no_direction_moves_nothing_and_stays_finite(optimizer: Optimizer):
    nothing = tf.zeros([1, 2, 2, 3])
    state = initial_state(optimizer, nothing)

    for index in range(3):
        moved, state = update(optimizer, nothing, state, tf.constant(index), tf.constant(0.9))
        assert not moved.numpy().any()
