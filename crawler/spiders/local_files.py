"""Finds among the user's own files: no request is made, but the same ledger, limit and records hold."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from crawler.job import CrawlRequest
from crawler.keywords import match_keywords
from crawler.known import KnownEntry, counts_as_collected, needs_request
from crawler.pictures.candidates import Candidate
from crawler.pictures.finds import Find, RecordMaker, Seen
from crawler.pictures.first_bytes import read_whole
from crawler.pictures.queue import objection
from crawler.session import Session
from crawler.sources.base import FileSource
from crawler.troubles import Trouble
from pipeline.errors import Reason
from pipeline.records import HttpFacts, Outcome

NO_STATUS = 0
"""Where a file has no HTTP status."""


async def find_files(source: FileSource, session: Session, records: RecordMaker) -> AsyncIterator[Find]:
    """One find for each file that matches, until the limit is reached."""
    request = session.request
    counted = 0
    for picture in source.pictures():
        matches = match_keywords(request.keywords, picture.item.texts())
        if request.keywords and not matches:
            continue
        session.visiting(str(picture.path.parent))
        candidate = Candidate(picture.item, matches)
        entry = session.ledger.find(picture.item, source=source.name)
        find = await asyncio.to_thread(_find, candidate, picture.path, entry=entry, request=request, records=records)
        if find.record.outcome is Outcome.KNOWN and entry is not None:
            counted += counts_as_collected(entry, request)
        counted += find.record.outcome is Outcome.FETCHED
        yield find
        if counted >= request.limit:
            session.full()
            return


def _find(
    candidate: Candidate, path: Path, *, entry: KnownEntry | None, request: CrawlRequest, records: RecordMaker
) -> Find:
    url, most = candidate.item.image_url, request.max_image_bytes
    if (trouble := objection(request, candidate.item, None)) is not None:
        return records.troubled(candidate, trouble)
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            tag = f"{state.st_size}-{state.st_mtime_ns}"
            if entry is not None and entry.etag == tag:
                if (trouble := request.objection_to(entry.width, entry.height, entry.media_type)) is not None:
                    return records.troubled(candidate, trouble)
                if not needs_request(entry, request):
                    return records.known(candidate, entry.sha256)
            data = file.read(most + 1)
    except OSError as error:
        detail = f"{path.name} cannot be opened: {error.strerror or error}"
        return records.troubled(candidate, Trouble(Outcome.FAILED, Reason.UNREADABLE, detail))
    facts = HttpFacts(final_url=url, status=NO_STATUS, etag=tag)
    if len(data) > most:
        detail = f"{state.st_size} bytes, more than the {most} allowed"
        return records.troubled(candidate, Trouble(Outcome.FAILED, Reason.TOO_MANY_BYTES, detail), http=facts)
    seen = read_whole(data)
    # Whether it is a picture at all is ingest's to say, which tells more of it.
    if not isinstance(seen, Seen):
        return records.fetched(candidate, data, http=facts)
    if (trouble := request.objection_to(seen.width, seen.height, seen.media_type)) is not None:
        return records.troubled(candidate, trouble, http=facts, seen=seen)
    return records.fetched(candidate, data, http=facts, seen=seen)
