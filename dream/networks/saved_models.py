"""A SavedModel as a frozen graph, without ever loading it.

TensorFlow's own loader runs parts of what it loads. Here the file is only read: the graph behind the serving signature
is followed through its functions, and each variable becomes a constant with the value in the checkpoint beside it. What
comes of it is a file like any other frozen graph.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from dream.errors import NetworkInvalid
from dream.networks.checkpoint_files import read_checkpoint
from dream.networks.graph_files import check_operations
from dream.networks.graph_operations import ALLOWED_OPERATIONS
from dream.networks.limits import MOST_BYTES

_CALLS = frozenset({"StatefulPartitionedCall", "PartitionedCall"})
_VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})
_READS = frozenset({"ReadVariableOp", "DisableCopyOnRead"})

# What keeps, restores and initializes variables. None of it is ever run; a SavedModel has it beside its network.
_AROUND = _CALLS | _VARIABLES | _READS | {
    "Assign", "AssignVariableOp", "Fill", "IsVariableInitialized", "MergeV2Checkpoints", "RandomNormal",
    "RandomStandardNormal", "RandomUniform", "RestoreV2", "SaveV2", "Select", "ShardedFilename",
    "StatelessRandomGetKeyCounter", "StatelessRandomNormalV2", "StatelessRandomUniformV2", "StatelessTruncatedNormalV2",
    "StaticRegexFullMatch", "StringJoin", "TruncatedNormal", "VarIsInitializedOp", "ZerosLike", "OnesLike",
}  # fmt: skip

_SERVE = "serve"
_SIGNATURE = "serving_default"
_MOST_NODES = 200_000
_DEEPEST = 50


def freeze_saved_model(folder: Path, what: str) -> tuple[bytes, str]:
    """The graph behind the serving signature with constant weights, and the name of the tensor for the pictures.

    The graph is a GraphDef, serialized; `read_graph` must check it as it does any other.

    what: name of the folder for people, in errors.

    Raises:
        NetworkInvalid: it is damaged, holds operations that a network has no use for, or has no plain signature.
    """
    meta = _read(folder / "saved_model.pb", what)
    try:
        graph, pictures = _frozen(meta, folder / "variables", what)
        return graph.SerializeToString(deterministic=True), pictures
    except NetworkInvalid:
        raise
    except Exception as error:  # a damaged graph fails in many ways
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise NetworkInvalid(f"{what} is damaged: {reason}") from error


def _frozen(meta: Any, variables: Path, what: str) -> tuple[Any, str]:
    functions = {function.signature.name: function for function in meta.graph_def.library.function}
    inner = [node for function in functions.values() for node in function.node_def]
    check_operations([*meta.graph_def.node, *inner], ALLOWED_OPERATIONS | _AROUND, what)
    pictures, wanted = _signature(meta, what)
    main = {node.name: node for node in meta.graph_def.node}
    flat = _Inliner(functions, what).flatten(_needed(main, wanted), wanted)
    values = read_checkpoint(variables / "variables") if variables.is_dir() else {}
    frozen = _with_constants(flat, values, _checkpoint_keys(meta.saver_def.restore_op_name, main, functions), what)
    return _short_names(frozen, pictures)


def _read(path: Path, what: str) -> Any:
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf has several kinds of error, by its implementation
        raise NetworkInvalid(f"{what} is no whole SavedModel") from error
    for meta in saved.meta_graphs:
        if _SERVE in meta.meta_info_def.tags:
            return meta
    raise NetworkInvalid(f"{what} is no SavedModel for serving: it has no graph with the tag {_SERVE!r}")


def _signature(meta: Any, what: str) -> tuple[str, list[str]]:
    """The tensor that the pictures go in at, and those that come out."""
    signatures = {name: value for name, value in meta.signature_def.items() if value.inputs and value.outputs}
    chosen = signatures.get(_SIGNATURE) or (next(iter(signatures.values())) if len(signatures) == 1 else None)
    if chosen is None or len(chosen.inputs) != 1:
        listed = ", ".join(f"{name} ({len(value.inputs)} inputs)" for name, value in signatures.items()) or "none"
        raise NetworkInvalid(
            f"{what} needs one signature called {_SIGNATURE!r} that takes pictures and nothing else; it has: {listed}"
        )
    (pictures,) = chosen.inputs.values()
    return pictures.name, [output.name for output in chosen.outputs.values() if output.name]


class _Inliner:
    """Writes out function calls. What one takes in and gives back goes through nodes of its own, and so has names."""

    def __init__(self, functions: Mapping[str, Any], what: str) -> None:
        self._functions = functions
        self._what = what
        self._nodes: dict[str, Any] = {}
        self._bytes = 0

    def flatten(self, nodes: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
        """The nodes that the wanted tensors need, without calls, and without what only passes a tensor on."""
        self._write("", nodes, None, 0)
        return _without_passing_on(self._nodes, [self._tensor(each, "", nodes, None) for each in wanted])

    def _write(self, prefix: str, nodes: Mapping[str, Any], arguments: frozenset[str] | None, depth: int) -> None:
        for node in nodes.values():
            inputs = [self._tensor(each, prefix, nodes, arguments) for each in _data_inputs(node)]
            if node.op in _CALLS:
                self._write_call(f"{prefix}{node.name}/", node, inputs, depth)
            elif node.op in _READS:
                self._add(prefix + node.name, "Identity", inputs)
            else:
                # A small function may be called very often.
                self._bytes += node.ByteSize()
                if self._bytes > MOST_BYTES:
                    raise NetworkInvalid(f"{self._what} is refused: it grows to more than {MOST_BYTES >> 20} MB")
                self._add(prefix + node.name, node.op, inputs).attr.MergeFrom(node.attr)

    def _write_call(self, prefix: str, node: Any, inputs: list[str], depth: int) -> None:
        function = self._functions.get(node.attr["f"].func.name)
        names = [argument.name for argument in function.signature.input_arg] if function is not None else []
        if function is None or len(names) != len(inputs) or depth >= _DEEPEST:
            raise NetworkInvalid(f"{self._what} is damaged: {node.name!r} calls a function that it does not have")
        for name, tensor in zip(names, inputs, strict=True):
            self._add(f"{prefix}argument/{name}", "Identity", [tensor])
        body = {inner.name: inner for inner in function.node_def}
        arguments = frozenset(names)
        self._write(prefix, body, arguments, depth + 1)
        for index, output in enumerate(function.signature.output_arg):
            given = self._tensor(function.ret[output.name], prefix, body, arguments)
            self._add(f"{prefix}return/{index}", "Identity", [given])

    def _tensor(self, reference: str, prefix: str, nodes: Mapping[str, Any], arguments: frozenset[str] | None) -> str:
        """From what a tensor is called in the main graph or, with `arguments`, in a function, to its flat name."""
        name, *rest = reference.split(":")
        if arguments is not None and not rest and name in arguments:
            return f"{prefix}argument/{name}:0"
        node = nodes.get(name)
        if node is None:
            raise NetworkInvalid(f"{self._what} is damaged: it has no {reference!r}")
        index = int(rest[-1]) if rest else 0
        if len(rest) == 2:
            index += _outputs_before(node, rest[0])
        return f"{prefix}{name}/return/{index}:0" if node.op in _CALLS else f"{prefix}{name}:{index}"

    def _add(self, name: str, op: str, inputs: Sequence[str]) -> Any:
        if name in self._nodes or len(self._nodes) >= _MOST_NODES:
            raise NetworkInvalid(f"{self._what} is refused: it has {name!r} twice, or more than {_MOST_NODES} nodes")
        self._nodes[name] = tf.compat.v1.NodeDef(name=name, op=op, input=inputs)
        return self._nodes[name]


def _needed(nodes: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """The nodes that these tensors need, in the order they had."""
    found: set[str] = set()
    waiting = [_node_of(reference) for reference in wanted]
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in found:
            found.add(name)
            waiting.extend(_node_of(each) for each in _data_inputs(nodes[name]))
    return {name: node for name, node in nodes.items() if name in found}


def _without_passing_on(nodes: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """The needed nodes with every reader of an Identity reading what that one reads."""

    def origin(tensor: str) -> str:
        seen = set()
        while (node := nodes.get(_node_of(tensor))) is not None and node.op == "Identity" and node.input:
            if tensor in seen:
                raise NetworkInvalid("the graph runs in a circle")
            seen.add(tensor)
            tensor = node.input[0]
        return tensor

    for node in nodes.values():
        if node.op != "Identity":
            straight = [origin(each) for each in node.input]
            del node.input[:]
            node.input.extend(straight)
    return _needed(nodes, [origin(each) for each in wanted])


def _with_constants(
    nodes: Mapping[str, Any], values: Mapping[str, Any], keys: Mapping[str, str], what: str
) -> dict[str, Any]:
    """The same with the value of each variable in its place."""
    frozen: dict[str, Any] = {}
    for name, node in nodes.items():
        if node.op not in _VARIABLES:
            frozen[name] = node
            continue
        shared = node.attr["shared_name"].s.decode("utf-8", errors="replace")
        key = next((key for key in (keys.get(name), shared, name) if key in values), None)
        if key is None:
            raise NetworkInvalid(f"{what} is not whole: there is no value for its variable {name!r}")
        made = tf.compat.v1.NodeDef(name=name, op="Const")
        made.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values[key]))
        made.attr["dtype"].type = made.attr["value"].tensor.dtype
        frozen[name] = made
    return frozen


def _checkpoint_keys(restore: str, main: Mapping[str, Any], functions: Mapping[str, Any]) -> dict[str, str]:
    """From the variables of the main graph to their keys in the checkpoint, as the function that restores them says.

    Its RestoreV2 names the keys in order, and each AssignVariableOp says which of them goes to which argument.
    """
    call = main.get(restore)
    function = functions.get(call.attr["f"].func.name) if call is not None else None
    if call is None or function is None:
        return {}
    given = dict(zip((each.name for each in function.signature.input_arg), _data_inputs(call), strict=False))
    nodes = {node.name: node for node in function.node_def}
    keys: dict[str, str] = {}
    for node in nodes.values():
        if node.op != "AssignVariableOp" or len(node.input) < 2 or node.input[0] not in given:
            continue
        source = node.input[1].split(":")
        while (passed := nodes.get(source[0])) is not None and passed.op == "Identity":
            source = passed.input[0].split(":")
        restored = nodes.get(source[0])
        if restored is None or restored.op != "RestoreV2":
            continue
        names = nodes[_node_of(restored.input[1])].attr["value"].tensor.string_val
        index = int(source[-1])
        if index < len(names):
            keys[_node_of(given[node.input[0]])] = names[index].decode("utf-8", errors="replace")
    return keys | _keys_of_originals(keys, main)


def _keys_of_originals(keys: Mapping[str, str], main: Mapping[str, Any]) -> dict[str, str]:
    """The same for variables of which those restored are copies, made when they are initialized."""
    originals: dict[str, str] = {}
    for node in main.values():
        if node.op == "AssignVariableOp" and len(node.input) >= 2 and _node_of(node.input[0]) in keys:
            read = main.get(_node_of(node.input[1]))
            if read is not None and read.op == "ReadVariableOp":
                originals[_node_of(read.input[0])] = keys[_node_of(node.input[0])]
    return originals


def _short_names(nodes: Mapping[str, Any], pictures: str) -> tuple[Any, str]:
    """The graph with the folders that all names share taken off, and the name of the input in it."""
    source = _node_of(pictures)
    inner = [name for name, node in nodes.items() if node.op not in {"Placeholder", "Const", "NoOp"}]
    folders = [name.split("/")[:-1] for name in inner]
    shared = list(itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*folders, strict=False)))
    prefix = "".join(f"{parts[0]}/" for parts in shared)
    names = {name: name.removeprefix(prefix) for name in nodes}
    if len(set(names.values())) < len(names):
        names = {name: name for name in nodes}
    graph = tf.compat.v1.GraphDef()
    for name, node in nodes.items():
        made = graph.node.add()
        made.CopyFrom(node)
        made.name = names[name]
        del made.input[:]
        made.input.extend(f"{names[each.split(':')[0]]}:{each.split(':')[1]}" for each in node.input)
    if source not in names:
        raise NetworkInvalid(f"what comes out of the graph does not depend on its input {source!r}")
    return graph, f"{names[source]}:0"


def _node_of(tensor: str) -> str:
    return tensor.partition(":")[0]


def _data_inputs(node: Any) -> list[str]:
    return [each for each in node.input if not each.startswith("^")]


def _outputs_before(node: Any, name: str) -> int:
    """How many tensors a node gives before those of its output `name`."""
    definition = op_def_registry.get(node.op)
    count = 0
    for output in definition.output_arg if definition is not None else ():
        if output.name == name:
            return count
        if output.type_list_attr:
            count += len(node.attr[output.type_list_attr].list.type)
        else:
            count += node.attr[output.number_attr].i if output.number_attr else 1
    raise NetworkInvalid(f"{node.name!r} ({node.op}) has no output {name!r}")
