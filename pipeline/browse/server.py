"""Serves the gallery on a socket of its own until Ctrl-C."""

from __future__ import annotations

import errno
import gc
import logging
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from pipeline.errors import UsageError

# Browsers keep connections open; nobody wants to wait for them after Ctrl-C.
_SHUTDOWN_SECONDS = 3


def run_server(app: FastAPI, *, host: str, port: int, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve until Ctrl-C or a termination signal, then return.

    host: Name or address to listen on.
    port: 0 for any free one.
    on_ready: Called once with the address to open, such as `http://127.0.0.1:8700/`, when requests are answered.

    Raises:
        UsageError: The port is taken or not permitted, or the host is not one of this machine.
    """
    listener = _listen(host.strip().removeprefix("[").removesuffix("]"), port)
    with listener:
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        # After the configuration, which sets uvicorn's loggers up anew.
        logger = logging.getLogger("uvicorn.error")
        logger.addFilter(_is_news)
        settle()
        try:
            _Server(config, on_ready=on_ready, url=_url(listener)).run(sockets=[listener])
        except KeyboardInterrupt:
            # uvicorn has finished its requests and hands the signal on; ending is what was asked for.
            return
        finally:
            logger.removeFilter(_is_news)
            gc.unfreeze()


def settle() -> None:
    """Take what is loaded by now for good; looking through it for garbage would hold up some pages by 50 ms."""
    gc.collect()
    gc.freeze()


def _is_news(record: logging.LogRecord) -> bool:
    """Everything but uvicorn's error that a browser kept its connection open after Ctrl-C, which they all do."""
    return "timeout graceful shutdown exceeded" not in record.getMessage()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, *, on_ready: Callable[[str], None] | None, url: str) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._on_ready is not None:
            self._on_ready(self._url)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family)
    except socket.gaierror as error:
        raise UsageError(f"{host!r} is no address of this machine; --host 127.0.0.1 serves it to you alone") from error
    except OSError as error:
        raise UsageError(_problem(host, port, error)) from error


def _problem(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken; give another with --port, or --port 0 for any free one"
    if error.errno == errno.EACCES:
        return f"port {port} may only be opened by the system; give one above 1023 with --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine; --host 127.0.0.1 serves it to you alone"
    return f"cannot listen on {host}, port {port}: {error.strerror or error}; try another --host or --port"


def _url(listener: socket.socket) -> str:
    address, port = listener.getsockname()[:2]
    # A wildcard is an address to listen on, not one to open.
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 # compared, not bound
    return f"http://[{address}]:{port}/" if ":" in address else f"http://{address}:{port}/"
