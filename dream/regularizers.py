"""Regularizers: what pulls a picture back while the objective pushes it. Works inside a TensorFlow graph."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

# Keeps the root smooth where a picture is flat; about a fifth of a level of 0-255, squared.
_FLAT = 1e-6


def total_variation_gradient(images: Any) -> Any:
    """The gradient of the total variation of each picture with respect to its pixels; within -4 and 4.

    images: float32, shape (batch, height, width, 3).
    Source: Rudin, Osher and Fatemi, 1992: the sum over pixels and channels of sqrt(dx^2 + dy^2 + 1e-6), with
    differences to the next pixel, and none beyond the edge.
    """
    right = tf.pad(images[:, :, 1:] - images[:, :, :-1], [(0, 0), (0, 0), (0, 1), (0, 0)])
    down = tf.pad(images[:, 1:] - images[:, :-1], [(0, 0), (0, 1), (0, 0), (0, 0)])
    length = tf.sqrt(tf.square(right) + tf.square(down) + _FLAT)
    right, down = right / length, down / length
    return (
        tf.pad(right[:, :, :-1], [(0, 0), (0, 0), (1, 0), (0, 0)])
        - right
        + tf.pad(down[:, :-1], [(0, 0), (1, 0), (0, 0), (0, 0)])
        - down
    )
