"""Keeps the search in step: what was written is noted by triggers, and indexed before the same transaction ends.

A document is a row for each item: the words said of it, and its facets as words. FTS5 follows the documents by
triggers of its own; PostgreSQL indexes the documents themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Text,
    bindparam,
    cast,
    delete,
    insert,
    literal,
    select,
    text,
    union_all,
)

from pipeline.catalog.derivation_inputs import has_withdrawn_input
from pipeline.catalog.search_tables import (
    RatingRow,
    SearchDocumentRow,
    SearchDueRow,
    SearchRenewalRow,
    SearchWordRow,
    TagRow,
)
from pipeline.catalog.search_text import BETWEEN_TEXTS, Facet, document_of, facet_word
from pipeline.catalog.tables import DerivationRow, ItemRow, KeywordRow, SightingRow
from pipeline.catalog.upserts import insert_many, table_of
from pipeline.licenses import UNKNOWN

_DOCUMENT, _DUE, _RENEWAL = table_of(SearchDocumentRow), table_of(SearchDueRow), table_of(SearchRenewalRow)
_BATCH = 500
_DONE = delete(_DUE).where(_DUE.c.item_id <= bindparam("last"))
_NEXT_DUE = select(_DUE.c.item_id).order_by(_DUE.c.item_id).limit(_BATCH)


@dataclass
class _Facts:
    """What is known of one item while its document is made."""

    item: Any
    tags: list[str] = field(default_factory=list)  # of its user
    keywords: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)  # by pages
    facets: list[str] = field(default_factory=list)
    dreamed: bool = False


def refresh(connection: Connection) -> int:
    """Index what triggers have noted since the last time; how many items."""
    done = 0
    while item_ids := connection.execute(_NEXT_DUE).scalars().all():
        index(connection, item_ids)
        connection.execute(_DONE, {"last": item_ids[-1]})
        done += len(item_ids)
        if len(item_ids) < _BATCH:
            break
    return done


def renew(connection: Connection, *, limit: int) -> int:
    """Make some of the documents of a former version anew, newest first; what `former` says then."""
    older = select(_ITEM.c.id).where(_ITEM.c.id <= former(connection)).order_by(_ITEM.c.id.desc()).limit(limit)
    item_ids = connection.execute(older).scalars().all()
    if item_ids:
        index(connection, item_ids)
    left = item_ids[-1] - 1 if len(item_ids) == limit else 0
    connection.execute(delete(_RENEWAL))
    if left:
        connection.execute(insert(_RENEWAL).values(up_to=left))
    return left


def former(connection: Connection) -> int:
    """The highest id of an item whose document may be that of a former version; 0 when all are of this one."""
    return int(connection.execute(select(_RENEWAL.c.up_to)).scalar() or 0)


def index(connection: Connection, item_ids: Sequence[int]) -> None:
    """Make the documents of these items anew."""
    documents = list(documents_of(connection, item_ids).values())
    columns = ("pixels", "facets", "words")
    insert_many(connection, SearchDocumentRow, documents, unique=("item_id",), update=columns)
    if connection.dialect.name == "sqlite":
        words = {word for document in documents for word in document["words"].split()} - {BETWEEN_TEXTS}
        insert_many(connection, SearchWordRow, [{"word": word} for word in sorted(words)], unique=("word",))


def documents_of(connection: Connection, item_ids: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """Item id -> the document's columns, as they should be; for those of these items that there are."""
    if not item_ids:
        return {}
    # All at once, not row by row: a transaction indexes what it wrote, and that is little.
    found = {row[0]: _Facts(row) for row in connection.execute(_ITEMS, {"ids": list(item_ids)}).all()}
    for item_id, kind, _, *values in connection.execute(_SAID, {"ids": list(item_ids)}).all():
        _take(found[item_id], kind, values)
    return {item_id: _document(facts) for item_id, facts in found.items()}


def _take(facts: _Facts, kind: str, values: Sequence[Any]) -> None:
    """One row of `_SAID`."""
    first = values[0]
    if kind == _SIGHTED:
        facts.said += [each for each in values[:4] if each]
        facts.said += _strings(values[4])
        facts.facets.append(facet_word(Facet.SOURCE, values[5]))
    elif kind == Facet.DREAMED.value:
        facts.dreamed = True
        if first is not None:
            facts.facets.append(facet_word(Facet.PRESET, first))
    else:
        if kind == Facet.TAG.value:
            facts.tags.append(first)
        elif kind == Facet.KEYWORD.value:
            facts.keywords.append(first)
        facts.facets.append(facet_word(_FACETS[kind], first))


def _document(facts: _Facts) -> dict[str, Any]:
    item_id, title, creator, license_id, width, height, near_to, withdrawn_at = facts.item
    standing = (Facet.USABLE, Facet.SHOWN) if near_to is None else (Facet.USABLE, Facet.NEAR, Facet.HIDDEN)
    if withdrawn_at is not None:
        standing = (Facet.WITHDRAWN, Facet.HIDDEN)
    facets = [facet_word(each) for each in standing]
    facets.append(facet_word(Facet.LICENSE, license_id or UNKNOWN))
    facets.append(facet_word(Facet.DREAMED, "1" if facts.dreamed else "0"))
    first = [*facts.tags, *(each for each in (title, creator) if each), *facts.keywords]
    return {
        "item_id": item_id,
        "pixels": width * height,
        "facets": " ".join(dict.fromkeys((*facets, *sorted(facts.facets)))),
        "words": document_of(first, facts.said),
    }


def _strings(text_of_json: str | None) -> list[str]:
    try:
        values = json.loads(text_of_json or "[]")
    except ValueError:
        return []
    return [each for each in values if isinstance(each, str)] if isinstance(values, list) else []


def rebuild(connection: Connection) -> None:
    """Make the search anew from the documents; on PostgreSQL there is nothing that could be out of step."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("INSERT INTO search_fts(search_fts) VALUES ('rebuild')"))


def is_in_step(connection: Connection) -> bool:
    """Whether FTS5 says what the documents say; needs the write lock, though it writes nothing."""
    if connection.dialect.name != "sqlite":
        return True
    from sqlalchemy.exc import DBAPIError

    try:
        connection.execute(text("INSERT INTO search_fts(search_fts, rank) VALUES ('integrity-check', 1)"))
    except DBAPIError:
        return False
    return True


def differing(connection: Connection, item_ids: Sequence[int]) -> list[int]:
    """Those of these items whose document is missing or is not as it should be."""
    expected = documents_of(connection, item_ids)
    rows = connection.execute(select(_DOCUMENT).where(_DOCUMENT.c.item_id.in_(list(item_ids)))).mappings()
    found = {row["item_id"]: dict(row) for row in rows}
    due = set(connection.execute(select(_DUE.c.item_id).where(_DUE.c.item_id.in_(list(item_ids)))).scalars())
    up_to = former(connection)
    wrong = [item_id for item_id, document in expected.items() if found.get(item_id) != document]
    return [item_id for item_id in wrong if item_id > up_to and item_id not in due]


def note(connection: Connection, item_ids: Iterable[int]) -> None:
    """Have these items indexed before the transaction ends."""
    insert_many(connection, SearchDueRow, [{"item_id": item_id} for item_id in item_ids], unique=("item_id",))


_SIGHTED = "sighting"
_FACETS = {facet.value: facet for facet in Facet}
_ITEM = table_of(ItemRow)
_IDS: BindParameter[int] = bindparam("ids", expanding=True)
_ITEMS = select(
    _ITEM.c.id,
    _ITEM.c.title,
    _ITEM.c.creator,
    _ITEM.c.license_id,
    _ITEM.c.width,
    _ITEM.c.height,
    _ITEM.c.near_duplicate_of_id,
    _ITEM.c.withdrawn_at,
).where(_ITEM.c.id.in_(_IDS))


def _said_of_items() -> Any:
    """One statement for all that stands in other tables: (item id, kind, a to f), in a fixed order."""
    sighting, keyword, derivation = table_of(SightingRow), table_of(KeywordRow), table_of(DerivationRow)
    tag, rating = table_of(TagRow), table_of(RatingRow)
    nothing = cast(None, Text)

    def part(kind: str, item_id: Any, order: Any, *values: Any) -> Any:
        columns = [*values, *[nothing] * (6 - len(values))]
        named = [value.label(name) for name, value in zip("abcdef", columns, strict=True)]
        return select(item_id.label("item_id"), literal(kind).label("kind"), order.label("place"), *named).where(
            item_id.in_(_IDS)
        )

    s, d = sighting.c, derivation.c
    dreams = part(Facet.DREAMED.value, d.item_id, d.id, d.preset).where(~has_withdrawn_input(d.id))
    parts = union_all(
        part(_SIGHTED, s.item_id, s.id, s.title, s.alt, s.caption, s.creator, cast(s.tags, Text), s.source),
        part(Facet.KEYWORD.value, keyword.c.item_id, literal(0), keyword.c.keyword),
        part(Facet.TAG.value, tag.c.item_id, literal(0), tag.c.tag),
        part(Facet.STARS.value, rating.c.item_id, literal(0), cast(rating.c.stars, Text)),
        dreams,
    )
    return parts.order_by("item_id", "kind", "place", "a")


_SAID = _said_of_items()
