"""The hand-off folder between a crawl and ingest: bytes by digest, one record a line, and a seal written last.

    inbox/<crawl id>/
        writer.lock     held, as a file lock, while a writer lives
        inbox.json      made first: crawl id, run id, source, keywords, started_at
        blobs.bin       the bytes of the pictures as they came, one after the other
        records.jsonl   one `CrawlRecord` a line, with the place of its bytes; written only after they are on disk
        sealed.json     written last: how many records, and the `CrawlReport`

The writer may be killed at any moment. What lies in an unsealed inbox is then still good up to a last line that may be
torn; `recover` drops that line and seals the rest. All bytes are in one file: making and syncing one for each picture
takes longer than fetching it.
"""

from __future__ import annotations

from pipeline.inbox.sealed import SealedInbox, read_inbox
from pipeline.inbox.waiting import discard, pending_inboxes, recover, waiting_records
from pipeline.inbox.writer import InboxWriter

__all__ = ["InboxWriter", "SealedInbox", "discard", "pending_inboxes", "read_inbox", "recover", "waiting_records"]
