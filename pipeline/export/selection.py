"""Which pictures an export takes: not those withdrawn, nor those whose licence does not permit it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pipeline.catalog import export_queries
from pipeline.catalog.engine import Catalog
from pipeline.catalog.values import Derivation, Item, ItemFilter
from pipeline.errors import UsageError
from pipeline.licenses import UNKNOWN, License, joint_terms, license_by_id
from pipeline.provenance.attribution import inputs_on_record, license_of

PAGE = 500
"""Items looked at in one reading of the catalog, so that no long one keeps its log from being folded in."""

SHAREABLE, ADAPTABLE, COMMERCIAL, ANY = "shareable", "adaptable", "commercial", "any"
_CLASSES = (SHAREABLE, ADAPTABLE, COMMERCIAL, ANY)

WITHDRAWN = "withdrawn"
NOT_SHAREABLE = "licence does not permit sharing"
OTHER_LICENSE = "another licence than asked for"
DAMAGED = "damaged or missing in the store"


class What(StrEnum):
    """Which pictures."""

    ORIGINALS = "originals"
    DREAMS = "dreams"


@dataclass(frozen=True)
class Selection:
    """What to export.

    Attributes:
        what: Originals or dreams.
        keyword: Only items that matched it, in any case.
        licenses: `shareable` (the picture, or the dream of it, may be passed on), `adaptable` (so may what is made of
            it), `commercial` (shareable, also for money), `any`, or ids such as `CC-BY-4.0`; a picture is taken when
            one of them lets it.
        near_duplicates: Whether pictures near to another are taken too.
    """

    what: What = What.ORIGINALS
    keyword: str | None = None
    licenses: tuple[str, ...] = (SHAREABLE,)
    near_duplicates: bool = True

    def to_json(self) -> dict[str, Any]:
        """This value as JSON values."""
        return {
            "what": self.what.value,
            "keyword": self.keyword,
            "licenses": sorted(self.licenses),
            "near_duplicates": self.near_duplicates,
        }


@dataclass(frozen=True)
class Chosen:
    """What a selection comes to.

    Attributes:
        entries: (item id, derivation id or 0), by item and then oldest first.
        left_out: Reason -> how many pictures.
    """

    entries: Sequence[tuple[int, int]]
    left_out: Mapping[str, int] = field(default_factory=dict)


def check_licenses(wanted: Sequence[str]) -> tuple[str, ...]:
    """What `Selection.licenses` takes; `shareable` for nothing.

    Raises:
        UsageError: One is neither a class nor an id.
    """
    found = []
    for word in wanted:
        name = word.strip()
        if name.lower() in (*_CLASSES, UNKNOWN):
            found.append(name.lower())
        elif (known := license_by_id(name)).id != UNKNOWN or (known := license_by_id(name.upper())).id != UNKNOWN:
            found.append(known.id)
        else:
            classes = ", ".join(_CLASSES)
            raise UsageError(
                f"there is no licence {word!r}; give {classes}, {UNKNOWN}, or an id such as CC-BY-4.0 or CC0-1.0"
            )
    return tuple(dict.fromkeys(found)) or (SHAREABLE,)


def choose(catalog: Catalog, selection: Selection) -> Chosen:
    """Look through the catalog for what to export."""
    entries: list[tuple[int, int]] = []
    left_out: Counter[str] = Counter()
    dreamed = True if selection.what is What.DREAMS else None
    wanted = ItemFilter(keyword=selection.keyword, dreamed=dreamed, near_duplicates=selection.near_duplicates)
    with catalog.read() as uow:
        withdrawn = export_queries.withdrawn_ids(uow.session)
    for item, derivation in _candidates(catalog, wanted, selection.what):
        objection = _objection(item, derivation, selection, withdrawn)
        if objection is None:
            entries.append((item.id, derivation.id if derivation else 0))
        else:
            left_out[objection] += 1
    return Chosen(entries, dict(sorted(left_out.items())))


def objection_to_license(license_: License, licenses: Sequence[str], what: What) -> str | None:
    """Why a picture under this licence is left out, or None.

    A dream is an adaptation, so only a licence that permits those lets it be shared; unaltered, a picture may be passed
    on under every licence that is known here.
    """
    shareable = license_.permits_adaptation is True if what is What.DREAMS else license_.id != UNKNOWN
    permits = {
        ANY: True,
        SHAREABLE: shareable,
        ADAPTABLE: license_.permits_adaptation is True,
        COMMERCIAL: shareable and license_.permits_commercial_use is True,
    }
    if any(permits.get(wanted, license_.id == wanted) for wanted in licenses):
        return None
    return OTHER_LICENSE if shareable else NOT_SHAREABLE


def _objection(item: Item, dream: Derivation | None, selection: Selection, withdrawn: frozenset[int]) -> str | None:
    inputs = inputs_on_record(dream.manifest) if dream is not None else []
    if item.withdrawn_at is not None or any(_item_id(each) in withdrawn for each in inputs):
        return WITHDRAWN
    licenses = [license_of(item), *(_license_of_input(each) for each in inputs)]
    objections = (objection_to_license(each, selection.licenses, selection.what) for each in licenses)
    found = next(filter(None, objections), None)
    # Each may be kept alone and not all of them together: then the dream is nobody's to pass on.
    if found is None and inputs and ANY not in selection.licenses and joint_terms(licenses) is None:
        return NOT_SHAREABLE
    return found


def _item_id(entry: Mapping[str, Any]) -> int:
    name = str(entry.get("item", ""))
    return int(name[1:]) if name[1:].isdecimal() else 0


def _license_of_input(entry: Mapping[str, Any]) -> License:
    declared = entry.get("license")
    return license_by_id(str(declared.get("id"))) if isinstance(declared, Mapping) else license_by_id(UNKNOWN)


def _candidates(catalog: Catalog, wanted: ItemFilter, what: What) -> Iterator[tuple[Item, Derivation | None]]:
    after = 0
    while True:
        with catalog.read() as uow:
            page = uow.items.list(wanted, limit=PAGE, after_id=after)
            ids = [item.id for item in page]
            dreams = export_queries.derivations_of(uow.session, ids) if what is What.DREAMS else []
        if not page:
            return
        after = page[-1].id
        if what is What.ORIGINALS:
            yield from ((item, None) for item in page)
        else:
            by_id = {item.id: item for item in page}
            yield from ((by_id[dream.item_id], dream) for dream in dreams)
