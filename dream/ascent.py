"""Gradient ascent on pixels: the compiled loop over the steps of an octave, for a batch of pictures of one size.

No picture's value, gradient or normalization depends on another of its batch. Rounding may: with oneDNN the bits of a
convolution depend on how many pictures share it and on how they fall to the threads. Who needs the same bits whatever
the company climbs with one picture at a time, which on a processor costs nothing (`dream.profiles`).
"""

from __future__ import annotations

import contextlib
import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dream.errors import OutOfMemory
from dream.gradients import blur, normalize, root_mean_square
from dream.networks.network import Network
from dream.objectives import check_objective, input_specs, layers_needed, objective_values
from dream.profiles import EXACT, Variant
from dream.recipes import Clip, Normalization, Optimizer, Recipe, ValueRange
from dream.regularizers import total_variation_gradient
from dream.terms import Term
from dream.tile_graph import tile_gradients
from dream.tiles import TilePlan
from dream.transforms import roll, unroll
from dream.updates import initial_state, update

# Progress is told, and a dream can be stopped, about this often.
_SECONDS_BETWEEN_REPORTS = 1.0
_COMPILED_AT_ONCE = 16

# float16 ends at 6e-8, and a mean over a layer hands each of its values a gradient near that. The normalization
# divides every factor out again.
_HALF_PRECISION_SCALE = 2.0**14

# The widest of the Gaussians has twice the recipe's sigma, and three times its width is all of it.
_BLUR_REACH = 6

# A GPU that has no room for what is copied to it says so in an internal error.
_MEMORY_WORDS = re.compile("out of memory|Dst tensor is not initialized", re.IGNORECASE)

_compiling = threading.Lock()

_OnSteps = Callable[[int], None]


@dataclass(frozen=True)
class Climb:
    """Where an ascent came to.

    Attributes:
        images: float32, shape (batch, height, width, 3).
        values: the objective before each step, shape (steps, batch).
        slopes: root mean square of the gradient at each step, shape (steps, batch).
    """

    images: Any
    values: NDArray[np.float32]
    slopes: NDArray[np.float32]

    @property
    def dead(self) -> NDArray[np.bool_]:
        """Shape (batch,): pictures in which no step found any gradient, so that they did not change."""
        if not len(self.slopes):
            return np.zeros(self.slopes.shape[1], np.bool_)
        return np.asarray(~self.slopes.any(axis=0))

    @property
    def finite(self) -> NDArray[np.bool_]:
        """Shape (batch,): pictures that stayed finite numbers, and their objective and gradient too."""
        pixels = np.isfinite(np.asarray(self.images)).all(axis=(1, 2, 3))
        return np.asarray(pixels & np.isfinite(self.values).all(axis=0) & np.isfinite(self.slopes).all(axis=0))


@dataclass(frozen=True)
class _Look:
    """The part of a recipe that the compiled loop is made for; the rest are numbers it takes."""

    normalization: Normalization
    optimizer: Optimizer
    clip_each_step: bool
    blur_radius: int
    smooths: bool


@dataclass(frozen=True)
class Ascent:
    """Steps uphill on one objective of one network; one compiled function serves pictures of every size."""

    recipe: Recipe
    look: _Look
    device: str | None
    climb_steps: Callable[..., Any]

    def climb(
        self,
        images: Any,
        shifts: NDArray[np.int32],
        *,
        inputs: Mapping[str, Any] | None = None,
        mask: Any = None,
        on_steps: _OnSteps = lambda _done: None,
    ) -> Climb:
        """As many steps as `shifts` has rows.

        images: float32 0 to 1, shape (batch, height, width, 3).
        shifts: int32, shape (steps, 2), pixels down and right by which the picture is rolled for each step.
        inputs: what the objective needs beside the picture, by name, as `dream.objectives` makes it.
        mask: float32 0 to 1, shape (1 or batch, height, width, 1): how far each pixel may move; None for all.
        on_steps: told the number of steps done so far, about once a second; it may raise to stop the dream.

        A dead or diverged picture raises nothing here: the rest of its batch is good. See `Climb`.

        Raises:
            OutOfMemory: the batch does not fit; make it smaller, or tile.
        """
        with memory_errors(), on_device(self.device):
            images = tf.convert_to_tensor(images, tf.float32)
            extra = {name: tf.convert_to_tensor(value, tf.float32) for name, value in (inputs or {}).items()}
            room = tf.ones([1, 1, 1, 1]) if mask is None else tf.convert_to_tensor(mask, tf.float32)
            return self._climb(images, shifts, (extra, room), on_steps)

    def _climb(self, images: Any, shifts: NDArray[np.int32], fixed: tuple[Any, Any], on_steps: _OnSteps) -> Climb:
        recipe = self.recipe
        step_size = recipe.step_size / (2 if recipe.value_range is ValueRange.SYMMETRIC else 1)
        numbers = tf.constant([step_size, recipe.blur, recipe.total_variation, recipe.momentum], tf.float32)
        state = initial_state(self.look.optimizer, images)
        values: list[NDArray[np.float32]] = []
        slopes: list[NDArray[np.float32]] = []
        done, chunk = 0, 1
        while done < len(shifts):
            started = time.monotonic()
            place = tf.constant([done, len(shifts)], tf.int32)
            images, state, value, slope = self.climb_steps(
                images, state, tf.constant(shifts[done : done + chunk]), place, numbers, *fixed
            )
            values.append(value.numpy())
            slopes.append(slope.numpy())
            done += len(values[-1])
            seconds_per_step = max(time.monotonic() - started, 1e-6) / len(values[-1])
            chunk = max(1, int(_SECONDS_BETWEEN_REPORTS / seconds_per_step))
            on_steps(done)
        none = np.zeros((0, int(images.shape[0])), np.float32)
        return Climb(images, np.concatenate([none, *values]), np.concatenate([none, *slopes]))


def compile_ascent(
    network: Network,
    recipe: Recipe,
    objective: tuple[Term, ...],
    *,
    variant: Variant = EXACT,
    device: str | None = None,
    tiles: TilePlan | None = None,
) -> Ascent:
    """The ascent for this objective; recipes that differ in numbers alone share one compiled function.

    objective: resolved, see `dream.objectives.resolve`.
    device: name of a TensorFlow device; None leaves it to TensorFlow.
    tiles: where given, the gradient is computed tile by tile, for pictures of the size it was planned for.

    Raises:
        UnknownName: the network has no such layer.
        RecipeError: the layer has no such channel.
    """
    check_objective(objective, network)
    look = _Look(
        normalization=recipe.normalization,
        optimizer=recipe.optimizer,
        clip_each_step=recipe.clip is Clip.STEP,
        blur_radius=math.ceil(_BLUR_REACH * recipe.blur),
        smooths=recipe.total_variation > 0,
    )
    # One at a time, so that threads that ask for the same one share it.
    with _compiling:
        climb_steps = _compiled(network, objective, look, variant, device, tiles)
    return Ascent(recipe, look, device, climb_steps)


@lru_cache(maxsize=_COMPILED_AT_ONCE)
def _compiled(
    network: Network,
    objective: tuple[Term, ...],
    look: _Look,
    variant: Variant,
    device: str | None,
    tiles: TilePlan | None,
) -> Callable[..., Any]:
    activations = network.activations(layers_needed(objective, network), dtype=variant.dtype)
    scale = _HALF_PRECISION_SCALE if variant.dtype == "float16" else 1.0
    specs = input_specs(objective, network)

    def gradient_of(images: Any, inputs: Mapping[str, Any]) -> tuple[Any, Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            values = objective_values(objective, activations(images), inputs, network.card.classifier)
            scaled = values * scale
        # The sum over the batch lets each picture's gradient be its own: no picture's value depends on another.
        return values, tape.gradient(scaled, images)

    def whole_gradient(images: Any, inputs: Mapping[str, Any], shift: Any) -> tuple[Any, Any]:
        rolled = {name: roll(value, shift) if value.shape.rank == 4 else value for name, value in inputs.items()}
        if tiles is None:
            values, gradient = gradient_of(roll(images, shift), rolled)
        else:
            values, gradient = tile_gradients(gradient_of, roll(images, shift), tiles, rolled)
        return values, unroll(gradient, shift) / scale

    def step(images: Any, state: Any, shift: Any, at: Any, numbers: Any, fixed: Any) -> tuple[Any, Any, Any, Any]:
        inputs, mask = fixed
        index, count = at
        step_size, sigma, smoothing, momentum = tf.unstack(numbers, num=4)
        values, gradient = whole_gradient(images, inputs, shift)
        slope = root_mean_square(gradient)[:, 0, 0, 0]
        if look.blur_radius:
            # From half of sigma to the whole of it: coarse forms settle last.
            part = tf.cast(index + 1, tf.float32) / tf.cast(count, tf.float32)
            gradient = blur(gradient, sigma * (0.5 + 0.5 * part), radius=look.blur_radius)
        direction = normalize(gradient, look.normalization)
        if look.smooths:
            direction -= smoothing * total_variation_gradient(images)
        direction, state = update(look.optimizer, direction, state, index, momentum)
        images += step_size * direction * mask
        return (tf.clip_by_value(images, 0.0, 1.0) if look.clip_each_step else images), state, values, slope

    def climb_steps(
        images: Any, state: Any, shifts: Any, place: Any, numbers: Any, inputs: Any, mask: Any
    ) -> tuple[Any, Any, Any, Any]:
        count = tf.shape(shifts)[0]

        def body(index: Any, images: Any, state: Any, values: Any, slopes: Any) -> tuple[Any, ...]:
            at = (place[0] + index, place[1])
            images, state, value, slope = step(images, state, shifts[index], at, numbers, (inputs, mask))
            return index + 1, images, state, values.write(index, value), slopes.write(index, slope)

        arrays = tf.TensorArray(tf.float32, count), tf.TensorArray(tf.float32, count)
        with on_device(device):
            _, images, state, values, slopes = tf.while_loop(
                lambda index, *_: index < count,
                body,
                (tf.constant(0), images, state, *arrays),
                shape_invariants=(tf.TensorShape([]), images.shape, tuple(part.shape for part in state), None, None),
                parallel_iterations=1,
            )
            return images, state, values.stack(), slopes.stack()

    pictures = tf.TensorSpec([None, None, None, 3], tf.float32)
    signature = [
        pictures,
        (pictures,) * len(initial_state(look.optimizer, tf.zeros([1, 1, 1, 3]))),
        tf.TensorSpec([None, 2], tf.int32),
        tf.TensorSpec([2], tf.int32),
        tf.TensorSpec([4], tf.float32),
        specs,
        tf.TensorSpec([None, None, None, 1], tf.float32),
    ]
    compiled: Callable[..., Any] = tf.function(
        climb_steps, input_signature=signature, autograph=False, jit_compile=variant.jit or None
    )
    return compiled


@contextlib.contextmanager
def memory_errors() -> Iterator[None]:
    """Makes one error of all the ways in which memory can run out.

    Raises:
        OutOfMemory: instead of them.
    """
    try:
        yield
    except (tf.errors.ResourceExhaustedError, tf.errors.InternalError, MemoryError) as error:
        if isinstance(error, tf.errors.InternalError) and not _MEMORY_WORDS.search(str(error)):
            raise
        raise OutOfMemory(
            "the memory is not enough for this picture at this size; set a smaller tile_side or max_side"
        ) from error


def on_device(device: str | None) -> Any:
    """Places what TensorFlow computes on this device; None leaves it to TensorFlow."""
    return contextlib.nullcontext() if device is None else tf.device(device)
