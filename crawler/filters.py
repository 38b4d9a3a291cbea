"""What a picture must be like, beyond its keywords: asked of the source, of its answer, of the first bytes. No I/O.

A filter that nothing is known about lets a picture pass; the next place that knows more asks again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from crawler.items import ImageItem
from crawler.troubles import Trouble
from pipeline.errors import Reason
from pipeline.license_choices import ADAPTABLE, ANY, choice_in_words, is_chosen
from pipeline.licenses import UNKNOWN, license_on_record
from pipeline.records import Outcome

Orientation = Literal["landscape", "portrait", "square"]

SQUARE_TOLERANCE = 0.05
"""A picture whose sides differ by no more than this part counts as square."""

FORMATS: Mapping[str, str] = {
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/pjpeg": "jpeg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
}
"""Media type -> the format's name in `Filters.formats`."""


@dataclass(frozen=True)
class Filters:
    """What to leave out.

    Attributes:
        license: As `pipeline.license_choices.license_choice` gives it: `adaptable` (the licence permits adaptations,
            which a dream is), another group, a kind such as `CC-BY`, or one SPDX id such as `CC0-1.0`.
        license_required: Whether a picture without a readable licence is left out too. Sources with a licence for every
            picture require it anyhow.
        min_width: Least width in pixels; 0 for any. Likewise `min_height`.
        max_pixels: Most pixels; 0 for any.
        min_aspect: Least width / height; 0 for any. `max_aspect`: most.
        orientation: Only landscape, portrait or square pictures; None for all.
        formats: Of `jpeg`, `png`, `webp`, `gif`; empty for all that can be kept.
        since: Earliest date made or published, ISO 8601; `until`: latest, inclusive. A picture without a date passes.
        mature: Whether pictures that their source marks as unfit for everybody are taken.
    """

    license: str = ADAPTABLE
    license_required: bool = False
    min_width: int = 0
    min_height: int = 0
    max_pixels: int = 0
    min_aspect: float = 0.0
    max_aspect: float = 0.0
    orientation: Orientation | None = None
    formats: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    mature: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The filters that `dataclasses.asdict` gave."""
        return cls(**{**data, "formats": tuple(data["formats"])})

    def requiring_license(self) -> Filters:
        """These, for a source that has a licence for each picture."""
        return dataclasses.replace(self, license_required=True)

    def objection(self, item: ImageItem) -> Trouble | None:
        """Why a picture is left out for what its source says of it, or None."""
        return (
            self._license_objection(item)
            or self._date_objection(item.created)
            or (_out(Reason.MATURE, "its source marks it as mature") if item.mature and not self.mature else None)
            or self.objection_to(item.width, item.height, item.media_type)
        )

    def objection_to(self, width: int | None, height: int | None, media_type: str | None) -> Trouble | None:
        """Why a picture of this size and type is left out, or None; None for what is not known."""
        kind = FORMATS.get((media_type or "").lower())
        if self.formats and kind is not None and kind not in self.formats:
            return _out(Reason.FORMAT_NOT_ALLOWED, f"{kind}, not {' or '.join(self.formats)}")
        if not width or not height:
            return None
        size = f"{width} x {height} pixels"
        if width < self.min_width or height < self.min_height:
            return _out(Reason.TOO_SMALL, f"{size}, less than {self.min_width} x {self.min_height}")
        if self.max_pixels and width * height > self.max_pixels:
            return _out(Reason.TOO_LARGE, f"{size}, more than {self.max_pixels} pixels")
        aspect = width / height
        if (self.min_aspect and aspect < self.min_aspect) or (self.max_aspect and aspect > self.max_aspect):
            return _out(Reason.ASPECT, f"{size}: {aspect:.2f} times as wide as high")
        if self.orientation is not None and orientation_of(width, height) != self.orientation:
            return _out(Reason.ASPECT, f"{size}: not {self.orientation}")
        return None

    def _license_objection(self, item: ImageItem) -> Trouble | None:
        declared = item.license
        if declared is None or declared.id == UNKNOWN:
            if self.license_required and self.license not in (ANY, UNKNOWN):
                said = f" ({declared.text[:80]})" if declared is not None and declared.text else ""
                return _out(Reason.LICENSE, f"no licence that can be read{said}")
            return None
        known = license_on_record(declared.id, declared.url)
        if is_chosen(known, self.license):
            return None
        return _out(Reason.LICENSE, f"{declared.id} is not {choice_in_words(self.license)}")

    def _date_objection(self, created: str | None) -> Trouble | None:
        if not created:
            return None
        # ISO 8601 compares as text, each to the precision of the shorter one: `2019` is within `2019-05`.
        too_old = self.since is not None and created[: len(self.since)] < self.since[: len(created)]
        too_new = self.until is not None and created[: len(self.until)] > self.until[: len(created)]
        return _out(Reason.DATE, f"made {created[:10]}") if too_old or too_new else None


def orientation_of(width: int, height: int) -> Orientation:
    """The orientation of an upright picture."""
    if abs(width - height) <= SQUARE_TOLERANCE * max(width, height):
        return "square"
    return "landscape" if width > height else "portrait"


def _out(reason: Reason, detail: str) -> Trouble:
    return Trouble(Outcome.FILTERED, reason, detail)
