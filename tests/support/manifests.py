"""Manifests of a made-up item, without any catalog or file."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from pipeline.catalog.values import Item, Sighting
from pipeline.provenance.manifest import Output, Preparation, build_manifest
from tests.support.inverting import FACTS, identity_of, sighting_of

ANY_TEXT = st.text(st.characters(exclude_categories=()))


def item_of(**changes: Any) -> Item:
    return dataclasses.replace(
        Item(
            id=12,
            blob_sha256="0a" * 32,
            pixel_sha256="0b" * 32,
            width=80,
            height=64,
            format="PNG",
            frames=1,
            title="A stone bridge",
            creator="Jane Doe",
            license_id="CC-BY-SA-4.0",
            license_url=None,
            near_duplicate_of_id=None,
            near_duplicate_distance=None,
            created_at=datetime(2026, 5, 4, tzinfo=UTC),
            first_run_id=None,
        ),
        **changes,
    )


def sighting(number: int = 1, **about: Any) -> Sighting:
    return Sighting(**dataclasses.asdict(sighting_of(12, "0a" * 32, **about)), id=number)


def manifest_of(item: Item | None = None, sightings: Any = None, **changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "identity": identity_of({"kind": "invert", "strength": 1.0}),
        "facts": FACTS,
        "preparation": Preparation(80, 64, "0c" * 32, ("first frame",), {"pillow": "13.0.0"}),
        "output": Output("PNG", 80, 64, "0d" * 32, "0d" * 32),
        "created_at": datetime(2026, 6, 7, 10, 9, 8, tzinfo=timezone(timedelta(hours=2))),
        "software_version": "0.1.0",
    } | changes
    return build_manifest(item or item_of(), [sighting()] if sightings is None else sightings, **arguments)
