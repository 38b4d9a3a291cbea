"""A network as plain nodes: what each computes, from which others, with which weights. Read from a Keras model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dream.errors import NetworkInvalid
from dream.networks.inventory import computing_layers

Array = NDArray[Any]


@dataclass(frozen=True)
class Node:
    """One operation of a network.

    Attributes:
        name: of its output; the name that recipes use where it is a layer.
        op: `conv`, `depthwise`, `dense`, `scale` (batch normalization as trained), `activation`, `max_pool`,
            `avg_pool`, `mean` (over all places), `pad`, `add`, `concat`, `slice`, `identity`, `layer`, or `raw`: an
            operation of a graph that is called as it is.
        inputs: names of the nodes it reads; the picture is `INPUT`.
        settings: what else decides it, such as strides.
        weights: `kernel` and `bias` as stored, or the `gain` and `bias` of a `scale` in float64.
        layer: the Keras layer itself, for `layer`: one that is called as it is.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Array] = field(default_factory=dict)
    layer: Any = None


INPUT = "<input>"

_ACTIVATIONS = ("relu", "relu6", "linear", "softmax")


def read_model(model: keras.Model, names: Mapping[str, str]) -> tuple[Node, ...]:
    """The nodes of a Keras model, in the order it computes them.

    names: from Keras' layer names to the ones wanted here, where the two differ.

    A layer with an activation of its own becomes two nodes; the second has the layer's name.

    Raises:
        NetworkInvalid: a layer is used twice, which leaves its name without one meaning.
    """
    nodes: list[Node] = []
    for layer in computing_layers(model):
        if len(layer._inbound_nodes) != 1 or isinstance(layer, keras.Model):
            raise NetworkInvalid(
                f"layer {layer.name!r} is a model itself or used more than once; flatten the model first"
            )
        nodes.extend(_read_layer(layer, names))
    return tuple(nodes)


def _read_layer(layer: Any, names: Mapping[str, str]) -> Iterable[Node]:
    name = names.get(layer.name, layer.name)
    inputs = tuple(_name_of(tensor, names) for tensor in _inputs(layer))
    read = _READERS.get(type(layer).__name__)
    node = read(layer, name, inputs) if read and _usual(layer) else None
    if node is None:
        yield Node(name, "layer", inputs, layer=layer)
        return
    activation = (
        _activation_name(getattr(layer, "activation", None)) if node.op in {"conv", "depthwise", "dense"} else "linear"
    )
    if activation == "linear":
        yield node
        return
    before = f"{name}/linear"
    yield Node(before, node.op, node.inputs, node.settings, node.weights)
    yield Node(name, "activation", (before,), {"kind": activation})


def _usual(layer: Any) -> bool:
    """Whether nothing about the layer goes beyond what a node can say."""
    if getattr(layer, "data_format", "channels_last") != "channels_last" or getattr(layer, "groups", 1) != 1:
        return False
    if any(rate != 1 for rate in _pair(getattr(layer, "dilation_rate", 1))):
        return False
    return "activation" not in vars(layer) or _activation_name(layer.activation) in _ACTIVATIONS


def _conv(layer: Any, name: str, inputs: tuple[str, ...]) -> Node:
    return Node(name, "conv", inputs, _window(layer), _kernel_and_bias(layer))


def _depthwise(layer: Any, name: str, inputs: tuple[str, ...]) -> Node | None:
    if layer.strides[0] != layer.strides[1] or layer.depth_multiplier != 1:
        return None
    return Node(name, "depthwise", inputs, _window(layer), _kernel_and_bias(layer))


def _dense(layer: Any, name: str, inputs: tuple[str, ...]) -> Node:
    return Node(name, "dense", inputs, {}, _kernel_and_bias(layer))


def _batch_norm(layer: Any, name: str, inputs: tuple[str, ...]) -> Node:
    """As trained: gain = gamma / sqrt(variance + epsilon), bias = beta - gain * mean; all in float64."""
    mean, variance = (_array(value).astype(np.float64) for value in (layer.moving_mean, layer.moving_variance))
    gamma = _array(layer.gamma).astype(np.float64) if layer.scale else np.ones_like(mean)
    beta = _array(layer.beta).astype(np.float64) if layer.center else np.zeros_like(mean)
    gain = gamma / np.sqrt(variance + layer.epsilon)
    return Node(name, "scale", inputs, {}, {"gain": gain, "bias": beta - gain * mean})


def _activation(layer: Any, name: str, inputs: tuple[str, ...]) -> Node:
    return Node(name, "activation", inputs, {"kind": _activation_name(layer.activation)})


def _relu(layer: Any, name: str, inputs: tuple[str, ...]) -> Node | None:
    if layer.negative_slope or layer.threshold or layer.max_value not in {None, 6.0}:
        return None
    return Node(name, "activation", inputs, {"kind": "relu" if layer.max_value is None else "relu6"})


def _pool(op: str) -> Any:
    def read(layer: Any, name: str, inputs: tuple[str, ...]) -> Node:
        settings = {"size": tuple(layer.pool_size), "strides": tuple(layer.strides), "padding": layer.padding.upper()}
        return Node(name, op, inputs, settings)

    return read


def _mean(layer: Any, name: str, inputs: tuple[str, ...]) -> Node | None:
    return None if layer.keepdims else Node(name, "mean", inputs)


def _pad(layer: Any, name: str, inputs: tuple[str, ...]) -> Node:
    return Node(name, "pad", inputs, {"padding": tuple(tuple(side) for side in layer.padding)})


def _concat(layer: Any, name: str, inputs: tuple[str, ...]) -> Node | None:
    return Node(name, "concat", inputs) if layer.axis in {-1, 3} else None


def _add(_layer: Any, name: str, inputs: tuple[str, ...]) -> Node:
    return Node(name, "add", inputs)


def _identity(_layer: Any, name: str, inputs: tuple[str, ...]) -> Node:
    return Node(name, "identity", inputs)


_READERS = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "Activation": _activation,
    "ReLU": _relu,
    "MaxPooling2D": _pool("max_pool"),
    "AveragePooling2D": _pool("avg_pool"),
    "GlobalAveragePooling2D": _mean,
    "ZeroPadding2D": _pad,
    "Concatenate": _concat,
    "Add": _add,
    "Dropout": _identity,
    "Identity": _identity,
}


def _window(layer: Any) -> dict[str, Any]:
    return {"strides": tuple(layer.strides), "padding": layer.padding.upper()}


def _kernel_and_bias(layer: Any) -> dict[str, Array]:
    kernel = _array(layer.kernel)
    return {"kernel": kernel, "bias": _array(layer.bias)} if layer.use_bias else {"kernel": kernel}


def _array(variable: Any) -> Array:
    return np.asarray(variable.numpy())


def _activation_name(function: Any) -> str:
    return "linear" if function is None else str(getattr(function, "__name__", function))


def _pair(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _inputs(layer: Any) -> list[Any]:
    return list(layer.input) if isinstance(layer.input, list | tuple) else [layer.input]


def _name_of(tensor: Any, names: Mapping[str, str]) -> str:
    # Keras has no public way from a tensor to the layer it comes from.
    operation = tensor._keras_history.operation
    return INPUT if type(operation).__name__ == "InputLayer" else names.get(operation.name, operation.name)
