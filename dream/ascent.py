"""Gradient ascent on pixels: the compiled loop over the steps of an octave."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dream.errors import DeadObjective, DreamDiverged
from dream.gradients import normalize, root_mean_square
from dream.networks.network import Network
from dream.objectives import check_objective, objective_values
from dream.recipes import Normalization, Term
from dream.transforms import roll, unroll

# Progress is told, and a dream can be stopped, about this often.
_SECONDS_BETWEEN_REPORTS = 1.0
_COMPILED_AT_ONCE = 4


@dataclass(frozen=True)
class Climb:
    """Where an ascent came to.

    Attributes:
        images: float32, shape (batch, height, width, 3).
        values: the objective before each step, shape (steps, batch).
    """

    images: Any
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Ascent:
    """Steps uphill on one objective of one network; one compiled function serves pictures of every size."""

    objective: tuple[Term, ...]
    network: Network
    climb_steps: Callable[[Any, Any, Any], tuple[Any, Any, Any]]

    def climb(
        self,
        images: Any,
        shifts: NDArray[np.int32],
        *,
        step_size: float,
        on_steps: Callable[[int], None],
    ) -> Climb:
        """As many steps as `shifts` has rows.

        images: float32 0 to 1, shape (batch, height, width, 3).
        shifts: int32, shape (steps, 2), pixels down and right by which the picture is rolled for each step.
        step_size: how far a step goes, in pixel values 0 to 1.
        on_steps: told the number of steps done so far, about once a second; it may raise to stop the dream.

        Raises:
            DeadObjective: no step found any gradient.
            DreamDiverged: the objective or the gradient is not a finite number.
        """
        done, chunk = 0, 1
        values: list[NDArray[np.float32]] = []
        slopes: list[NDArray[np.float32]] = []
        size = tf.constant(step_size, tf.float32)
        while done < len(shifts):
            started = time.monotonic()
            images, value, slope = self.climb_steps(images, tf.constant(shifts[done : done + chunk]), size)
            values.append(value.numpy())
            slopes.append(slope.numpy())
            self._see_finite(values[-1], slopes[-1], done)
            done += len(values[-1])
            seconds_per_step = max(time.monotonic() - started, 1e-6) / len(values[-1])
            chunk = max(1, int(_SECONDS_BETWEEN_REPORTS / seconds_per_step))
            on_steps(done)
        if slopes and not np.concatenate(slopes).any(axis=0).all():
            raise DeadObjective(
                f"nothing in this picture moves {self._described()}, so no step could be taken; choose a layer before "
                "its activation (in efficientnet_lite0 the names that end in _pre), other channels, or another preset"
            )
        return Climb(images, np.concatenate(values) if values else np.zeros((0, 1), np.float32))

    def _see_finite(self, values: NDArray[np.float32], slopes: NDArray[np.float32], done: int) -> None:
        finite = np.isfinite(values).all(axis=1) & np.isfinite(slopes).all(axis=1)
        if not finite.all():
            step = done + int(np.argmin(finite)) + 1
            raise DreamDiverged(
                f"{self._described()} is no longer a finite number at step {step}; "
                "use a smaller step_size, or clip after every step"
            )

    def _described(self) -> str:
        return f"the objective ({', '.join(term.layer for term in self.objective)} of {self.network.card.name})"


@lru_cache(maxsize=_COMPILED_AT_ONCE)
def compile_ascent(
    network: Network, objective: tuple[Term, ...], normalization: Normalization, *, clip_each_step: bool
) -> Ascent:
    """The ascent for this objective; the same arguments give the same one, so that a catalog compiles it once.

    Raises:
        UnknownName: the network has no such layer.
        RecipeError: the layer has no such channel.
    """
    check_objective(objective, network)
    activations = network.activations(term.layer for term in objective)

    def step(images: Any, shift: Any, step_size: Any) -> tuple[Any, Any, Any]:
        rolled = roll(images, shift)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(rolled)
            values = objective_values(objective, activations(rolled))
        # The sum over the batch lets each picture's gradient be its own: no picture's value depends on another.
        gradient = unroll(tape.gradient(values, rolled), shift)
        slope = root_mean_square(gradient)[:, 0, 0, 0]
        images += step_size * normalize(gradient, normalization)
        return (tf.clip_by_value(images, 0.0, 1.0) if clip_each_step else images), values, slope

    def climb_steps(images: Any, shifts: Any, step_size: Any) -> tuple[Any, Any, Any]:
        count = tf.shape(shifts)[0]

        def body(index: Any, images: Any, values: Any, slopes: Any) -> tuple[Any, Any, Any, Any]:
            images, value, slope = step(images, shifts[index], step_size)
            return index + 1, images, values.write(index, value), slopes.write(index, slope)

        _, images, values, slopes = tf.while_loop(
            lambda index, *_: index < count,
            body,
            (tf.constant(0), images, tf.TensorArray(tf.float32, count), tf.TensorArray(tf.float32, count)),
            shape_invariants=(tf.TensorShape([]), images.shape, None, None),
            parallel_iterations=1,
        )
        return images, values.stack(), slopes.stack()

    signature = [
        tf.TensorSpec([None, None, None, 3], tf.float32),
        tf.TensorSpec([None, 2], tf.int32),
        tf.TensorSpec([], tf.float32),
    ]
    return Ascent(objective, network, tf.function(climb_steps, input_signature=signature, autograph=False))
