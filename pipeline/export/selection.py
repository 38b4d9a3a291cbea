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
from pipeline.license_choices import ANY, SHAREABLE, is_chosen, license_choice
from pipeline.licenses import UNKNOWN, License, joint_terms, strictest
from pipeline.provenance.attribution import (
    input_id,
    input_ids,
    inputs_on_record,
    license_of,
    licenses_of_inputs,
)

PAGE = 500
"""Items looked at in one reading of the catalog, so that no long one keeps its log from being folded in."""

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
        licenses: As `pipeline.license_choices` has them for all commands: `shareable` (the picture, or the dream of it,
            may be passed on), another group, a kind such as `CC-BY`, or an id; a picture is taken when it is under one
            of them. What may not be passed on is taken by `any` and `unknown` only.
        near_duplicates: Whether pictures near to another are taken too. A dream of such a one is taken anyhow
            where there is none of the picture in front, for which it stands in then.
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
        UsageError: There is no such licence; the message names what comes near.
    """
    try:
        return tuple(dict.fromkeys(map(license_choice, wanted))) or (SHAREABLE,)
    except ValueError as error:
        raise UsageError(f"--license: {error}") from error


def choose(catalog: Catalog, selection: Selection) -> Chosen:
    """Look through the catalog for what to export."""
    entries: list[tuple[int, int]] = []
    left_out: Counter[str] = Counter()
    # Those that may not be shown, too: the report tells of them.
    has_dreams = True if selection.what is What.DREAMS else None
    near_duplicates = selection.near_duplicates or selection.what is What.DREAMS
    wanted = ItemFilter(keyword=selection.keyword, has_derivations=has_dreams, near_duplicates=near_duplicates)
    with catalog.read() as uow:
        withdrawn = export_queries.withdrawn_ids(uow.session)
    for item, derivation, inputs in _candidates(catalog, wanted, selection):
        objection = _objection(item, derivation, inputs, selection, withdrawn)
        if objection is None:
            entries.append((item.id, derivation.id if derivation else 0))
        else:
            left_out[objection] += 1
    return Chosen(entries, dict(sorted(left_out.items())))


def objection_to_license(license_: License, licenses: Sequence[str], what: What) -> str | None:
    """Why a picture under this licence is left out, or None.

    A dream is an adaptation, so only a licence that permits those lets it be shared; unaltered, a picture may be passed
    on under every licence that is known here. To ask for a licence by name is not to ask for what it forbids.

    license_: Of a dream the strictest of those of its parts.
    """
    altered = what is What.DREAMS
    shareable = is_chosen(license_, SHAREABLE, altered=altered)
    chosen = [wanted for wanted in licenses if is_chosen(license_, wanted, altered=altered)]
    if chosen and (shareable or {ANY, UNKNOWN} & set(chosen)):
        return None
    return OTHER_LICENSE if shareable else NOT_SHAREABLE


def _objection(
    item: Item,
    dream: Derivation | None,
    inputs: Mapping[int, Item],
    selection: Selection,
    withdrawn: frozenset[int],
) -> str | None:
    entries = inputs_on_record(dream.manifest) if dream is not None else []
    if item.withdrawn_at is not None or any(input_id(each) in withdrawn for each in entries):
        return WITHDRAWN
    licenses: list[License] = [license_of(item), *(licenses_of_inputs(dream, inputs) if dream is not None else ())]
    found = objection_to_license(strictest(licenses), selection.licenses, selection.what)
    # Each may be kept alone and not all of them together: then the dream is nobody's to pass on.
    permitted = all(each.permits_adaptation for each in licenses)
    if found is None and entries and permitted and ANY not in selection.licenses and joint_terms(licenses) is None:
        return NOT_SHAREABLE
    return found


def _candidates(
    catalog: Catalog, wanted: ItemFilter, selection: Selection
) -> Iterator[tuple[Item, Derivation | None, Mapping[int, Item]]]:
    after, what = 0, selection.what
    while True:
        with catalog.read() as uow:
            page = uow.items.list(wanted, limit=PAGE, after_id=after)
            ids = [item.id for item in page]
            if not selection.near_duplicates and what is What.DREAMS:
                fronts = [item.near_duplicate_of_id for item in page if item.near_duplicate_of_id is not None]
                told = export_queries.dreamed_ids(uow.session, fronts)
                ids = [item.id for item in page if item.near_duplicate_of_id not in told]
            dreams = export_queries.derivations_of(uow.session, ids) if what is What.DREAMS else []
            inputs = export_queries.items(uow.session, input_ids(dreams))
        if not page:
            return
        after = page[-1].id
        if what is What.ORIGINALS:
            yield from ((item, None, inputs) for item in page)
        else:
            by_id = {item.id: item for item in page}
            yield from ((by_id[dream.item_id], dream, inputs) for dream in dreams)
