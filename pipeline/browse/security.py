"""What stands between the gallery and the web: headers on every answer, and a check of the name it was asked under.

Titles, addresses and pictures come from anywhere. Templates escape them; these headers see to it that even a mistake
there could neither run a script nor load anything from elsewhere.
"""

from __future__ import annotations

import ipaddress

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """Refuses requests under foreign host names, and adds the security headers to every answer.

    A page elsewhere can let its own name point at this machine (DNS rebinding) and then read the gallery as if it were
    its own; but its name gives it away. Names of this machine, the bound host and, where the gallery is bound to every
    address, any literal address are let in: an address in the address bar was not rebound by anybody.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        bound = _bare(host)
        self._names = _LOCAL_NAMES | {bound}
        self._any_address = _is_wildcard(bound)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on, one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if self._lets_in(Headers(scope=scope).getlist("host")):
            await self._app(scope, receive, send_with_headers)
            return
        refusal = PlainTextResponse(
            "400: this gallery does not answer under that host name. Open it at the address that "
            "`dreamcrawl browse` printed, or bind it to that name with --host.\n",
            status_code=400,
        )
        await refusal(scope, receive, send_with_headers)

    def _lets_in(self, hosts: list[str]) -> bool:
        if len(hosts) != 1 or (name := host_name(hosts[0])) is None:
            return False
        return name in self._names or (self._any_address and _is_address(name))


def host_name(header: str) -> str | None:
    """The name or address in a Host header, without port and brackets, in lower case; None when it is malformed."""
    name, port = header.strip(), ""
    if name.startswith("["):
        name, closed, port = name[1:].partition("]")
        if not closed or not _is_address(name) or (port and not port.startswith(":")):
            return None
        port = port[1:]
    elif ":" in name:
        name, _, port = name.partition(":")
    if not name or (port and not port.isdecimal()):
        return None
    return name.lower().removesuffix(".")


def _bare(host: str) -> str:
    return host.strip().lower().removeprefix("[").removesuffix("]").removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_wildcard(host: str) -> bool:
    return not host or (_is_address(host) and ipaddress.ip_address(host).is_unspecified)
