"""Compares what the migrations made with the tables that the program describes."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from pipeline.catalog.schema import is_described
from pipeline.catalog.search_tables import METADATA


def drift(connection: Connection) -> list[Any]:
    """What the migrations made otherwise than `METADATA` has it, as Alembic says it; empty when they agree."""
    options: dict[str, Any] = {"compare_type": True, "include_name": is_described}
    if connection.dialect.name == "postgresql":
        options["include_object"] = _is_compared_on_postgresql
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), METADATA))


def _is_compared_on_postgresql(_object: Any, name: str | None, type_: str, _reflected: bool, _other: Any) -> bool:
    """Whether a thing of `tables.py` is to be there: addresses are unique by their digests, see migration 0006."""
    return type_ != "unique_constraint" or name not in ("uq_sighting_image_url", "uq_rejection_run_id")
