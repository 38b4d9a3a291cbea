"""What is done to a gradient, for each picture of a batch on its own. Works inside a TensorFlow graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from dream.recipes import Normalization

# Source: lap_normalize in the TensorFlow 1 DeepDream tutorial, which splits into four bands and a remainder.
LAPLACIAN_LEVELS = 4

# Source: gordicaleksa's pytorch-deepdream averages blurs of half, once and twice a width.
_CASCADE = (0.5, 1.0, 2.0)
_SMALLEST_SIGMA = 1e-3

_BINOMIAL = np.array([1, 4, 6, 4, 1], dtype=np.float32)


def normalize(gradient: Any, normalization: Normalization) -> Any:
    """The gradient with unit spread; zero where it is zero everywhere.

    gradient: float32, shape (batch, height, width, 3).
    `std` divides by the standard deviation, `mean_abs` by the mean absolute value. `laplacian` gives every band of
    a Laplacian pyramid the same energy before it divides by the standard deviation: broad shapes gain over grain.
    """
    # With the largest magnitude at 1 no square is lost in float32, however small the gradient.
    gradient = _over(gradient, tf.reduce_max(tf.abs(gradient), axis=[1, 2, 3], keepdims=True))
    match normalization:
        case Normalization.STD:
            return _over(gradient, tf.math.reduce_std(gradient, axis=[1, 2, 3], keepdims=True))
        case Normalization.MEAN_ABS:
            return _over(gradient, tf.reduce_mean(tf.abs(gradient), axis=[1, 2, 3], keepdims=True))
        case Normalization.LAPLACIAN:
            bands = [_over(band, root_mean_square(band)) for band in split(gradient, LAPLACIAN_LEVELS)]
            merged = merge(bands)
            return _over(merged, tf.math.reduce_std(merged, axis=[1, 2, 3], keepdims=True))


def root_mean_square(values: Any) -> Any:
    """Root of the mean square of each picture, shape (batch, 1, 1, 1).

    The largest magnitude is taken out first: squares of gradients as small as 1e-20 would be zero in float32.
    """
    largest = tf.reduce_max(tf.abs(values), axis=[1, 2, 3], keepdims=True)
    scaled = tf.math.divide_no_nan(values, largest)
    return largest * tf.sqrt(tf.reduce_mean(tf.square(scaled), axis=[1, 2, 3], keepdims=True))


def blur(gradient: Any, sigma: Any, *, radius: int) -> Any:
    """The mean of three Gaussian blurs, of half of sigma, sigma, and twice sigma.

    gradient: float32, shape (batch, height, width, 3). sigma: pixels, a scalar tensor; 0 leaves the gradient as it is.
    radius: pixels, where the kernels end; three times the widest blur's sigma is all of it.
    Beyond the edges the gradient goes on mirrored, over and over if need be, so that any size will do.
    """
    places = tf.range(-radius, radius + 1, dtype=tf.float32)[:, None]
    widths = tf.maximum(sigma, _SMALLEST_SIGMA) * tf.constant(_CASCADE, tf.float32)
    weights = tf.exp(-0.5 * tf.square(places / widths))
    weights /= tf.reduce_sum(weights, axis=0)
    batch, height, width = tf.unstack(tf.shape(gradient)[:3])
    mirrored = tf.gather(gradient, _mirrored_indexes(height, radius), axis=1)
    mirrored = tf.gather(mirrored, _mirrored_indexes(width, radius), axis=2)

    def blurred(plane: Any) -> Any:
        # The three blurs are channels between the two passes, and the second adds them up.
        down = tf.nn.conv2d(plane[None, ..., None], weights[:, None, None, :], strides=1, padding="VALID")
        return tf.nn.conv2d(down, weights[None, :, :, None] / len(_CASCADE), strides=1, padding="VALID")[0, ..., 0]

    # Colour by colour, as three blurs of all of a large picture would be more than the network needs for a tile of it.
    planes = tf.reshape(tf.transpose(mirrored, [0, 3, 1, 2]), [3 * batch, height + 2 * radius, width + 2 * radius])
    done = tf.map_fn(blurred, planes, parallel_iterations=1)
    return tf.transpose(tf.reshape(done, [batch, 3, height, width]), [0, 2, 3, 1])


def _mirrored_indexes(length: Any, margin: int) -> Any:
    """Indexes from -margin to length + margin, thrown back at both ends; the end itself is not repeated."""
    period = tf.maximum(2 * (length - 1), 1)
    indexes = tf.math.floormod(tf.range(-margin, length + margin), period)
    return tf.minimum(indexes, period - indexes)


def split(images: Any, levels: int) -> list[Any]:
    """Laplacian pyramid: `levels` bands from fine to coarse, then what remains; `merge` gives the images back.

    Each band is what is lost when the picture is blurred, halved and enlarged again. Any size will do.
    Source: Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code", 1983.
    """
    bands = []
    for _ in range(levels):
        smaller = tf.nn.conv2d(images, _kernel(1.0), strides=2, padding="SAME")
        bands.append(images - _enlarge(smaller, tf.shape(images)))
        images = smaller
    return [*bands, images]


def merge(bands: list[Any]) -> Any:
    """The images that `split` took apart."""
    *finer, images = bands
    for band in reversed(finer):
        images = band + _enlarge(images, tf.shape(band))
    return images


def _enlarge(images: Any, shape: Any) -> Any:
    # Every other pixel is new and empty, so the kernel counts four times to keep the brightness.
    return tf.nn.conv2d_transpose(images, _kernel(4.0), output_shape=shape, strides=2, padding="SAME")


def _kernel(gain: float) -> Any:
    plane = np.outer(_BINOMIAL, _BINOMIAL)
    plane *= gain / plane.sum()
    return tf.constant(plane[:, :, None, None] * np.eye(3, dtype=np.float32))


def _over(gradient: Any, spread: Any) -> Any:
    return tf.math.divide_no_nan(gradient, spread)
