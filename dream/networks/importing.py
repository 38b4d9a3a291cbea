"""Importing a network: from a file of any common form to a folder of its own in the weights folder.

Stands on TensorFlow, which `dream.runtime.configure` must have settled before this module is imported.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from dream.errors import NetworkInvalid, RecipeError, WeightsUnavailable
from dream.networks.architectures import build_untrained, check_finite, load_keras_weights
from dream.networks.cards import CHANNEL_ORDERS, Form, NetworkCard, Number, network_card
from dream.networks.checkpoint_files import load_checkpoint
from dream.networks.geometry import smallest_side
from dream.networks.graph_body import graph_inventory, network_of_graph
from dream.networks.graph_files import find_input, read_graph
from dream.networks.graph_nodes import read_graph_nodes
from dream.networks.import_files import recognize, stage
from dream.networks.imported import (
    Imported,
    check_name,
    imported_names,
    importing,
    publish,
    read_imported,
    relative_file,
    staging_folder,
)
from dream.networks.inception_v3 import canonical_names
from dream.networks.inventory import LayerInfo, inventory
from dream.networks.keras_body import keras_network
from dream.networks.keras_files import load_keras_model
from dream.networks.network import Network
from dream.networks.nodes import read_model
from dream.networks.saved_models import freeze_saved_model
from dream.networks.weights import file_digest

# What Google's first published graphs want: 0-255 minus a mean of 117, red first.
GRAPH_SCALE = 255.0
GRAPH_OFFSET = -117.0

_NO_LICENSE = "NOASSERTION"  # SPDX, for: nothing is said about it
_NEED_AN_ARCHITECTURE = frozenset({Form.KERAS_WEIGHTS, Form.LEGACY_WEIGHTS, Form.CHECKPOINT})
_CALLED = {
    Form.KERAS: "Keras model",
    Form.H5: "Keras model (HDF5)",
    Form.KERAS_WEIGHTS: "Keras weights",
    Form.LEGACY_WEIGHTS: "Keras weights (legacy HDF5)",
    Form.CHECKPOINT: "TensorFlow checkpoint",
    Form.SAVED_MODEL: "SavedModel",
    Form.GRAPH: "frozen graph",
}
_VERBS = dict.fromkeys((Form.KERAS_WEIGHTS, Form.LEGACY_WEIGHTS), "holds")  # all others: `is a`


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What the person who imports a network says about it; None for what is to be found out, or has a default.

    Attributes:
        input_scale, input_offset: a pixel x in [0, 1] enters as x * scale + offset.
        channel_order: `RGB` or `BGR`.
        smallest_side: pixels.
        license: SPDX identifier.
        source: where the network comes from.
        classifier: the layer of class scores.
        input_tensor: where the pictures go in, for a frozen graph.
        architecture: name of the card whose layers the weights are for.
    """

    input_scale: Number | None = None
    input_offset: Number | None = None
    channel_order: str | None = None
    smallest_side: int | None = None
    license: str | None = None
    source: str | None = None
    classifier: str | None = None
    input_tensor: str | None = None
    architecture: str | None = None

    def __post_init__(self) -> None:
        for name in ("input_scale", "input_offset"):
            value = getattr(self, name)
            parts = value if isinstance(value, tuple) else (value,)
            if value is not None and (len(parts) not in {1, 3} or not all(math.isfinite(part) for part in parts)):
                raise RecipeError(f"{name} must be a number, or three, got {value!r}")
        if self.channel_order is not None and self.channel_order not in CHANNEL_ORDERS:
            raise RecipeError(f"channel_order must be one of {', '.join(CHANNEL_ORDERS)}, got {self.channel_order!r}")
        if self.smallest_side is not None and self.smallest_side < 1:
            raise RecipeError(f"smallest_side must be 1 or more pixels, got {self.smallest_side}")


def import_network(
    name: str, path: Path, options: ImportOptions | None = None, *, weights_folder: Path
) -> tuple[NetworkCard, bool]:
    """Imports the network in a file, a SavedModel's folder, or a checkpoint, under a new name.

    What it is, is told from its content. It is copied, checked, built once and computed on a picture before it gets
    its name. The same again is no work; the second value says whether there was any.

    Raises:
        RecipeError: the name cannot be had, or the options do not go with the file.
        UnknownName: the options name a layer, tensor or architecture that there is not.
        WeightsUnavailable: the file cannot be read or kept.
        NetworkInvalid: it holds no network that can be dreamed on, or something that no network has a use for.
    """
    options = options or ImportOptions()
    check_name(name)
    form = recognize(path)
    _check_options(options, form, path)
    with importing(name, weights_folder) as folder:
        _check_case(name, weights_folder)
        try:
            staging = staging_folder(folder)
        except OSError as error:
            raise WeightsUnavailable(f"{folder.parent} cannot be written: {error.strerror}") from error
        try:
            copied, digest = stage(path, form, staging / "source")
            if folder.exists():
                return _already(name, digest, options, weights_folder), False
            card = _card(name, path, form, options)
            kept, network = _build(card, copied, staging, path.name)
            _try(network)
            shutil.rmtree(staging / "source")
            card = replace(network.card, weights_sha256=file_digest(kept), weights_file=relative_file(name, kept.name))
            publish(staging, folder, Imported(card, digest, _as_json(options)))
            return card, True
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _check_options(options: ImportOptions, form: Form, path: Path) -> None:
    called = f"{path.name} {_VERBS.get(form, 'is a')} {_CALLED[form]}"
    if form in _NEED_AN_ARCHITECTURE:
        if options.architecture is None:
            raise RecipeError(f"{called}: weights without layers; say whose: --architecture inception_v3, or another")
        network_card(options.architecture)
    elif options.architecture is not None:
        raise RecipeError(f"{called}, which brings its own layers; leave out --architecture")
    if options.input_tensor is not None and form is not Form.GRAPH:
        raise RecipeError(f"{called}, which says itself where pictures go in; leave out --input")
    needs_range = form in {Form.KERAS, Form.H5, Form.SAVED_MODEL}
    if needs_range and (options.input_scale is None or options.input_offset is None):
        raise RecipeError(
            f"{called}, which does not say what numbers it wants; give --input-scale and --input-offset: "
            "2 and -1 for -1 to 1, 1 and 0 for 0 to 1, 255 and 0 for 0 to 255"
        )


def _check_case(name: str, weights_folder: Path) -> None:
    """Two names that differ in their case only would be one folder on some systems."""
    for other in imported_names(weights_folder):
        if other.casefold() == name.casefold() and other != name:
            raise RecipeError(f"a network called {other!r} is there already; choose another name")


def _already(name: str, digest: str, options: ImportOptions, weights_folder: Path) -> NetworkCard:
    """The card of the same network imported before.

    Raises:
        RecipeError: another one has this name.
    """
    there = read_imported(name, weights_folder)
    if there.source_sha256 != digest or dict(there.options) != _as_json(options):
        what = "another file" if there.source_sha256 != digest else "the same file with other options"
        raise RecipeError(
            f"{name} is there already, imported from {what}; run first: dreamcrawl networks remove {name}, "
            "or choose another name"
        )
    return there.card


def _card(name: str, path: Path, form: Form, options: ImportOptions) -> NetworkCard:
    """What is known before the file is opened; side, input and digest come after."""
    base = network_card(options.architecture) if options.architecture is not None else None
    scale: Number = GRAPH_SCALE
    offset: Number = GRAPH_OFFSET
    order = "RGB"
    if base is not None:
        scale, offset, order = base.input_scale, base.input_offset, base.channel_order
    about = f"{_CALLED[form]}" + (f" for {base.name}" if base is not None else "")
    return NetworkCard(
        name=name,
        description=f"Imported {about}.",
        source=options.source or f"imported from {path.name}",
        license=options.license or _NO_LICENSE,
        weights_file="",
        input_scale=scale if options.input_scale is None else options.input_scale,
        input_offset=offset if options.input_offset is None else options.input_offset,
        channel_order=options.channel_order or order,
        smallest_side=options.smallest_side or (base.smallest_side if base is not None else 1),
        classifier=options.classifier or (base.classifier if base is not None else None),
        form=form,
        architecture=options.architecture,
        input_tensor=options.input_tensor,
        imported=True,
    )


def _build(card: NetworkCard, copied: Path, staging: Path, what: str) -> tuple[Path, Network]:
    """The file that is to be kept, in the staging folder, and the network with what was found in it on its card."""
    match card.form:
        case Form.GRAPH | Form.SAVED_MODEL:
            return _build_graph(card, copied, staging, what)
        case Form.KERAS | Form.H5:
            model = load_keras_model(copied, what)
            least = smallest_side(read_model(model, {}))
            card = _with_side(card, least, tuple(inventory(model, {})))
            names: Mapping[str, str] = {}
        case _:
            assert card.architecture is not None  # _check_options saw to it
            model = build_untrained(card.architecture)
            names = canonical_names(model)
            if card.form is Form.CHECKPOINT:
                load_checkpoint(model, names, copied, card.architecture)
                copied = copied.with_name("model.weights.h5")
                model.save_weights(str(copied))
            else:
                load_keras_weights(model, copied, card.architecture, what)
    check_finite(model)
    return copied.rename(staging / copied.name), keras_network(card, model, names)


def _build_graph(card: NetworkCard, copied: Path, staging: Path, what: str) -> tuple[Path, Network]:
    kept, wanted = staging / "graph.pb", card.input_tensor
    if card.form is Form.SAVED_MODEL:
        data, wanted = freeze_saved_model(copied, what)
        kept.write_bytes(data)
    else:
        copied.rename(kept)
    graph = read_graph(kept.read_bytes(), what)
    tensor = find_input(graph, wanted)
    nodes = read_graph_nodes(graph, tensor)
    least = smallest_side([each.node for each in nodes])
    card = _with_side(replace(card, input_tensor=tensor), least, tuple(graph_inventory(nodes, least)))
    return kept, network_of_graph(card, nodes)


def _with_side(card: NetworkCard, least: int, layers: Sequence[LayerInfo]) -> NetworkCard:
    """The card with the smallest side that makes sense: one at which the deepest layer has a cell of the picture."""
    if card.smallest_side > 1:
        if card.smallest_side < least:
            raise RecipeError(
                f"below {least} pixels nothing is left for the last convolution; --smallest-side cannot be "
                f"{card.smallest_side}"
            )
        return card
    strides = [layer.total_stride for layer in layers if layer.total_stride is not None]
    return replace(card, smallest_side=max([least, *strides]))


def _try(network: Network) -> None:
    """Computes all convolutions and the last layer, which needs most others, on pictures of two sizes."""
    card, layers = network.card, network.layers
    wanted = {layer.name: layer for layer in layers if layer.is_convolution or layer is layers[-1]}
    if card.classifier is not None:
        wanted[card.classifier] = network.layer(card.classifier)
        if wanted[card.classifier].total_stride is not None:
            raise RecipeError(f"--classifier {card.classifier} is a map over the picture, not a list of class scores")
    height, width = card.smallest_side, 2 * card.smallest_side + 3
    try:
        found = network.activations(wanted)(tf.fill([1, height, width, 3], 0.25))
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        raise NetworkInvalid(f"the network fits pictures of some sizes only, not one of {width} by {height}") from error
    for name, layer in wanted.items():
        if found[name].shape[-1] != layer.channels or 0 in found[name].shape:
            raise NetworkInvalid(
                f"layer {name!r} gives {tuple(found[name].shape)} for a picture of {width} by {height}"
            )


def _as_json(options: ImportOptions) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(options).items()}
