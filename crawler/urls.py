"""Addresses of pages and pictures: canonical form, and what can be told from an address alone. No I/O."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

DEFAULT_PORTS = {"http": 80, "https": 443}

IMAGE_ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic",
)  # fmt: skip
_NOT_PAGES = re.compile(
    r"\.(?:css|js|mjs|json|xml|rss|atom|txt|csv|pdf|docx?|xlsx?|pptx?|od[tsp]|zip|gz|tgz|bz2|xz|7z|rar|tar|dmg|exe|msi|"
    r"apk|iso|mp3|ogg|oga|wav|flac|m4a|mp4|m4v|webm|mov|avi|mkv|svg|ico|woff2?|ttf|otf|eot)$",
    re.IGNORECASE,
)
_TRACKING = re.compile(r"^(?:utm_\w+|fbclid|gclid)=", re.IGNORECASE)
_LONGEST_HOST = 253  # RFC 1035, section 2.3.4, as text
# What may stand unescaped in a path or query, per RFC 3986; `%` keeps escapes that are there already.
_SAFE = "/:@!$&'()*+,;=-._~%"


def absolute_url(base: str, reference: str) -> str | None:
    """The canonical http(s) address that a reference on a page means; None for anything else (`data:`, `mailto:`)."""
    if not reference.strip():
        return None  # it would be the page itself
    try:
        return canonical_url(urljoin(base, reference.strip()))
    except ValueError:
        return None


def canonical_url(url: str) -> str:
    """One spelling for one address: lower-case host, no default port, no fragment, escapes where needed.

    The query keeps its order, as some are signed.

    Raises:
        ValueError: Not an http(s) address with a host.
    """
    parts = urlsplit(url.strip())
    scheme, host = parts.scheme.lower(), parts.hostname
    if scheme not in DEFAULT_PORTS or not host:
        raise ValueError(f"not a web address: {url!r}")
    port = parts.port
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    if len(host) > _LONGEST_HOST:
        raise ValueError(f"no host has a name of {len(host)} characters")
    netloc = f"[{host}]" if ":" in host else host
    if port is not None and port != DEFAULT_PORTS[scheme]:
        netloc += f":{port}"
    path = quote(parts.path, safe=_SAFE) or "/"
    return urlunsplit((scheme, netloc, path, quote(parts.query, safe=_SAFE + "?"), ""))


def page_url(url: str) -> str:
    """A canonical address without the parameters that only count visitors."""
    parts = urlsplit(url)
    if not parts.query:
        return url
    query = "&".join(pair for pair in parts.query.split("&") if not _TRACKING.match(pair))
    return urlunsplit(parts._replace(query=query))


def host_and_port(url: str) -> tuple[str, int]:
    """Host, in lower case, and port of an http(s) address.

    Raises:
        ValueError: An impossible port.
    """
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or DEFAULT_PORTS.get(parts.scheme, 0)


def same_site(one: str, other: str) -> bool:
    """Whether two addresses have one host and one port, where http's and https's own ports count as one."""
    (one_host, one_port), (other_host, other_port) = host_and_port(one), host_and_port(other)
    ports = {one_port, other_port}
    return one_host == other_host and (len(ports) == 1 or ports == set(DEFAULT_PORTS.values()))


def file_name(url: str) -> str:
    """The last part of the path, unescaped, without its ending."""
    name = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])
    stem, dot, ending = name.rpartition(".")
    return stem if dot and f".{ending.lower()}" in IMAGE_ENDINGS else name


def looks_like_image(url: str) -> bool:
    """Whether an address ends like a picture's; `.../wiki/File:Mill.jpg` is a page about one."""
    last = urlsplit(url).path.rpartition("/")[2].lower()
    return last.endswith(IMAGE_ENDINGS) and ":" not in unquote(last)


def looks_like_page(url: str) -> bool:
    """Whether an address may be that of an HTML page."""
    return not looks_like_image(url) and not _NOT_PAGES.search(urlsplit(url).path)


def is_loopback(host: str) -> bool:
    """Whether a host name or literal is this machine, by name alone: nothing is looked up."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
