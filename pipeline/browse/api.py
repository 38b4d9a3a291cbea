"""The same as JSON: what the pages show, under /api."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from pipeline.browse import readers
from pipeline.browse.state import read_reason, read_view
from pipeline.catalog.engine import Catalog
from pipeline.catalog.gallery_values import Tile
from pipeline.catalog.values import Derivation, Run
from pipeline.duplicates.similar import SimilarSearch
from pipeline.provenance import attribution
from pipeline.provenance.canonical import canonical_json
from pipeline.public_ids import parse_id

_METHODS = ["GET", "HEAD"]


class Api:
    """The JSON routes of one catalog's gallery."""

    def __init__(self, catalog: Catalog, search: SimilarSearch | None = None) -> None:
        self._catalog = catalog
        self._search = search

    def router(self) -> APIRouter:
        """The routes under /api."""
        router = APIRouter(prefix="/api")
        router.add_api_route("/items", self.items, methods=_METHODS)
        router.add_api_route("/items/{item_id}", self.item, methods=_METHODS)
        router.add_api_route("/duplicates", self.duplicates, methods=_METHODS)
        router.add_api_route("/runs", self.runs, methods=_METHODS)
        router.add_api_route("/runs/{run_id}", self.run, methods=_METHODS)
        router.add_api_route("/derivations/{dream_id}/manifest", self.manifest, methods=_METHODS)
        return router

    def items(self, request: Request) -> Response:
        """A page of pictures; takes the query of the gallery page."""
        view = read_view(request.query_params)
        read = readers.read_gallery(self._catalog, view)
        page = read.page
        return _json(
            {
                "items": [_tile(tile) for tile in page.tiles],
                "total": page.total,
                "first": page.first,
                "previous": view.at(before=page.previous).url("/api/items") if page.previous else None,
                "next": view.at(after=page.next).url("/api/items") if page.next else None,
                "facets": read.facets,
            }
        )

    def item(self, request: Request, item_id: str) -> Response:
        """A picture with its dreams, sightings, near duplicates and similar pictures."""
        view = read_view(request.query_params)
        read = readers.read_item(self._catalog, parse_id(item_id, "i"), view, search=self._search)
        item = read.item
        return _json(
            {
                "public_id": f"i{item.id}",
                **_fields(item),
                "size_bytes": read.blob.size_bytes if read.blob else None,
                "media_type": read.blob.media_type if read.blob else None,
                "original_url": f"/media/original/{item.blob_sha256}",
                "license": attribution.license_of(item),
                "attribution": attribution.credit_original(item, read.sightings),
                "keywords": read.keywords,
                "tags": read.tags,
                "stars": read.stars,
                "sightings": read.sightings,
                "more_sightings": read.more_sightings,
                "near_group": [f"i{tile.item_id}" for tile in read.group],
                "similar": [
                    {"public_id": f"i{each.tile.item_id}", "cosine": round(each.cosine, 4)} for each in read.similar
                ],
                "derivations": [
                    {**_derivation(dream), "attribution": attribution.credit_dream(item, read.sightings, dream)}
                    for dream in read.dreams
                ],
            }
        )

    def duplicates(self, request: Request) -> Response:
        """A page of the pairs that wait for a person to say whether they are the same."""
        after = request.query_params.get("after", "")
        read = readers.read_pairs(self._catalog, after=parse_id(after, "") if after else 0)
        return _json(
            {
                "pairs": [
                    {**_fields(each.pair), "first": _tile(each.first), "second": _tile(each.second)}
                    for each in read.pairs
                ],
                "next": f"/api/duplicates?after={read.next}" if read.next else None,
            }
        )

    def runs(self, request: Request) -> Response:
        """A page of runs, newest first."""
        before = request.query_params.get("before", "")
        read = readers.read_runs(self._catalog, before=parse_id(before, "r") if before else None)
        return _json(
            {
                "runs": [_run(run) for run in read.runs],
                "next": f"/api/runs?before=r{read.older}" if read.older else None,
            }
        )

    def run(self, request: Request, run_id: str) -> Response:
        """A run, its counters, and a page of what was not kept."""
        reason = read_reason(request.query_params)
        after = request.query_params.get("after", "")
        number = parse_id(run_id, "r")
        read = readers.read_run(self._catalog, number, reason=reason, after=parse_id(after, "") if after else None)
        query = {"after": read.next_rejection, "reason": reason}
        following = f"/api/runs/r{number}?{urlencode({k: v for k, v in query.items() if v})}"
        return _json(
            {
                **_run(read.run),
                "roles": read.breakdown.roles,
                "reasons": read.breakdown.reasons,
                "items": f"/api/items?run=r{number}&near=show",
                "rejections": read.rejections,
                "next_rejections": following if read.next_rejection else None,
            }
        )

    def manifest(self, dream_id: str) -> Response:
        """A dream's manifest as canonical JSON: the SHA-256 of this file is the manifest's digest."""
        dream = readers.read_dream(self._catalog, parse_id(dream_id, "d"))
        return Response(
            canonical_json(dict(dream.manifest)).encode(),
            media_type="application/json",
            headers={"Content-Disposition": f'inline; filename="d{dream.id}.manifest.json"'},
        )


def _json(value: Any) -> Response:
    return JSONResponse(_plain(value), headers={"Cache-Control": "no-cache"})


def _plain(value: Any) -> Any:
    """JSON values; moments as ISO 8601."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(_fields(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else value


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _tile(tile: Tile) -> dict[str, Any]:
    return {"public_id": f"i{tile.item_id}", **_fields(tile), "url": f"/api/items/i{tile.item_id}"}


def _derivation(dream: Derivation) -> dict[str, Any]:
    return {
        "public_id": f"d{dream.id}",
        **{name: value for name, value in _fields(dream).items() if name != "manifest"},
        "url": f"/media/dream/{dream.blob_sha256}",
        "manifest": f"/api/derivations/d{dream.id}/manifest",
    }


def _run(run: Run) -> dict[str, Any]:
    # Which process of which machine it was is nobody's business but this machine's.
    return {"public_id": f"r{run.id}", **{k: v for k, v in _fields(run).items() if k != "process"}}
