"""Networks to dream with: their cards, their weights, and their layers. TensorFlow loads with the first network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dream.networks.cards import DEFAULT_NETWORK, NETWORKS, NetworkCard, network_card
from dream.networks.inventory import LayerInfo
from dream.networks.weights import OnProgress, ensure_for_card, ensure_weights, has_weights, import_weights

if TYPE_CHECKING:
    from dream.networks.network import Network

__all__ = [
    "DEFAULT_NETWORK",
    "NETWORKS",
    "LayerInfo",
    "Network",
    "NetworkCard",
    "ensure_weights",
    "has_weights",
    "import_weights",
    "load_card",
    "load_network",
    "network_card",
]


def __getattr__(name: str) -> Any:
    # Network stands on TensorFlow, which is not to load for the sake of a card.
    if name == "Network":
        from dream.networks.network import Network

        return Network
    raise AttributeError(name)


def find_card(name: str, weights_folder: Path) -> NetworkCard:
    """The card of the network `name`.

    Raises:
        UnknownName: no network has this name.
    """
    return network_card(name)


def load_network(
    name: str,
    *,
    weights_folder: Path,
    offline: bool = False,
    mirror: str | None = None,
    on_progress: OnProgress | None = None,
) -> Network:
    """The network `name`, ready to dream with; its weights are fetched once if they are not in `weights_folder`.

    on_progress: told of the bytes that have arrived and of how many there are, while weights are fetched.

    Raises:
        UnknownName: no network has this name.
        WeightsUnavailable: the weights are not here and could not be had.
        WeightsCorrupt: the weights have another digest than their card says.
        NetworkInvalid: the weights file does not hold what the network needs.
    """
    return load_card(
        network_card(name), weights_folder=weights_folder, offline=offline, mirror=mirror, on_progress=on_progress
    )


def load_card(
    card: NetworkCard,
    *,
    weights_folder: Path,
    offline: bool = False,
    mirror: str | None = None,
    on_progress: OnProgress | None = None,
) -> Network:
    """As `load_network`, for a card in hand: the same architecture with weights of your own."""
    weights = ensure_for_card(
        card, weights_folder=weights_folder, offline=offline, mirror=mirror, on_progress=on_progress
    )
    from dream.runtime import configure

    configure()
    from dream.networks.loading import build_network

    return build_network(card, weights)
