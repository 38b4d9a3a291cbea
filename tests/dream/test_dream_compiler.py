"""A compiled network computes what the Keras model does, and so does its gradient."""

from __future__ import annotations

from collections import Counter
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dream.errors import NetworkInvalid, UnknownName
from dream.networks.compiler import compile_nodes
from dream.networks.keras_body import keras_network
from dream.networks.nodes import INPUT, Node
from dream.networks.rewrites import compiled_nodes
from tests.support.tiny_network import TINY_CARD


def randomize(model: keras.Model, seed: int = 3) -> keras.Model:
    """Batch statistics as training leaves them: none of them 0 or 1."""
    generator = np.random.Generator(np.random.PCG64(seed))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shapes = [weight.shape for weight in layer.get_weights()]
            values = [generator.normal(0.0, 0.3, shape) for shape in shapes]
            values[-1] = generator.uniform(0.4, 2.0, shapes[-1])
            if layer.scale:
                values[0] = generator.uniform(0.5, 1.5, shapes[0])
            layer.set_weights(values)
    return model


def branching_model() -> keras.Model:
    """A stem of stride 2, three branches of 1x1 convolutions, one behind an average pool, and what joins them."""
    keras.utils.set_random_seed(5)
    layers = keras.layers
    picture = keras.Input((None, None, 3))

    def block(x: Any, channels: int, size: int, name: str, **options: Any) -> Any:
        x = layers.Conv2D(channels, size, use_bias=False, name=f"{name}_conv", **options)(x)
        x = layers.BatchNormalization(scale=False, name=f"{name}_norm")(x)
        return layers.Activation("relu", name=name)(x)

    x = block(picture, 8, 3, "stem", strides=2, padding="valid")
    one = block(x, 6, 1, "one")
    two = block(block(x, 5, 1, "two_narrow"), 7, 3, "two", padding="same")
    three = block(layers.AveragePooling2D(3, strides=1, padding="same", name="pool")(x), 4, 1, "three")
    x = layers.Concatenate(name="joined")([one, two, three])
    x = layers.SeparableConv2D(9, 3, name="separable")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.BatchNormalization(name="depthwise_norm")(x)
    x = layers.ReLU(max_value=6.0, name="clipped")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dense(3, activation="softmax", name="classes")(x)
    return randomize(keras.Model(picture, x))


LAYERS = ("stem_conv", "one", "two_narrow", "three", "joined", "depthwise", "clipped", "classes")


def naive(model: keras.Model, names: tuple[str, ...], images: Any) -> tuple[dict[str, Any], Any]:
    """The activations, and the gradient of the sum of their mean squares, by a tape around the Keras model."""
    truncated = keras.Model(model.inputs[0], {name: model.get_layer(name).output for name in names})
    with tf.GradientTape() as tape:
        tape.watch(images)
        values = truncated(images * 2.0 - 1.0, training=False)
        total = tf.add_n([tf.reduce_mean(tf.square(value)) for value in values.values()])
    return values, tape.gradient(total, images)


def compiled(network: Any, names: tuple[str, ...], images: Any, dtype: str = "float32") -> tuple[dict[str, Any], Any]:
    function = network.activations(names, dtype=dtype)

    @tf.function(autograph=False)
    def run(images: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(images)
            values = function(images)
            total = tf.add_n([tf.reduce_mean(tf.square(value)) for value in values.values()])
        return values, tape.gradient(total, images)

    return run(images)


def random_images(*shape: int) -> Any:
    return tf.constant(np.random.Generator(np.random.PCG64(1)).random(shape, dtype=np.float32))


def relative(found: Any, expected: Any) -> float:
    return float(np.abs(np.asarray(found) - np.asarray(expected)).max() / np.sqrt(np.mean(np.square(expected))))


@pytest.mark.parametrize("names", [LAYERS, ("joined",), ("one", "pool"), ("three",), ("classes",)])
def test_computes_what_the_keras_model_does(names: tuple[str, ...]) -> None:
    model, images = branching_model(), random_images(2, 33, 42, 3)

    values, gradient = compiled(keras_network(TINY_CARD, model), names, images)

    expected, expected_gradient = naive(model, names, images)
    assert set(values) == set(names)
    for name in names:
        assert relative(values[name], expected[name]) < 1e-5, name
    assert relative(gradient, expected_gradient) < 1e-4


def test_the_difference_to_the_original_is_measured_and_small() -> None:
    network = keras_network(TINY_CARD, branching_model())
    assert network.body.fold_difference is None

    network.activations(["joined"])

    assert network.body.fold_difference is not None
    assert 0 < network.body.fold_difference < 1e-5


def test_nothing_above_the_deepest_layer_is_computed_and_no_normalization_is_left() -> None:
    network = keras_network(TINY_CARD, branching_model())

    operations = Counter(node.op for node in compiled_nodes(network.body._nodes, ["joined"]))

    # The stem, two siblings as one, the 3x3 after one of them, and the one whose pool now comes behind it.
    assert operations == {"conv": 4, "activation": 4, "slice": 2, "avg_pool": 1, "concat": 1}


def test_a_layer_before_its_normalization_keeps_its_own_value() -> None:
    network = keras_network(TINY_CARD, branching_model())

    operations = Counter(node.op for node in compiled_nodes(network.body._nodes, ["one", "one_conv"]))

    assert operations["scale"] == 1


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("window", [(1, 1), (2, 3), (3, 3), (4, 4), (7, 5)])
@pytest.mark.parametrize("size", [(8, 9), (9, 8), (20, 31)])
def test_a_convolution_over_blocks_is_the_convolution_of_stride_2(
    padding: str, window: tuple[int, int], size: tuple[int, int]
) -> None:
    generator = np.random.Generator(np.random.PCG64(0))
    kernel = generator.normal(size=(*window, 3, 5))
    node = Node("conv", "conv", (INPUT,), {"strides": (2, 2), "padding": padding}, {"kernel": kernel})
    images = random_images(2, *size, 3)

    found = tf.function(compile_nodes([node], ["conv"]))(images)["conv"]

    expected = tf.nn.conv2d(images, kernel.astype(np.float32), 2, padding)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_points_the_same_way(dtype: str) -> None:
    network, images = keras_network(TINY_CARD, branching_model()), random_images(1, 48, 48, 3)

    values, gradient = compiled(network, ("joined",), images, dtype)

    _, expected = compiled(network, ("joined",), images)
    cosine = float(np.sum(gradient * expected) / (np.linalg.norm(gradient) * np.linalg.norm(expected)))
    assert values["joined"].dtype == gradient.dtype == tf.float32
    assert 0.99 < cosine <= 1.0 + 1e-6
    assert not np.array_equal(gradient, expected)


def test_weights_that_are_not_numbers_are_refused() -> None:
    model = branching_model()
    kernel, *rest = model.get_layer("two_conv").get_weights()
    kernel[0, 0, 0, 0] = np.nan
    model.get_layer("two_conv").set_weights([kernel, *rest])

    with pytest.raises(NetworkInvalid, match="'joined' are not finite"):
        keras_network(TINY_CARD, model).activations(["joined"])


def test_a_layer_used_twice_is_refused() -> None:
    picture = keras.Input((None, None, 3))
    twice = keras.layers.Conv2D(3, 3, padding="same", name="twice")

    with pytest.raises(NetworkInvalid, match="'twice'"):
        keras_network(TINY_CARD, keras.Model(picture, twice(twice(picture))))


def test_an_unknown_layer_is_named_with_its_neighbours() -> None:
    with pytest.raises(UnknownName, match="'joined'"):
        keras_network(TINY_CARD, branching_model()).activations(["joind"])
