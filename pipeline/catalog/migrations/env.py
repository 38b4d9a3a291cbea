"""Runs the migrations on the connection that the caller has opened, inside the caller's transaction."""

from __future__ import annotations

from alembic import context

from pipeline.catalog.schema import is_described
from pipeline.catalog.search_tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    compare_type=True,
    include_name=is_described,
    # SQLite can roll back a CREATE TABLE; Alembic assumes that it cannot.
    transactional_ddl=True,
)
context.run_migrations()
