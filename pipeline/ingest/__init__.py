"""INGEST: from a sealed inbox to items, each picture once, with every place where it was met."""
