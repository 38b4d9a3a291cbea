"""Name servers that a test makes up, for the processes that it starts.

The file that DREAMCRAWL_TEST_NAMES names holds `names` (host -> its answers, one after the other, the last for ever;
each a list of addresses), `elsewhere` (`address:port` of the internet -> port here that stands in for it), and `log`: a
file that gets a line for every connection that this process tries to make, whatever code makes it.
"""

from __future__ import annotations

import ipaddress
import json
import os
import socket
from pathlib import Path
from typing import Any


def install() -> None:
    told = json.loads(Path(os.environ["DREAMCRAWL_TEST_NAMES"]).read_text())
    names, elsewhere, log = told["names"], told["elsewhere"], Path(told["log"])
    asked: dict[str, int] = {}
    look_up, connect, connect_ex = socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex

    def made_up(host: Any, port: Any, family: int = 0, *rest: Any, **more: Any) -> Any:
        name = host.decode("ascii") if isinstance(host, bytes) else str(host)
        if name == "localhost" or is_numeric(name):
            return look_up(host, port, family, *rest, **more)
        name = name.encode("idna").decode("ascii").lower()
        answers = names.get(name, [[]])
        asked[name] = asked.get(name, 0) + 1
        found = [entry(text, port) for text in answers[min(asked[name], len(answers)) - 1]]
        found = [each for each in found if family in (0, each[0])]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found

    def seen(self: Any, address: Any) -> Any:
        if self.family not in (socket.AF_INET, socket.AF_INET6):
            return address
        host, port = address[:2]
        with log.open("a") as lines:
            lines.write(f"{host} {port}\n")
        instead = elsewhere.get(f"{host}:{port}")
        return address if instead is None else ("127.0.0.1", instead)

    socket.getaddrinfo = made_up
    socket.socket.connect = lambda self, address: connect(self, seen(self, address))
    socket.socket.connect_ex = lambda self, address: connect_ex(self, seen(self, address))


def is_numeric(name: str) -> bool:
    """Whether the system reads it as an address, odd notations included."""
    try:
        socket.inet_aton(name)
    except OSError:
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
    return True


def entry(text: str, port: Any) -> Any:
    if ":" in text:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (text, port or 0, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (text, port or 0)
