"""Prefect's settings, which it reads from the environment when it is first imported."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def configure_prefect(*, home: Path, startup_timeout_seconds: float) -> None:
    """Point Prefect at the workspace and switch its telemetry off. Call before anything imports prefect.

    Args:
        home: Prefect's database, profiles and logs go here, and nowhere else.
        startup_timeout_seconds: Its own limit of 20 s fails on a fresh home and busy cores.

    Raises:
        RuntimeError: prefect was imported before, so these would come too late.
    """
    if "prefect" in sys.modules and os.environ.get("PREFECT_HOME") != str(home):
        raise RuntimeError("configure_prefect must come before the first import of prefect")
    home.mkdir(parents=True, exist_ok=True)
    os.environ["PREFECT_HOME"] = str(home)
    os.environ["PREFECT_PROFILES_PATH"] = str(home / "profiles.toml")
    # DO_NOT_TRACK silences the client's events; the server's heartbeat has a switch of its own.
    os.environ["DO_NOT_TRACK"] = "1"
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", str(int(startup_timeout_seconds)))
    # The interface would unpack its files into site-packages; our own pages show the runs.
    os.environ["PREFECT_SERVER_UI_ENABLED"] = "false"
    # The catalog knows what is done; results kept by Prefect would be a second, worse memory.
    os.environ["PREFECT_RESULTS_PERSIST_BY_DEFAULT"] = "false"
    # A failed flow raises, and the command says so once, without Prefect's tracebacks on top.
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_LOGGING_SERVER_LEVEL", "ERROR")
