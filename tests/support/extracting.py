"""A stand-in for the network that features are taken from: the colours of sixteen fields of a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class FieldsAlgorithm:
    name: str = "fields-v1"
    length: int = 48
    side: int = 32
    alike_cosine: float = 0.97
    similar_cosine: float = 0.5


@dataclass
class FieldsExtractor:
    """Mean colours of 4x4 fields against grey; `before` is told how many pictures are about to be looked at."""

    algorithm: FieldsAlgorithm = field(default_factory=FieldsAlgorithm)
    before: Callable[[int], None] = lambda _count: None
    seen: int = 0

    def vectors(self, pictures: np.ndarray) -> np.ndarray:
        self.before(len(pictures))
        self.seen += len(pictures)
        fields = pictures.reshape(-1, 4, 8, 4, 8, 3).mean(axis=(2, 4)).reshape(len(pictures), -1) - 127.5
        return (fields / np.linalg.norm(fields, axis=1, keepdims=True)).astype(np.float32)


def cosine_of(first: np.ndarray, second: np.ndarray) -> float:
    """The cosine of two vectors by its formula, in float64."""
    one, other = first.astype(np.float64), second.astype(np.float64)
    return float(one @ other / np.sqrt((one @ one) * (other @ other)))
