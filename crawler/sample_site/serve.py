"""Serves a folder on a loopback port, as a plain web server would, and keeps an access log."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

HOST = "127.0.0.1"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}


@dataclass(frozen=True)
class AccessLogEntry:
    """One request that was answered: what was asked, and with which status."""

    method: str
    path: str
    status: int
    user_agent: str


@dataclass(frozen=True)
class RunningSite:
    """A site being served.

    Attributes:
        url: Address of the front page, with a trailing slash.
        log: Every request answered so far, oldest first; grows while the site is served.
    """

    url: str
    port: int
    log: list[AccessLogEntry] = field(default_factory=list)

    def paths(self) -> set[str]:
        """Every path asked for so far."""
        return {entry.path for entry in self.log}


@contextlib.contextmanager
def serve_site(folder: Path, port: int = 0) -> Iterator[RunningSite]:
    """Serve `folder` on 127.0.0.1 until the block ends; port 0 takes any free one.

    Raises:
        OSError: The port is taken.
    """
    log: list[AccessLogEntry] = []

    class Handler(_Handler):
        root = folder.resolve()
        entries = log

    server = ThreadingHTTPServer((HOST, port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield RunningSite(f"http://{HOST}:{server.server_port}/", server.server_port, log)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "SampleSite/1"
    sys_version = ""
    timeout = 30
    root: Path
    entries: list[AccessLogEntry]

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002 - base class
        status = int(code) if str(code).isdigit() else 0
        self.entries.append(AccessLogEntry(self.command, self.path, status, self.headers.get("User-Agent", "")))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Nothing: errors of clients are theirs."""

    def _answer(self, *, with_body: bool) -> None:
        file = self._file()
        if file is None:
            body = b"<!doctype html><title>Not found</title><h1>There is no such page</h1>\n"
            self._send(HTTPStatus.NOT_FOUND, {"Content-Type": _TYPES[".html"]}, body if with_body else b"", len(body))
            return
        body = file.read_bytes()
        headers = {
            "Content-Type": _TYPES.get(file.suffix, "application/octet-stream"),
            "ETag": f'"{hashlib.sha256(body).hexdigest()[:20]}"',
            "Last-Modified": formatdate(file.stat().st_mtime, usegmt=True),
        }
        if self.headers.get("If-None-Match") == headers["ETag"]:
            self._send(HTTPStatus.NOT_MODIFIED, headers, b"", 0)
        else:
            self._send(HTTPStatus.OK, headers, body if with_body else b"", len(body))

    def _file(self) -> Path | None:
        path = unquote(urlsplit(self.path).path)
        file = (self.root / path.lstrip("/")).resolve()
        if file.is_dir():
            file /= "index.html"
        return file if file.is_relative_to(self.root) and file.is_file() else None

    def _send(self, status: HTTPStatus, headers: dict[str, str], body: bytes, length: int) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)
