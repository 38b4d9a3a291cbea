"""Connections: the last look before the first byte is sent, at where one leads and at whether it still stands.

`crawler.network.resolver` gives out no address that may not be reached, so the first never has anything to say; it is
here for the day when some library looks up a name by a way of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
from scrapy.crawler import Crawler

from crawler.failures import refuse
from crawler.network.addresses import is_public
from crawler.network.resolver import ADMITTED_PRIVATE
from pipeline.errors import Reason


class GuardedDownloadHandler(HTTP11DownloadHandler):
    """Scrapy's handler for http and https; connections are checked when they are made and when they are reused."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        make_factory: Callable[..., Any] = self._pool._factory

        def checked_factory(*args: Any, **kwargs: Any) -> Any:
            factory = make_factory(*args, **kwargs)
            build_protocol = factory.buildProtocol

            def build_checked(peer: Any) -> Any:
                check_peer(peer)
                return build_protocol(peer)

            factory.buildProtocol = build_checked
            return factory

        self._pool._factory = checked_factory
        take = self._pool.getConnection

        def take_open(key: Any, endpoint: Any) -> Any:
            drop_closing(self._pool, key)
            return take(key, endpoint)

        self._pool.getConnection = take_open


def drop_closing(pool: Any, key: Any) -> None:
    """Take from a pool the connections that we are closing ourselves, as those of downloads that were broken off are.

    Twisted would send the next request over one, get no answer, and send it again.

    Args:
        pool: Twisted's `HTTPConnectionPool`.
        key: What the pool keeps connections of one host under.
    """
    for connection in list(pool._connections.get(key, ())):
        transport = connection.transport
        if transport is None or transport.disconnecting:
            pool._timeouts.pop(connection).cancel()
            pool._connections[key].remove(connection)


def check_peer(peer: Any) -> None:
    """Pass, or end the request that the connection was made for; nothing has been sent yet.

    peer: Twisted's address of the other end.

    Raises:
        Settled: The address is not public, and not one that the operator named.
    """
    host, port = getattr(peer, "host", ""), getattr(peer, "port", 0)
    if not is_public(host) and (host, port) not in ADMITTED_PRIVATE:
        raise refuse(Reason.ADDRESS_FORBIDDEN, f"the connection leads to {host}, which is not a public address")
