"""From nodes to one pure TensorFlow function with constant weights."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from dream.networks.graph_operations import call, check_precision
from dream.networks.nodes import INPUT, Node

_Operation = Callable[[list[Any]], Any]
_Factory = Callable[[Node, Any], _Operation]

_FEW_CHANNELS = 4


def compile_nodes(
    nodes: Sequence[Node], wanted: Collection[str], *, dtype: str = "float32"
) -> Callable[[Any], dict[str, Any]]:
    """A function from a scaled picture batch to the wanted outputs, for use inside a TensorFlow graph.

    nodes: in order of computation. dtype: of the computation; input and outputs are float32.
    """
    kind = tf.as_dtype(dtype)
    operations = [(node, _operation(node, kind)) for node in nodes if node.op != "slice"]
    parts = _slices(nodes)
    last_read = {name: index for index, (node, _) in enumerate(operations) for name in node.inputs}

    def run(images: Any) -> dict[str, Any]:
        values = {INPUT: tf.cast(images, kind)}
        outputs: dict[str, Any] = {}
        for index, (node, operate) in enumerate(operations):
            made = {node.name: operate([values[name] for name in node.inputs])}
            if node.name in parts:
                # One split, as its gradient is one concatenation; that of slices would be a sum of padded ones.
                slices = parts[node.name]
                cut = tf.split(made[node.name], [part.settings["count"] for part in slices], axis=-1)
                made = {part.name: value for part, value in zip(slices, cut, strict=True)}
            values |= made
            outputs |= {name: tf.cast(value, tf.float32) for name, value in made.items() if name in wanted}
            for name in node.inputs:
                if last_read[name] == index:
                    values.pop(name, None)
        return outputs

    return run


def _slices(nodes: Sequence[Node]) -> dict[str, list[Node]]:
    """For each node that is cut into slices: the slices, which cover all of its channels in order."""
    parts: dict[str, list[Node]] = {}
    for node in nodes:
        if node.op == "slice":
            parts.setdefault(node.inputs[0], []).append(node)
    return parts


def _operation(node: Node, dtype: Any) -> _Operation:
    return _FACTORIES[node.op](node, dtype)


def _convolution(node: Node, dtype: Any) -> _Operation:
    if node.settings["strides"] == (2, 2) and node.weights["kernel"].shape[2] <= _FEW_CHANNELS:
        return _linear(_by_blocks(node), dtype, _block_convolution(node))
    strides, padding = node.settings["strides"], node.settings["padding"]
    return _linear(node, dtype, lambda x, kernel: tf.nn.conv2d(x, kernel, strides, padding))


def _depthwise(node: Node, dtype: Any) -> _Operation:
    strides, padding = (1, *node.settings["strides"], 1), node.settings["padding"]
    return _linear(node, dtype, lambda x, kernel: tf.nn.depthwise_conv2d(x, kernel, strides, padding))


def _dense(node: Node, dtype: Any) -> _Operation:
    return _linear(node, dtype, tf.linalg.matmul)


def _scale(node: Node, dtype: Any) -> _Operation:
    gain, bias = (node.weights[name].astype(np.float32, copy=False) for name in ("gain", "bias"))
    return lambda inputs: inputs[0] * _constant(gain, dtype) + _constant(bias, dtype)


def _activate(node: Node, _dtype: Any) -> _Operation:
    function = _ACTIVATIONS[node.settings["kind"]]
    return lambda inputs: function(inputs[0])


def _pool(function: Callable[..., Any]) -> _Factory:
    def factory(node: Node, _dtype: Any) -> _Operation:
        size, strides, padding = (node.settings[name] for name in ("size", "strides", "padding"))
        return lambda inputs: function(inputs[0], size, strides, padding)

    return factory


def _pad(node: Node, _dtype: Any) -> _Operation:
    paddings = [(0, 0), *node.settings["padding"], (0, 0)]
    return lambda inputs: tf.pad(inputs[0], paddings)


def _plain(function: _Operation) -> _Factory:
    return lambda _node, _dtype: function


def _constant(array: Any, dtype: Any) -> Any:
    """The weights as a constant of the graph that is being built.

    Made there and not before: oneDNN brings a kernel into its own order once where it is a constant of the graph,
    and before every call, on one thread, where the graph only captures it.
    """
    return tf.constant(array.astype(dtype.as_numpy_dtype, copy=False), dtype=dtype)


def _linear(node: Node, dtype: Any, operate: Callable[[Any, Any], Any]) -> _Operation:
    kernel, bias = node.weights["kernel"].astype(np.float32, copy=False), node.weights.get("bias")
    if bias is None:
        return lambda inputs: operate(inputs[0], _constant(kernel, dtype))
    offset = bias.astype(np.float32, copy=False)
    return lambda inputs: tf.nn.bias_add(operate(inputs[0], _constant(kernel, dtype)), _constant(offset, dtype))


def _by_blocks(node: Node) -> Node:
    """The same convolution with its kernel arranged for blocks of 2x2 pixels as channels, at stride 1.

    kernel'[a, b, (y, x, c), o] = kernel[2a + y, 2b + x, c, o], with zeros where the kernel has an odd side.
    """
    kernel = node.weights["kernel"]
    high, wide, channels, out = kernel.shape
    even = np.pad(kernel, [(0, high % 2), (0, wide % 2), (0, 0), (0, 0)])
    split = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, channels, out)
    arranged = split.transpose(0, 2, 1, 3, 4, 5).reshape(even.shape[0] // 2, even.shape[1] // 2, 4 * channels, out)
    return replace(node, weights={**node.weights, "kernel": arranged})


def _block_convolution(node: Node) -> Callable[[Any, Any], Any]:
    """A convolution of stride 2 over few channels, as one of stride 1 over 2x2 blocks.

    The gradient of the plain form, into three channels, runs on one thread at a fiftieth of the speed of the others.
    """
    window = node.weights["kernel"].shape[:2]
    same = node.settings["padding"] == "SAME"

    def operate(x: Any, kernel: Any) -> Any:
        shape = tf.shape(x)
        (above, high), (before, wide) = (
            _covered(shape[axis], side, same=same) for axis, side in zip((1, 2), window, strict=True)
        )
        after = [tf.maximum(high - above - shape[1], 0), tf.maximum(wide - before - shape[2], 0)]
        padded = tf.pad(x, [(0, 0), (above, after[0]), (before, after[1]), (0, 0)])
        return tf.nn.conv2d(tf.nn.space_to_depth(padded[:, :high, :wide], 2), kernel, 1, "VALID")

    return operate


def _covered(length: Any, window: int, *, same: bool) -> tuple[Any, Any]:
    """Pixels to pad before one side, and the length that whole blocks cover from there.

    Source: SAME gives ceil(length / 2) outputs and pads by max(0, 2 (outputs - 1) + window - length), less before.
    """
    outputs = (length + 1) // 2 if same else (length - window) // 2 + 1
    before = tf.maximum(2 * (outputs - 1) + window - length, 0) // 2 if same else 0
    return before, 2 * (outputs - 1) + window + window % 2


@tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow has no types
def _relu6(x: Any) -> Any:
    """min(max(x, 0), 6), in two operations: oneDNN runs a convolution fused with Relu6 many times slower."""
    y = tf.minimum(tf.nn.relu(x), tf.constant(6, x.dtype))

    def gradient(upstream: Any) -> Any:
        return tf.raw_ops.Relu6Grad(gradients=upstream, features=y)

    return y, gradient


def _layer(node: Node, _dtype: Any) -> _Operation:
    """A layer this compiler has no node for: called as it is, in float32, with its weights as constants."""
    layer = node.layer
    trainable = [variable.numpy() for variable in layer.trainable_variables]
    others = [variable.numpy() for variable in layer.non_trainable_variables]
    keywords = {"training": False} if layer._call_has_training_arg else {}

    def operate(inputs: list[Any]) -> Any:
        cast = [tf.cast(value, tf.float32) for value in inputs]
        argument = cast if isinstance(layer.input, list | tuple) else cast[0]
        weights = ([tf.constant(value) for value in values] for values in (trainable, others))
        value, _ = layer.stateless_call(*weights, argument, **keywords)
        return tf.cast(value, inputs[0].dtype)

    return operate


def _raw(node: Node, dtype: Any) -> _Operation:
    """An operation of a graph as it is there, with its arrays as constants."""
    op, attributes, output = (node.settings[name] for name in ("op", "attributes", "output"))
    check_precision(op, dtype)

    def operate(inputs: list[Any]) -> Any:
        tensors = iter(inputs)
        arguments = [
            next(tensors) if array is None else _constant(array, dtype) if array.dtype == np.float32 else array
            for array in node.settings["arguments"]
        ]
        result = call(op, arguments, attributes)
        return result[output] if isinstance(result, list | tuple) else result

    return operate


_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda x: x,
    "relu": tf.nn.relu,
    "relu6": _relu6,
    "softmax": tf.nn.softmax,
}

_FACTORIES: dict[str, _Factory] = {
    "conv": _convolution,
    "depthwise": _depthwise,
    "dense": _dense,
    "scale": _scale,
    "activation": _activate,
    "max_pool": _pool(tf.nn.max_pool2d),
    "avg_pool": _pool(tf.nn.avg_pool2d),
    "mean": _plain(lambda inputs: tf.reduce_mean(inputs[0], axis=[1, 2])),
    "pad": _pad,
    "add": _plain(tf.add_n),
    "concat": _plain(lambda inputs: tf.concat(inputs, axis=-1)),
    "identity": _plain(lambda inputs: inputs[0]),
    "layer": _layer,
    "raw": _raw,
}
