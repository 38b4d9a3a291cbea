"""The gradient of a large picture, computed tile by tile inside a TensorFlow graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from dream.tiles import TilePlan

GradientOf = Callable[[Any, Mapping[str, Any]], tuple[Any, Any]]
"""(pictures, inputs) -> (objective of each, gradient of the pictures)."""


def tile_gradients(gradient_of: GradientOf, images: Any, plan: TilePlan, inputs: Mapping[str, Any]) -> tuple[Any, Any]:
    """The objective, as the mean over all tiles, and the gradient put together from the cores of the tiles.

    images: float32, shape (batch, height, width, 3), of the size of the plan, already rolled.
    inputs: as the objective wants them; those of rank 4 are planes of the pictures' size and are cut like them.

    One tile is in work at a time, so that memory does not grow with the picture. The gradient is not normalized:
    that is for the whole picture, or the seams between a quiet and a busy tile would show.
    """
    edge = plan.overlap
    high, wide = plan.core_height + 2 * edge, plan.core_width + 2 * edge
    below, right = plan.rows * plan.core_height - plan.height, plan.columns * plan.core_width - plan.width
    wrapped = _wrap(images, edge, below + edge, right + edge)
    planes = {name: value for name, value in inputs.items() if value.shape.rank == 4}
    others = {name: value for name, value in inputs.items() if value.shape.rank != 4}
    wrapped_planes = {name: _wrap(value, edge, below + edge, right + edge) for name, value in planes.items()}

    def tile(index: Any) -> tuple[Any, Any]:
        top, left = index // plan.columns * plan.core_height, index % plan.columns * plan.core_width

        def cut(value: Any) -> Any:
            return value[:, top : top + high, left : left + wide]

        values, gradient = gradient_of(cut(wrapped), {**others, **{n: cut(v) for n, v in wrapped_planes.items()}})
        return values, gradient[:, edge : edge + plan.core_height, edge : edge + plan.core_width]

    def row(index: Any) -> tuple[Any, Any]:
        """A whole row of cores, side by side."""
        cores = tf.TensorArray(tf.float32, plan.columns, element_shape=[None, plan.core_height, plan.core_width, 3])

        def body(column: Any, total: Any, cores: Any) -> tuple[Any, Any, Any]:
            values, core = tile(index * plan.columns + column)
            return column + 1, total + values, cores.write(column, core)

        start = (tf.constant(0), tf.zeros(tf.shape(images)[:1]), cores)
        shapes = (tf.TensorShape([]), tf.TensorShape([None]), None)
        _, total, cores = tf.while_loop(
            lambda column, *_: column < plan.columns, body, start, shape_invariants=shapes, parallel_iterations=1
        )
        # (columns, batch, height, width, 3) -> (batch, height, columns * width, 3)
        ordered = tf.transpose(cores.stack(), [1, 2, 0, 3, 4])
        shape = tf.shape(ordered)
        line = tf.reshape(ordered, [shape[0], plan.core_height, plan.columns * plan.core_width, 3])
        return total, line[:, :, : plan.width]

    def body(index: Any, total: Any, lines: Any) -> tuple[Any, Any, Any]:
        values, line = row(index)
        return index + 1, total + values, lines.write(index, line)

    lines = tf.TensorArray(tf.float32, plan.rows, element_shape=[None, plan.core_height, plan.width, 3])
    start = (tf.constant(0), tf.zeros(tf.shape(images)[:1]), lines)
    shapes = (tf.TensorShape([]), tf.TensorShape([None]), None)
    _, total, lines = tf.while_loop(
        lambda index, *_: index < plan.rows, body, start, shape_invariants=shapes, parallel_iterations=1
    )
    ordered = tf.transpose(lines.stack(), [1, 0, 2, 3, 4])
    whole = tf.reshape(ordered, [tf.shape(images)[0], plan.rows * plan.core_height, plan.width, 3])
    return total / plan.count, whole[:, : plan.height]


def _wrap(images: Any, before: int, after_rows: int, after_columns: int) -> Any:
    """The pictures with their other side appended at each edge; a side may be shorter than what is appended."""
    shape = tf.shape(images)
    rows = tf.math.floormod(tf.range(-before, shape[1] + after_rows), shape[1])
    columns = tf.math.floormod(tf.range(-before, shape[2] + after_columns), shape[2])
    return tf.gather(tf.gather(images, rows, axis=1), columns, axis=2)
