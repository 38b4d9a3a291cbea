"""Networks to dream with: their cards, their weights, and their layers. TensorFlow loads with the first network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dream.networks.cards import NETWORKS, NetworkCard, network_card
from dream.networks.imported import find_card, imported_names, remove_imported
from dream.networks.inventory import LayerInfo
from dream.networks.weights import (
    OnProgress,
    card_is_here,
    ensure_for_card,
    import_weights,
    known_digest,
    pinned_card,
)

if TYPE_CHECKING:
    from dream.networks.importing import import_network
    from dream.networks.network import Network

__all__ = [
    "NETWORKS",
    "LayerInfo",
    "Network",
    "NetworkCard",
    "find_card",
    "import_network",
    "import_weights",
    "imported_names",
    "known_digest",
    "layers_of",
    "load_card",
    "load_network",
    "network_card",
    "remove_imported",
]


def __getattr__(name: str) -> Any:
    # These stand on TensorFlow, which is not to load for the sake of a card.
    if name == "Network":
        from dream.networks.network import Network

        return Network
    if name == "import_network":
        from dream.runtime import configure

        configure()
        from dream.networks.importing import import_network

        return import_network
    raise AttributeError(name)


def load_network(
    name: str,
    *,
    weights_folder: Path,
    offline: bool = False,
    mirror: str | None = None,
    on_progress: OnProgress | None = None,
) -> Network:
    """The network `name`, ready to dream with; its weights are fetched once if they are not in `weights_folder`.

    name: of a network that came with this program, or of one that was imported into this weights folder.

    on_progress: told of the bytes that have arrived and of how many there are, while weights are fetched.

    Raises:
        UnknownName: no network has this name.
        WeightsUnavailable: the weights are not here and could not be had.
        WeightsCorrupt: the weights have another digest than their card says.
        NetworkInvalid: the weights file does not hold what the network needs.
    """
    return load_card(
        find_card(name, weights_folder),
        weights_folder=weights_folder,
        offline=offline,
        mirror=mirror,
        on_progress=on_progress,
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

    return build_network(pinned_card(card, weights_folder), weights)


def layers_of(name: str, *, weights_folder: Path) -> tuple[LayerInfo, ...]:
    """Every layer of the network `name` that an objective can name; nothing is fetched for it.

    Raises:
        UnknownName: no network has this name.
        WeightsCorrupt, NetworkInvalid: its weights are here, and damaged.
    """
    card = find_card(name, weights_folder)
    if card.imported or card_is_here(card, weights_folder):
        return load_card(card, weights_folder=weights_folder, offline=True).layers
    from dream.runtime import configure

    configure()
    from dream.networks.loading import layers_without_weights

    return layers_without_weights(card)
