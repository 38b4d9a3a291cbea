"""A real web server on loopback whose answers, good and bad, a test writes down, and which logs what it was asked."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import itertools
import select
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        send_only: Send this many bytes of the body, though Content-Length names all, and close.
        drip_seconds: Pause after each of `drip_bytes` bytes of the body.
        wait_seconds: Pause before the first byte.
        pace_seconds: Pause after each `PIECE` of the body, ended early when the client hangs up.
        endless: Send the body over and over, without Content-Length, until the client hangs up.
    """

    body: bytes = b""
    content_type: str | None = "text/html; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    send_only: int | None = None
    drip_seconds: float = 0.0
    drip_bytes: int = 1
    wait_seconds: float = 0.0
    pace_seconds: float = 0.0
    endless: bool = False


@dataclass(frozen=True)
class Asked:
    """One request, and when it came."""

    path: str
    at: float
    headers: Mapping[str, str]


PIECE = 8 * 2**10
Route = Answer | Callable[[int], Answer]


class WebServer:
    """Routes by path; a callable route is told how often the path was asked for before.

    A request that names the ETag of a good answer gets 304 instead, with the same headers. `sent` counts the bytes of
    paced bodies by path.
    """

    def __init__(self, routes: dict[str, Route], certificate: Path | None = None) -> None:
        self.routes = routes
        self.log: list[Asked] = []
        self.sent: dict[str, int] = {}
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with contextlib.suppress(OSError):
                    server._answer(self)

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        if certificate is not None:
            _sign(certificate)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.url = f"https://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        """Every path asked for, in order."""
        return [asked.path for asked in self.log]

    def times(self, path: str) -> list[float]:
        """When a path was asked for, in seconds of the monotonic clock."""
        return [asked.at for asked in self.log if asked.path == path]

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            before = len(self.times(handler.path))
            self.log.append(Asked(handler.path, time.monotonic(), dict(handler.headers)))
        route = self.routes.get(handler.path, Answer(b"not found", status=404))
        answer = route(before) if callable(route) else route
        time.sleep(answer.wait_seconds)
        tag = answer.headers.get("ETag")
        unchanged = tag is not None and answer.status == 200 and handler.headers["If-None-Match"] == tag
        handler.send_response(304 if unchanged else answer.status)
        if answer.content_type is not None:
            handler.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if not answer.endless and not unchanged:
            handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        if unchanged:
            return
        body = answer.body[: answer.send_only]
        if answer.endless or answer.pace_seconds:
            self._send_paced(handler, answer)
        elif not answer.drip_seconds:
            handler.wfile.write(body)
        else:
            for start in range(0, len(body), answer.drip_bytes):
                handler.wfile.write(body[start : start + answer.drip_bytes])
                handler.wfile.flush()
                time.sleep(answer.drip_seconds)
        if answer.send_only is not None or answer.endless:
            handler.close_connection = True

    def _send_paced(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        starts = range(0, len(answer.body), PIECE)
        for start in itertools.cycle(starts) if answer.endless else starts:
            piece = answer.body[start : start + PIECE]
            handler.wfile.write(piece)
            self.sent[handler.path] = self.sent.get(handler.path, 0) + len(piece)
            # A client that hangs up makes its socket readable.
            if select.select([handler.connection], [], [], answer.pace_seconds)[0]:
                handler.close_connection = True
                return


@contextlib.contextmanager
def web_server(routes: dict[str, Route], certificate: Path | None = None) -> Iterator[WebServer]:
    """A running server; it stops with the block. With a path it speaks TLS, with a certificate that nobody signed."""
    server = WebServer(routes, certificate)
    thread = threading.Thread(target=server._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server._server.shutdown()
        server._server.server_close()


def page(*images: str, title: str = "Mills", links: tuple[str, ...] = (), head: str = "") -> Answer:
    """An HTML page that shows pictures, each with the alternative text "windmill"."""
    shown = "".join(f'<figure><img src="{source}" alt="windmill"></figure>' for source in images)
    anchors = "".join(f'<a href="{link}">more</a>' for link in links)
    return Answer(f"<!doctype html><title>{title}</title>{head}<body>{shown}{anchors}".encode())


def picture(text: bytes = b"picture", **changes: object) -> Answer:
    """Bytes that the server calls a JPEG; the crawl does not look inside."""
    return Answer(body=b"\xff\xd8\xff" + text, content_type="image/jpeg", **changes)  # type: ignore[arg-type]  # a test's shorthand


def _sign(path: Path) -> None:
    """Write a key and a certificate for 127.0.0.1 that it signs itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(pem))
