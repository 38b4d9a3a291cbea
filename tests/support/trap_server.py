"""Servers on loopback for the trap site: hosts told apart by name, answers that break the rules, and one log."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.web_server import _sign


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes:
        headers: In order; a name may stand twice.
        content_type: None for none.
        length: Content-Length as it is sent; None for the right one, empty for none.
        endless: What follows the body, over and over.
        pause: Seconds before each time.
        then_close: Whether the connection is cut after the body.
    """

    body: bytes = b""
    content_type: str | None = "image/jpeg"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    length: str | None = None
    endless: bytes = b""
    pause: float = 0.0
    then_close: bool = False


@dataclass(frozen=True)
class Visit:
    """One request, when it came, and how it was answered: `whole` says whether all of a good answer was sent."""

    host: str
    path: str
    at: float
    user_agent: str
    status: int
    whole: bool


Route = Reply | Callable[[int], Reply]
"""A callable is told how often the address was asked for before."""


class Log:
    """The visits of all servers; any thread may add."""

    def __init__(self) -> None:
        self.visits: list[Visit] = []
        self.strangers: list[str] = []
        self._asked: dict[tuple[str, str], int] = {}
        self._mutex = threading.Lock()

    def count(self, host: str, path: str) -> int:
        """How often an address was asked for before."""
        with self._mutex:
            before = self._asked.get((host, path), 0)
            self._asked[host, path] = before + 1
        return before

    def add(self, visit: Visit) -> None:
        with self._mutex:
            self.visits.append(visit)

    def of(self, host: str) -> list[Visit]:
        return [visit for visit in self.visits if visit.host == host]

    def forget(self) -> None:
        """Begin anew, for another crawl."""
        with self._mutex:
            self.visits.clear()
            self._asked.clear()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_who: object) -> None:
        """Clients that hang up are what this is about."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    routes: dict[tuple[str, str], Route]
    log: Log
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        host = (self.headers["Host"] or "").rpartition(":")[0] or (self.headers["Host"] or "")
        route = self.routes.get((host, self.path), Reply(b"not found", "text/plain", 404))
        reply = route(self.log.count(host, self.path)) if callable(route) else route
        at, agent, whole = time.monotonic(), self.headers["User-Agent"] or "", False
        try:
            self._send(reply)
            whole = reply.status == 200
        except OSError:
            self.close_connection = True
        finally:
            self.log.add(Visit(host, self.path, at, agent, reply.status, whole))

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        if reply.content_type is not None:
            self.send_header("Content-Type", reply.content_type)
        closes = reply.then_close or reply.length is not None
        if closes:  # or the client's next request would meet what is left of this body
            self.send_header("Connection", "close")
        for name, value in reply.headers:
            self.send_header(name, value)
        if reply.length or (reply.length is None and not reply.endless):
            self.send_header("Content-Length", str(len(reply.body)) if reply.length is None else reply.length)
        self.end_headers()
        self.wfile.write(reply.body)
        while reply.endless:
            time.sleep(reply.pause)
            self.wfile.write(reply.endless)
        self.close_connection = closes

    def log_message(self, *_args: object) -> None:
        pass


@contextlib.contextmanager
def serve(
    routes: dict[tuple[str, str], Route], log: Log, *, address: str = "127.0.0.1", certificate: Path | None = None
) -> Iterator[int]:
    """A running server for hosts and paths; gives its port."""

    handler = type("Handler", (_Handler,), {"routes": routes, "log": log})
    server = (_Server6 if ":" in address else _Server)((address, 0), handler)
    if certificate is not None:
        _sign(certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def sentinel(log: Log, address: str = "127.0.0.1") -> Iterator[int]:
    """A port that nobody may connect to; who does is noted in `log.strangers`."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as listener:
        listener.bind((address, 0))
        listener.listen()

        def watch() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, who = listener.accept()
                    log.strangers.append(f"{who}")
                    connection.close()

        threading.Thread(target=watch, daemon=True).start()
        yield listener.getsockname()[1]
        # Closing alone does not wake a thread that waits in accept.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def has_ipv6() -> bool:
    """Whether this machine has an address ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
