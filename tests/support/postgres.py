"""A PostgreSQL server for tests: the one in DREAMCRAWL_TEST_POSTGRES, or a throw-away one on a loopback port."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_START_SECONDS = 30
# An order of words as servers of the world have it: nothing may rely on that of bytes.
_ENCODING = ["-E", "UTF8", "--locale-provider=icu", "--icu-locale=en-US"]
# Nothing here outlives the server, so nothing need be safe from a power cut.
_OPTIONS = ["-F", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=200"]


class Server:
    """A running server, at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._made: list[str] = []

    def new_database(self, name: str | None = None) -> str:
        """The address of a new and empty database."""
        from sqlalchemy import make_url

        name = name or f"dreamcrawl_test_{uuid.uuid4().hex}"
        self.execute(f'CREATE DATABASE "{name}"')
        self._made.append(name)
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def drop(self, name: str) -> None:
        """Drop a database, in use or not, if it is there."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def drop_all(self) -> None:
        """Drop what `new_database` made."""
        for name in self._made:
            self.drop(name)

    def execute(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Run a statement outside of any transaction, in the database of `url`; its rows, if it has any."""
        import psycopg
        from sqlalchemy import make_url

        plain = make_url(self.url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []


class OwnServer(Server):
    """A server that nobody else uses, and that may be stopped and started again."""

    def __init__(self, url: str, *, command: list[str], control: list[str], folder: Path) -> None:
        super().__init__(url)
        self._command, self._control, self.folder = command, control, folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it lets somebody in."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self.folder)
        _wait_for(self.url, self._process)

    def stop(self) -> None:
        """Stop it at once, whoever is connected."""
        if self._process is None:
            return
        subprocess.run(
            [*self._control, "stop", "-m", "immediate"], check=False, stdout=subprocess.DEVNULL, cwd=self.folder
        )
        self._process.wait(timeout=30)
        self._process = None

    def ask_for_password(self, user: str) -> None:
        """Let a user in by password only."""
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(f"host all {user} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        self.execute("SELECT pg_reload_conf()")


@contextmanager
def postgres_server() -> Iterator[Server]:
    """A server; skips the test, with the reason, where there is none."""
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("PostgreSQL's driver is not installed: pip install dreamcrawl[postgres]")
    if url := os.environ.get("DREAMCRAWL_TEST_POSTGRES"):
        server = Server(url)
        try:
            yield server
        finally:
            server.drop_all()
        return
    with own_server() as own:
        yield own


@contextmanager
def own_server() -> Iterator[OwnServer]:
    """A server of one's own, also where there is another; skips the test, with the reason, where none can be."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("there are no PostgreSQL server programs")
    as_other = _other_user()
    folder = Path(tempfile.mkdtemp(prefix="dreamcrawl-postgres-"))
    try:
        if as_other:
            shutil.chown(folder, user="postgres")
        data, port = folder / "data", _free_port()
        subprocess.run(
            [*as_other, str(binaries / "initdb"), "-D", str(data), "-U", "test", "-A", "trust", "-N", *_ENCODING],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
        )
        options = ["-h", "127.0.0.1", "-p", str(port), "-k", "", *_OPTIONS]
        server = OwnServer(
            f"postgresql://test@127.0.0.1:{port}/postgres",
            command=[*as_other, str(binaries / "postgres"), "-D", str(data), *options],
            control=[*as_other, str(binaries / "pg_ctl"), "-D", str(data)],
            folder=folder,
        )
        try:
            server.start()
            yield server
        finally:
            server.stop()
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
