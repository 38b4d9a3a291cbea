"""Prefect's API server for the length of one command, in a child process that ends with us, however we end.

Prefect can start a temporary server by itself, but that one is left behind when this process is killed, says nothing
while it migrates its database, and gives up after 20 seconds.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import PipelineError

_POLL_SECONDS = 0.1
_STOP_SECONDS = 10.0
_WAIT_NOTE_SECONDS = 1.0


class PrefectUnavailable(PipelineError):
    """Prefect's server did not start or does not answer."""


@contextlib.contextmanager
def prefect_server(
    *,
    home: Path,
    api_url: str,
    services: bool,
    timeout_seconds: float,
    on_wait: Callable[[float], None],
) -> Iterator[str]:
    """The address of a Prefect API that answers: the one named, or one started for the length of the block.

    Sets PREFECT_API_URL, so use it before the first import of prefect.

    Args:
        home: Prefect's home; the server's log goes there.
        api_url: An API to use, such as `http://127.0.0.1:4200/api`; empty to start one.
        services: Whether to run the background services: the scheduler that starts runs on time needs them.
        timeout_seconds: How long to wait for the first answer.
        on_wait: Called now and then with the seconds waited so far.

    Raises:
        PrefectUnavailable: No answer in time; the message says where the log lies.
    """
    if api_url:
        _require_answer(api_url)
        os.environ["PREFECT_API_URL"] = api_url
        yield api_url
        return
    log_path = home / "server.log"
    home.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        with _alone(home, timeout_seconds=timeout_seconds, on_wait=on_wait), log_path.open("ab") as log:
            child = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
                # -P: no module of the folder that the command was started in.
                [sys.executable, "-P", "-m", "flows.prefect_server", "services" if services else "api"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=_child_environment(),
                # Ctrl-C is for the parent: it must still reach the server to record how the run ended.
                start_new_session=True,
            )
            stack.callback(_stop, child)
            url = _wait_until_healthy(child, timeout_seconds=timeout_seconds, log_path=log_path, on_wait=on_wait)
        os.environ["PREFECT_API_URL"] = url
        stack.callback(os.environ.pop, "PREFECT_API_URL", None)
        yield url


@contextlib.contextmanager
def _alone(home: Path, *, timeout_seconds: float, on_wait: Callable[[float], None]) -> Iterator[None]:
    """For one process at a time: two servers that begin at once would both migrate Prefect's database.

    Raises:
        PrefectUnavailable: Another one is still at it when the time is up.
    """
    lock, started = FileLock(home / "starting.lock"), time.monotonic()
    while True:
        try:
            lock.acquire(timeout=_WAIT_NOTE_SECONDS)
            break
        except Timeout:
            waited = time.monotonic() - started
            if waited >= timeout_seconds:
                raise PrefectUnavailable(
                    f"another command has been starting Prefect's server in {home} for {waited:.0f} s; try again later"
                ) from None
            on_wait(waited)
    try:
        yield
    finally:
        lock.release()


def _child_environment() -> dict[str, str]:
    environment = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    environment["PYTHONSAFEPATH"] = "1"
    # The child must find this package wherever the command was started from.
    root = str(Path(__file__).resolve().parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH", "")]))
    return environment


def _wait_until_healthy(
    child: subprocess.Popen[bytes], *, timeout_seconds: float, log_path: Path, on_wait: Callable[[float], None]
) -> str:
    started = time.monotonic()
    port: list[int] = []

    def read_port() -> None:
        assert child.stdout is not None
        line = child.stdout.readline().strip()
        if line.isdigit():
            port.append(int(line))

    threading.Thread(target=read_port, daemon=True).start()
    next_note = _WAIT_NOTE_SECONDS
    while (waited := time.monotonic() - started) < timeout_seconds:
        if child.poll() is not None:
            raise PrefectUnavailable(
                f"Prefect's server ended at once (exit code {child.returncode}); its log is {log_path}"
            )
        if port and _answers(url := f"http://127.0.0.1:{port[0]}/api"):
            return url
        if waited >= next_note:
            on_wait(waited)
            next_note = waited + _WAIT_NOTE_SECONDS
        time.sleep(_POLL_SECONDS)
    raise PrefectUnavailable(
        f"Prefect's server did not answer within {timeout_seconds:.0f} s; its log is {log_path}; "
        "allow more time with DREAMCRAWL_PREFECT_STARTUP_TIMEOUT_SECONDS"
    )


def _answers(api_url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{api_url}/health", timeout=5) as response:  # noqa: S310 - http on loopback, or the operator's own server
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _require_answer(api_url: str) -> None:
    if not api_url.startswith(("http://", "https://")):
        raise PrefectUnavailable(f"prefect.api_url must start with http:// or https://, got {api_url!r}")
    if not _answers(api_url):
        raise PrefectUnavailable(
            f"no Prefect server answers at {api_url}/health; start one with `prefect server start`, "
            "or unset PREFECT_API_URL and prefect.api_url to let dreamcrawl start its own"
        )


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.stdin is not None:
        child.stdin.close()
    child.terminate()
    try:
        child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _serve(*, services: bool) -> None:
    """The child: print the port, serve until told to stop or until the parent is gone."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)  # noqa: T201 - how the parent learns the port

    def end_with_parent() -> None:
        # The pipe closes when the parent ends in any way, SIGKILL included.
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()

    import uvicorn
    from prefect.server.api.server import create_app

    app = create_app(ephemeral=not services, final=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on")).run(sockets=[listener])


if __name__ == "__main__":
    _serve(services=sys.argv[1:] == ["services"])
