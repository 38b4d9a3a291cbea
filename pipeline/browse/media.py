"""Serves pictures: originals and dreams as they lie in the store, and thumbnails made on first use."""

from __future__ import annotations

import contextlib
import re
import threading
from pathlib import Path

from fastapi import APIRouter, Request, Response

from pipeline.catalog import queries
from pipeline.catalog.engine import Catalog
from pipeline.catalog.gallery_values import KnownBlob
from pipeline.errors import NotFound, UsageError, Withdrawn
from pipeline.images import thumbnail
from pipeline.licenses import license_on_record
from pipeline.store import Store
from pipeline.whole_files import write_whole

# Few sizes, so that nobody can fill the disk by asking for many.
THUMBNAIL_SIDES = (160, 480, 1600)
DEFAULT_SIDE = 480
# What a browser shows as a picture and nothing else; never SVG or HTML.
_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif"}
_SHA256 = re.compile(r"[0-9a-f]{64}")
# The address names the bytes, but a picture that is withdrawn must not be shown from a browser's memory: it asks, and
# is answered without the bytes.
_ASK_AGAIN = "private, no-cache"
# Decoding takes up to some hundred MB for a very large picture; more at a time would not be faster either.
_DECODERS = 2


class Thumbnails:
    """WebP thumbnails in a folder that may be deleted at any time; safe for threads and processes.

    folder: Made on first use. When it cannot be written, thumbnails are made each time.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder = folder
        self._store = store
        self._decoders = threading.Semaphore(_DECODERS)

    def get(self, sha256: str, side: int) -> bytes:
        """The thumbnail of a stored picture, its longer side at most `side` pixels.

        Raises:
            StoreCorrupt: The picture is missing, or its bytes are not those on record.
            ImageRejected: It is no picture.
        """
        path = self._folder / sha256[:2] / f"{sha256}-{side}.webp"
        if (found := _read(path)) is not None:
            return found
        with self._decoders:
            # Another request may have made it while this one waited.
            if (found := _read(path)) is not None:
                return found
            data = thumbnail(self._store.read(sha256), max_side=side)
        _write(path, data)
        return data


def media_router(*, catalog: Catalog, store: Store, thumbnails: Thumbnails) -> APIRouter:
    """The routes under /media."""
    router = APIRouter(prefix="/media")

    @router.api_route("/thumb/{sha256}", methods=["GET", "HEAD"])
    def thumb(request: Request, sha256: str, side: str = str(DEFAULT_SIDE)) -> Response:
        """A thumbnail of an original or a dream."""
        if side not in map(str, THUMBNAIL_SIDES):
            raise UsageError(f"`side` is one of {', '.join(map(str, THUMBNAIL_SIDES))}, not {side[:40]!r}")
        known(catalog, sha256, original=True, dream=True)
        etag = f'"{sha256}-{side}"'
        if _is_fresh(request, etag):
            return Response(status_code=304, headers=_cached(etag))
        return Response(thumbnails.get(sha256, int(side)), media_type="image/webp", headers=_cached(etag))

    @router.api_route("/original/{sha256}", methods=["GET", "HEAD"])
    def original(request: Request, sha256: str) -> Response:
        """An original, byte for byte."""
        return stored(request, known(catalog, sha256, original=True, dream=False), store)

    @router.api_route("/dream/{sha256}", methods=["GET", "HEAD"])
    def dream(request: Request, sha256: str) -> Response:
        """A dream, byte for byte, with the record embedded in it."""
        return stored(request, known(catalog, sha256, original=False, dream=True), store)

    return router


def known(catalog: Catalog, sha256: str, *, original: bool, dream: bool) -> KnownBlob:
    """The stored picture with this digest.

    Raises:
        NotFound: The catalog knows no such picture, or it is of a kind that is not shown.
        Withdrawn: Its site asks not to use it.
    """
    if _SHA256.fullmatch(sha256):
        with catalog.read() as uow:
            found = queries.original_blob(uow.session, sha256) if original else None
            found = found or (queries.dream_blob(uow.session, sha256) if dream else None)
        if found is not None and found.withdrawn is not None:
            raise Withdrawn(f"the picture was withdrawn: {found.withdrawn}")
        if found is not None and found.media_type in _EXTENSIONS:
            return found
    raise NotFound("the catalog knows no picture with that digest")


def stored(request: Request, blob: KnownBlob, store: Store) -> Response:
    """The bytes of a stored picture, checked against their digest.

    Raises:
        StoreCorrupt: They are missing, or not those on record.
    """
    etag = f'"{blob.sha256}"'
    if _is_fresh(request, etag):
        return Response(status_code=304, headers=_cached(etag))
    name = f"{blob.name}.{_EXTENSIONS[blob.media_type]}"
    # Originals are handed out as they came; title, author, source and licence are on the page that this names.
    page = f"/items/{blob.name}" if blob.name.startswith("i") else f"/dreams/{blob.name}"
    deed = license_on_record(blob.license_id, blob.license_url).url
    headers = {
        **_cached(etag),
        "Content-Disposition": f'inline; filename="{name}"',
        "Link": (f'<{deed}>; rel="license", ' if deed else "") + f'<{page}>; rel="describedby"',
    }
    return Response(store.read(blob.sha256), media_type=blob.media_type, headers=headers)


def _cached(etag: str) -> dict[str, str]:
    return {"ETag": etag, "Cache-Control": _ASK_AGAIN}


def _is_fresh(request: Request, etag: str) -> bool:
    held = request.headers.get("if-none-match", "")
    return any(each.strip().removeprefix("W/") in {etag, "*"} for each in held.split(","))


def _read(path: Path) -> bytes | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    # A power loss can leave a file of the right name without its bytes.
    return data if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= _riff_length(data) else None


def _riff_length(data: bytes) -> int:
    return int.from_bytes(data[4:8], "little") + 8


def _write(path: Path, data: bytes) -> None:
    """Keep a thumbnail; a cache that cannot be written is no reason to show nothing."""
    with contextlib.suppress(OSError):
        write_whole(path, data)
