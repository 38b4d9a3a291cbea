"""The TensorFlow operations that a graph of one's own may hold, and how each is called. No other is ever run.

All of them are plain arithmetic on arrays. A graph may also ask for files, processes, Python or the network; such a
graph is refused before anything of it is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import tensorflow as tf

from dream.errors import NetworkInvalid

_WINDOW = ("strides", "padding", "explicit_paddings", "data_format", "dilations")
_POOL = ("ksize", "strides", "padding", "data_format")
_ACTIVATIONS = ("Relu", "Relu6", "Elu", "Selu", "Softplus", "Softsign")
_UNARY = ("Sigmoid", "Tanh", "Exp", "Log", "Log1p", "Sqrt", "Rsqrt", "Square", "Neg", "Abs", "Erf", "Reciprocal", "Inv")
_BINARY = ("Add", "AddV2", "Sub", "Mul", "RealDiv", "Maximum", "Minimum", "SquaredDifference", "Pow")
_SLICE = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")

# Operation: names of its inputs in order, * before one that is a list; names of the attributes that decide it.
_CALLS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = MappingProxyType(
    {
        **dict.fromkeys(_ACTIVATIONS, (("features",), ())),
        **dict.fromkeys(_UNARY, (("x",), ())),
        **dict.fromkeys(_BINARY, (("x", "y"), ())),
        "AddN": (("*inputs",), ()),
        "AvgPool": (("value",), _POOL),
        "BatchNormWithGlobalNormalization": (
            ("t", "m", "v", "beta", "gamma"),
            ("variance_epsilon", "scale_after_normalization"),
        ),
        "BiasAdd": (("value", "bias"), ("data_format",)),
        "Cast": (("x",), ("DstT",)),
        "Concat": (("concat_dim", "*values"), ()),
        "ConcatV2": (("*values", "axis"), ()),
        "Conv2D": (("input", "filter"), _WINDOW),
        "DepthwiseConv2dNative": (("input", "filter"), _WINDOW),
        "ExpandDims": (("input", "axis"), ()),
        "FusedBatchNorm": (("x", "scale", "offset", "mean", "variance"), ("epsilon", "data_format", "is_training")),
        "FusedBatchNormV2": (("x", "scale", "offset", "mean", "variance"), ("epsilon", "data_format", "is_training")),
        "FusedBatchNormV3": (("x", "scale", "offset", "mean", "variance"), ("epsilon", "data_format", "is_training")),
        "LRN": (("input",), ("depth_radius", "bias", "alpha", "beta")),
        "LeakyRelu": (("features",), ("alpha",)),
        "MatMul": (("a", "b"), ("transpose_a", "transpose_b")),
        "Max": (("input", "axis"), ("keep_dims",)),
        "MaxPool": (("input",), _POOL),
        "Mean": (("input", "axis"), ("keep_dims",)),
        "MirrorPad": (("input", "paddings"), ("mode",)),
        "Pack": (("*values",), ("axis",)),
        "Pad": (("input", "paddings"), ()),
        "PadV2": (("input", "paddings", "constant_values"), ()),
        "Prod": (("input", "axis"), ("keep_dims",)),
        "Reshape": (("tensor", "shape"), ()),
        "Shape": (("input",), ("out_type",)),
        "Slice": (("input", "begin", "size"), ()),
        "Softmax": (("logits",), ()),
        "Split": (("axis", "value"), ("num_split",)),
        "SplitV": (("value", "size_splits", "axis"), ("num_split",)),
        "Squeeze": (("input",), ("squeeze_dims",)),
        "StopGradient": (("input",), ()),
        "StridedSlice": (("input", "begin", "end", "strides"), _SLICE),
        "Sum": (("input", "axis"), ("keep_dims",)),
        "Transpose": (("x", "perm"), ()),
    }
)

# Attributes that Python calls by another name.
_PYTHON_NAMES: Mapping[str, str] = MappingProxyType({"squeeze_dims": "axis"})

ELEMENTWISE = frozenset(
    [*_ACTIVATIONS, *_UNARY, *_BINARY, "AddN", "LeakyRelu", "LRN", "BiasAdd", "Softmax", "StopGradient"]
)

ALLOWED_OPERATIONS = frozenset(_CALLS) | {
    "Placeholder", "PlaceholderWithDefault", "Const", "Identity", "IdentityN", "CheckNumerics", "NoOp",
}  # fmt: skip

# Those that compute the same in half precision, up to rounding.
_ANY_PRECISION = frozenset([*_BINARY, "AddN", "Relu", "Relu6", "LeakyRelu", "Conv2D", "Pad", "StopGradient", "Split"])


def input_names(op: str, count: int) -> tuple[tuple[str, ...], dict[str, slice]]:
    """Where the `count` inputs of an operation go: by name, as a slice of the list of inputs.

    Raises:
        NetworkInvalid: it does not take so many.
    """
    names = _CALLS[op][0]
    places: dict[str, slice] = {}
    spare = count - len(names) + 1 if any(name.startswith("*") for name in names) else 1
    at = 0
    for name in names:
        width = spare if name.startswith("*") else 1
        places[name] = slice(at, at + width)
        at += width
    if at != count or spare < 1:
        raise NetworkInvalid(f"a {op} has {count} inputs, which it cannot have")
    return names, places


def attribute_names(op: str) -> tuple[str, ...]:
    """The attributes that decide what an operation computes."""
    return _CALLS[op][1]


def call(op: str, inputs: list[Any], attributes: Mapping[str, Any]) -> Any:
    """What the operation computes from these tensors or arrays: a tensor, or a list or tuple of them."""
    names, places = input_names(op, len(inputs))
    arguments: dict[str, Any] = {}
    for name in names:
        given = inputs[places[name]]
        arguments[name.removeprefix("*")] = list(given) if name.startswith("*") else given[0]
    for name, value in attributes.items():
        arguments[_PYTHON_NAMES.get(name, name)] = value
    return getattr(tf.raw_ops, op)(**arguments)


def check_precision(op: str, dtype: Any) -> None:
    """Sees that the operation can be computed in this dtype.

    Raises:
        NetworkInvalid: only in float32.
    """
    if dtype != tf.float32 and op not in _ANY_PRECISION:
        raise NetworkInvalid(f"this graph's {op} computes in float32 only; dream on it with the profile exact")
