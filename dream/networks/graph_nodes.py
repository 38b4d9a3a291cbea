"""A frozen graph as nodes: what is known becomes a node that can be folded and merged, the rest is called as it is.

Nothing is imported into TensorFlow: each node is read, understood, and written anew. What depends on constants only is
computed once; what depends on the picture keeps the name it has in the graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dream.errors import NetworkInvalid
from dream.networks import graph_operations
from dream.networks.graph_files import attributes, constant, split_tensor
from dream.networks.graph_operations import ELEMENTWISE
from dream.networks.limits import MOST_BYTES
from dream.networks.nodes import INPUT, Node

Array = NDArray[Any]

_CHANNELS_OF_A_PICTURE = 3
_POOLING = {"MaxPool": "max_pool", "AvgPool": "avg_pool"}
_REDUCTIONS = frozenset({"Mean", "Max", "Sum"})
_FOLDED = ELEMENTWISE | {
    "Cast", "Concat", "ConcatV2", "ExpandDims", "Max", "Mean", "Pack", "Prod", "Reshape", "Shape", "Slice", "Split",
    "SplitV", "Squeeze", "StridedSlice", "Sum", "Transpose",
}  # fmt: skip
_BATCH_NORMS = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})


@dataclass(frozen=True)
class Value:
    """What is known of a tensor that depends on the picture.

    Attributes:
        name: of the node that gives it.
        channels: None where that is not known, or the tensor is no activation.
        rank: None likewise.
        places: whether it is a map over the picture.
        fixed: whether it fits pictures of one size only: something took the places for a fixed number of values.
        packed: of how many numbers a shape is put together here; 0 for all other tensors.
    """

    name: str
    channels: int | None
    rank: int | None
    places: bool
    fixed: bool = False
    packed: int = 0


@dataclass(frozen=True)
class GraphNode:
    """A node of the graph that depends on the picture, as it will be computed.

    Attributes:
        node: what computes it.
        value: what is known of its first output.
        kind: its operation in the graph.
        parameters: how many numbers it brings along.
        window: of a convolution or a pool: height and width, stride, and padding as it is called.
    """

    node: Node
    value: Value
    kind: str
    parameters: int
    window: tuple[tuple[int, int], int, str] | None = None


def read_graph_nodes(graph: Any, input_tensor: str) -> tuple[GraphNode, ...]:
    """Everything in the graph that depends on the input, in order of computation.

    graph: a GraphDef that was checked. input_tensor: name of the tensor that the pictures go in at.

    Raises:
        NetworkInvalid: the graph has a circle, was exported for training, or computes on channels first.
    """
    reader = _Reader(input_tensor)
    for node in _in_order(graph):
        try:
            reader.read(node)
        except NetworkInvalid:
            raise
        except Exception as error:  # a node without the inputs or attributes it must have fails in many ways
            raise NetworkInvalid(f"{node.name!r} ({node.op}) is damaged: {_first_line(error)}") from error
    return tuple(reader.found)


def _in_order(graph: Any) -> list[Any]:
    """The nodes, each after those it reads. Control inputs only order effects, and there are none here."""
    by_name = {node.name: node for node in graph.node}
    waiting: dict[str, int] = {}
    readers: dict[str, list[str]] = {name: [] for name in by_name}
    for node in graph.node:
        sources = {split_tensor(name)[0] for name in node.input if not name.startswith("^")}
        for source in sources:
            if source not in by_name:
                raise NetworkInvalid(f"{node.name!r} reads {source!r}, which is not in the graph")
            readers[source].append(node.name)
        waiting[node.name] = len(sources)
    ready = [name for name, count in waiting.items() if count == 0]
    order = []
    for name in ready:
        order.append(by_name[name])
        for reader in readers[name]:
            waiting[reader] -= 1
            if waiting[reader] == 0:
                ready.append(reader)
    if len(order) < len(by_name):
        raise NetworkInvalid("the graph runs in a circle; only networks that go straight ahead can be dreamed on")
    return order


@dataclass
class _Reader:
    """Walks the nodes in order. `values` has what each tensor is: an array, a value, or nothing that can be had."""

    input_tensor: str
    values: dict[tuple[str, int], Array | Value] = field(default_factory=dict)
    found: list[GraphNode] = field(default_factory=list)

    def read(self, node: Any) -> None:
        """Takes in one node; everything it reads has been taken in before."""
        inputs = [self.values.get(split_tensor(name)) for name in node.input if not name.startswith("^")]
        at_input, output = split_tensor(self.input_tensor)
        if node.name == at_input:
            self.values[node.name, output] = Value(INPUT, _CHANNELS_OF_A_PICTURE, 4, places=True)
        elif node.op == "Const":
            array = constant(node)
            if array is not None:
                self.values[node.name, 0] = array
        elif node.op in {"Placeholder", "NoOp"} or any(value is None for value in inputs):
            # It needs what nobody feeds, such as labels.
            return
        elif node.op in {"Identity", "CheckNumerics", "PlaceholderWithDefault"}:
            self.values[node.name, 0] = inputs[0]  # type: ignore[assignment]  # None was turned away
        elif node.op == "IdentityN":
            self.values |= {(node.name, index): value for index, value in enumerate(inputs) if value is not None}
        elif any(isinstance(value, Value) for value in inputs):
            self._translate(node, [value for value in inputs if value is not None])
        else:
            self._fold(node, inputs)

    def _fold(self, node: Any, inputs: Sequence[Any]) -> None:
        """A node of constants is computed once, if it is one of those that cannot make much of little."""
        if node.op not in _FOLDED or _most_values(inputs) > MOST_BYTES // 4:
            return
        with tf.init_scope(), tf.device("CPU:0"):
            result = graph_operations.call(node.op, list(inputs), attributes(node))
        for index, value in enumerate(result if isinstance(result, list | tuple) else [result]):
            self.values[node.name, index] = np.asarray(value)

    def _translate(self, node: Any, inputs: list[Array | Value]) -> None:
        settings = attributes(node)
        if settings.get("data_format", "NHWC") != "NHWC":
            raise NetworkInvalid(
                f"{node.name!r} computes on channels first; export the graph with channels last (NHWC)"
            )
        if settings.get("is_training", node.op in _BATCH_NORMS):
            raise NetworkInvalid(f"{node.name!r} normalizes by batch; export the graph for inference, not for training")
        make = _TRANSLATORS.get(node.op)
        made = make(node.name, inputs, settings) if make is not None else None
        outputs = settings.get("num_split", 1)
        if made is not None:
            self._keep(node, inputs, made, _value(node, inputs, settings, node.name), 0)
            return
        for output in range(outputs):
            name = node.name if output == 0 else f"{node.name}:{output}"
            raw = _raw(node, name, inputs, settings, output)
            self._keep(node, inputs, raw, _value(node, inputs, settings, name, output), output)

    def _keep(self, node: Any, inputs: list[Array | Value], made: Node, value: Value, output: int) -> None:
        parameters = sum(int(each.size) for each in inputs if not isinstance(each, Value) and each.dtype == np.float32)
        self.values[node.name, output] = value
        self.found.append(GraphNode(made, value, node.op, parameters, _window(node, inputs, attributes(node))))


# What becomes a node of a known kind: each gives None where something about it goes beyond what a node can say.


def _conv(name: str, inputs: list[Any], settings: Mapping[str, Any]) -> Node | None:
    x, kernel = inputs
    if not _plain_window(x, kernel, settings) or kernel.shape[2] != x.channels:
        return None
    return Node(name, "conv", (x.name,), _slide(settings), {"kernel": kernel})


def _depthwise(name: str, inputs: list[Any], settings: Mapping[str, Any]) -> Node | None:
    x, kernel = inputs
    slide = _slide(settings)
    if (
        not _plain_window(x, kernel, settings)
        or kernel.shape[2:] != (x.channels, 1)
        or slide["strides"][0] != slide["strides"][1]
    ):
        return None
    return Node(name, "depthwise", (x.name,), slide, {"kernel": kernel})


def _plain_window(x: Any, kernel: Any, settings: Mapping[str, Any]) -> bool:
    return (
        isinstance(x, Value)
        and x.places
        and not isinstance(kernel, Value)
        and kernel.ndim == 4
        and set(settings.get("dilations", [1])) == {1}
        and settings["padding"] in {"SAME", "VALID"}
    )


def _slide(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {"strides": tuple(settings["strides"][1:3]), "padding": settings["padding"]}


def _pool(op: str) -> Callable[..., Node | None]:
    def read(name: str, inputs: list[Any], settings: Mapping[str, Any]) -> Node | None:
        size = settings["ksize"]
        if not inputs[0].places or (size[0], size[3]) != (1, 1) or settings["padding"] not in {"SAME", "VALID"}:
            return None
        return Node(name, op, (inputs[0].name,), {"size": tuple(size[1:3]), **_slide(settings)})

    return read


def _matmul(name: str, inputs: list[Any], settings: Mapping[str, Any]) -> Node | None:
    x, kernel = inputs
    if not isinstance(x, Value) or isinstance(kernel, Value) or kernel.ndim != 2 or settings.get("transpose_a"):
        return None
    return Node(name, "dense", (x.name,), {}, {"kernel": kernel.T if settings.get("transpose_b") else kernel})


def _activation(kind: str) -> Callable[..., Node | None]:
    def read(name: str, inputs: list[Any], _settings: Mapping[str, Any]) -> Node | None:
        return Node(name, "activation", (inputs[0].name,), {"kind": kind})

    return read


def _affine(gain: Callable[[Array, bool], Any], offset: Callable[[Array, bool], Any]) -> Callable[..., Node | None]:
    """Of an activation and a constant for each channel; the second argument says whether the constant came first."""

    def read(name: str, inputs: list[Any], _settings: Mapping[str, Any]) -> Node | None:
        first = not isinstance(inputs[0], Value)
        x, number = inputs[::-1] if first else inputs
        vector = None if isinstance(number, Value) else _by_channel(number, x)
        if vector is None:
            return None
        with np.errstate(all="ignore"):
            weights = {"gain": gain(vector, first), "bias": offset(vector, first)}
        spread = {key: np.broadcast_to(np.asarray(each, np.float64), vector.shape) for key, each in weights.items()}
        return _scale(name, x, spread)

    return read


def _fused_norm(name: str, inputs: list[Any], settings: Mapping[str, Any]) -> Node | None:
    x, gamma, beta, mean, variance = inputs
    return _norm(name, x, (gamma, beta, mean, variance), settings.get("epsilon", 1e-4))


def _global_norm(name: str, inputs: list[Any], settings: Mapping[str, Any]) -> Node | None:
    x, mean, variance, beta, gamma = inputs
    if not settings["scale_after_normalization"] and not isinstance(gamma, Value):
        gamma = np.ones_like(gamma)
    return _norm(name, x, (gamma, beta, mean, variance), settings["variance_epsilon"])


def _norm(name: str, x: Any, statistics: Sequence[Any], epsilon: float) -> Node | None:
    """As trained: gain = gamma / sqrt(variance + epsilon), bias = beta - gain * mean; all in float64."""
    if not isinstance(x, Value) or any(isinstance(each, Value) or each.shape != (x.channels,) for each in statistics):
        return None
    gamma, beta, mean, variance = (each.astype(np.float64) for each in statistics)
    gain = gamma / np.sqrt(variance + epsilon)
    return _scale(name, x, {"gain": gain, "bias": beta - gain * mean})


def _scale(name: str, x: Value, weights: Mapping[str, Array]) -> Node:
    if not all(np.isfinite(each).all() for each in weights.values()):
        raise NetworkInvalid(f"the numbers of {name!r} are not finite")
    return Node(name, "scale", (x.name,), {}, weights)


def _concat(name: str, inputs: list[Any], _settings: Mapping[str, Any]) -> Node | None:
    *parts, axis = inputs
    if not all(isinstance(part, Value) and part.places for part in parts) or _number(axis) not in {3, -1}:
        return None
    return Node(name, "concat", tuple(part.name for part in parts))


def _mean(name: str, inputs: list[Any], settings: Mapping[str, Any]) -> Node | None:
    if settings.get("keep_dims") or not inputs[0].places or _axes(inputs[1]) != (1, 2):
        return None
    return Node(name, "mean", (inputs[0].name,))


def _pad(name: str, inputs: list[Any], _settings: Mapping[str, Any]) -> Node | None:
    sides = _paddings(inputs[1])
    if not inputs[0].places or sides is None:
        return None
    return Node(name, "pad", (inputs[0].name,), {"padding": sides})


_TRANSLATORS: Mapping[str, Callable[[str, list[Any], Mapping[str, Any]], Node | None]] = {
    "Conv2D": _conv,
    "DepthwiseConv2dNative": _depthwise,
    "MaxPool": _pool("max_pool"),
    "AvgPool": _pool("avg_pool"),
    "MatMul": _matmul,
    "Relu": _activation("relu"),
    "Relu6": _activation("relu6"),
    "Softmax": _activation("softmax"),
    "BiasAdd": _affine(lambda _c, _first: 1.0, lambda c, _first: c),
    "Add": _affine(lambda _c, _first: 1.0, lambda c, _first: c),
    "AddV2": _affine(lambda _c, _first: 1.0, lambda c, _first: c),
    "Sub": _affine(lambda _c, first: -1.0 if first else 1.0, lambda c, first: c if first else -c),
    "Mul": _affine(lambda c, _first: c, lambda _c, _first: 0.0),
    **dict.fromkeys(_BATCH_NORMS, _fused_norm),
    "BatchNormWithGlobalNormalization": _global_norm,
    "ConcatV2": _concat,
    "Concat": lambda name, inputs, settings: _concat(name, [*inputs[1:], inputs[0]], settings),
    "Mean": _mean,
    "Pad": _pad,
}


def _raw(node: Any, name: str, inputs: list[Any], settings: Mapping[str, Any], output: int) -> Node:
    """The operation as it is: the tensors are read, the arrays are part of it."""
    arguments = tuple(None if isinstance(each, Value) else each for each in inputs)
    graph_operations.input_names(node.op, len(inputs))
    return Node(
        name,
        "raw",
        tuple(each.name for each in inputs if isinstance(each, Value)),
        {
            "op": node.op,
            "attributes": settings,
            "arguments": arguments,
            "output": output,
            "window": _window(node, inputs, settings),
        },
    )


def _value(node: Any, inputs: list[Any], settings: Mapping[str, Any], name: str, output: int = 0) -> Value:
    """What is known of what the node gives."""
    tensors = [each for each in inputs if isinstance(each, Value)]
    main = next((each for each in tensors if each.places), tensors[0])
    fixed = any(each.fixed for each in tensors)
    channels, rank, places = _form(node.op, inputs, settings, main, output)
    # A map that something else is made of than a map or a mean: it has a fixed size from here on.
    lost = any(each.places for each in tensors) and not places and not _pools(node.op, inputs) and node.op != "Shape"
    return Value(name, channels, rank, places, fixed or lost, len(inputs) if node.op == "Pack" else 0)


def _form(
    op: str, inputs: list[Any], settings: Mapping[str, Any], main: Value, output: int
) -> tuple[int | None, int | None, bool]:
    """Channels, rank, and whether it is a map over the picture."""
    if op in ELEMENTWISE or op in _BATCH_NORMS or op == "BatchNormWithGlobalNormalization":
        return _broadcast_channels(op, inputs, main), main.rank, main.places
    match op:
        case "Conv2D" | "DepthwiseConv2dNative" if not isinstance(inputs[1], Value):
            kernel = inputs[1].shape
            return kernel[3] if op == "Conv2D" else kernel[2] * kernel[3], 4, main.places
        case "MaxPool" | "AvgPool" | "Pad" | "PadV2" | "MirrorPad":
            stays = op in _POOLING or _paddings(inputs[1]) is not None
            return main.channels, main.rank, main.places and stays
        case "ConcatV2" | "Concat":
            parts, axis = (inputs[:-1], inputs[-1]) if op == "ConcatV2" else (inputs[1:], inputs[0])
            return _joined(parts, axis, main)
        case "Split" | "SplitV":
            return _cut(op, inputs, settings, main, output)
        case "Mean" | "Max" | "Sum" if _pools(op, inputs):
            return main.channels, 4 if settings.get("keep_dims") else 2, False
        case "MatMul" if not isinstance(inputs[1], Value):
            return inputs[1].shape[0 if settings.get("transpose_b") else 1], 2, False
        case "Squeeze":
            return main.channels, 2 if main.rank == 4 else None, False
        case "Reshape":
            return _reshaped(inputs[1], main)
        case _:
            return None, None, False


_Form = tuple[int | None, int | None, bool]


def _joined(parts: list[Any], axis: Any, main: Value) -> _Form:
    along = all(isinstance(each, Value) and each.rank == main.rank for each in parts)
    last = along and main.rank is not None and _number(axis) in {-1, main.rank - 1}
    known = last and all(each.channels is not None for each in parts)
    return sum(each.channels for each in parts) if known else None, main.rank, main.places and last


def _cut(op: str, inputs: list[Any], settings: Mapping[str, Any], main: Value, output: int) -> _Form:
    axis = inputs[0] if op == "Split" else inputs[2]
    last = main.rank is not None and _number(axis) in {-1, main.rank - 1}
    count = main.channels // settings["num_split"] if main.channels else None
    if op == "SplitV" and not isinstance(inputs[1], Value):
        count = int(inputs[1].ravel()[output])
    return count if last else None, main.rank, main.places and last


def _reshaped(shape: Any, main: Value) -> _Form:
    if isinstance(shape, Value):
        return main.channels, shape.packed or None, False
    sizes = shape.ravel()
    known = sizes.size > 0 and sizes[-1] > 0
    return int(sizes[-1]) if known else main.channels, int(sizes.size), False


def _broadcast_channels(op: str, inputs: list[Any], main: Value) -> int | None:
    if op == "LRN":
        return main.channels
    counts = {each.channels if isinstance(each, Value) else (each.shape[-1] if each.ndim else 1) for each in inputs}
    if None in counts:
        return None
    wide = {count for count in counts if count != 1}
    return next(iter(wide)) if len(wide) == 1 else 1 if not wide else None


def _pools(op: str, inputs: list[Any]) -> bool:
    """Whether it takes one value of all places, so that any size will do."""
    return (
        op in _REDUCTIONS
        and isinstance(inputs[0], Value)
        and inputs[0].rank == 4
        and _axes(inputs[1]) in {(1, 2), (-3, -2)}
    )


def _window(node: Any, inputs: list[Any], settings: Mapping[str, Any]) -> tuple[tuple[int, int], int, str] | None:
    if node.op in {"Conv2D", "DepthwiseConv2dNative"} and not isinstance(inputs[1], Value):
        rates = settings.get("dilations", [1, 1, 1, 1])
        high, wide = ((size - 1) * rate + 1 for size, rate in zip(inputs[1].shape[:2], rates[1:3], strict=True))
        return (int(high), int(wide)), int(settings["strides"][1]), settings["padding"].lower()
    if node.op in _POOLING:
        return (settings["ksize"][1], settings["ksize"][2]), settings["strides"][1], settings["padding"].lower()
    return None


def _by_channel(number: Array, x: Value) -> Array | None:
    """The constant as one number for each channel, in float64; None where it is more than that."""
    if x.channels is None or x.rank is None or number.ndim > x.rank or number.size not in {1, x.channels}:
        return None
    if number.size > 1 and (number.ndim == 0 or number.shape[-1] != x.channels):
        return None
    return np.broadcast_to(number.astype(np.float64).ravel(), (x.channels,))


def _most_values(inputs: Sequence[Any]) -> int:
    """How many values can come of these arrays, spread over each other or put together."""
    try:
        spread = math.prod(np.broadcast_shapes(*(each.shape for each in inputs)))
    except ValueError:
        spread = 0
    return max(spread, sum(int(each.size) for each in inputs))


def _axes(value: Any) -> tuple[int, ...] | None:
    return None if isinstance(value, Value) else tuple(sorted(int(axis) for axis in np.ravel(value)))


def _number(value: Any) -> int | None:
    return None if isinstance(value, Value) or value.size != 1 else int(np.ravel(value)[0])


def _paddings(value: Any) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """What is added above and below, before and after; None where batch or channels grow as well."""
    if isinstance(value, Value) or value.shape != (4, 2) or value.min() < 0 or value[[0, 3]].any():
        return None
    return (int(value[1, 0]), int(value[1, 1])), (int(value[2, 0]), int(value[2, 1]))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
