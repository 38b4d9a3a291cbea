"""Rewrites of a network's nodes that leave what it computes as it is, up to rounding, and make it faster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from dream.networks.nodes import Array, Node

Nodes = Sequence[Node]


def compiled_nodes(nodes: Nodes, wanted: Collection[str]) -> tuple[Node, ...]:
    """What is needed for the `wanted` outputs and no more, in its fastest form, in order of computation."""
    needed = cut(nodes, wanted)
    folded = fold_scales(needed, wanted)
    swapped = pool_after_projection(folded, wanted)
    return tuple(merge_siblings(swapped, wanted))


def cut(nodes: Nodes, wanted: Collection[str]) -> list[Node]:
    """The nodes that the wanted ones need, themselves included."""
    needed = set(wanted)
    kept = []
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(node.inputs)
            kept.append(node)
    return kept[::-1]


def fold_scales(nodes: Nodes, wanted: Collection[str]) -> list[Node]:
    """Batch normalization folded into the convolution before it, where nothing else reads that one's output.

    Source: gain * (kernel * x + bias) + offset = (gain * kernel) * x + (gain * bias + offset), in float64.
    """
    by_name = {node.name: node for node in nodes}
    readers = _readers(nodes)
    folded: dict[str, Node] = {}
    for node in nodes:
        before = by_name.get(node.inputs[0])
        if (
            node.op == "scale"
            and before is not None
            and before.op in {"conv", "depthwise", "dense"}
            and readers[before.name] == 1
            and before.name not in wanted
        ):
            folded[before.name] = replace(before, name=node.name, weights=_scaled(before, node))
    gone = {node.name for node in folded.values()}
    return [folded.get(node.name, node) for node in nodes if node.name not in gone]


def _scaled(node: Node, scale: Node) -> Mapping[str, Array]:
    gain, offset = scale.weights["gain"], scale.weights["bias"]
    kernel, bias = node.weights["kernel"], node.weights.get("bias", np.zeros_like(gain))
    # A depthwise kernel has its channels on the third axis, with one filter for each.
    scaled = kernel.astype(np.float64) * (gain[:, None] if node.op == "depthwise" else gain)
    folded = {"kernel": scaled, "bias": gain * bias.astype(np.float64) + offset}
    return {name: array.astype(np.float32) for name, array in folded.items()}


def pool_after_projection(nodes: Nodes, wanted: Collection[str]) -> list[Node]:
    """An average pool before a 1x1 convolution put after it, where that has fewer channels to pool.

    Both are linear, and the weights of an average sum to one, so that the bias passes through.
    """
    by_name = {node.name: node for node in nodes}
    readers = _readers(nodes)
    swapped: dict[str, tuple[Node, ...]] = {}
    for node in nodes:
        pool = by_name.get(node.inputs[0])
        if (
            pool is not None
            and pool.op == "avg_pool"
            and pool.settings["strides"] == (1, 1)
            and readers[pool.name] == 1
            and pool.name not in wanted
            and _is_pointwise(node)
            and node.weights["kernel"].shape[3] <= node.weights["kernel"].shape[2]
        ):
            projected = replace(node, name=f"{node.name}/before_pool", inputs=pool.inputs)
            swapped[pool.name] = ()
            swapped[node.name] = (projected, replace(pool, name=node.name, inputs=(projected.name,)))
    return [new for node in nodes for new in swapped.get(node.name, (node,))]


def merge_siblings(nodes: Nodes, wanted: Collection[str]) -> list[Node]:
    """1x1 convolutions of one input done as one, and cut apart after: the input is read, and its gradient added, once.

    Where each is followed by the same activation and nothing else, that is done before the cut as well.
    """
    readers = _readers(nodes)
    after: dict[str, Node] = {}
    for node in nodes:
        if node.op == "activation" and node.settings["kind"] != "softmax" and readers[node.inputs[0]] == 1:
            after[node.inputs[0]] = node
    families: dict[str, list[Node]] = {}
    for node in nodes:
        if _is_pointwise(node):
            families.setdefault(node.inputs[0], []).append(node)
    new: dict[str, tuple[Node, ...]] = {}
    for parent, family in families.items():
        by_activation: dict[str | None, list[Node]] = {}
        for node in family:
            follower = after.get(node.name) if node.name not in wanted else None
            by_activation.setdefault(follower.settings["kind"] if follower else None, []).append(node)
        for kind, members in by_activation.items():
            if len(members) > 1:
                new |= _merged(parent, kind, members, after)
    return [node for old in nodes for node in new.get(old.name, (old,))]


def _merged(
    parent: str, kind: str | None, members: list[Node], after: Mapping[str, Node]
) -> dict[str, tuple[Node, ...]]:
    """By name of the nodes there were: what stands in their place."""
    first = members[0]
    name = "+".join(node.name for node in members)
    weights = {
        "kernel": np.concatenate([node.weights["kernel"] for node in members], axis=3),
        "bias": np.concatenate([_bias(node) for node in members]),
    }
    made = [replace(first, name=name, inputs=(parent,), weights=weights)]
    if kind is not None:
        made.append(Node(f"{name}/{kind}", "activation", (name,), {"kind": kind}))
    new: dict[str, tuple[Node, ...]] = {}
    for node in members:
        count = node.weights["kernel"].shape[3]
        visible = after[node.name].name if kind is not None else node.name
        made.append(Node(visible, "slice", (made[0 if kind is None else 1].name,), {"count": count}))
        new[node.name] = ()
        new[visible] = ()
    # All stand where the first was: whatever they read is there by then, and nothing reads them earlier.
    return {**new, first.name: tuple(made)}


def _bias(node: Node) -> Array:
    return node.weights.get("bias", np.zeros(node.weights["kernel"].shape[3]))


def _is_pointwise(node: Node) -> bool:
    return node.op == "conv" and node.weights["kernel"].shape[:2] == (1, 1) and node.settings["strides"] == (1, 1)


def _readers(nodes: Nodes) -> Counter[str]:
    return Counter(name for node in nodes for name in node.inputs)
