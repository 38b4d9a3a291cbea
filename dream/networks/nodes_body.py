"""A network's nodes as its body: cut, folded and compiled for each set of layers that is asked for, and checked."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dream.errors import NetworkInvalid
from dream.networks.cards import NetworkCard
from dream.networks.compiler import compile_nodes
from dream.networks.inventory import LayerInfo
from dream.networks.network import Activations, scaled
from dream.networks.nodes import Node
from dream.networks.rewrites import compiled_nodes

# Folding and merging round differently; over the depth of a network that stays some 1e-6 of the activations.
# Anything near this is not rounding.
LARGEST_FOLD_DIFFERENCE = 1e-3

_COMPILED_AT_ONCE = 8


class NodesBody(ABC):
    """Computes what some nodes say; their weights are read once and never changed.

    probe: scaled pictures, float32, shape (1, height, width, 3), on which compiled functions are held against the
        original.
    """

    def __init__(self, nodes: Sequence[Node], layers: Sequence[LayerInfo], probe: NDArray[np.float32]) -> None:
        self.layers: tuple[LayerInfo, ...] = tuple(layers)
        self._nodes = tuple(nodes)
        self._probe = probe
        self._lock = threading.Lock()
        self._fold_difference: float | None = None
        self._compiled: dict[tuple[str, ...], tuple[Node, ...]] = {}

    @abstractmethod
    def original(self, names: Sequence[str], pictures: Any) -> Mapping[str, Any]:
        """The activations of these layers on scaled pictures, computed as the original does."""

    @property
    def fold_difference(self) -> float | None:
        """Largest difference so far between a compiled function and the original, over the activation's RMS."""
        return self._fold_difference

    def function(self, names: Sequence[str], *, dtype: str = "float32") -> Activations:
        """From scaled pictures to the activations of these layers; checked against the original before it is given.

        Raises:
            NetworkInvalid: the two do not agree, the activations are not finite numbers, or some operation cannot
                be computed in this dtype.
        """
        return compile_nodes(self._checked(tuple(sorted(names))), names, dtype=dtype)

    def _checked(self, names: tuple[str, ...]) -> tuple[Node, ...]:
        """The nodes for these layers, compiled and checked once and shared by all who ask."""
        with self._lock:
            if names not in self._compiled:
                nodes = compiled_nodes(self._nodes, names)
                difference = self._difference(compile_nodes(nodes, names), names)
                self._fold_difference = max(difference, self._fold_difference or 0.0)
                if len(self._compiled) >= _COMPILED_AT_ONCE:
                    self._compiled.pop(next(iter(self._compiled)))
                self._compiled[names] = nodes
            return self._compiled[names]

    def _difference(self, function: Activations, names: Sequence[str]) -> float:
        """The largest |compiled - original| of all layers, over the root mean square of the original's activation."""
        try:
            with tf.init_scope():
                probe = tf.constant(self._probe)
                expected = self.original(names, probe)
                found = tf.function(function, autograph=False)(probe)
        except (ValueError, TypeError, tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise NetworkInvalid(f"{', '.join(names)[:200]} cannot be computed on a picture: {reason}") from error
        largest = 0.0
        for name in names:
            reference, value = np.asarray(expected[name], np.float64), np.asarray(found[name], np.float64)
            if not np.isfinite(reference).all() or not np.isfinite(value).all():
                raise NetworkInvalid(
                    f"the activations of {name!r} are not finite numbers: the weights are damaged; import them again"
                )
            spread = float(np.sqrt(np.mean(np.square(reference)))) or 1.0
            largest = max(largest, float(np.abs(value - reference).max()) / spread)
        if largest > LARGEST_FOLD_DIFFERENCE:
            raise NetworkInvalid(
                f"the compiled network differs from the original by {largest:.2g} of its activations at "
                f"{', '.join(names)}; please report this with the model"
            )
        return largest


def probe_picture(card: NetworkCard, height: int, width: int) -> NDArray[np.float32]:
    """A picture of noise, scaled as the network wants it: float32, shape (1, height, width, 3)."""
    generator = np.random.Generator(np.random.PCG64(0))
    with tf.init_scope():
        return np.asarray(scaled(card, tf.constant(generator.random((1, height, width, 3), dtype=np.float32))))
