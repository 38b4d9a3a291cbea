"""Profiles: how exactly a dream is computed. `exact` gives the same bytes again, `fast` the same dream up to rounding.

No TensorFlow at import: the profile of a run is chosen and recorded before anything heavy loads.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Profile(StrEnum):
    """What a user asks for."""

    EXACT = "exact"
    FAST = "fast"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to run the compiled ascent.

    Attributes:
        dtype: of the convolutions; picture, gradient and normalization are float32 in all.
        batch: pictures of one size that climb together.
        jit: whether XLA compiles the loop, anew for every size.
    """

    dtype: str = "float32"
    batch: int = 1
    jit: bool = False

    def __str__(self) -> str:
        return f"{self.dtype}, {self.batch} at once{', XLA' if self.jit else ''}"


EXACT = Variant()
"""float32, no XLA, and one picture at a time: the bits of a convolution may depend on how many pictures share it."""
