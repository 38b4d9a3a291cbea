"""Alembic's environment and the revisions of the catalog's schema; run by `pipeline.catalog.schema`."""
