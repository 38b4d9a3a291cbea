"""A frozen graph computes here what TensorFlow's own importer makes of it, and only what a layer needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dream.errors import NetworkInvalid
from dream.networks.cards import Form, NetworkCard
from dream.networks.compiler import compile_nodes
from dream.networks.geometry import smallest_side
from dream.networks.graph_body import network_of_graph
from dream.networks.graph_files import find_input, read_graph
from dream.networks.graph_nodes import read_graph_nodes
from dream.networks.rewrites import compiled_nodes
from tests.support.network_files import tiny_graph

CARD = NetworkCard(
    name="graph",
    description="",
    source="",
    license="CC0-1.0",
    weights_file="graph.pb",
    input_scale=1.0,
    input_offset=-0.5,
    smallest_side=24,
    form=Form.GRAPH,
    input_tensor="input:0",
)


def numbers(*shape: int, seed: int = 0, spread: float = 0.5) -> Any:
    return np.random.Generator(np.random.PCG64(seed)).normal(0, spread, shape).astype(np.float32)


def graph_of(build: Callable[[Any], Any]) -> Any:
    graph = tf.Graph()
    with graph.as_default():
        build(tf.compat.v1.placeholder(tf.float32, [None, None, None, 3], name="input"))
    return read_graph(graph.as_graph_def().SerializeToString(), "a test's graph")


def network_of(graph: Any, card: NetworkCard = CARD) -> Any:
    return network_of_graph(card, read_graph_nodes(graph, find_input(graph, None)))


def old_inception(picture: Any) -> Any:
    """In the manner of the first published graphs: local responses, branches, heads, one of them of one size."""
    variance = np.abs(numbers(8, seed=3)) + 0.5

    def conv(x: Any, channels: int, size: int, name: str, stride: int = 1) -> Any:
        kernel = numbers(size, size, x.shape[-1], channels, seed=len(name), spread=0.3)
        x = tf.nn.conv2d(x, kernel, stride, "SAME", name=f"{name}_pre_relu/conv")
        x = tf.nn.bias_add(x, numbers(channels, seed=7), name=f"{name}_pre_relu")
        return tf.nn.relu(x, name=name)

    x = conv(picture, 8, 7, "conv2d0", stride=2)
    x = tf.nn.max_pool2d(x, 3, 2, "SAME", name="maxpool0")
    x = tf.nn.local_response_normalization(x, 5, 1.0, 1e-4, 0.5, name="localresponsenorm0")
    branches = [
        conv(x, 4, 1, "mixed_1x1"),
        conv(conv(x, 6, 1, "mixed_3x3_bottleneck"), 8, 3, "mixed_3x3"),
        conv(tf.nn.max_pool2d(x, 3, 1, "SAME", name="mixed_pool"), 5, 1, "mixed_pool_reduce"),
    ]
    x = tf.raw_ops.Concat(concat_dim=3, values=branches, name="mixed")
    x = tf.raw_ops.DepthwiseConv2dNative(
        input=x, filter=numbers(3, 3, 17, 1, seed=9), strides=[1, 2, 2, 1], padding="SAME", name="depthwise"
    )
    x = conv(x, 8, 1, "narrow")
    x, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=numbers(8, seed=4) + 1,
        offset=numbers(8, seed=5),
        mean=numbers(8, seed=6),
        variance=variance,
        epsilon=1e-3,
        is_training=False,
        name="normalized",
    )
    low, high = tf.split(x, 2, axis=3, name="halves")
    x = tf.concat([high * tf.sigmoid(high), tf.minimum(tf.nn.relu6(low), 3.0)], -1, name="swished")
    x = tf.pad(x, [[0, 0], [1, 1], [2, 1], [0, 0]], name="padded")
    x = tf.add(x, tf.nn.avg_pool2d(x, 3, 1, "SAME", name="average"), name="summed")
    pooled = tf.reduce_mean(x, [1, 2], name="pooled")
    tf.nn.softmax(tf.matmul(pooled, numbers(8, 5, seed=8), name="scores"), name="probabilities")
    fixed = tf.reshape(tf.nn.avg_pool2d(x, 7, 1, "VALID", name="avgpool0"), [-1, 8], name="flat")
    tf.matmul(fixed, numbers(8, 5, seed=8), name="scores_of_one_size")
    tf.multiply(fixed, 2.0, name="twice")
    cells = tf.reshape(x, [-1, 8 * 5 * 6], name="cells")
    tf.matmul(cells, numbers(8 * 5 * 6, 5), name="scores_of_cells")


LAYERS = (
    "conv2d0_pre_relu/conv", "conv2d0_pre_relu", "localresponsenorm0", "mixed_3x3_bottleneck_pre_relu", "mixed",
    "depthwise", "normalized", "halves:1", "swished", "padded", "summed", "pooled", "scores", "probabilities",
)  # fmt: skip


@pytest.fixture(scope="module")
def graph() -> Any:
    return graph_of(old_inception)


@pytest.fixture(scope="module")
def network(graph: Any) -> Any:
    return network_of(graph)


@pytest.fixture(scope="module")
def picture() -> Any:
    return tf.constant(np.random.Generator(np.random.PCG64(1)).random((2, 45, 52, 3), dtype=np.float32))


@pytest.fixture(scope="module")
def by_tensorflow(graph: Any, picture: Any) -> tuple[dict[str, Any], Any]:
    """Activations, and the gradient of the sum of their mean squares, by TensorFlow's own importer."""
    tensors = [name if ":" in name else f"{name}:0" for name in LAYERS]

    def imported(scaled: Any) -> Any:
        return tf.import_graph_def(graph, input_map={"input:0": scaled}, return_elements=tensors)

    function = tf.compat.v1.wrap_function(imported, [tf.TensorSpec([None, None, None, 3], tf.float32)])
    with tf.GradientTape() as tape:
        tape.watch(picture)
        values = function(picture - 0.5)
        total = tf.add_n([tf.reduce_mean(tf.square(value)) for value in values])
    return dict(zip(LAYERS, values, strict=True)), tape.gradient(total, picture)


def test_every_layer_and_the_gradient_are_those_of_tensorflow(network: Any, picture: Any, by_tensorflow: Any):
    activations = network.activations(LAYERS)

    @tf.function(autograph=False)
    def run(images: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(images)
            values = activations(images)
            total = tf.add_n([tf.reduce_mean(tf.square(value)) for value in values.values()])
        return values, tape.gradient(total, images)

    values, gradient = run(picture)

    expected, expected_gradient = by_tensorflow
    for name in LAYERS:
        np.testing.assert_allclose(values[name], expected[name], rtol=1e-3, atol=1e-4, err_msg=name)
    cosine = np.sum(gradient * expected_gradient) / np.linalg.norm(gradient) / np.linalg.norm(expected_gradient)
    assert cosine > 0.999999
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-2, atol=1e-3 * np.abs(expected_gradient).max())


def test_one_layer_alone_is_the_same_and_needs_no_more_than_its_own_convolutions(
    graph: Any, network: Any, picture: Any, by_tensorflow: Any
):
    nodes = [each.node for each in read_graph_nodes(graph, "input:0")]

    needed = compiled_nodes(nodes, ["mixed"])
    found = network.activations(["mixed"])(picture)["mixed"]

    np.testing.assert_allclose(found, by_tensorflow[0]["mixed"], rtol=1e-3, atol=1e-4)
    # The stem, two siblings as one, the 3x3 and the one behind the pool; nothing of what comes after.
    assert [node.op for node in needed].count("conv") == 4
    assert {node.op for node in needed} == {"conv", "activation", "max_pool", "raw", "slice", "concat"}
    assert not any("scale" in node.op for node in needed)


def test_layers_of_one_picture_size_and_numbers_for_other_nodes_are_left_out(network: Any):
    names = {layer.name for layer in network.layers}

    assert names >= set(LAYERS) | {"maxpool0", "mixed_pool", "average"}
    assert not names & {"flat", "scores_of_one_size", "twice", "cells", "scores_of_cells", "input"}
    # At the smallest side of the card, 24 pixels, a map of 3 by 3 grew to 5 by 6: no window of 7 fits.
    assert "avgpool0" not in names


def test_shapes_windows_and_costs_are_those_of_the_graph(network: Any):
    stem, pool, depthwise, scores = (
        network.layer(name) for name in ("conv2d0_pre_relu/conv", "maxpool0", "depthwise", "scores")
    )

    assert (stem.kind, stem.shape, stem.kernel, stem.stride) == ("Conv2D", "(None, None, None, 8)", (7, 7), 2)
    assert (stem.parameters, stem.macs_per_pixel, stem.receptive_field) == (7 * 7 * 3 * 8, 7 * 7 * 3 * 8 / 4, 7)
    # A window of 3 at every second pixel widens what is seen by 2 * 2.
    assert (pool.receptive_field, pool.total_stride, pool.channels) == (11, 4, 8)
    # 3 branches: 4, 6 and 8, and 5 convolution channels of 8 inputs at a 16th of the pixels, then 3x3 of 17 at a 64th.
    branches = 8 * 4 + 8 * 6 + 9 * 6 * 8 + 8 * 5
    assert depthwise.macs_per_pixel == pytest.approx(7 * 7 * 3 * 8 / 4 + branches / 16 + 9 * 17 / 64)
    assert (depthwise.kind, depthwise.is_convolution, depthwise.convolutions) == ("DepthwiseConv2dNative", True, 6)
    assert (scores.shape, scores.total_stride, scores.receptive_field) == ("(None, 5)", None, None)


def test_half_precision_is_refused_in_words_where_an_operation_has_none(network: Any, picture: Any):
    half = network.activations(["conv2d0_pre_relu"], dtype="bfloat16")(picture)["conv2d0_pre_relu"]

    np.testing.assert_allclose(half, network.activations(["conv2d0_pre_relu"])(picture)["conv2d0_pre_relu"], atol=0.3)
    with pytest.raises(NetworkInvalid, match="LRN computes in float32 only"):
        network.activations(["mixed"], dtype="bfloat16")


def test_an_unusual_convolution_is_called_as_it_is(picture: Any):
    dilated, grouped = numbers(3, 3, 3, 4), numbers(3, 3, 1, 6)

    def build(x: Any) -> None:
        x = tf.nn.conv2d(x, dilated, 1, "SAME", dilations=2, name="dilated")
        x = tf.nn.conv2d(x, numbers(1, 1, 4, 3), 1, "SAME", name="plain")
        x = tf.nn.conv2d(x, grouped, 2, "VALID", name="grouped")
        tf.nn.conv2d(x, numbers(3, 3, 6, 2), 1, [[0, 0], [1, 2], [0, 1], [0, 0]], name="explicit")

    found = network_of(graph_of(build)).activations(["dilated", "explicit"])(picture)

    x = tf.nn.conv2d(picture - 0.5, dilated, 1, "SAME", dilations=2)
    np.testing.assert_allclose(found["dilated"], x, rtol=1e-4, atol=1e-4)
    x = tf.nn.conv2d(tf.nn.conv2d(x, numbers(1, 1, 4, 3), 1, "SAME"), grouped, 2, "VALID")
    x = tf.nn.conv2d(x, numbers(3, 3, 6, 2), 1, [[0, 0], [1, 2], [0, 1], [0, 0]])
    np.testing.assert_allclose(found["explicit"], x, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("arithmetic", "by_hand"),
    [
        (lambda x: tf.subtract(x, [1.0, 2.0, 3.0]), lambda x: x - [1.0, 2.0, 3.0]),
        (lambda x: tf.subtract([1.0, 2.0, 3.0], x), lambda x: [1.0, 2.0, 3.0] - x),
        (lambda x: tf.multiply(x, [[[[1.0, 2.0, 3.0]]]]), lambda x: x * [1.0, 2.0, 3.0]),
        (lambda x: tf.multiply(0.5, x), lambda x: 0.5 * x),
        (lambda x: tf.divide(x, [4.0, 2.0, 1.0]), lambda x: x / [4.0, 2.0, 1.0]),
        (lambda x: tf.divide(1.0, x + 3.0), lambda x: 1 / (x + 3)),
        (lambda x: tf.add(x, tf.constant([2.0])), lambda x: x + 2),
    ],
)
def test_arithmetic_with_constants_is_that_arithmetic(arithmetic: Any, by_hand: Any, picture: Any):
    kernel = np.eye(3, dtype=np.float32)[None, None]
    graph = graph_of(lambda x: tf.identity(tf.nn.conv2d(arithmetic(x), kernel, 1, "SAME", name="conv"), name="end"))

    found = network_of(graph).activations(["conv"])(picture)["conv"]

    np.testing.assert_allclose(found, by_hand(picture.numpy() - 0.5), rtol=1e-4, atol=1e-5)


def test_the_smallest_side_is_the_smallest_that_works():
    def build(x: Any) -> None:
        x = tf.nn.conv2d(x, numbers(5, 5, 3, 4), 2, "VALID", name="first")
        x = tf.nn.max_pool2d(x, 3, 2, "VALID")
        tf.nn.conv2d(x, numbers(3, 3, 4, 4), 1, "VALID", name="last")

    nodes = [each.node for each in read_graph_nodes(graph_of(build), "input:0")]
    run = compile_nodes(nodes, ["last"])

    side = smallest_side(nodes)

    # By hand: 3 cells before the last, (3 - 1) * 2 + 3 = 7 before the pool, (7 - 1) * 2 + 5 = 17 pixels.
    assert side == 17
    assert run(tf.zeros([1, 17, 17, 3]))["last"].shape == (1, 1, 1, 4)


def test_a_graph_whose_nodes_stand_in_any_order_is_read(picture: Any):
    graph = tiny_graph()
    shuffled = tf.compat.v1.GraphDef()
    shuffled.node.extend(reversed(graph.node))

    found, expected = (network_of(each).activations(["second"])(picture)["second"] for each in (shuffled, graph))

    np.testing.assert_array_equal(found, expected)


def with_node(op: str, name: str, *inputs: str) -> Any:
    graph = tiny_graph()
    graph.node.add(name=name, op=op, input=inputs)
    return graph


def test_damaged_graphs_are_refused_in_words():
    circle = with_node("Relu", "round", "about")
    circle.node.add(name="about", op="Relu", input=["round"])

    with pytest.raises(NetworkInvalid, match="circle"):
        network_of(circle)
    with pytest.raises(NetworkInvalid, match="'nowhere', which is not in the graph"):
        network_of(with_node("Relu", "lost", "nowhere"))
    with pytest.raises(NetworkInvalid, match="'few'"):
        network_of(with_node("Conv2D", "few", "second"))
    with pytest.raises(NetworkInvalid, match="no name of a node"):
        read_graph(with_node("Relu", "second", "first").SerializeToString(), "x")
    with pytest.raises(NetworkInvalid, match="no name of a node"):
        read_graph(with_node("Relu", "a\nb", "first").SerializeToString(), "x")


def test_the_input_is_the_only_placeholder_or_the_one_that_is_named():
    two = with_node("Placeholder", "labels")

    with pytest.raises(NetworkInvalid, match=r"2 placeholders .*input, labels.*--input"):
        find_input(two, None)
    assert find_input(two, "input") == find_input(two, "input:0") == "input:0"
    assert [layer.name for layer in network_of_graph(CARD, read_graph_nodes(two, "input:0")).layers][-1] == "second"
    with pytest.raises(NetworkInvalid, match="no convolution from its input"):
        network_of_graph(CARD, read_graph_nodes(two, "labels:0"))


def test_an_input_in_the_middle_of_the_graph_leaves_out_what_is_before_it():
    def build(x: Any) -> None:
        x = tf.subtract(tf.multiply(x, 3.0), 1.0, name="prepared")
        tf.nn.conv2d(x, np.eye(3, dtype=np.float32)[None, None], 1, "SAME", name="conv")

    nodes = read_graph_nodes(graph_of(build), "prepared:0")

    assert [each.node.name for each in nodes] == ["conv"]


def test_a_graph_for_training_or_with_channels_first_is_refused_with_what_to_do():
    def training(x: Any) -> None:
        ones = tf.ones([3])
        tf.raw_ops.FusedBatchNormV3(x=x, scale=ones, offset=ones, mean=ones, variance=ones, is_training=True)

    def channels_first(x: Any) -> None:
        tf.raw_ops.Conv2D(input=x, filter=numbers(1, 1, 3, 3), strides=[1, 1, 1, 1], padding="SAME", data_format="NCHW")

    with pytest.raises(NetworkInvalid, match="for inference"):
        network_of(graph_of(training))
    with pytest.raises(NetworkInvalid, match="channels last"):
        network_of(graph_of(channels_first))


def test_squeeze_and_excitation_as_keras_writes_it_is_read(tmp_path: Path):
    keras.utils.set_random_seed(3)
    pixels = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 3, padding="same", name="wide")(pixels)
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    gate = keras.layers.Conv2D(8, 1, activation="sigmoid", name="excite")(gate)
    x = keras.layers.Multiply(name="gated")([x, gate])
    model = keras.Model(pixels, keras.layers.Activation("swish", name="swish")(x))
    model.export(tmp_path / "m", verbose=False)
    from dream.networks.saved_models import freeze_saved_model

    graph, tensor = freeze_saved_model(tmp_path / "m", "m")
    network = network_of_graph(CARD, read_graph_nodes(read_graph(graph, "m"), tensor))
    last = network.layers[-1].name
    image = np.random.Generator(np.random.PCG64(2)).random((1, 30, 41, 3), dtype=np.float32)

    found = network.activations([last])(image)[last]

    np.testing.assert_allclose(found, model(image - 0.5, training=False), rtol=1e-4, atol=1e-5)
    assert sum(layer.is_convolution for layer in network.layers) == 2
