"""A PostgreSQL server for tests: the one in DREAMCRAWL_TEST_POSTGRES, or a throw-away one on a loopback port."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_START_SECONDS = 30


class Server:
    """A running server; `new_database` gives the address of an empty database on it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = itertools.count(1)

    def new_database(self) -> str:
        import psycopg
        from sqlalchemy import make_url

        name = f"dreamcrawl_test_{os.getpid()}_{next(self._numbers)}"
        plain = make_url(self._url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return make_url(self._url).set(database=name).render_as_string(hide_password=False)


@contextmanager
def postgres_server() -> Iterator[Server]:
    """A server; skips the test, with the reason, where there is none."""
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("PostgreSQL's driver is not installed: pip install dreamcrawl[postgres]")
    if url := os.environ.get("DREAMCRAWL_TEST_POSTGRES"):
        yield Server(url)
        return
    binaries = _binaries()
    if binaries is None:
        pytest.skip("there are no PostgreSQL server programs, and DREAMCRAWL_TEST_POSTGRES is not set")
    as_other = _other_user()
    folder = Path(tempfile.mkdtemp(prefix="dreamcrawl-postgres-"))
    try:
        if as_other:
            shutil.chown(folder, user="postgres")
        data, port = folder / "data", _free_port()
        subprocess.run(
            [*as_other, str(binaries / "initdb"), "-D", str(data), "-U", "test", "-A", "trust", "-E", "UTF8", "-N"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
        )
        options = ["-h", "127.0.0.1", "-p", str(port), "-k", "", "-F"]
        command = [*as_other, str(binaries / "postgres"), "-D", str(data), *options]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            url = f"postgresql://test@127.0.0.1:{port}/postgres"
            _wait_for(url, process)
            yield Server(url)
        finally:
            subprocess.run(
                [*as_other, str(binaries / "pg_ctl"), "stop", "-D", str(data), "-m", "immediate"],
                check=False,
                stdout=subprocess.DEVNULL,
                cwd=folder,
            )
            process.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path | None:
    if found := shutil.which("initdb"):
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return folders[-1] if folders else None


def _other_user() -> list[str]:
    """How to become another user, as the server refuses to run as root."""
    if os.name != "posix" or os.geteuid() != 0:
        return []
    if shutil.which("runuser") is None:
        pytest.skip("PostgreSQL does not run as root, and there is no runuser to become another")
    return ["runuser", "-u", "postgres", "--"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    import psycopg

    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
