"""How often each host may be asked: the published rules of hosts, the rules of the source, what the operator set.

The strictest of them holds: an operator may be more patient than a host asks for, never less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import urlsplit

from crawler.sources.base import ApiSource, Manners, Source
from crawler.urls import DEFAULT_PORTS, host_and_port, is_loopback
from pipeline.catalog.host_rules import HostLimits

KNOWN_HOSTS: Mapping[str, Manners] = MappingProxyType(
    {
        # Two at once over all: Wikimedia's robot policy, for whichever page or source names the picture.
        "upload.wikimedia.org": Manners(0.0, concurrency=2),
        "thumb.wikimedia.org": Manners(0.0, concurrency=2),
    }
)
"""Hosts with rules of their own, whoever asks them."""


@lru_cache(maxsize=1024)  # asked several times for each request
def host_key(url: str) -> str:
    """The name that a host's budget is kept under: lower case, with the port where it is not http's or https's own."""
    try:
        host, port = host_and_port(url)
    except ValueError:
        return urlsplit(url).netloc.lower()
    host = f"[{host}]" if ":" in host else host
    return host if port in DEFAULT_PORTS.values() else f"{host}:{port}"


def is_own_machine(key: str) -> bool:
    """Whether a host is the machine that the crawl runs on: it needs no delay."""
    return is_loopback(urlsplit(f"//{key}").hostname or "")


def rules_of(sources: Iterable[Source]) -> Mapping[str, Manners]:
    """The rules of the hosts that these sources know of; of several for one host the strictest."""
    rules: dict[str, Manners] = {}
    for source in sources:
        if isinstance(source, ApiSource):
            for host, manners in {**source.media_manners, host_key(source.base): source.manners}.items():
                rules[host] = _stricter(manners, rules.get(host))
    return rules


def limits_for(key: str, *, delay_seconds: float, concurrency: int, rules: Mapping[str, Manners]) -> HostLimits:
    """What a crawl allows itself at a host.

    Args:
        key: As `host_key` gave it.
        delay_seconds: As the operator set it; likewise `concurrency`.
        concurrency: Most requests at once.
        rules: Host -> its rules, of the source.
    """
    if is_own_machine(key):
        return HostLimits(0.0, concurrency)
    strict = _stricter(_stricter(Manners(delay_seconds, concurrency), KNOWN_HOSTS.get(key)), rules.get(key))
    return HostLimits(strict.delay_seconds, strict.concurrency, strict.daily)


def _stricter(one: Manners, other: Manners | None) -> Manners:
    if other is None:
        return one
    daily = min((most for most in (one.daily, other.daily) if most is not None), default=None)
    return Manners(max(one.delay_seconds, other.delay_seconds), max(1, min(one.concurrency, other.concurrency)), daily)
