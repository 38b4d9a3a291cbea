"""Objectives: from the activations of some layers to one number for each picture, which the ascent makes larger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from dream.errors import RecipeError
from dream.networks.network import Network
from dream.recipes import Reduction, Term


def check_objective(objective: tuple[Term, ...], network: Network) -> None:
    """Sees that every layer and channel exists in this network, before any work is done.

    Raises:
        UnknownName: no layer has this name; the nearest names are offered.
        RecipeError: a layer has no such channel.
    """
    for term in objective:
        layer = network.layer(term.layer)
        if term.channels is not None and max(term.channels) >= layer.channels:
            raise RecipeError(
                f"layer {term.layer!r} of {network.card.name} has channels 0 to {layer.channels - 1}, "
                f"the objective asks for {max(term.channels)}"
            )


def objective_values(objective: tuple[Term, ...], activations: Mapping[str, Any]) -> Any:
    """The objective of each picture, shape (batch,): the sum of its terms.

    activations: by layer name, shape (batch, height, width, channels) or (batch, channels).
    Every term is a mean over its layer, so that large layers and pictures do not drown the small ones.
    """
    return tf.add_n([_term_values(term, activations[term.layer]) for term in objective])


def _term_values(term: Term, activation: Any) -> Any:
    if term.channels is not None:
        activation = tf.gather(activation, term.channels, axis=-1)
    if term.reduction is Reduction.MEAN_SQUARE:
        activation = tf.square(activation)
    return term.weight * tf.reduce_mean(activation, axis=list(range(1, activation.shape.rank)))
