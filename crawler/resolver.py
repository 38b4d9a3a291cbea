"""Host names to addresses, public ones only. Scrapy asks here for every connection, redirects and literals included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from scrapy.resolver import CachingThreadedResolver
from twisted.internet.error import DNSLookupError

from crawler.addresses import is_public

REFUSED_HOSTS: dict[str, str] = {}
"""Host name -> address, for each name refused so far by this process, like Scrapy's own cache of names.

Twisted drops the cause of a failed lookup on its way to the errback, and Scrapy copies its settings deeply, so the
reason has no other way.
"""


class GuardedResolver(CachingThreadedResolver):
    """Scrapy's resolver, but a name whose address is not public does not exist; see `AddressPolicy`.

    The address that is judged is the one that is connected to: there is no second lookup in between.
    """

    private_host: str | None

    @classmethod
    def from_crawler(cls, crawler: Any, reactor: Any) -> Self:
        """Made once for the process, before any crawl."""
        self = super().from_crawler(crawler, reactor)
        policy = crawler.settings.get("DREAMCRAWL_ADDRESS_POLICY")
        self.private_host = policy.private_host if policy is not None else None
        return self

    def getHostByName(self, name: str, timeout: Sequence[int] = ()) -> Any:  # noqa: N802  # Twisted's name
        """A Deferred of the IPv4 address of a host; fails for one that is not public."""
        deferred = super().getHostByName(name, timeout)
        deferred.addCallback(self._check, name)
        return deferred

    def _check(self, address: str, name: str) -> str:
        if name != self.private_host and not is_public(address):
            REFUSED_HOSTS[name] = address
            raise DNSLookupError(f"{name} has the address {address}, which is not public")
        return address
