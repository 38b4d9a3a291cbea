"""Objectives: from the activations of some layers to one number for each picture, which the ascent makes larger.

A term may need more than the activations: channels that were strong in the source, the features of a guide, a region.
These come as `inputs`, named tensors whose first axis is the batch, or 1 where all pictures share them. Those of rank
4 are planes of the picture's size, and are rolled with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dream.errors import RecipeError
from dream.features import channel_shares, guide_cells, look_at, picked_channels, shown_to_look
from dream.networks.network import Network
from dream.pixels import to_float
from dream.regions import ALL_SHOWN, Pictures, Shown, mask_plane, shown_size
from dream.streams import CHANNEL_STREAM, random_words
from dream.term_values import class_values, guide_values, layer_values, neuron_values
from dream.terms import ChannelPick, ClassTerm, GuideTerm, LayerTerm, Match, NeuronTerm, Pick, Term

Objective = tuple[Term, ...]
Inputs = Mapping[str, Any]


def check_objective(objective: Objective, network: Network) -> None:
    """Sees that everything the objective names exists in this network, before any work is done.

    Raises:
        UnknownName: no layer has this name; the nearest names are offered.
        RecipeError: a layer has no such channel or no places, or the network has no classes.
    """
    for term in objective:
        if isinstance(term, ClassTerm):
            _check_class(term, network)
            continue
        layer = network.layer(term.layer)
        _check_channels(term, layer.channels, network.card.name)
        needs_places = not isinstance(term, LayerTerm) or term.border > 0 or term.region is not None
        if needs_places and layer.total_stride is None:
            raise RecipeError(f"layer {term.layer!r} of {network.card.name} has no places; name one before the pooling")


def _check_class(term: ClassTerm, network: Network) -> None:
    name = network.card.classifier
    if name is None:
        raise RecipeError(
            f"{network.card.name} has no classifier; use efficientnet_lite0, inception_v3_top or another with one, "
            "or name it when a network is imported (--classifier LAYER)"
        )
    count = network.layer(name).channels
    if term.index >= count:
        raise RecipeError(f"{network.card.name} has classes 0 to {count - 1}, the objective asks for {term.index}")


def _check_channels(term: LayerTerm | NeuronTerm | GuideTerm, count: int, network: str) -> None:
    match term:
        case LayerTerm(channels=ChannelPick(count=wanted)):
            if wanted > count:
                raise RecipeError(f"layer {term.layer!r} of {network} has {count} channels, {wanted} cannot be picked")
            return
        case LayerTerm(channels=tuple() as channels):
            largest = max(channels)
        case NeuronTerm(channel=channel):
            largest = channel
        case _:
            return
    if largest >= count:
        raise RecipeError(
            f"layer {term.layer!r} of {network} has channels 0 to {count - 1}, the objective asks for {largest}"
        )


def smallest_side(objective: Objective, network: Network) -> int:
    """Pixels; with a shorter side than this, some term would see nothing of the picture."""
    floor = network.card.smallest_side
    for term in objective:
        if isinstance(term, LayerTerm) and term.border:
            stride = network.layer(term.layer).total_stride or 1
            floor = max(floor, network.card.smallest_side + 2 * term.border * stride)
    return floor


def layers_needed(objective: Objective, network: Network) -> tuple[str, ...]:
    """The layers whose activations the objective reads, each once."""
    return tuple(dict.fromkeys(_layer(term, network) for term in objective))


def _layer(term: Term, network: Network) -> str:
    if isinstance(term, ClassTerm):
        assert network.card.classifier is not None  # check_objective saw to it
        return network.card.classifier
    return term.layer


def resolve(objective: Objective, network: Network, *, seed: int) -> Objective:
    """The objective with channels in place of random picks; what depends on the picture stays as it is.

    The channels are those with the smallest of as many raw PCG64 words as the layer has channels.
    """
    words = iter(_word_blocks(seed, [_channel_count(term, network) for term in objective]))
    resolved: list[Term] = []
    for term, block in zip(objective, words, strict=True):
        if isinstance(term, LayerTerm) and isinstance(term.channels, ChannelPick) and term.channels.pick is Pick.RANDOM:
            drawn = np.argsort(block, kind="stable")[: term.channels.count]
            resolved.append(replace(term, channels=tuple(sorted(int(index) for index in drawn))))
        else:
            resolved.append(term)
    return tuple(resolved)


def _channel_count(term: Term, network: Network) -> int:
    return network.layer(_layer(term, network)).channels


def _word_blocks(seed: int, counts: list[int]) -> list[NDArray[np.uint64]]:
    words = random_words(seed, CHANNEL_STREAM, sum(counts))
    return list(np.split(words, np.cumsum(counts)[:-1]))


def input_specs(objective: Objective, network: Network) -> dict[str, tf.TensorSpec]:
    """What the terms need beside the activations, by name."""
    plane = tf.TensorSpec([None, None, None, 1], tf.float32)
    specs: dict[str, tf.TensorSpec] = {}
    for index, term in enumerate(objective):
        channels = _channel_count(term, network)
        match term:
            case LayerTerm():
                if isinstance(term.channels, ChannelPick):
                    specs[f"{index}/channels"] = tf.TensorSpec([None, channels], tf.float32)
                if term.region is not None:
                    specs[f"{index}/region"] = plane
            case NeuronTerm():
                specs[f"{index}/place"] = plane
            case GuideTerm(match=Match.DOT):
                specs[f"{index}/guide"] = tf.TensorSpec([1, None, channels], tf.float32)
            case GuideTerm():
                specs[f"{index}/channels"] = tf.TensorSpec([None, channels], tf.float32)
    return specs


def picture_inputs(
    objective: Objective,
    network: Network,
    sources: NDArray[np.float32],
    pictures: Pictures,
    *,
    shown: Shown = ALL_SHOWN,
) -> dict[str, NDArray[np.float32]]:
    """The inputs that stay the same through all octaves.

    sources: float32 0 to 1, shape (batch, height, width, 3). pictures: must hold the guides, and masks of regions.
    shown: what of the sources regions are of; the rest mirrors it.

    Sources and guides are looked at with their longest side at `dream.features.LOOK_SIDE` pixels at most.

    Raises:
        RecipeError: a guide picture is not given.
    """
    inputs: dict[str, NDArray[np.float32]] = {}
    for index, term in enumerate(objective):
        if isinstance(term, LayerTerm) and isinstance(term.channels, ChannelPick):
            # One by one: the choice must not depend on the company, and memory is short for large layers.
            looks = (look_at(network, term.layer, source[None]) for source in sources)
            height, width = sources.shape[1:3]
            seen = shown_to_look(network, height, width, shown)
            inputs[f"{index}/channels"] = np.stack(
                [picked_channels(term, term.channels, look, pictures, shown=seen) for look in looks]
            )
        elif isinstance(term, GuideTerm):
            if term.picture not in pictures:
                raise RecipeError(f"the recipe has a guide picture {term.picture}, which was not given; give the file")
            look = look_at(network, term.layer, to_float(pictures[term.picture]))
            if term.match is Match.DOT:
                inputs[f"{index}/guide"] = guide_cells(look)
            else:
                inputs[f"{index}/channels"] = channel_shares(look)
    return inputs


def plane_inputs(
    objective: Objective, height: int, width: int, pictures: Pictures, *, shown: Shown = ALL_SHOWN
) -> dict[str, NDArray[np.float32]]:
    """The inputs that are planes, for an octave of this size in pixels: float32, shape (1, height, width, 1), mean 1.

    shown: what of the octave regions and places are of; the rest mirrors it.

    Raises:
        RecipeError: a mask picture is not given, or a region holds nothing of the picture.
    """
    planes: dict[str, NDArray[np.float32]] = {}
    for index, term in enumerate(objective):
        if isinstance(term, LayerTerm) and term.region is not None:
            plane = mask_plane(term.region, height, width, pictures, shown=shown)
            mean = float(plane.mean(dtype=np.float64))
            if mean == 0.0:
                raise RecipeError(
                    f"the region of layer {term.layer!r} holds nothing of an octave of {width} x {height} pixels; "
                    "make it larger, or a mask picture lighter, or leave out the small octaves"
                )
            planes[f"{index}/region"] = np.asarray(plane / mean, np.float32)[None]
        elif isinstance(term, NeuronTerm):
            plane = np.zeros((1, height, width, 1), np.float32)
            high, wide = shown_size(height, width, shown)
            row, column = min(int(term.row * high), high - 1), min(int(term.column * wide), wide - 1)
            plane[0, row, column] = height * width
            planes[f"{index}/place"] = plane
    return planes


def chosen_channels(objective: Objective, inputs: Mapping[str, NDArray[np.float32]]) -> dict[str, list[list[int]]]:
    """For each term that picks channels by the picture: the channels chosen, for each picture; for the record."""
    return {
        name: [[int(channel) for channel in np.flatnonzero(row)] for row in inputs[name]]
        for index, term in enumerate(objective)
        if isinstance(term, LayerTerm) and (name := f"{index}/channels") in inputs
    }


def objective_values(
    objective: Objective, activations: Mapping[str, Any], inputs: Inputs, classifier: str | None
) -> Any:
    """The objective of each picture, shape (batch,): the sum of its terms.

    activations: float32 by layer name, shape (batch, height, width, channels) or (batch, channels).
    inputs: as `input_specs` names them; planes already rolled like the pictures.
    classifier: the network's layer of class scores.

    Every term is a mean over its layer, so that large layers and pictures do not drown the small ones.
    """
    values = []
    for index, term in enumerate(objective):
        own = {name.partition("/")[2]: value for name, value in inputs.items() if name.startswith(f"{index}/")}
        match term:
            case LayerTerm():
                value = layer_values(term, activations[term.layer], own)
            case NeuronTerm():
                value = neuron_values(term, activations[term.layer], own)
            case ClassTerm():
                assert classifier is not None  # check_objective saw to it
                value = class_values(term, activations[classifier])
            case GuideTerm():
                value = guide_values(term, activations[term.layer], own)
        values.append(term.weight * value)
    return tf.add_n(values)
