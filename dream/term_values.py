"""The value of one term for each picture of a batch. Works inside a TensorFlow graph, with repeatable operations only.

Activations are float32, shape (batch, height, width, channels), or (batch, channels) where a layer has no places.
Planes have the pictures' size, shape (1, height, width, 1), and are rolled and cut into tiles as the pictures are;
their mean over the whole picture is 1, so that the mean over equal tiles is the value of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from dream.terms import ClassTerm, GuideTerm, LayerTerm, Match, Measure, NeuronTerm, Reduction

Inputs = Mapping[str, Any]


def layer_values(term: LayerTerm, activation: Any, inputs: Inputs) -> Any:
    """The mean over the places and channels that count, shape (batch,).

    A `region` weighs the places, `channels` the channels, each picture's its own.
    """
    if term.reduction is Reduction.MEAN_SQUARE:
        activation = tf.square(activation)
    places = list(range(1, activation.shape.rank - 1))
    inner = without_border(activation, term.border) if term.border else activation
    if term.region is not None:
        weights = on_map(inputs["region"], tf.shape(activation)[1:3])
        by_channel = _weighted_sum(inner, without_border(weights, term.border))
        by_channel /= tf.cast(tf.reduce_prod(tf.shape(activation)[1:3]), tf.float32)
    elif term.channels is None:
        return tf.reduce_mean(inner, axis=[*places, -1])
    else:
        by_channel = tf.reduce_mean(inner, axis=places) if places else inner
    if term.channels is None:
        return tf.reduce_mean(by_channel, axis=-1)
    return tf.reduce_sum(by_channel * _channel_weights(term, activation.shape[-1], inputs), axis=-1)


def _channel_weights(term: LayerTerm, count: int, inputs: Inputs) -> Any:
    if not isinstance(term.channels, tuple):
        return inputs["channels"]
    # Weights and not tf.gather, whose gradient is a scatter.
    chosen = np.zeros(count, np.float32)
    chosen[list(term.channels)] = 1.0 / len(term.channels)
    return tf.constant(chosen)


def neuron_values(term: NeuronTerm, activation: Any, inputs: Inputs) -> Any:
    """One channel at the cell of the map to which the marked pixel of the plane `place` was rolled, shape (batch,)."""
    place = inputs["place"]
    size, cells = tf.shape(place)[1:3], tf.shape(activation)[1:3]
    at = tf.argmax(tf.reshape(place, [-1]), output_type=tf.int32)
    row, column = at // size[1] * cells[0] // size[0], at % size[1] * cells[1] // size[1]
    cell = tf.one_hot(row, cells[0])[:, None] * tf.one_hot(column, cells[1])[None, :]
    # Nothing in a tile where the pixel is not, and as many times more in the one where it is as there are tiles.
    cell *= tf.reduce_max(place) / tf.cast(tf.reduce_prod(size), tf.float32)
    return tf.reduce_sum(activation[..., term.channel] * cell, axis=[1, 2])


def class_values(term: ClassTerm, scores: Any) -> Any:
    """The score of a class, or its probability among all, shape (batch,)."""
    values = tf.nn.softmax(scores) if term.measure is Measure.PROBABILITY else scores
    return values[:, term.index]


def guide_values(term: GuideTerm, activation: Any, inputs: Inputs) -> Any:
    """How well the pictures match what was seen in the guide, shape (batch,).

    `dot` is the mean over the places of the dot product with that place of the guide which gives the largest.
    `channels` is the mean over the places of the channels, each weighted as it counts in the guide.
    """
    if term.match is Match.CHANNELS:
        return tf.reduce_sum(tf.reduce_mean(activation, axis=[1, 2]) * inputs["channels"], axis=-1)
    guide = inputs["guide"][0]

    def nearest_in_row(row: Any) -> Any:
        return tf.argmax(tf.tensordot(row, guide, [[2], [1]]), axis=-1, output_type=tf.int32)

    # Which place is nearest is a constant of the step, so that the gradient is the guide's feature itself. It is
    # found row by row of the map, since the table of all products may be larger than all activations together.
    rows = tf.transpose(tf.stop_gradient(activation), [1, 0, 2, 3])
    spec = tf.TensorSpec([None, None], tf.int32)
    nearest = tf.map_fn(nearest_in_row, rows, fn_output_signature=spec, parallel_iterations=1)
    matches = tf.reduce_sum(activation * tf.gather(guide, tf.transpose(nearest, [1, 0, 2])), axis=-1)
    return tf.reduce_mean(matches, axis=[1, 2])


def without_border(values: Any, border: int) -> Any:
    """A map with so many cells cut off each side; of a map too small for it, the cell or two in the middle."""
    height, width = tf.unstack(tf.shape(values)[1:3])
    rows, columns = tf.minimum(border, (height - 1) // 2), tf.minimum(border, (width - 1) // 2)
    return values[:, rows : height - rows, columns : width - columns]


def on_map(plane: Any, size: Any) -> Any:
    """A plane at another (height, width): each cell the mean of the area that it covers.

    By two matrix products, which every device has.
    """
    down, across = _area_means(tf.shape(plane)[1], size[0]), _area_means(tf.shape(plane)[2], size[1])
    return tf.linalg.matmul(tf.linalg.matmul(down, plane[..., 0]), across, transpose_b=True)[..., None]


def _area_means(count: Any, new: Any) -> Any:
    """Shape (new, count): the part of each old pixel in a new one, over the size of the new one."""
    old = tf.range(tf.cast(count, tf.float32))
    size = tf.cast(count, tf.float32) / tf.cast(new, tf.float32)
    starts = tf.range(tf.cast(new, tf.float32))[:, None] * size
    inside = tf.minimum(starts + size, old + 1.0) - tf.maximum(starts, old)
    return tf.maximum(inside, 0.0) / size


def _weighted_sum(values: Any, weights: Any) -> Any:
    """(batch, height, width, channels) and (1, height, width, 1) to (batch, channels)."""
    places = tf.reduce_prod(tf.shape(values)[1:3])
    flat = tf.reshape(values, [-1, places, values.shape[-1]])
    return tf.linalg.matmul(tf.reshape(weights, [1, 1, places]), flat)[:, 0]
