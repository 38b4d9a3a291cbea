"""Regions: a part of a picture, in fractions of its sides or as a picture of its own. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.checks import all_there, known_kind, mapping, number, only_known, picture_digest
from dream.errors import RecipeError

Pictures = Mapping[str, NDArray[np.uint8]]
"""uint8 RGB pictures, shape (height, width, 3), by their pixel SHA-256."""

Shown = tuple[float, float]
"""The parts of a height and a width that are the picture; the rest mirrors it, as small ones are mirrored out."""

ALL_SHOWN: Shown = (1.0, 1.0)

# Luma of ITU-R BT.601, on the gamma-coded values that pictures hold.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle; each edge as a fraction of the picture's height or width, from the top left."""

    top: float = 0.0
    left: float = 0.0
    bottom: float = 1.0
    right: float = 1.0

    def __post_init__(self) -> None:
        for name in ("top", "left", "bottom", "right"):
            number(self, name, where="box.", least=0.0, most=1.0)
        if self.top >= self.bottom or self.left >= self.right:
            raise RecipeError("a box needs top below bottom and left below right, both from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class Ellipse:
    """An ellipse round a centre, fractions of the picture's sides; `feather` of its radius fades out."""

    row: float = 0.5
    column: float = 0.5
    height: float = 0.8
    width: float = 0.8
    feather: float = 0.2

    def __post_init__(self) -> None:
        for name in ("row", "column", "feather"):
            number(self, name, where="ellipse.", least=0.0, most=1.0)
        for name in ("height", "width"):
            number(self, name, where="ellipse.", above=0.0, most=2.0)


@dataclass(frozen=True, kw_only=True)
class MaskPicture:
    """The light parts of a picture, stretched over the one that is dreamt on; `picture` is its pixel SHA-256."""

    picture: str

    def __post_init__(self) -> None:
        picture_digest("mask.picture", self.picture)


Region = Box | Ellipse | MaskPicture

REGIONS: Mapping[str, type[Box | Ellipse | MaskPicture]] = {"box": Box, "ellipse": Ellipse, "picture": MaskPicture}


def region_from_json(data: object, *, what: str) -> Region:
    """The region that an object with a `kind` describes.

    Raises:
        RecipeError: a field is missing, unknown or has a value it cannot have.
    """
    values = dict(mapping(what, data))
    all_there(what, values, ("kind",))
    kind = known_kind("region", values.pop("kind"), REGIONS)
    cls = REGIONS[kind]
    only_known(f"field of a region of kind {kind}", values, cls)
    if cls is MaskPicture:
        all_there(what, values, ("picture",))
    return cls(**values)


def region_kind(region: Region) -> str:
    """The name under which the region's kind is written."""
    return next(kind for kind, cls in REGIONS.items() if isinstance(region, cls))


def mask_plane(
    region: Region, height: int, width: int, pictures: Pictures, *, shown: Shown = ALL_SHOWN
) -> NDArray[np.float32]:
    """How far each pixel belongs to the region: float32 0 to 1, shape (height, width, 1).

    pictures: must hold the picture of a `MaskPicture`.
    shown: what of the plane the region is of; it is mirrored downwards and to the right as the picture was.

    Raises:
        RecipeError: that picture is not given.
    """
    high, wide = shown_size(height, width, shown)
    plane = _plane(region, high, wide, pictures)
    return np.pad(plane, [(0, height - high), (0, width - wide), (0, 0)], mode="symmetric")


def shown_size(height: int, width: int, shown: Shown) -> tuple[int, int]:
    """Height and width, in pixels, of what is the picture itself; at least one each."""
    return max(1, round(height * shown[0])), max(1, round(width * shown[1]))


def _plane(region: Region, height: int, width: int, pictures: Pictures) -> NDArray[np.float32]:
    match region:
        case Box():
            return _box(region, height, width)
        case Ellipse():
            return _ellipse(region, height, width)
        case MaskPicture(picture=digest):
            if digest not in pictures:
                raise RecipeError(f"the recipe has a mask picture {digest}, which was not given; give the file")
            plane = np.asarray(pictures[digest] @ _LUMA / 255, np.float32)
            light: NDArray[np.float32] = np.clip(stretch(plane, height, width), 0.0, 1.0)[..., None]
            return light


def _box(box: Box, height: int, width: int) -> NDArray[np.float32]:
    """The part of each pixel's area that lies in the box."""
    rows = _overlap(box.top * height, box.bottom * height, height)
    columns = _overlap(box.left * width, box.right * width, width)
    plane: NDArray[np.float32] = np.outer(rows, columns).astype(np.float32)[..., None]
    return plane


def _overlap(start: float, end: float, count: int) -> NDArray[Any]:
    edges = np.arange(count + 1, dtype=np.float64)
    inside: NDArray[Any] = np.clip(np.minimum(edges[1:], end) - np.maximum(edges[:-1], start), 0.0, 1.0)
    return inside


def _ellipse(ellipse: Ellipse, height: int, width: int) -> NDArray[np.float32]:
    rows = ((np.arange(height) + 0.5) / height - ellipse.row) / (ellipse.height / 2)
    columns = ((np.arange(width) + 0.5) / width - ellipse.column) / (ellipse.width / 2)
    radius = np.hypot(rows[:, None], columns[None, :])
    # Without a feather, the edge is as soft as two pixels, so that it leaves no stairs.
    soft = max(ellipse.feather, 2.0 / max(2, min(height, width)))
    plane: NDArray[np.float32] = np.clip((1.0 - radius) / soft, 0.0, 1.0).astype(np.float32)[..., None]
    return plane


def stretch(plane: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """A plane (rows, columns) at another size; each new pixel the mean of the area it covers."""
    stretched: NDArray[np.float32] = (
        _area_weights(plane.shape[0], height) @ plane @ _area_weights(plane.shape[1], width).T
    ).astype(np.float32)
    return stretched


def _area_weights(count: int, new: int) -> NDArray[np.float32]:
    """Row i: how much of each old pixel lies in the i-th new one; rows sum to one."""
    edges = np.linspace(0.0, count, new + 1)
    old = np.arange(count, dtype=np.float64)
    inside = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    weights = np.clip(inside, 0.0, None)
    rows: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return rows
