"""Which look to dream with: names from the command line, else from the settings, else the default."""

from __future__ import annotations

from dataclasses import dataclass

from flows.wiring import Environment


@dataclass(frozen=True)
class Look:
    """A preset and a network, both known to exist and to fit."""

    preset: str
    network: str


def chosen_look(environment: Environment, *, preset: str | None, network: str | None) -> Look:
    """The look asked for; found wanting before anything slow starts.

    Raises:
        DreamError: No such preset or network, or none of that preset for the network; with the nearest names.
    """
    from dream.networks.cards import network_card
    from dream.presets import DEFAULT_PRESET
    from dream.presets import preset as find_preset

    dream = environment.values.dream
    look = Look(preset or dream.preset or DEFAULT_PRESET, network_card(network or dream.network).name)
    find_preset(look.preset, look.network)
    return look
