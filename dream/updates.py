"""Updates: from the normalized gradient to the direction of a step, with what is remembered between steps.

Works inside a TensorFlow graph. The state is a tuple of tensors of the pictures' shape; it begins as zeros.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dream.recipes import Optimizer

# Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1.
_ADAM_FIRST = 0.9
_ADAM_SECOND = 0.999
_ADAM_EPSILON = 1e-8

_REMEMBERED = {Optimizer.STEP: 0, Optimizer.MOMENTUM: 1, Optimizer.ADAM: 2}


def initial_state(optimizer: Optimizer, images: Any) -> tuple[Any, ...]:
    """What the optimizer remembers before its first step."""
    return tuple(tf.zeros_like(images) for _ in range(_REMEMBERED[optimizer]))


def update(
    optimizer: Optimizer, direction: Any, state: tuple[Any, ...], index: Any, momentum: Any
) -> tuple[Any, tuple[Any, ...]]:
    """The direction to step in, and the state for the next step.

    direction: float32, shape (batch, height, width, 3), unit spread. index: of the step, from 0. momentum: 0 to 1.

    `momentum` is an average of directions, momentum * last + (1 - momentum) * new over 1 - momentum^(steps), so
    that step_size means the same with it and without. `adam` divides by the root of the average square as well.
    """
    steps = tf.cast(index + 1, tf.float32)
    match optimizer:
        case Optimizer.STEP:
            return direction, ()
        case Optimizer.MOMENTUM:
            average = momentum * state[0] + (1.0 - momentum) * direction
            return average / (1.0 - tf.pow(momentum, steps)), (average,)
        case Optimizer.ADAM:
            first = _ADAM_FIRST * state[0] + (1.0 - _ADAM_FIRST) * direction
            second = _ADAM_SECOND * state[1] + (1.0 - _ADAM_SECOND) * tf.square(direction)
            first_corrected = first / (1.0 - tf.pow(_ADAM_FIRST, steps))
            second_corrected = second / (1.0 - tf.pow(_ADAM_SECOND, steps))
            return first_corrected / (tf.sqrt(second_corrected) + _ADAM_EPSILON), (first, second)
