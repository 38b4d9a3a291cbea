"""Keys of APIs: put into a request just before it is sent, so that nothing that is kept or shown holds one."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlsplit, urlunsplit

from crawler.sources.base import ApiRequest

_HIDDEN = "[key]"


def with_secrets(request: ApiRequest, credentials: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The address and the headers of a request with its secrets; those that are not at hand are left away."""
    parts, headers = urlsplit(request.url), {}
    pairs = [parts.query] if parts.query else []
    for place, name in request.secret.items():
        if name not in credentials:
            continue
        if place.startswith("?"):
            pairs.append(f"{place[1:]}={quote(credentials[name], safe='')}")
        elif place == "Authorization":
            headers[place] = f"Bearer {credentials[name]}"
        else:
            headers[place] = credentials[name]
    return urlunsplit(parts._replace(query="&".join(pairs))), headers


def without_secrets(line: str, credentials: Mapping[str, str]) -> str:
    """A line for people, with every key that stands in it replaced: servers and libraries tell addresses whole."""
    for secret in credentials.values():
        for form in (secret, quote(secret, safe="")):
            if form:
                line = line.replace(form, _HIDDEN)
    return line
