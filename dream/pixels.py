"""Between uint8 pictures and the float32 pictures the ascent works on: values 0 to 1, shape (1, height, width, 3)."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dream.errors import ImageUnusable
from dream.recipes import Resampling


def check_image(image: object) -> NDArray[np.uint8]:
    """The same array, seen to be uint8 of shape (height, width, 3) with at least one pixel.

    Raises:
        ImageUnusable: it is something else.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        got = getattr(image, "dtype", type(image).__name__)
        raise ImageUnusable(f"a picture must be an array of uint8, got {got}; decode it to RGB first")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ImageUnusable(f"a picture must have shape (height, width, 3), got {image.shape}; decode it to RGB first")
    return image


def pixel_digest(image: NDArray[np.uint8]) -> str:
    """SHA-256 over `rgb8:{width}x{height}:` and the RGB bytes row by row, lower-case hex: what names a picture."""
    height, width = image.shape[:2]
    digest = hashlib.sha256(f"rgb8:{width}x{height}:".encode())
    digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()


def to_float(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 0 to 255 as float32 0 to 1; a copy, with a batch axis in front."""
    return image[None].astype(np.float32) / np.float32(255)


def to_uint8(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Float 0 to 1, shape (1, height, width, 3), as uint8 without the batch axis; clipped, rounded half to even.

    Rounding, and only here: to cut off the fraction, as `astype` does, darkens every picture by half a level.
    """
    rounded: NDArray[np.uint8] = np.rint(np.clip(image[0], 0.0, 1.0) * np.float32(255)).astype(np.uint8)
    return rounded


def resize(images: Any, size: tuple[int, int], resampling: Resampling) -> Any:
    """Images (batch, height, width, 3) at another (height, width), antialiased; the very same if they have it already.

    Without antialiasing, making a picture smaller folds its fine detail into false patterns, on which the network
    then dreams.
    """
    if tuple(images.shape[1:3]) == size:
        return images
    return tf.image.resize(images, size, method=resampling.value, antialias=True)


def pad_to(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """The picture mirrored downwards and to the right until each side has at least `side` pixels."""
    missing = [max(0, side - length) for length in image.shape[1:3]]
    if not any(missing):
        return image
    return np.pad(image, [(0, 0), (0, missing[0]), (0, missing[1]), (0, 0)], mode="symmetric")
