"""Hosts of pictures that more than one source leads to, and that have rules of their own. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from crawler.sources.base import Manners

_WIKIMEDIA = ("upload.wikimedia.org", "thumb.wikimedia.org")

# Wikimedia's robot policy: at most two at once, and at most 25 Mbit/s, which is 3 MB/s. A photograph as uploaded has
# about 5 MB, and one of 960 to 1280 pixels in width at most 1.5 MB.
WIKIMEDIA_ORIGINALS: Mapping[str, Manners] = MappingProxyType(
    {host: Manners(2.0, concurrency=2) for host in _WIKIMEDIA}
)
"""For pictures as they were uploaded."""

WIKIMEDIA_THUMBNAILS: Mapping[str, Manners] = MappingProxyType(
    {host: Manners(0.5, concurrency=2) for host in _WIKIMEDIA}
)
"""For pictures scaled down by Wikimedia."""
