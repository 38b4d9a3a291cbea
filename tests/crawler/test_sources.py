from __future__ import annotations

from pathlib import Path

import pytest

from crawler.errors import SourceError, UnknownSource
from crawler.sources import make_source
from crawler.sources.website import Website


def test_an_unknown_source_is_told_with_the_nearest_names() -> None:
    with pytest.raises(UnknownSource, match="did you mean website"):
        make_source("web-site", "https://example.org/")
    with pytest.raises(UnknownSource, match=r"there are: .*folder, .*website"):
        make_source("zzz", "x")


def test_an_installed_package_adds_a_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "other_source.py").write_text(
        "from crawler.sources.website import Website\n"
        "class Other(Website):\n    name = 'other'\n"
        "class Wrong:\n    pass\n"
    )
    installed = tmp_path / "other_source-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: other-source\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        "[dreamcrawl.sources]\nother = other_source:Other\nwrong = other_source:Wrong\ngone = no_such_module:X\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    source = make_source("other", "https://example.org/")

    assert isinstance(source, Website)
    assert source.name == "other"
    with pytest.raises(SourceError, match="not a WebSource"):
        make_source("wrong", "x")
    with pytest.raises(SourceError, match="cannot be loaded"):
        make_source("gone", "x")
    with pytest.raises(UnknownSource, match="did you mean other"):
        make_source("others", "x")
