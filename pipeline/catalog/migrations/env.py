"""Runs the migrations on the connection that the caller has opened, inside the caller's transaction."""

from __future__ import annotations

from alembic import context

from pipeline.catalog.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
    # SQLite can roll back a CREATE TABLE; Alembic assumes that it cannot.
    transactional_ddl=True,
)
context.run_migrations()
