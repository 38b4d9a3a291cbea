"""What each filter of a gallery could be set to, counted over the newest pictures that match."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from sqlalchemy.orm import Session

from pipeline.catalog.gallery import Gallery
from pipeline.catalog.gallery_values import Facets, FacetValue, GalleryFilter
from pipeline.catalog.search_text import Facet, facet_value, facet_word

# Counts look at this many of the newest matching items, among this many of the newest items; they are marked as partial
# when there are more.
FACET_CAP = 1_000
FACET_WINDOW = 100_000
FACET_VALUES = 40

_FIELDS = {
    Facet.KEYWORD: "keyword",
    Facet.SOURCE: "source",
    Facet.LICENSE: "license_id",
    Facet.PRESET: "preset",
    Facet.TAG: "tag",
    Facet.DREAMED: "dreamed",
}


def facets(session: Session, wanted: GalleryFilter) -> Facets:
    """What each filter could be set to: each is counted with itself lifted and all others in force."""
    everything, partial = _counted(session, wanted)

    def words(facet: Facet) -> Counter[str]:
        field = _FIELDS[facet]
        if getattr(wanted, field) is None:
            return everything
        return _counted(session, replace(wanted, **{field: None}))[0]  # type: ignore[arg-type]  # each may be None

    def values(facet: Facet) -> tuple[FacetValue, ...]:
        letter = facet.value
        found = [(facet_value(word)[1], n) for word, n in words(facet).items() if word[1] == letter]
        ordered = sorted(found, key=lambda each: (-each[1], each[0]))
        return tuple(FacetValue(value, number) for value, number in ordered[:FACET_VALUES])

    dreamed = words(Facet.DREAMED)
    return Facets(
        keywords=values(Facet.KEYWORD),
        sources=values(Facet.SOURCE),
        licenses=values(Facet.LICENSE),
        presets=values(Facet.PRESET),
        tags=values(Facet.TAG),
        dreamed=dreamed[facet_word(Facet.DREAMED, "1")],
        not_dreamed=dreamed[facet_word(Facet.DREAMED, "0")],
        near_duplicates=_near_duplicates(session, wanted),
        partial=partial,
    )


def _counted(session: Session, wanted: GalleryFilter) -> tuple[Counter[str], bool]:
    """Word of a facet -> how many of the newest matching items have it; and whether there are more items."""
    matches, is_partial = Gallery(session, wanted).newest(FACET_CAP, window=FACET_WINDOW)
    return Counter(" ".join([facets for _, _, facets in matches]).split()), is_partial


def _near_duplicates(session: Session, wanted: GalleryFilter) -> int:
    """How many near duplicates the rest of a filter shows; of the newest, where there are many."""
    only = replace(wanted, only_near_duplicates=True)
    return Gallery(session, only).number_up_to(FACET_CAP, window=FACET_WINDOW)
