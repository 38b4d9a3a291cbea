"""Feature vectors as the catalog keeps them: float16, little-endian, two bytes a component."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]
"""Shape (count, length); each row of length 1, or 0 where there is nothing to tell."""

_STORED = np.dtype("<f2")


class FeatureAlgorithm(Protocol):
    """What makes a picture's vector; whatever changes the vectors takes a new name."""

    @property
    def name(self) -> str:
        """At most 32 characters; the catalog keeps it with each vector."""
        ...

    @property
    def length(self) -> int:
        """Components of a vector."""
        ...

    @property
    def side(self) -> int:
        """Pixels: the width and height that every picture is squeezed to."""
        ...

    @property
    def alike_cosine(self) -> float:
        """From here on two pictures are listed for a person to look at."""
        ...

    @property
    def similar_cosine(self) -> float:
        """Below this two pictures have nothing in common that is worth showing."""
        ...


def pack(vectors: Vectors) -> list[bytes]:
    """Each row as it is kept."""
    return [row.tobytes() for row in vectors.astype(_STORED)]


def unpack(packed: bytes, length: int) -> Vectors:
    """Vectors that were packed one after the other, in float32, their length made 1 again after the rounding.

    Raises:
        ValueError: These are not whole vectors of that many components.
    """
    return made_unit(rounded(packed, length))


def rounded(packed: bytes, length: int) -> Vectors:
    """The very numbers that are kept; the length of each vector is that of before the rounding, but for 1 in 2,000.

    Raises:
        ValueError: These are not whole vectors of that many components.
    """
    if len(packed) % (length * _STORED.itemsize):
        raise ValueError(f"{len(packed)} bytes are not vectors of {length} components")
    return np.frombuffer(packed, _STORED).reshape(-1, length).astype(np.float32)


def made_unit(rows: Vectors) -> Vectors:
    """Each row made 1 long; a row of zeros stays."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    lengths[lengths == 0.0] = 1.0
    return np.asarray(rows / lengths[:, None].astype(np.float32), np.float32)


def as_kept(vectors: Vectors) -> Vectors:
    """Vectors as they come back from the catalog: the same picture asked about has the same vector then."""
    return unpack(b"".join(pack(vectors)), vectors.shape[1])
