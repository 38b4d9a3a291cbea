"""Which network addresses a crawl may reach: public ones, and the one host and port that the operator named.

A page can name any address, and a redirect can lead to any, so each request is judged by its address here, and each
host name once more when it has been resolved (`crawler.resolver`): no check can be passed by a name that points inward.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from crawler.urls import DEFAULT_PORTS, host_and_port, is_loopback

# `ipaddress` calls these global, but they lead to other, perhaps private addresses: NAT64 (RFC 6052, RFC 8215), 6to4
# (RFC 3056), Teredo (RFC 4380), and the protocol assignments of RFC 6890.
_TUNNELS = tuple(
    ipaddress.ip_network(text)
    for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/23", "192.0.0.0/24", "192.88.99.0/24")
)


def is_public(address: str) -> bool:
    """Whether an IP address, written out, is one of the public internet."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    inside_tunnel = any(ip.version == network.version and ip in network for network in _TUNNELS)
    return ip.is_global and not ip.is_multicast and not inside_tunnel


@dataclass(frozen=True)
class AddressPolicy:
    """What one crawl may reach.

    Attributes:
        start: Host and port that the operator named; None when nothing was, as in `scrapy shell`.
        start_is_private: Whether that host is not public. Then it is reached at that port only.
        has_contact: Whether the operator said who they are. Without it only the start host is reached.
    """

    start: tuple[str, int] | None = None
    start_is_private: bool = False
    has_contact: bool = False

    def objection(self, url: str) -> str | None:
        """Why an address must not be requested; None when it may, as far as the address alone tells."""
        try:
            scheme, (host, port) = urlsplit(url).scheme, host_and_port(url)
        except ValueError:
            return "the address has an impossible port"
        if scheme not in DEFAULT_PORTS or not host:
            return f"only http and https addresses are crawled, not {scheme or 'this'}"
        if self.start is not None and (host, port) == self.start:
            return None
        if self.start is not None and host == self.start[0] and self.start_is_private:
            return f"{host} was named with port {self.start[1]}, not {port}"
        if port not in DEFAULT_PORTS.values():
            return f"port {port} is not one of the web's own ports"
        if is_loopback(host) or (_is_literal(host) and not is_public(host)):
            return f"{host} is not a public address"
        if not self.has_contact and (self.start is None or host != self.start[0]):
            return f"{host} is another host, and no contact is set"
        return None

    @property
    def private_host(self) -> str | None:
        """The one host name that may resolve to an address that is not public."""
        return self.start[0] if self.start is not None and self.start_is_private else None


def resolves_to_private(host: str) -> bool:
    """Whether a host is, or right now has, an address that is not public; False when it cannot be resolved."""
    if _is_literal(host):
        return not is_public(host)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return any(not is_public(str(address[0])) for *_, address in found)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
