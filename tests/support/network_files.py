"""The tiny network of two convolutions in every form that can be imported, and what it computes by plain numpy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.tiny_network import numpy_activations, tiny_weights

GRAPH_MEAN = 117.0


def graph_weights() -> list[np.ndarray]:
    """The weights of the tiny network for pictures from -117 to 138, whose activations are then as large."""
    first, *rest = tiny_weights()
    return [first / np.float32(64), *rest]


def expected(image: np.ndarray, weights: list[np.ndarray], *, scale: float, offset: float) -> dict[str, np.ndarray]:
    """The activations by plain loops in float64, for a picture of values 0 to 1 that enters as x * scale + offset.

    The loops themselves take x * 2 - 1, so they are given what becomes the same.
    """
    return numpy_activations((image.astype(np.float64) * scale + offset + 1) / 2, weights)


def tiny_keras_model(weights: list[np.ndarray] | None = None, *, side: int | None = None) -> Any:
    """The tiny network as a plain Keras model; input of any size, or of one size only."""
    import keras

    picture = keras.Input((side, side, 3))
    x = keras.layers.Conv2D(6, 3, strides=2, padding="valid", name="first")(picture)
    x = keras.layers.ReLU(name="first_relu")(x)
    x = keras.layers.Conv2D(4, 3, padding="valid", name="second")(x)
    model = keras.Model(picture, x)
    model.set_weights(weights or tiny_weights())
    return model


def tiny_graph(more: Callable[[Any], None] | None = None, *, weights: list[np.ndarray] | None = None) -> Any:
    """The tiny network as a GraphDef: a placeholder of unknown shape, `first/conv`, `first_pre_relu`, `first`,
    `second/conv`, `second`.

    more: adds to the graph, given the last tensor.
    """
    import tensorflow as tf

    kernel, bias, kernel_2, bias_2 = weights or graph_weights()
    graph = tf.Graph()
    with graph.as_default():
        picture = tf.compat.v1.placeholder(tf.float32, name="input")
        x = tf.nn.conv2d(picture, tf.constant(kernel), 2, "VALID", name="first/conv")
        x = tf.nn.bias_add(x, tf.constant(bias), name="first_pre_relu")
        x = tf.nn.relu(x, name="first")
        x = tf.nn.conv2d(x, tf.constant(kernel_2), 1, "VALID", name="second/conv")
        x = tf.add(x, tf.constant(bias_2), name="second")
        if more is not None:
            more(x)
    return graph.as_graph_def()


def write_graph(path: Path, more: Callable[[Any], None] | None = None) -> Path:
    """The tiny network as a frozen graph in a file."""
    path.write_bytes(tiny_graph(more).SerializeToString())
    return path


def write_saved_model(path: Path, *, reads: str | None = None, side: int | None = None) -> Path:
    """The tiny network as a SavedModel of plain TensorFlow; with `reads`, a function of it asks for that file."""
    import tensorflow as tf

    class Tiny(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = [tf.Variable(array, name=f"weight_{index}") for index, array in enumerate(tiny_weights())]

        @tf.function(input_signature=[tf.TensorSpec([None, side, side, 3], tf.float32)])
        def serve(self, pictures: Any) -> Any:
            kernel, bias, kernel_2, bias_2 = self.weights
            x = tf.nn.bias_add(tf.nn.conv2d(pictures, kernel, 2, "VALID", name="first"), bias, name="first_bias")
            if reads is not None:
                x += tf.cast(tf.strings.length(tf.io.read_file(reads)), tf.float32)
            x = tf.nn.relu(x, name="first_relu")
            return {"out": tf.nn.conv2d(x, kernel_2, 1, "VALID", name="second") + bias_2}

    module = Tiny()
    tf.saved_model.save(module, str(path), signatures=module.serve)
    return path


def write_arrays(prefix: Path, arrays: dict[str, np.ndarray]) -> Path:
    """A checkpoint of arrays by name, as TensorFlow 1 writes it."""
    import tensorflow as tf

    names = list(arrays)
    tf.raw_ops.SaveV2(
        prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * len(names), tensors=list(arrays.values())
    )
    return prefix
