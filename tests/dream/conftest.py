"""TensorFlow is settled before any test module loads it: some of its switches are read only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from dream.runtime import configure

configure()


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of each kind that can be imported as a network; nobody changes them."""
    from tests.support.network_kinds import write_all

    return write_all(tmp_path_factory.mktemp("sources"))
