"""Network: an image network ready to dream with, its layers under names that stay the same, and its activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import tensorflow as tf

from dream.errors import UnknownName
from dream.networks.cards import NetworkCard
from dream.networks.inventory import LayerInfo

Activations = Callable[[Any], dict[str, Any]]
"""From pictures to the activations of some layers by name; pure, for use inside a TensorFlow graph."""


class Body(Protocol):
    """What computes: a network without its card."""

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """Every layer that can be named, in the order the network computes them."""
        ...

    @property
    def fold_difference(self) -> float | None:
        """Largest difference so far between the compiled and the original forward pass, over the activation's RMS.

        None where nothing was compiled yet, or compiling changes nothing.
        """
        ...

    def function(self, names: Sequence[str], *, dtype: str = "float32") -> Activations:
        """From scaled pictures, float32, shape (batch, height, width, 3), to float32 activations of these layers.

        Nothing above the deepest of them is computed, and the weights are constants.
        dtype: what the convolutions compute in: `float32`, `bfloat16` or `float16`.
        """
        ...


@dataclass(frozen=True, eq=False)
class Network:
    """A network ready to dream with. Made by `dream.networks.load_network`.

    Attributes:
        card: where it comes from and what it wants for input.
        body: what computes; its weights are never changed.
    """

    card: NetworkCard
    body: Body
    _by_name: Mapping[str, LayerInfo] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {layer.name: layer for layer in self.body.layers})

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """Every layer that an objective can name, in the order the network computes them."""
        return self.body.layers

    def layer(self, name: str) -> LayerInfo:
        """The layer called `name`.

        Raises:
            UnknownName: there is none; the nearest names are offered.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownName("layer", name, self._by_name, where=f" in {self.card.name}") from None

    def activations(self, names: Iterable[str], *, dtype: str = "float32") -> Activations:
        """A pure function from pictures to the activations of these layers, for use inside a TensorFlow graph.

        It takes float32 pictures 0 to 1, RGB, shape (batch, height, width, 3), and gives a dict by layer name, in
        float32. The weights are constants of it, batch statistics stay as trained, and layers that none of the
        named ones needs are not computed.

        Raises:
            UnknownName: there is no such layer.
            NetworkInvalid: the compiled network does not compute what the original one does.
        """
        wanted = tuple(dict.fromkeys(self.layer(name).name for name in names))
        function = self.body.function(wanted, dtype=dtype)
        return lambda images: function(scaled(self.card, images))


def scaled(card: NetworkCard, images: Any) -> Any:
    """Pictures as the network wants them, from float32 pictures 0 to 1, RGB, shape (batch, height, width, 3)."""
    ordered = tf.reverse(images, axis=[-1]) if card.channel_order == "BGR" else images
    # A number for each channel is a tuple, which TensorFlow takes for a vector along the last axis.
    return ordered * card.input_scale + card.input_offset
