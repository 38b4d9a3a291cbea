"""A loopback server of one file that can be told to misbehave; it knows ranges and counts what it was asked."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class WeightsServer:
    """What the server does and what it saw. `cut_after` bytes of an answer it hangs up, `cuts` times."""

    body: bytes
    file_name: str
    cut_after: int = 0
    cuts: int = 0
    knows_ranges: bool = True
    status: int = 200
    pause_seconds: float = 0.0
    length: str | None = None
    """What it says the length is; None for the truth."""
    address: str = ""
    requests: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)


@contextmanager
def serving(server: WeightsServer) -> Iterator[WeightsServer]:
    """The server at work; its folder's address is `server.address`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.requests.append(self.path)
            server.ranges.append(self.headers.get("Range"))
            if server.status != 200 or self.path != f"/{server.file_name}":
                self.send_error(server.status if server.status != 200 else 404)
                return
            start = self._start()
            if start > len(server.body):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(server.body) - 1}/{len(server.body)}")
            self.send_header("Content-Length", server.length or str(len(server.body) - start))
            self.end_headers()
            self._send(server.body[start:])

        def _start(self) -> int:
            match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
            return int(match[1]) if match and server.knows_ranges else 0

        def _send(self, body: bytes) -> None:
            if server.cuts:
                server.cuts -= 1
                self.wfile.write(body[: server.cut_after])
                self.wfile.flush()
                self.connection.close()
                return
            if server.pause_seconds:
                stopped.wait(server.pause_seconds)
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Nothing: tests read `requests`."""

    stopped = threading.Event()
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    server.address = f"http://127.0.0.1:{http.server_address[1]}"
    try:
        yield server
    finally:
        stopped.set()
        http.shutdown()
        http.server_close()
        thread.join()
