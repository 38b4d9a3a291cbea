"""What a layer shows of one picture, and what a term takes from it: features of a guide, or its strongest channels."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dream.networks.network import Network
from dream.pixels import pad_to, resize
from dream.recipes import Resampling
from dream.regions import ALL_SHOWN, Pictures, Shown, mask_plane, stretch
from dream.terms import ChannelPick, LayerTerm, Pick, Reduction

LOOK_SIDE = 384
"""Pixels; which channels are strong in a picture, and what a guide shows, is plain at this size already."""

# Every place of a picture is compared with every place of the guide.
_MOST_GUIDE_CELLS = 1024


def look_at(network: Network, layer: str, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The activation of a layer on one picture, made smaller if need be: shape (height, width, channels).

    image: float32 0 to 1, shape (1, height, width, 3).
    """
    size = _look_size(*image.shape[1:3])
    picture = pad_to(np.asarray(resize(image, size, Resampling.BILINEAR)), network.card.smallest_side)
    activation: NDArray[np.float32] = _looker(network, layer)(picture).numpy()[0]
    return activation[None, None] if activation.ndim == 1 else activation


def shown_to_look(network: Network, height: int, width: int, shown: Shown) -> Shown:
    """What of the picture that `look_at` sees is the source, where a long thin one is mirrored out once more."""
    parts = [
        part * side / max(side, network.card.smallest_side)
        for part, side in zip(shown, _look_size(height, width), strict=True)
    ]
    return parts[0], parts[1]


def _look_size(height: int, width: int) -> tuple[int, int]:
    factor = min(1.0, LOOK_SIDE / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


@lru_cache(maxsize=16)
def _looker(network: Network, layer: str) -> Any:
    activations = network.activations([layer])
    signature = [tf.TensorSpec([1, None, None, 3], tf.float32)]
    return tf.function(lambda image: activations(image)[layer], input_signature=signature, autograph=False)


def picked_channels(
    term: LayerTerm,
    pick: ChannelPick,
    look: NDArray[np.float32],
    pictures: Pictures,
    *,
    shown: Shown = ALL_SHOWN,
) -> NDArray[np.float32]:
    """Weights of the channels, shape (channels,): those picked share 1, the rest have 0.

    They are ranked by what the term would give for each alone, on its region and without its border; of equals, the
    first counts as larger.
    """
    values = np.square(look) if term.reduction is Reduction.MEAN_SQUARE else look
    height, width = look.shape[:2]
    rows, columns = min(term.border, (height - 1) // 2), min(term.border, (width - 1) // 2)
    inner = np.zeros((height, width))
    inner[rows : height - rows, columns : width - columns] = 1.0
    if term.region is not None:
        inner *= mask_plane(term.region, height, width, pictures, shown=shown)[..., 0]
    means = np.tensordot(inner, values.astype(np.float64), 2) / max(inner.sum(), 1e-12)
    order = np.argsort(means if pick.pick is Pick.WEAKEST else -means, kind="stable")
    weights = np.zeros(means.shape, np.float32)
    weights[order[: pick.count]] = 1.0 / pick.count
    return weights


def guide_cells(look: NDArray[np.float32]) -> NDArray[np.float32]:
    """The guide's features place by place, y / sqrt(mean over the places of |y|^2), shape (1, places, channels).

    So one guide is worth as much as another, while within a guide the strong places stay the strong ones. Of more
    than `_MOST_GUIDE_CELLS` places, neighbours are averaged.
    """
    height, width = look.shape[:2]
    shrink = math.sqrt(max(1.0, height * width / _MOST_GUIDE_CELLS))
    if shrink > 1.0:
        new = max(1, int(height / shrink)), max(1, int(width / shrink))
        look = np.stack([stretch(look[..., channel], *new) for channel in range(look.shape[-1])], axis=-1)
    cells = look.reshape(1, -1, look.shape[-1]).astype(np.float64)
    spread = float(np.sqrt(np.mean(np.sum(np.square(cells), axis=-1)))) or 1.0
    return np.asarray(cells / spread, np.float32)


def channel_shares(look: NDArray[np.float32]) -> NDArray[np.float32]:
    """How strong each channel is in the guide, shape (1, channels): its mean, over the L1 norm of all the means.

    Source: crowsonkb's deep_dream.
    """
    means = look.mean(axis=(0, 1), dtype=np.float64)
    norm = float(np.abs(means).sum()) or 1.0
    return np.asarray(means / norm, np.float32)[None]
