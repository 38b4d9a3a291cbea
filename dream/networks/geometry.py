"""How large the map of each node is for a picture of some size: plain arithmetic over nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dream.errors import NetworkInvalid
from dream.networks.nodes import INPUT, Node

LARGEST_SMALLEST_SIDE = 1024
"""Pixels; a network that needs more to see anything is none to dream with."""


def smallest_side(nodes: Sequence[Node]) -> int:
    """The side of the smallest square picture of which every convolution still makes something, in pixels.

    Raises:
        NetworkInvalid: even a large one is too small.
    """
    convolutions = [node.name for node in nodes if node.op in {"conv", "depthwise"}] or [nodes[-1].name]
    for side in range(1, LARGEST_SMALLEST_SIDE + 1):
        sides = map_sides(nodes, side)
        if all(sides[name] > 0 for name in convolutions):
            return side
    raise NetworkInvalid(f"the network sees nothing of a picture of {LARGEST_SMALLEST_SIDE} by {LARGEST_SMALLEST_SIDE}")


def map_sides(nodes: Sequence[Node], side: int) -> Mapping[str, int]:
    """The smaller side of the map of every node, in cells, for a square picture; 0 where nothing is left of it."""
    sides = {INPUT: side}
    for node in nodes:
        before = min((sides[name] for name in node.inputs), default=side)
        sides[node.name] = _after(node, before) if before > 0 else 0
    return sides


def _after(node: Node, side: int) -> int:
    """Source: SAME gives ceil(n / stride) cells, VALID floor((n - window) / stride) + 1."""
    match node.op:
        case "conv" | "depthwise":
            window = max(node.weights["kernel"].shape[:2])
            return _slid(side, window, max(node.settings["strides"]), node.settings["padding"])
        case "max_pool" | "avg_pool":
            return _slid(side, max(node.settings["size"]), max(node.settings["strides"]), node.settings["padding"])
        case "pad":
            return side + min(int(above + below) for above, below in node.settings["padding"])
        case "layer" if getattr(node.layer, "kernel_size", None) or getattr(node.layer, "pool_size", None):
            window = max(getattr(node.layer, "kernel_size", None) or node.layer.pool_size)
            rate = max(_pair(getattr(node.layer, "dilation_rate", 1)))
            return _slid(side, rate * (window - 1) + 1, max(node.layer.strides), node.layer.padding)
        case "raw" if node.settings["window"] is not None:
            size, stride, padding = node.settings["window"]
            return _slid(side, max(size), stride, padding)
        case _:
            return side


def _slid(side: int, window: int, stride: int, padding: str) -> int:
    return max(0, (side - window) // stride + 1) if padding.lower() == "valid" else -(-side // stride)


def _pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)
