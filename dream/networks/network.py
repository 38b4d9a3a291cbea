"""Network: a frozen image network, its layers under names that stay the same, and its activations as a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from dream.errors import UnknownName
from dream.networks.cards import NetworkCard
from dream.networks.inventory import LayerInfo, computing_layers, inventory

Activations = Callable[[Any], dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Network:
    """A network ready to dream with. Made by `dream.networks.load_network`.

    Attributes:
        card: where it comes from and what it wants for input.
        model: the Keras model; input already scaled as the card says. Its weights are never changed.
        names: from Keras' layer names to the ones used here, where the two differ.
        layers: every layer but the input, in the order the network computes them.
    """

    card: NetworkCard
    model: keras.Model
    names: Mapping[str, str] = field(default_factory=dict)
    layers: tuple[LayerInfo, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(inventory(self.model, self.names)))

    def layer(self, name: str) -> LayerInfo:
        """The layer called `name`.

        Raises:
            UnknownName: there is none; the nearest names are offered.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        known = [layer.name for layer in self.layers]
        raise UnknownName("layer", name, known, where=f" in {self.card.name}")

    def activations(self, names: Iterable[str]) -> Activations:
        """A pure function from pictures to the activations of these layers, for use inside a TensorFlow graph.

        It takes float32 pictures 0 to 1, shape (batch, height, width, 3), and gives a dict by layer name. The
        weights are constants of it, batch statistics stay as trained, and layers that none of the named ones
        needs are not computed.
        """
        wanted = {self.layer(name).name for name in names}
        outputs = {name: output for name, output in self._outputs() if name in wanted}
        truncated = keras.Model(self.model.inputs[0], outputs, name=f"{self.card.name}_truncated")
        trainable = [tf.constant(variable.numpy()) for variable in truncated.trainable_variables]
        others = [tf.constant(variable.numpy()) for variable in truncated.non_trainable_variables]
        scale, offset = self.card.input_scale, self.card.input_offset

        def run(images: Any) -> dict[str, Any]:
            values, _ = truncated.stateless_call(trainable, others, images * scale + offset, training=False)
            return dict(values)

        return run

    def _outputs(self) -> list[tuple[str, Any]]:
        return [(self.names.get(layer.name, layer.name), layer.output) for layer in computing_layers(self.model)]
