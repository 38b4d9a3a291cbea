"""Search behind one function: FTS5 on SQLite, text search on PostgreSQL; any text is a search, and none raises.

Facets lie in the same index as words, so that a search narrowed by any of them is one walk over sorted lists of ids:
`matching` costs the same for the first pictures of a million as for those of a hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    column,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session
from sqlalchemy.types import Text

from pipeline.catalog.modes import MODE, WRITE
from pipeline.catalog.search_index import refresh
from pipeline.catalog.search_tables import SearchDocumentRow, SearchWordRow
from pipeline.catalog.search_text import Phrase
from pipeline.catalog.upserts import table_of

Found = TypeVar("Found")

DOCUMENT = table_of(SearchDocumentRow)
_WORD = table_of(SearchWordRow)
_FTS = table("search_fts", column("rowid"))

# As the index has them, see migration 0004: the lengths of beginnings that can be looked up at once.
_INDEXED_BEGINNINGS = range(2, 5)
# Of a longer beginning at most this many words are listed; beyond, the index puts them together itself, which is slow.
_MOST_WORDS = 64
_REMEMBERED = "search_remembered"  # in a session's own notes


@dataclass(frozen=True)
class Query:
    """What to look for.

    Attributes:
        phrases: All of them are said of the item.
        facets: Words of facets, each a group of which one holds; all groups must.
        without: Words of facets that must not hold. The index walks along the shorter lists, so that it is better to
            leave out the few than to take in the many.
        nothing: Whether nothing can match, as when only signs were typed.
    """

    phrases: tuple[Phrase, ...] = ()
    facets: tuple[tuple[str, ...], ...] = ()
    without: tuple[str, ...] = ()
    nothing: bool = False


def is_sqlite(session: Session) -> bool:
    """Whether the catalog is in SQLite; else it is in PostgreSQL."""
    return session.get_bind().dialect.name == "sqlite"


def is_writing(session: Session) -> bool:
    """Whether a unit of work may write, so that what it finds may be other things the next time."""
    return session.get_bind().get_execution_options().get(MODE) == WRITE


def remembered(session: Session, key: tuple[Any, ...], find: Callable[[], Found]) -> Found:
    """What `find` gives; found once in a unit of work that only reads, as nothing changes there.

    key: What tells it from everything else that is remembered.
    """
    if is_writing(session):
        return find()
    known: dict[tuple[Any, ...], Any] = session.info.setdefault(_REMEMBERED, {})
    if key not in known:
        known[key] = find()
    found: Found = known[key]
    return found


def matching(
    session: Session, query: Query, columns: Sequence[ColumnElement[Any]] = ()
) -> tuple[Select[Any], ColumnElement[int]]:
    """A statement that gives the ids of the items that match, and the column to order and narrow them by.

    Ordered by that column, either way, the first ids come without the others being looked at.

    columns: Of the documents, in place of the id.
    """
    if is_writing(session):
        refresh(session.connection())  # what this unit of work has written so far
    if not is_sqlite(session):
        return select(*(columns or (DOCUMENT.c.item_id,))).where(_postgresql(query)), DOCUMENT.c.item_id
    rowid: ColumnElement[int] = _FTS.c.rowid
    statement: Select[Any] = select(rowid.label("item_id")).select_from(_FTS)
    if columns:
        statement = select(*columns).select_from(_FTS.join(DOCUMENT, DOCUMENT.c.item_id == rowid))
    expression = _fts5(session, query)
    if expression is None:
        return statement.where(false()), rowid
    match = literal_column("search_fts").op("MATCH")(bindparam(None, expression, unique=True))
    return statement.where(match), rowid


def holds(session: Session, query: Query) -> ColumnElement[bool]:
    """The same as a condition on a row of the documents, for walks in another order than that of ids."""
    if not is_sqlite(session):
        return _postgresql(query)
    if query.nothing:
        return false()
    facets = _spaced(DOCUMENT.c.facets)
    conditions: list[ColumnElement[bool]] = [
        or_(*(func.instr(facets, f" {word} ") > 0 for word in group)) for group in query.facets
    ]
    conditions += [func.instr(facets, f" {word} ") == 0 for word in query.without]
    conditions += [func.instr(_spaced(DOCUMENT.c.words), _stretch(phrase)) > 0 for phrase in query.phrases]
    return and_(*conditions) if conditions else literal(value=True)


def _spaced(words: ColumnElement[str]) -> ColumnElement[str]:
    """Words with a space before and after each."""
    return literal(" ").op("||")(words).op("||")(" ")


def _stretch(phrase: Phrase) -> str:
    """What stands in a document's spaced words where the phrase does."""
    return f" {' '.join(phrase.words)}{'' if phrase.is_beginning else ' '}"


def _fts5(session: Session, query: Query) -> str | None:
    """The query in FTS5's language; None when nothing can match. Words hold no quotes: `search_text` saw to that."""
    if query.nothing:
        return None
    parts = [_any_of(group) for group in query.facets]
    for phrase in query.phrases:
        *before, last = phrase.words
        if not phrase.is_beginning or len(last) in _INDEXED_BEGINNINGS:
            parts.append(_quoted(phrase.words) + ("*" if phrase.is_beginning else ""))
            continue
        words = _beginning_with(session, last)
        if not words:
            return None
        if len(words) > _MOST_WORDS:
            parts.append(_quoted(phrase.words) + "*")
        else:
            parts.append(" OR ".join(_quoted([*before, word]) for word in words))
    taken = " AND ".join(f"({part})" for part in parts)
    return f"({taken}) NOT ({_any_of(query.without)})" if query.without else taken


def _beginning_with(session: Session, beginning: str) -> Sequence[str]:
    """Up to one more than `_MOST_WORDS` words of the catalog that begin so."""

    def found() -> Sequence[str]:
        after = beginning + chr(0x10FFFF)
        query = select(_WORD.c.word).where(_WORD.c.word >= beginning, _WORD.c.word <= after)
        return list(session.scalars(query.order_by(_WORD.c.word).limit(_MOST_WORDS + 1)))

    return remembered(session, ("words", beginning), found)


def _any_of(words: Sequence[str]) -> str:
    return " OR ".join(_quoted([word]) for word in words)


def _quoted(words: Sequence[str]) -> str:
    return f'"{" ".join(words)}"'


def _postgresql(query: Query) -> ColumnElement[bool]:
    if query.nothing:
        return false()
    conditions: list[ColumnElement[bool]] = []
    # The expressions are those of the indexes, see migration 0004.
    facets = func.string_to_array(DOCUMENT.c.facets, literal_column("' '"), type_=ARRAY(Text()))
    for group in query.facets:
        words = bindparam(None, list(group), type_=ARRAY(Text()), unique=True)
        conditions.append(facets.op("&&")(words))
    if query.without:
        words = bindparam(None, list(query.without), type_=ARRAY(Text()), unique=True)
        conditions.append(~facets.op("&&")(words))
    if query.phrases:
        said = func.to_tsvector(literal_column("'simple'::regconfig"), DOCUMENT.c.words)
        text = " & ".join(_tsquery(phrase) for phrase in query.phrases)
        conditions.append(said.op("@@")(func.to_tsquery(literal_column("'simple'::regconfig"), text)))
        # That words stand side by side the text says: the index knows places of the first 256 of a word only, and has
        # to make the words of a picture anew to look at them.
        beside = [phrase for phrase in query.phrases if len(phrase.words) > 1]
        conditions += [func.strpos(_spaced(DOCUMENT.c.words), _stretch(phrase)) > 0 for phrase in beside]
    return and_(*conditions) if conditions else literal_column("true")


def _tsquery(phrase: Phrase) -> str:
    *before, last = phrase.words
    words = [f"'{word}'" for word in before]
    return " & ".join([*words, f"'{last}'" + (":*" if phrase.is_beginning else "")])
