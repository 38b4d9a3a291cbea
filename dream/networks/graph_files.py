"""Frozen graphs: read, bounded and checked operation by operation before anything of them is used."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dream.errors import NetworkInvalid, UnknownName
from dream.networks.graph_operations import ALLOWED_OPERATIONS, attribute_names
from dream.networks.limits import MOST_BYTES

_NODE_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
_TENSOR = re.compile(r"(?P<node>[^:^]+)(?::(?P<output>\d{1,4}))?")
_MOST_NODES = 200_000
_MOST_NAMED = 8


def read_graph(data: bytes, what: str) -> Any:
    """The GraphDef in these bytes, seen to hold nothing but allowed operations.

    what: name of the file, for the error.

    Raises:
        NetworkInvalid: they are no whole GraphDef, or it holds something a network has no use for.
    """
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(data)
    except Exception as error:  # protobuf has several kinds of error, by its implementation
        raise NetworkInvalid(f"{what} is no whole GraphDef, nor any other file that can be imported") from error
    if not graph.node:
        raise NetworkInvalid(f"{what} is no GraphDef, nor any other file that can be imported")
    check_graph(graph, what)
    return graph


def check_graph(graph: Any, what: str) -> None:
    """Sees that a graph, and every function it brings, holds nothing but allowed operations on bounded arrays.

    Raises:
        NetworkInvalid: it does not.
    """
    functions = [node for function in graph.library.function for node in function.node_def]
    check_operations([*graph.node, *functions], ALLOWED_OPERATIONS, what)
    if len(graph.node) > _MOST_NODES:
        raise NetworkInvalid(f"{what} is refused: it has more than {_MOST_NODES} nodes")
    names = Counter(node.name for node in graph.node)
    for name, count in names.items():
        if count > 1 or not _NODE_NAME.fullmatch(name):
            raise NetworkInvalid(f"{what} is refused: {name!r} is no name of a node, or of several")
    size = sum(_const_bytes(node) for node in graph.node if node.op == "Const")
    if size > MOST_BYTES:
        raise NetworkInvalid(f"{what} is refused: its arrays take more than {MOST_BYTES >> 20} MB")


def check_operations(nodes: Iterable[Any], allowed: frozenset[str], what: str) -> None:
    """Sees that every node is an allowed operation.

    Raises:
        NetworkInvalid: some are not, and which.
    """
    strange = Counter(node.op for node in nodes if node.op not in allowed)
    if strange:
        listed = ", ".join(f"{op} ({count})" for op, count in strange.most_common(_MOST_NAMED))
        raise NetworkInvalid(
            f"{what} is refused: it holds operations that a network to dream with has no use for: {listed}; "
            "nothing of it was imported; see docs/networks.md#what-a-graph-may-hold"
        )


def _const_bytes(node: Any) -> int:
    tensor = node.attr["value"].tensor
    count = 1
    for dimension in tensor.tensor_shape.dim:
        count *= max(0, dimension.size)
    try:
        width = tf.as_dtype(tensor.dtype).size or 1
    except TypeError as error:
        raise NetworkInvalid(f"the constant {node.name!r} has an unknown type") from error
    return int(count * width)


def constant(node: Any) -> NDArray[Any] | None:
    """The array of a Const node, floats as float32; None where it holds no numbers.

    Raises:
        NetworkInvalid: it is damaged, or holds numbers that are not finite.
    """
    try:
        array = np.asarray(tf.make_ndarray(node.attr["value"].tensor))
    except Exception as error:  # a damaged tensor raises nearly anything
        raise NetworkInvalid(f"the constant {node.name!r} is damaged") from error
    kind = tf.as_dtype(array.dtype) if array.dtype != object else tf.string
    if kind.is_floating:
        array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise NetworkInvalid(f"the weights in {node.name!r} are not finite numbers")
        return array
    return array if kind.is_integer or kind.is_bool else None


def attributes(node: Any) -> dict[str, Any]:
    """The attributes that decide what a node computes, as Python values; those left out have TensorFlow's defaults."""
    return {name: _python(node.attr[name], name) for name in attribute_names(node.op) if name in node.attr}


def _python(value: Any, name: str) -> Any:
    kind = value.WhichOneof("value")
    match kind:
        case "i" | "f" | "b":
            return getattr(value, kind)
        case "s":
            return value.s.decode("ascii", errors="replace")
        case "type":
            found = tf.as_dtype(value.type)
            return tf.float32 if found.is_floating else found
        case "list":
            return [*value.list.i]
        case _:
            raise NetworkInvalid(f"an attribute {name!r} is of an unknown kind")


def split_tensor(reference: str) -> tuple[str, int]:
    """Node and number of its output that a name such as `input:0` or `input` means.

    Raises:
        NetworkInvalid: it is no name of a tensor.
    """
    match = _TENSOR.fullmatch(reference)
    if match is None:
        raise NetworkInvalid(f"{reference!r} is no name of a tensor")
    return match["node"], int(match["output"] or 0)


def find_input(graph: Any, wanted: str | None) -> str:
    """The name of the tensor that the pictures go in at, such as `input:0`.

    wanted: what the person who imports it says it is.

    Raises:
        UnknownName: there is no such tensor.
        NetworkInvalid: none was named and there is not exactly one, or it does not take pictures.
    """
    by_name: Mapping[str, Any] = {node.name: node for node in graph.node}
    if wanted is not None:
        name, output = split_tensor(wanted)
        if name not in by_name:
            raise UnknownName("tensor", wanted, [node.name for node in graph.node if node.op != "Const"])
        found = name, output
    else:
        placeholders = [node.name for node in graph.node if node.op == "Placeholder"]
        if len(placeholders) != 1:
            listed = ", ".join(placeholders[:_MOST_NAMED]) or "none"
            raise NetworkInvalid(
                f"the graph has {len(placeholders)} placeholders ({listed}); name the input: --input TENSOR"
            )
        found = placeholders[0], 0
    node = by_name[found[0]]
    shape = node.attr["shape"].shape
    if node.op == "Placeholder" and "shape" in node.attr and not shape.unknown_rank and shape.dim:
        sizes = [dimension.size for dimension in shape.dim]
        if len(sizes) != 4 or sizes[3] not in {-1, 3}:
            raise NetworkInvalid(
                f"the input {found[0]!r} has shape {tuple(sizes)}, not (batch, height, width, 3); "
                "name the tensor that has, with --input"
            )
    return f"{found[0]}:{found[1]}"
