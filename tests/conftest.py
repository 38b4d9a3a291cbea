"""Fixtures that several parts share."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

pytest_plugins = ["tests.support.on_postgresql"]

# A shell starts what goes on behind it (`make test &`) deaf to Ctrl-C, which the processes of the tests would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A test suite starts many processes: each would compile its modules anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own settings must not decide a test."""
    for name in list(os.environ):
        if name.startswith(("DREAMCRAWL_", "PREFECT_")) and not name.startswith("DREAMCRAWL_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def _migrated_prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Prefect home whose database is migrated, which takes Prefect most of its first start."""
    import subprocess
    import sys

    home = tmp_path_factory.mktemp("prefect-template")
    script = (
        "import sys; from pathlib import Path\n"
        "from flows.prefect_environment import configure_prefect\n"
        "from flows.prefect_server import prefect_server\n"
        "home = Path(sys.argv[1]); configure_prefect(home=home, startup_timeout_seconds=250)\n"
        "with prefect_server(home=home, api_url='', services=False, timeout_seconds=250, on_wait=print): pass\n"
    )
    root = Path(__file__).resolve().parents[1]
    subprocess.run([sys.executable, "-c", script, str(home)], cwd=root, check=True, timeout=280)
    return home


@pytest.fixture
def prefect_home(_migrated_prefect_home: Path, tmp_path: Path) -> Path:
    """A Prefect home of one's own that starts without migrating."""
    home = tmp_path / "prefect-home"
    shutil.copytree(_migrated_prefect_home, home)
    return home
