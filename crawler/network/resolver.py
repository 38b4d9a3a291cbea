"""Host names to addresses, public ones only. Asked for every connection, redirects and literals included."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any, Self

from scrapy.utils.datatypes import LocalCache
from twisted.internet._resolver import GAIResolver, HostResolution
from twisted.internet.interfaces import IHostnameResolver, IResolutionReceiver
from zope.interface import implementer

from crawler.network.addresses import AddressPolicy

REFUSED_HOSTS: dict[str, str] = {}
"""Host name -> address, for each name refused so far by this process, like Scrapy's own cache of names.

Twisted drops the cause of a failed lookup on its way to the errback, and Scrapy copies its settings deeply, so the
reason has no other way.
"""

ADMITTED_PRIVATE: set[tuple[str, int]] = set()
"""IP address and port, for each one given out so far that is not public but belongs to a host that the operator named.

`crawler.network.connections` takes no other private one.
"""

_CACHED_NAMES = 10_000


@implementer(IResolutionReceiver)
class _Collector:
    """Gathers the addresses of one lookup, and tells them once: at its end, or when the time is up."""

    def __init__(self, reactor: Any, timeout_seconds: float, done: Callable[[list[Any]], None]) -> None:
        self._addresses: list[Any] = []
        self._done: Callable[[list[Any]], None] | None = done
        self._timer = reactor.callLater(timeout_seconds, self.give_up)

    def resolutionBegan(self, resolution: Any) -> None:  # noqa: N802  # Twisted's name
        """Nothing to do."""

    def addressResolved(self, address: Any) -> None:  # noqa: N802  # Twisted's name
        """One address."""
        self._addresses.append(address)

    def resolutionComplete(self) -> None:  # noqa: N802  # Twisted's name
        """There are no more."""
        self._finish(self._addresses)

    def give_up(self) -> None:
        """The name server does not answer."""
        self._finish([])

    def _finish(self, addresses: list[Any]) -> None:
        if self._done is not None:
            done, self._done = self._done, None
            if self._timer.active():
                self._timer.cancel()
            done(addresses)


@implementer(IHostnameResolver)
class GuardedResolver:
    """A resolver for IPv4 and IPv6 that gives out only addresses which the crawl's `AddressPolicy` admits.

    Twisted connects to the addresses it is given here and looks nothing up by itself: there is no second lookup in
    between for a name server to answer differently. A name keeps its addresses for the whole crawl.
    """

    def __init__(
        self, reactor: Any, *, policy: AddressPolicy, timeout_seconds: float, resolver: Any | None = None
    ) -> None:
        """Around a resolver; without one, the machine's own."""
        self._reactor = reactor
        self._policy = policy
        self._timeout_seconds = timeout_seconds
        self._resolver = resolver if resolver is not None else GAIResolver(reactor, getaddrinfo=_look_up)
        self._found: LocalCache[str, list[Any]] = LocalCache(_CACHED_NAMES)
        self._waiting: dict[str, list[Callable[[list[Any]], None]]] = {}

    @classmethod
    def from_crawler(cls, crawler: Any, reactor: Any) -> Self:
        """Made once for the process, before any crawl."""
        settings = crawler.settings
        policy = settings.get("DREAMCRAWL_ADDRESS_POLICY") or AddressPolicy()
        return cls(reactor, policy=policy, timeout_seconds=settings.getfloat("DNS_TIMEOUT"))

    def install_on_reactor(self) -> None:
        """Answer for both of Twisted's ways to ask."""
        self._reactor.installNameResolver(self)

    def resolveHostName(  # noqa: N802  # Twisted's names, here and below
        self,
        resolutionReceiver: Any,  # noqa: N803
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        addressTypes: Sequence[type] | None = None,  # noqa: N803
        transportSemantics: str = "TCP",  # noqa: ARG002, N803
    ) -> Any:
        """Give a receiver the addresses of a host that may be reached at this port; none fails the request."""
        host = ascii_host(hostName)
        resolution = HostResolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)

        def give(addresses: list[Any]) -> None:
            for address in self._admitted(host, portNumber, addresses):
                if addressTypes is None or isinstance(address, tuple(addressTypes)):
                    resolutionReceiver.addressResolved(_at_port(address, portNumber))
            resolutionReceiver.resolutionComplete()

        if host in self._found:
            give(self._found[host])
        elif host in self._waiting:
            self._waiting[host].append(give)
        else:
            self._waiting[host] = [give]
            collector = _Collector(self._reactor, self._timeout_seconds, lambda found: self._came(host, found))
            self._resolver.resolveHostName(collector, hostName)
        return resolution

    def _came(self, host: str, addresses: list[Any]) -> None:
        if addresses:  # what has none now may have some in a minute
            self._found[host] = addresses
        for give in self._waiting.pop(host):
            give(addresses)

    def _admitted(self, host: str, port: int, addresses: list[Any]) -> list[Any]:
        admitted = [address for address in addresses if self._policy.admits(host, port, _written_out(address))]
        if admitted:
            REFUSED_HOSTS.pop(host, None)
            ADMITTED_PRIVATE.update((_written_out(address), port) for address in admitted)
        elif addresses:
            REFUSED_HOSTS[host] = _written_out(addresses[0])
        return admitted


def ascii_host(host: str) -> str:
    """A host name as it stands in an address: lower case, and as ASCII (IDNA) where it has other letters."""
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return host.lower()
    return host.lower()


def _look_up(*arguments: Any) -> Any:
    """`socket.getaddrinfo`, but whatever cannot be looked up is a name that does not exist, as Twisted expects."""
    try:
        return socket.getaddrinfo(*arguments)
    except (OSError, UnicodeError) as error:  # UnicodeError: a label that is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from error


def _written_out(address: Any) -> str:
    scope = getattr(address, "scopeID", 0)
    host = str(address.host)
    return f"{host}%{scope}" if scope and "%" not in host else host


def _at_port(address: Any, port: int) -> Any:
    rest = (address.flowInfo, address.scopeID) if hasattr(address, "scopeID") else ()
    return type(address)(address.type, address.host, port, *rest)
