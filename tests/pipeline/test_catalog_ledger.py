from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.catalog.engine import open_catalog
from pipeline.catalog.ledger import MAX_ATTEMPTS, Ledger, LedgerEntry
from pipeline.errors import CatalogTooNew, Reason
from tests.support import plain_sql


def test_without_a_catalog_nothing_is_known_and_nothing_is_made(tmp_path: Path) -> None:
    for address in (tmp_path / "catalog.sqlite3", f"sqlite:///{tmp_path}/catalog.sqlite3"):
        with Ledger.open(address) as ledger:
            assert ledger.known(["https://example.org/a"]) == {}
    assert list(tmp_path.iterdir()) == []


def test_only_addresses_that_were_tried_are_known(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    urls = [f"https://example.org/{number}" for number in range(1100)]
    with open_catalog(path) as catalog, catalog.write() as uow:
        for url in urls[::5]:
            uow.ledger.record(url, state="rejected", reason="too_small", sha256="0" * 64, etag='"e"', last_modified="m")

    with Ledger.open(path) as ledger:
        found = ledger.known(iter([*urls, urls[0]]))

    assert set(found) == set(urls[::5])
    assert found[urls[0]] == LedgerEntry(urls[0], "rejected", Reason.TOO_SMALL, None, "0" * 64, '"e"', "m", 1)


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("state", ["kept", "rejected", "refused", "failed"])
def test_only_passing_failures_are_tried_again(state: str, reason: Reason) -> None:
    again = [LedgerEntry("u", state, reason, None, None, None, None, attempts).fetch_again for attempts in (1, 4, 5, 9)]

    assert MAX_ATTEMPTS == 5
    assert again == ([True, True, False, False] if state == "failed" and reason.is_transient else [False] * 4)


def test_attempts_are_counted_and_the_last_outcome_stays(tmp_path: Path) -> None:
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog, catalog.write() as uow:
        for reason in ("timeout", "dns", "http_5xx"):
            uow.ledger.record("u", state="failed", reason=reason, detail=reason)
        failed = uow.ledger.known(["u"])["u"]
        uow.ledger.record("u", state="rejected", reason="corrupt", sha256="1" * 64)
        rejected = uow.ledger.known(["u"])["u"]

    assert (failed.attempts, failed.reason, failed.fetch_again) == (3, Reason.HTTP_SERVER_ERROR, True)
    assert (rejected.attempts, rejected.state, rejected.sha256) == (4, "rejected", "1" * 64)


@pytest.mark.parametrize("later", ["failed", "refused"])
def test_a_later_failure_does_not_unmake_what_is_kept(tmp_path: Path, later: str) -> None:
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog, catalog.write() as uow:
        uow.ledger.record("u", state="kept", sha256="1" * 64, etag="e")
        uow.ledger.record("u", state=later, reason="timeout")
        entry = uow.ledger.known(["u"])["u"]

    assert (entry.state, entry.reason, entry.sha256, entry.etag, entry.attempts) == ("kept", None, "1" * 64, "e", 2)


def test_a_newer_catalog_is_told(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    open_catalog(path).close()
    plain_sql.change(path, "UPDATE alembic_version SET version_num = 'zzzz'")

    with pytest.raises(CatalogTooNew), Ledger.open(path):
        pass


def test_a_ledger_sees_what_is_written_while_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    with open_catalog(path) as catalog, Ledger.open(path) as ledger:
        before = ledger.known(["u"])
        with catalog.write() as uow:
            uow.ledger.record("u", state="refused", reason="robots")

        assert before == {}
        assert ledger.known(["u"])["u"].reason is Reason.ROBOTS


def test_the_module_is_light_to_import() -> None:
    script = "import pipeline.catalog.ledger, sys; print(int('sqlalchemy' in sys.modules or 'numpy' in sys.modules))"

    assert subprocess.run([sys.executable, "-c", script], check=True, capture_output=True).stdout.strip() == b"0"
