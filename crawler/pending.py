"""What crawls have fetched that ingest has not taken yet: inboxes that wait, sealed or left by a crawl that was killed.

Their records are read once, one after the other, and only digests are kept of them; so a crawl that is run again after
a kill fetches nothing twice, whether it was ingested in between or not.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path

from crawler.items import ImageItem
from crawler.known import KnownEntry, LedgerView
from pipeline.errors import PipelineError
from pipeline.inbox import pending_inboxes, waiting_records
from pipeline.records import CrawlRecord, Outcome

_SETTLED = frozenset({"kept", "withdrawn", "rejected"})
_KEPT, _FAILED, _FAILED_FOR_NOW, _REFUSED, _QUEUED, _FILTERED = b"k", b"f", b"t", b"r", b"q", b"x"
_SHA256_BYTES, _SIZE_BYTES = 32, 8
_ETAG_AT = _SHA256_BYTES + _SIZE_BYTES
_STATES = {
    _KEPT: "kept",
    _FAILED: "failed",
    _FAILED_FOR_NOW: "failed",
    _REFUSED: "refused",
    _QUEUED: "queued",
    _FILTERED: "filtered",
}


@dataclass(frozen=True)
class PendingEntry:
    """What an inbox has about one address; see `KnownEntry`."""

    state: str
    sha256: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    width: int | None = None
    height: int | None = None
    media_type: str | None = None
    size_bytes: int | None = None
    fetch_again: bool = False
    refused_in_headers: bool = False


class PendingLedger:
    """A ledger with what waits for ingest laid over it."""

    def __init__(self, ledger: LedgerView, inbox_parent: Path) -> None:
        """Read what waits; an inbox that cannot be read, or is ingested meanwhile, tells nothing."""
        self._ledger = ledger
        self._entries: dict[bytes, bytes] = {}
        with contextlib.suppress(PipelineError, OSError):
            for path in pending_inboxes(inbox_parent):
                with contextlib.suppress(PipelineError, OSError):
                    for record in waiting_records(path):
                        self._add(record)

    def find(self, item: ImageItem, *, source: str) -> KnownEntry | None:
        """What came of this picture before: what is settled in the catalog, else what waits, else what failed there."""
        entry = self._ledger.find(item, source=source)
        if not self._entries or (entry is not None and entry.state in _SETTLED):
            return entry
        keys = _keys(item.image_url, source, source_id=item.source_id, source_hash=item.source_hash)
        found = next((value for key in keys if (value := self._entries.get(key)) is not None), None)
        return entry if found is None else _unpacked(found)

    def _add(self, record: CrawlRecord) -> None:
        value = _packed(record)
        url, *others = _keys(
            record.image_url, record.source, source_id=record.source_id, source_hash=record.source_hash
        )
        if value is None or (value[:1] != _KEPT and self._entries.get(url, b"")[:1] == _KEPT):
            return
        self._entries[url] = value
        if value[:1] == _KEPT:
            self._entries.update(dict.fromkeys(others, value))


def _keys(url: str, source: str, *, source_id: str | None, source_hash: str | None) -> list[bytes]:
    """The address, and the other names under which the same bytes are known."""
    texts = [f"url {url}"]
    if source_id is not None:
        texts.append(f"id {source} {source_id}")
    if source_hash is not None:
        texts.append(f"hash {source_hash}")
    return [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]


def _packed(record: CrawlRecord) -> bytes | None:
    match record.outcome:
        case Outcome.FETCHED if record.sha256:
            etag = record.http.etag if record.http is not None else None
            size = (record.size_bytes or 0).to_bytes(_SIZE_BYTES, "big")
            return _KEPT + bytes.fromhex(record.sha256) + size + (etag or "").encode("utf-8", "replace")
        case Outcome.FAILED:
            return _FAILED_FOR_NOW if record.reason is not None and record.reason.is_transient else _FAILED
        case Outcome.REFUSED:
            return _REFUSED
        case Outcome.POSTPONED:
            return _QUEUED
        case Outcome.FILTERED:
            seen = f"{record.width or 0} {record.height or 0} {record.media_type or ''}"
            return _FILTERED + seen.encode("utf-8", "replace")
        case _:
            return None


def _unpacked(value: bytes) -> PendingEntry:
    kind, rest = value[:1], value[1:]
    if kind == _KEPT:
        digest, size, etag = rest[:_SHA256_BYTES], rest[_SHA256_BYTES:_ETAG_AT], rest[_ETAG_AT:]
        size_bytes = int.from_bytes(size, "big") or None
        return PendingEntry("kept", sha256=digest.hex(), etag=etag.decode("utf-8") or None, size_bytes=size_bytes)
    if kind == _FILTERED:
        width, height, media_type = rest.decode("utf-8").split(" ", 2)
        return PendingEntry(
            "filtered", width=int(width) or None, height=int(height) or None, media_type=media_type or None
        )
    return PendingEntry(_STATES[kind], fetch_again=kind == _FAILED_FOR_NOW)
