"""A picture on its way: judged by its first bytes while the others are still to come, and whole. No I/O."""

from __future__ import annotations

import hashlib
import re

from crawler.job import CrawlRequest
from crawler.pictures.finds import Seen
from crawler.pictures.first_bytes import LEAST, read_first_bytes, read_whole
from crawler.troubles import Trouble
from pipeline.errors import Reason
from pipeline.records import Outcome

LOOKS = (LEAST, 32 * 2**10, 128 * 2**10)
"""How many bytes must be here for the first, the second and the last look; large profiles stand before the size."""

_SOURCE_HASH = re.compile(r"(sha1|md5|sha256):([0-9a-f]+)", re.IGNORECASE)


class Arrival:
    """One download of one candidate.

    Attributes:
        seen: What the bytes so far tell; None when they do not.
        trouble: Why the picture is of no use, or None.
        is_open: Whether `receive` has use for more bytes.
    """

    def __init__(self, request: CrawlRequest, *, announced: int | None = None, is_packed: bool = False) -> None:
        """A download whose headers have come.

        Args:
            request: What a picture must be like.
            announced: Content-Length in bytes, or None.
            is_packed: Whether the body is compressed on the way, so that its first bytes tell nothing.
        """
        self.seen: Seen | None = None
        self.trouble: Trouble | None = None
        self.is_open = not is_packed
        self._request = request
        self._announced = announced
        self._received = 0
        self._begin: bytes = b""
        self._looks = 0

    @property
    def bytes_saved(self) -> int:
        """How many of the bytes announced, and allowed, have not come."""
        if self._announced is None:
            return 0
        return max(0, min(self._announced, self._request.max_image_bytes) - self._received)

    def receive(self, data: bytes) -> Trouble | None:
        """Take the next bytes, as long as `is_open`; gives why the others need not come, or None."""
        self._received += len(data)
        begin = self._begin = self._begin + data if self._begin else data
        if len(begin) < LOOKS[self._looks]:
            return None
        while self._looks < len(LOOKS) and len(begin) >= LOOKS[self._looks]:
            self._looks += 1
        found = read_first_bytes(begin)
        if found is None and self._looks < len(LOOKS):
            return None
        return self._judge(found)

    def completed(self, body: bytes) -> Trouble | None:
        """Judge a file that came whole, if it was not judged before; no bytes at all are left to ingest to judge."""
        if self.seen is None and self.trouble is None and body:
            self._judge(read_whole(body))
        return self.trouble

    def _judge(self, found: Seen | Trouble | None) -> Trouble | None:
        self.is_open = False
        self._begin = b""
        if isinstance(found, Trouble):
            self.trouble = found
        elif found is not None:
            self.seen = found
            self.trouble = self._request.objection_to(found.width, found.height, found.media_type)
        return self.trouble


def hash_trouble(source_hash: str | None, body: bytes) -> Trouble | None:
    """Why bytes are not those that the source announced, or None; a digest that cannot be read announces nothing."""
    announced = _SOURCE_HASH.fullmatch(source_hash or "")
    if announced is None:
        return None
    name, expected = announced[1].lower(), announced[2].lower()
    found = hashlib.new(name, body, usedforsecurity=False).hexdigest()
    if found == expected:
        return None
    return Trouble(Outcome.FAILED, Reason.WRONG_HASH, f"{name} {found}, but its source announces {expected[:128]}")
