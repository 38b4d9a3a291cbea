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
from dream.networks.network import Network
from dream.pixels import resize, to_float
from dream.recipes import Resampling
from dream.regions import Pictures, mask_plane
from dream.streams import CHANNEL_STREAM, random_words
from dream.terms import ChannelPick, ClassTerm, GuideTerm, LayerTerm, Match, Measure, NeuronTerm, Pick, Reduction, Term

Objective = tuple[Term, ...]
Inputs = Mapping[str, Any]

# Which channels are strong in a picture, and what a guide shows, is plain at this size already.
_LOOK_SIDE = 384
_MOST_GUIDE_CELLS = 1024


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
            f"{network.card.name} has no classifier; use efficientnet_lite0, inception_v3_top or another with one"
        )
    if term.index >= network.layer(name).channels:
        raise RecipeError(f"{network.card.name} knows {network.layer(name).channels} classes, not {term.index}")


def _check_channels(term: LayerTerm | NeuronTerm | GuideTerm, count: int, network: str) -> None:
    if isinstance(term, NeuronTerm):
        largest = term.channel
    elif isinstance(term, LayerTerm) and isinstance(term.channels, tuple):
        largest = max(term.channels)
    elif isinstance(term, LayerTerm) and isinstance(term.channels, ChannelPick):
        largest = term.channels.count - 1
    else:
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
                specs[f"{index}/guide"] = tf.TensorSpec([None, None, channels], tf.float32)
            case GuideTerm():
                specs[f"{index}/channels"] = tf.TensorSpec([None, channels], tf.float32)
    return specs


def picture_inputs(
    objective: Objective, network: Network, sources: NDArray[np.float32], pictures: Pictures
) -> dict[str, NDArray[np.float32]]:
    """The inputs that stay the same through all octaves.

    sources: float32 0 to 1, shape (batch, height, width, 3). pictures: must hold the guides.

    Raises:
        RecipeError: a guide picture is not given.
    """
    inputs: dict[str, NDArray[np.float32]] = {}
    for index, term in enumerate(objective):
        if isinstance(term, LayerTerm) and isinstance(term.channels, ChannelPick):
            rows = [_ranked(term, term.channels, _seen(network, term.layer, source[None])) for source in sources]
            inputs[f"{index}/channels"] = np.stack(rows)
        elif isinstance(term, GuideTerm):
            if term.picture not in pictures:
                raise RecipeError(f"the recipe has a guide picture {term.picture}, which was not given; give the file")
            seen = _seen(network, term.layer, to_float(pictures[term.picture]))
            name = "guide" if term.match is Match.DOT else "channels"
            inputs[f"{index}/{name}"] = _guide_cells(seen) if term.match is Match.DOT else _guide_channels(seen)
    return inputs


def plane_inputs(objective: Objective, height: int, width: int, pictures: Pictures) -> dict[str, NDArray[np.float32]]:
    """The inputs that are planes, for an octave of this size in pixels: shape (1, height, width, 1).

    Raises:
        RecipeError: a mask picture is not given.
    """
    planes: dict[str, NDArray[np.float32]] = {}
    for index, term in enumerate(objective):
        if isinstance(term, LayerTerm) and term.region is not None:
            planes[f"{index}/region"] = mask_plane(term.region, height, width, pictures)[None]
        elif isinstance(term, NeuronTerm):
            plane = np.zeros((1, height, width, 1), np.float32)
            plane[0, min(int(term.row * height), height - 1), min(int(term.column * width), width - 1)] = 1.0
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
                value = _layer_values(term, activations[term.layer], own)
            case NeuronTerm():
                value = _neuron_values(term, activations[term.layer], own["place"])
            case ClassTerm():
                assert classifier is not None  # check_objective saw to it
                value = _class_values(term, activations[classifier])
            case GuideTerm():
                value = _guide_values(term, activations[term.layer], own)
        values.append(term.weight * value)
    return tf.add_n(values)


def _layer_values(term: LayerTerm, activation: Any, own: Inputs) -> Any:
    if term.border:
        activation = activation[:, term.border : -term.border, term.border : -term.border]
    if term.reduction is Reduction.MEAN_SQUARE:
        activation = tf.square(activation)
    places = list(range(1, activation.shape.rank - 1))
    if term.region is not None:
        weights = _on_map(own["region"], activation, term.border)
        by_channel = tf.math.divide_no_nan(tf.reduce_sum(activation * weights, places), tf.reduce_sum(weights, places))
    elif term.channels is None:
        return tf.reduce_mean(activation, axis=list(range(1, activation.shape.rank)))
    else:
        by_channel = tf.reduce_mean(activation, axis=places) if places else activation
    if isinstance(term.channels, tuple):
        # By weights and not tf.gather, whose gradient is a scatter.
        chosen = np.zeros(activation.shape[-1], np.float32)
        chosen[list(term.channels)] = 1.0 / len(term.channels)
        return tf.reduce_sum(by_channel * tf.constant(chosen), axis=-1)
    if term.channels is not None:
        return tf.reduce_sum(by_channel * own["channels"], axis=-1)
    return tf.reduce_mean(by_channel, axis=-1)


def _on_map(plane: Any, activation: Any, border: int) -> Any:
    """A plane of the picture's size, each cell of the layer's map the mean of what it covers."""
    size = tf.shape(activation)[1:3] + 2 * border
    weights = tf.stop_gradient(tf.image.resize(plane, size, method="area"))
    return weights[:, border:-border, border:-border] if border else weights


def _neuron_values(term: NeuronTerm, activation: Any, place: Any) -> Any:
    """The channel at the cell where the one marked pixel of the plane has been rolled to."""
    size, cells = tf.shape(place)[1:3], tf.shape(activation)[1:3]
    at = tf.argmax(tf.reshape(place[0], [-1]), output_type=tf.int32)
    row, column = at // size[1] * cells[0] // size[0], at % size[1] * cells[1] // size[1]
    spot = tf.one_hot(row, cells[0])[:, None] * tf.one_hot(column, cells[1])[None, :]
    # A tile in which the pixel does not lie has nothing to climb.
    spot *= tf.reduce_max(place)
    channel = activation[..., term.channel]
    return tf.reduce_sum(channel * spot, axis=[1, 2])


def _class_values(term: ClassTerm, scores: Any) -> Any:
    values = tf.nn.softmax(scores) if term.measure is Measure.PROBABILITY else scores
    return values[:, term.index]


def _guide_values(term: GuideTerm, activation: Any, own: Inputs) -> Any:
    if term.match is Match.CHANNELS:
        return tf.reduce_sum(tf.reduce_mean(activation, axis=[1, 2]) * own["channels"], axis=-1)
    shape = tf.shape(activation)
    cells = tf.reshape(activation, [shape[0], shape[1] * shape[2], activation.shape[-1]])
    likeness = tf.linalg.matmul(cells, own["guide"], transpose_b=True)
    return tf.reduce_mean(tf.reduce_max(likeness, axis=-1), axis=-1)


def _seen(network: Network, layer: str, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """The activation of a layer on one picture, made smaller if need be: shape (height, width, channels)."""
    height, width = images.shape[1:3]
    factor = min(1.0, _LOOK_SIDE / max(height, width))
    floor = network.card.smallest_side
    size = max(floor, round(height * factor)), max(floor, round(width * factor))
    seen: NDArray[np.float32] = _activation(network, layer)(resize(images, size, Resampling.BILINEAR)).numpy()[0]
    return seen[None, None] if seen.ndim == 1 else seen


def _activation(network: Network, layer: str) -> Any:
    function = network.activations([layer])
    signature = [tf.TensorSpec([1, None, None, 3], tf.float32)]
    return tf.function(lambda images: function(images)[layer], input_signature=signature, autograph=False)


def _ranked(term: LayerTerm, pick: ChannelPick, seen: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights of the channels, shape (channels,): those picked share 1, the rest have 0; of equals, the first."""
    means = np.mean(np.square(seen) if term.reduction is Reduction.MEAN_SQUARE else seen, axis=(0, 1), dtype=np.float64)
    order = np.argsort(means if pick.pick is Pick.WEAKEST else -means, kind="stable")
    weights = np.zeros(means.shape, np.float32)
    weights[order[: pick.count]] = 1.0 / pick.count
    return weights


def _guide_cells(seen: NDArray[np.float32]) -> NDArray[np.float32]:
    """The guide's features place by place, shape (1, places, channels), with a mean square of 1 / channels.

    So that the likeness of equal features is about 1, whatever the layer. At most `_MOST_GUIDE_CELLS` places:
    beyond, neighbours are averaged.
    """
    while seen.shape[0] * seen.shape[1] > _MOST_GUIDE_CELLS:
        even = seen[: seen.shape[0] // 2 * 2, : seen.shape[1] // 2 * 2]
        pairs = even[0::2] + even[1::2]
        seen = np.asarray((pairs[:, 0::2] + pairs[:, 1::2]) / 4, np.float32)
    cells = seen.reshape(1, -1, seen.shape[-1])
    spread = float(np.sqrt(np.mean(np.square(cells, dtype=np.float64)) * cells.shape[-1])) or 1.0
    normalized: NDArray[np.float32] = (cells / spread).astype(np.float32)
    return normalized


def _guide_channels(seen: NDArray[np.float32]) -> NDArray[np.float32]:
    """How strong each channel is in the guide, shape (1, channels): sums over all places over their L1 norm."""
    sums = seen.sum(axis=(0, 1), dtype=np.float64)
    norm = float(np.abs(sums).sum()) or 1.0
    weights: NDArray[np.float32] = (sums / norm).astype(np.float32)[None]
    return weights
