"""The tables of what people think of items, and of the search."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.catalog import derivation_inputs  # noqa: F401  # its table is one of those of `METADATA`
from pipeline.catalog.tables import Base

METADATA = Base.metadata
"""Of all tables: those of `pipeline.catalog.tables`, `pipeline.catalog.derivation_inputs` and of this module."""


class TagRow(Base):
    """A tag that a person gave to an item."""

    __tablename__ = "item_tag"

    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(100), primary_key=True, index=True)  # lower case, single spaces
    added_at: Mapped[datetime]


class RatingRow(Base):
    """How many stars a person gave to an item."""

    __tablename__ = "item_rating"
    __table_args__ = (CheckConstraint("stars BETWEEN 1 AND 5", name="one_to_five"),)

    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
    stars: Mapped[int]
    rated_at: Mapped[datetime]


class SearchDocumentRow(Base):
    """An item as the search sees it: what is said of it and its facets, as `pipeline.catalog.search_text` has them."""

    __tablename__ = "search_document"

    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True, autoincrement=False)
    pixels: Mapped[int]  # width times height, for the order by size
    facets: Mapped[str]
    words: Mapped[str]  # last, as it is long and seldom read

    __table_args__ = (Index("ix_search_document_pixels", "pixels", "item_id"),)


class SearchDueRow(Base):
    """That an item's document is to be made anew; written by triggers, empty between transactions."""

    __tablename__ = "search_due"

    item_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class SearchRenewalRow(Base):
    """That documents are still those of a former version; at most one row, none when all are of this one."""

    __tablename__ = "search_renewal"

    up_to: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # of the items up to this id


class SearchWordRow(Base):
    """A word of some document, so that beginnings of words can be looked up; SQLite only."""

    __tablename__ = "search_word"

    word: Mapped[str] = mapped_column(primary_key=True)
