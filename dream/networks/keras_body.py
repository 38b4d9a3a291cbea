"""A Keras model as the body of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dream.networks.cards import NetworkCard
from dream.networks.inventory import computing_layers, inventory
from dream.networks.network import Network
from dream.networks.nodes import read_model
from dream.networks.nodes_body import NodesBody, probe_picture

_PROBE_SIDE = 96


class KerasBody(NodesBody):
    """Computes what a Keras model does with `training=False`."""

    def __init__(self, model: keras.Model, names: Mapping[str, str], probe: NDArray[np.float32]) -> None:
        super().__init__(read_model(model, names), tuple(inventory(model, names)), probe)
        self._model = model
        self._names = dict(names)

    @property
    def model(self) -> keras.Model:
        """The model as it was given."""
        return self._model

    def original(self, names: Sequence[str], pictures: Any) -> Mapping[str, Any]:
        """The activations of these layers on scaled pictures, by the model itself."""
        outputs: dict[str, Any] = {
            name: layer.output
            for layer in computing_layers(self._model)
            if (name := self._names.get(layer.name, layer.name)) in names
        }
        values: Mapping[str, Any] = keras.Model(self._model.inputs[0], outputs)(pictures, training=False)
        return values


def keras_network(card: NetworkCard, model: keras.Model, names: Mapping[str, str] | None = None) -> Network:
    """A network of this card that computes what the Keras model does.

    model: input (batch, height, width, 3), already scaled as the card says. Where it wants one size only, that is
        the size it is checked at; dreams have any.
    names: from Keras' layer names to the ones wanted here, where the two differ.

    Raises:
        NetworkInvalid: a layer of the model is used more than once.
    """
    side = max(_PROBE_SIDE, card.smallest_side)
    height, width = model.inputs[0].shape[1:3]
    return Network(card, KerasBody(model, names or {}, probe_picture(card, height or side, width or side)))
