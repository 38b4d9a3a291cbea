"""Builds the network of a card from its checked file."""

from __future__ import annotations

from pathlib import Path

from dream.networks.architectures import build_untrained, load_keras_weights
from dream.networks.cards import Form, NetworkCard
from dream.networks.efficientnet_lite0 import build_efficientnet_lite0
from dream.networks.inception_v3 import canonical_names
from dream.networks.inventory import LayerInfo, inventory
from dream.networks.keras_body import keras_network
from dream.networks.network import Network
from dream.networks.torch_file import read_torch_file

_FROM_TORCH = "efficientnet_lite0"


def build_network(card: NetworkCard, file: Path) -> Network:
    """The network of `card` from this file, whose digest the caller has checked.

    Raises:
        UnknownName: the card is for an architecture that is not known here.
        NetworkInvalid: the file does not hold what the network needs.
    """
    match card.form:
        case Form.KERAS | Form.H5:
            from dream.networks.keras_files import load_keras_model

            return keras_network(card, load_keras_model(file, file.name))
        case Form.GRAPH | Form.SAVED_MODEL:
            from dream.networks.graph_body import graph_network

            return graph_network(card, file)
        case Form.WEIGHTS if card.name == _FROM_TORCH:
            return keras_network(card, build_efficientnet_lite0(read_torch_file(file.read_bytes())))
        case _:
            architecture = card.architecture or card.name
            model = build_untrained(architecture)
            load_keras_weights(model, file, architecture, file.name)
            return keras_network(card, model, canonical_names(model))


def layers_without_weights(card: NetworkCard) -> tuple[LayerInfo, ...]:
    """The layers of a network that this program can build, as its file would have them.

    Raises:
        UnknownName: the card is for an architecture that is not known here.
    """
    model = build_untrained(card.architecture or card.name)
    return tuple(inventory(model, canonical_names(model)))
