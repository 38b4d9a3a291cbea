"""Runs the tests on PostgreSQL where DREAMCRAWL_TEST_CATALOGS is `postgresql`; what `make test-postgres` does.

One server for the whole run, that of `tests.support.postgres`; every catalog that a test or a process of it opens by a
path is led there by `led_catalogs`. Otherwise this does nothing.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.at_start import led_catalogs
from tests.support.plain_sql import on_postgresql
from tests.support.postgres import Server, postgres_server

AT_START = Path(led_catalogs.__file__).parent
TESTS = Path(__file__).parents[1]
_OPENS_CATALOGS = re.compile(r"\bopen_catalog\b|\bflows\.(?:cli|stages|wiring|keyword_flow)\b|\"-m\", \"flows\"")
_OF_SUPPORT = re.compile(r"\btests\.support(?:\.| import )(\w+)")

_opened = pytest.StashKey[ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the server, unless this is a worker, whose controller has done so."""
    if (asked := os.environ.get("DREAMCRAWL_TEST_CATALOGS", "")) not in ("", "sqlite", "postgresql"):
        raise pytest.UsageError(f"DREAMCRAWL_TEST_CATALOGS is sqlite or postgresql, not {asked!r}")
    if not on_postgresql() or hasattr(config, "workerinput"):
        return
    stack = config.stash[_opened] = ExitStack()
    try:
        server = stack.enter_context(postgres_server())
    except pytest.skip.Exception as missing:
        pytest.exit(f"nothing is tested on PostgreSQL: {missing.msg}", returncode=0)
    # Set for workers, and for every process that a test starts.
    os.environ["DREAMCRAWL_TEST_POSTGRES"] = server.url
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(AT_START), os.environ.get("PYTHONPATH")]))
    led_catalogs.install()
    _make_template(server)


def _make_template(server: Server) -> None:
    from pipeline.catalog.engine import open_catalog

    server.drop(led_catalogs.TEMPLATE)
    open_catalog(server.new_database(led_catalogs.TEMPLATE)).close()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server."""
    if stack := config.stash.get(_opened, None):
        stack.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what has nothing to do with PostgreSQL, and skip, with the reason, what is about SQLite itself."""
    if not on_postgresql():
        return
    kept = [item for item in items if _is_for_postgresql(item)]
    for item in kept:
        if mark := item.get_closest_marker("sqlite"):
            item.add_marker(pytest.mark.skip(reason=f"about SQLite: {mark.kwargs['reason']}"))
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


def _is_for_postgresql(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    # What `make test` runs on both already has nothing to gain.
    given = [] if callspec is None else [each for each in callspec.params.values() if isinstance(each, str)]
    return opens_catalogs(item.path) and not {"sqlite", "postgresql"} & set(given)


@functools.cache
def opens_catalogs(module: Path) -> bool:
    """Whether a module, or one of tests/support that it names, opens catalogs or runs commands, which do."""
    modules = [module]
    for each in modules:  # some name one another
        text = each.read_text(encoding="utf-8")
        if _OPENS_CATALOGS.search(text):
            return True
        named = (TESTS / "support" / f"{name}.py" for name in _OF_SUPPORT.findall(text))
        modules += [path for path in dict.fromkeys(named) if path not in modules and path.exists()]
    return False


@pytest.fixture(scope="session")
def _beside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture(autouse=True, scope="module")
def _databases_are_dropped(_beside: ThreadPoolExecutor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Of each module, when it is done: eight megabytes for every catalog add up."""
    yield
    if on_postgresql():
        # Not within the time of the module's last test: the server waits for a checkpoint each time.
        _beside.submit(_drop, led_catalogs.made_below(tmp_path_factory.getbasetemp()))


def _drop(names: list[str]) -> None:
    server = Server(os.environ["DREAMCRAWL_TEST_POSTGRES"])
    for name in names:
        server.drop(name)
