"""Which network addresses a crawl may reach: public ones, and the one host and port that the operator named.

A page can name any address, and a redirect can lead to any. So each request is judged by its address here, each host
name by the addresses it resolves to (`crawler.network.resolver`), and each connection by the address at its other end
(`crawler.network.connections`): no check can be passed by a name that points inward.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from crawler.urls import DEFAULT_PORTS, host_and_port, is_loopback

# `ipaddress` calls these global, but they lead to other, perhaps private addresses: NAT64 (RFC 6052, RFC 8215), 6to4
# (RFC 3056), Teredo (RFC 4380), the protocol assignments of RFC 6890, and documentation (RFC 9637).
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/23", "3fff::/20", "192.0.0.0/24", "192.88.99.0/24",
    )
)  # fmt: skip
# All that is handed out so far. `ipaddress` calls the rest global too, such as ::127.0.0.1 and the old fec0::/10.
_IPV6_UNICAST = ipaddress.IPv6Network("2000::/3")
# Names that no public name server answers for: RFC 6761, RFC 6762, RFC 8375, and those that ICANN keeps back.
_LOCAL_NAMES = ("localhost", "local", "internal", "home.arpa", "lan", "home", "corp")
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?\.?")


def is_public(address: str) -> bool:
    """Whether an IP address, written out, is one of the public internet; one with a scope (`%eth0`) never is."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None:
            return False
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        elif ip not in _IPV6_UNICAST:
            return False
    special = any(ip.version == network.version and ip in network for network in _NOT_PUBLIC)
    return ip.is_global and not ip.is_multicast and not special


@dataclass(frozen=True)
class AddressPolicy:
    """What one crawl may reach.

    Attributes:
        start: Host and port that the operator named; None when nothing was, as in `scrapy shell`.
        start_is_private: Whether that host is not public. Then it is reached at that port only.
        has_contact: Whether the operator said who they are. Without it only the start host is reached.
        allowed: Further hosts and ports that may be private; for tests only.
    """

    start: tuple[str, int] | None = None
    start_is_private: bool = False
    has_contact: bool = False
    allowed: frozenset[tuple[str, int]] = frozenset()

    def objection(self, url: str) -> str | None:
        """Why an address must not be requested; None when it may, as far as the address alone tells."""
        try:
            parts, (host, port) = urlsplit(url), host_and_port(url)
        except ValueError:
            return "the address has an impossible port or host"
        if parts.scheme not in DEFAULT_PORTS or not host:
            return f"only http and https addresses are crawled, not {parts.scheme or 'this'}"
        # Two readers of such an address need not agree on where its host begins.
        if "@" in parts.netloc or not (_HOST.fullmatch(host) or _is_literal(host)):
            return "the address has a user name, or a host name that cannot be one"
        if (host, port) == self.start or (host, port) in self.allowed:
            return None
        if self.start is not None and host == self.start[0] and self.start_is_private:
            return f"{host} was named with port {self.start[1]}, not {port}"
        if port not in DEFAULT_PORTS.values():
            return f"port {port} is not one of the web's own ports"
        if is_loopback(host.removesuffix(".")) or (_is_literal(host) and not is_public(host)):
            return f"{host} is not a public address"
        if not self.has_contact and (self.start is None or host != self.start[0]):
            return f"{host} is another host, and no contact is set"
        return None

    def admits(self, host: str, port: int, address: str) -> bool:
        """Whether a host, asked for at a port, may be reached at this IP address.

        Args:
            host: In lower case and ASCII.
            port: The address's own, or its scheme's.
            address: What the host resolves to, written out.
        """
        named = (host, port) in self.allowed or (self.start_is_private and (host, port) == self.start)
        return named or is_public(address)


def is_private_name(host: str) -> bool:
    """Whether a host is inside by its name alone: a literal that is not public, or a name of no public zone.

    Nothing is looked up: what a name of the public internet resolves to is its owner's choice, and whoever names
    `example.org` does not mean a machine of their own.
    """
    if _is_literal(host):
        return not is_public(host)
    name = host.removesuffix(".")
    return "." not in name or name.endswith(tuple(f".{local}" for local in _LOCAL_NAMES))


def read_allowed(entries: Iterable[str]) -> frozenset[tuple[str, int]]:
    """Hosts and ports from `host:port`, each exactly one.

    Raises:
        ValueError: An entry without a port, or whose host could mean more than one.
    """
    found: set[tuple[str, int]] = set()
    for entry in entries:
        parts = urlsplit(f"//{entry}")
        host = (parts.hostname or "").lower()
        if (
            parts.port is None
            or parts.netloc != entry
            or "@" in entry
            or not (_HOST.fullmatch(host) or _is_literal(host))
        ):
            raise ValueError(f"not host:port: {entry!r}")
        found.add((host, parts.port))
    return frozenset(found)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host
