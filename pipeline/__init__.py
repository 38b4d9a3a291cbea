"""Ingest, catalog, stylize, provenance and browse; and the records that the stages hand over."""
