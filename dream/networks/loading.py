"""Builds the network of a card from its checked weights file. One builder for each network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from dream.errors import UnknownName
from dream.networks.cards import NetworkCard
from dream.networks.efficientnet_lite0 import build_efficientnet_lite0
from dream.networks.inception_v3 import build_inception_v3, canonical_names
from dream.networks.keras_body import keras_network
from dream.networks.network import Network
from dream.networks.torch_file import read_torch_file


def build_network(card: NetworkCard, weights: Path) -> Network:
    """The network of `card` with the weights of this file, whose digest the caller has checked.

    Raises:
        UnknownName: there is no builder for a card of this name.
        NetworkInvalid: the file does not hold what the network needs.
    """
    if card.name not in _BUILDERS:
        raise UnknownName("network", card.name, _BUILDERS)
    return _BUILDERS[card.name](card, weights)


def _efficientnet_lite0(card: NetworkCard, weights: Path) -> Network:
    return keras_network(card, build_efficientnet_lite0(read_torch_file(weights.read_bytes())))


def _inception_v3(card: NetworkCard, weights: Path) -> Network:
    model = build_inception_v3(weights)
    return keras_network(card, model, canonical_names(model))


_BUILDERS: Mapping[str, Callable[[NetworkCard, Path], Network]] = {
    "efficientnet_lite0": _efficientnet_lite0,
    "inception_v3": _inception_v3,
}
