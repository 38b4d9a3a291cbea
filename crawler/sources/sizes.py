"""Which of the sizes that an API offers a picture in is asked for. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from crawler.filters import Filters

LARGEST_SIDE = 2048
"""Pixels on the longer side that are enough to dream on; a larger file only costs its host and us more bytes."""


@dataclass(frozen=True)
class Size:
    """One file of a picture.

    Attributes:
        url: Canonical address.
        width: In pixels, as announced; None when not known. Likewise `height`.
        label: As in `ImageItem.rendition`.
        usual_side: The longer side that files of this kind have, for one that announces nothing.
    """

    url: str
    width: int | None
    height: int | None
    label: str
    usual_side: int | None = None

    @property
    def longer_side(self) -> int | None:
        """In pixels; None when not known."""
        return max(self.width, self.height) if self.width and self.height else self.usual_side


@dataclass(frozen=True)
class LeastSize:
    """The least size that the filters let pass, as it travels in `ApiRequest.state`."""

    width: int = 0
    height: int = 0

    @classmethod
    def of(cls, filters: Filters) -> Self:
        """The least size of the filters."""
        return cls(filters.min_width, filters.min_height)

    @classmethod
    def from_state(cls, state: Mapping[str, object]) -> Self:
        """The one that was put there as `to_state()`."""
        width, height = state.get("min_width", 0), state.get("min_height", 0)
        return cls(width if isinstance(width, int) else 0, height if isinstance(height, int) else 0)

    def to_state(self) -> dict[str, object]:
        """JSON values."""
        return {"min_width": self.width, "min_height": self.height}

    def permits(self, size: Size) -> bool:
        """Whether a file is, or may be, at least so large."""
        if size.width and size.height:
            return size.width >= self.width and size.height >= self.height
        return size.longer_side is None or size.longer_side >= max(self.width, self.height)


def suitable(sizes: Iterable[Size], least: LeastSize) -> Size | None:
    """The file to ask for: the largest of at most `LARGEST_SIDE` that passes, else the smallest larger one that does.

    When none passes it is the largest, so that the filter can tell the user what there would have been. Files of
    unknown size count as larger than all others; of equals it is the first.
    """
    row: Sequence[Size] = sorted(sizes, key=lambda size: size.longer_side or float("inf"))
    passing = [size for size in row if least.permits(size)]
    small = [size for size in passing if size.longer_side is not None and size.longer_side <= LARGEST_SIDE]
    if small:
        return max(small, key=lambda size: size.longer_side or 0)
    return passing[0] if passing else (row[-1] if row else None)
