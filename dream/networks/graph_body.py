"""A frozen graph as the body of a network, and its layers as lists show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from dream.errors import NetworkInvalid
from dream.networks.cards import NetworkCard
from dream.networks.compiler import compile_nodes
from dream.networks.geometry import map_sides
from dream.networks.graph_files import find_input, read_graph
from dream.networks.graph_nodes import GraphNode, read_graph_nodes
from dream.networks.inventory import CONVOLUTIONS, LayerInfo, View, after
from dream.networks.network import Network
from dream.networks.nodes import INPUT
from dream.networks.nodes_body import NodesBody, probe_picture
from dream.networks.rewrites import cut

_PROBE_SIDE = 96


class GraphBody(NodesBody):
    """Computes what a frozen graph does."""

    def original(self, names: Sequence[str], pictures: Any) -> Mapping[str, Any]:
        """The activations of these layers on scaled pictures, operation by operation as the graph has them."""
        function = compile_nodes(cut(self._nodes, names), names)
        values: Mapping[str, Any] = tf.function(function, autograph=False)(pictures)
        return values


def graph_network(card: NetworkCard, file: Path) -> Network:
    """The network of this card from a frozen GraphDef, whose digest the caller has checked.

    Raises:
        NetworkInvalid: the file holds something else, or operations that a network has no use for.
    """
    graph = read_graph(file.read_bytes(), file.name)
    return network_of_graph(card, read_graph_nodes(graph, find_input(graph, card.input_tensor)))


def network_of_graph(card: NetworkCard, nodes: Sequence[GraphNode]) -> Network:
    """The network of this card that computes these nodes.

    Raises:
        NetworkInvalid: there is no layer among them that a dream could name.
    """
    layers = tuple(graph_inventory(nodes, card.smallest_side))
    if not any(layer.is_convolution for layer in layers):
        raise NetworkInvalid(
            f"the graph computes no convolution from its input {card.input_tensor!r}; name another: --input TENSOR"
        )
    side = max(_PROBE_SIDE, card.smallest_side)
    return Network(card, GraphBody([each.node for each in nodes], layers, probe_picture(card, side, side)))


def graph_inventory(nodes: Sequence[GraphNode], smallest_side: int) -> Iterable[LayerInfo]:
    """Every node that gives an activation for pictures of any size from `smallest_side`, in order of computation.

    Left out are nodes that prepare numbers for others, and those that fit pictures of one size only, as everything
    does that comes after the places of a map were taken for a fixed number of values.
    """
    sides = map_sides([each.node for each in nodes], smallest_side)
    seen: dict[str, View | None] = {INPUT: View(1, 1, 1)}
    own: dict[str, float] = {}
    convolutions: set[str] = set()
    needed: dict[str, frozenset[str]] = {INPUT: frozenset()}
    for each in nodes:
        name, value = each.node.name, each.value
        kernel, stride, padding = each.window or (None, 1, "")
        view = (
            after([seen[source] for source in each.node.inputs if seen[source]], kernel, stride)
            if value.places
            else None
        )
        seen[name] = view
        needed[name] = frozenset({name}).union(*(needed[source] for source in each.node.inputs))
        is_convolution = each.kind in CONVOLUTIONS
        own[name] = each.parameters / view.spacing**2 if view and is_convolution else 0.0
        if is_convolution:
            convolutions.add(name)
        if value.channels is None or value.fixed or value.rank not in {2, 4} or sides[name] < 1:
            continue
        yield LayerInfo(
            name=name,
            kind=each.kind,
            channels=value.channels,
            shape=_shape(value.channels, value.rank, places=value.places),
            kernel=kernel,
            stride=stride,
            padding=padding,
            total_stride=view.spacing if view else None,
            receptive_field=max(view.height, view.width) if view else None,
            parameters=each.parameters,
            macs_per_pixel=sum(own[source] for source in sorted(needed[name])),
            convolutions=len(convolutions & needed[name]),
        )


def _shape(channels: int, rank: int, *, places: bool) -> str:
    if places:
        return str((None, None, None, channels))
    return str((None, channels) if rank == 2 else (None, 1, 1, channels))
