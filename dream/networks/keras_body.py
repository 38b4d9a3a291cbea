"""A Keras model as the body of a network: cut, folded and compiled for each set of layers that is asked for."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dream.errors import NetworkInvalid
from dream.networks.cards import NetworkCard
from dream.networks.compiler import compile_nodes
from dream.networks.inventory import LayerInfo, computing_layers, inventory
from dream.networks.network import Activations, Network
from dream.networks.nodes import Node, read_model
from dream.networks.rewrites import compiled_nodes

# Folding and merging round differently; over the depth of a network that stays some 1e-6 of the activations.
# Anything near this is not rounding.
LARGEST_FOLD_DIFFERENCE = 1e-3

_PROBE_SIDE = 96
_COMPILED_AT_ONCE = 8


class KerasBody:
    """Computes what a Keras model does with `training=False`; the model's weights are read once and never changed."""

    def __init__(self, model: keras.Model, names: Mapping[str, str], *, smallest_side: int) -> None:
        self._model = model
        self._names = dict(names)
        self._probe_side = max(_PROBE_SIDE, smallest_side)
        self._nodes = read_model(model, names)
        self._lock = threading.Lock()
        self._fold_difference: float | None = None
        self._compiled: dict[tuple[str, ...], tuple[Node, ...]] = {}
        self.layers: tuple[LayerInfo, ...] = tuple(inventory(model, names))

    @property
    def model(self) -> keras.Model:
        """The model as it was given."""
        return self._model

    @property
    def fold_difference(self) -> float | None:
        """Largest difference so far between a compiled function and the model, over the activation's RMS."""
        return self._fold_difference

    def function(self, names: Sequence[str], *, dtype: str = "float32") -> Activations:
        """From scaled pictures to the activations of these layers; checked against the model before it is given.

        Raises:
            NetworkInvalid: the two do not agree, or the activations are not finite numbers.
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
        """Max |compiled - model| over the root mean square of the model's activation, the largest of all layers."""
        generator = np.random.Generator(np.random.PCG64(0))
        side = self._probe_side
        with tf.init_scope():
            probe = tf.constant(generator.uniform(-1.0, 1.0, (1, side, side, 3)).astype(np.float32))
            expected = self._original(names)(probe, training=False)
            found = tf.function(function, autograph=False)(probe)
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

    def _original(self, names: Sequence[str]) -> keras.Model:
        outputs: dict[str, Any] = {
            name: layer.output
            for layer in computing_layers(self._model)
            if (name := self._names.get(layer.name, layer.name)) in names
        }
        return keras.Model(self._model.inputs[0], outputs)


def keras_network(card: NetworkCard, model: keras.Model, names: Mapping[str, str] | None = None) -> Network:
    """A network of this card that computes what the Keras model does.

    model: input (batch, height, width, 3), already scaled as the card says.
    names: from Keras' layer names to the ones wanted here, where the two differ.

    Raises:
        NetworkInvalid: a layer of the model is used more than once.
    """
    return Network(card, KerasBody(model, names or {}, smallest_side=card.smallest_side))
