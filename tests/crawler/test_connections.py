"""Connections that lead inside are ended before anything is sent, and those that are closing are not used again."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.task import Clock
from twisted.web.client import HTTPConnectionPool

from crawler.failures import Settled
from crawler.network.connections import check_peer, drop_closing
from crawler.network.resolver import ADMITTED_PRIVATE
from pipeline.errors import Reason

KEY = ("http", b"example.org", 80)


@pytest.fixture(autouse=True)
def _one_named_address() -> Iterator[None]:
    ADMITTED_PRIVATE.clear()
    ADMITTED_PRIVATE.add(("127.0.0.1", 9000))
    yield
    ADMITTED_PRIVATE.clear()


@pytest.mark.parametrize(
    ("host", "port"),
    [("127.0.0.1", 80), ("10.0.0.1", 443), ("::1", 80), ("127.0.0.1", 9001), ("::ffff:127.0.0.1", 9000)],
)
def test_a_connection_that_leads_inside_is_ended_before_anything_is_sent(host: str, port: int) -> None:
    kind = IPv6Address if ":" in host else IPv4Address

    with pytest.raises(Settled) as ended:
        check_peer(kind("TCP", host, port))

    assert ended.value.trouble.reason is Reason.ADDRESS_FORBIDDEN


@pytest.mark.parametrize(("host", "port"), [("93.184.215.14", 80), ("2606:4700::1111", 443), ("127.0.0.1", 9000)])
def test_connections_to_public_and_to_named_addresses_are_used(host: str, port: int) -> None:
    check_peer((IPv6Address if ":" in host else IPv4Address)("TCP", host, port))


def test_a_closing_connection_is_not_taken_for_the_next_request() -> None:
    clock = Clock()
    pool = HTTPConnectionPool(clock, persistent=True)
    pool.maxPersistentPerHost = 10
    closing, gone, standing = (_connection(transport) for transport in (_transport(True), None, _transport(False)))
    for connection in (closing, gone, standing):
        pool._putConnection(KEY, connection)

    drop_closing(pool, KEY)
    drop_closing(pool, ("http", b"another.example", 80))

    assert pool._connections == {KEY: [standing]}
    assert set(pool._timeouts) == {standing}
    assert len(clock.getDelayedCalls()) == 1


def _connection(transport: Any) -> Any:
    return _Connection("QUIESCENT", transport)


def _transport(disconnecting: object) -> Any:
    return SimpleNamespace(disconnecting=disconnecting)


class _Connection:
    def __init__(self, state: str, transport: Any) -> None:
        self.state = state
        self.transport = transport
