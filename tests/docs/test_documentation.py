from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_the_page_of_commands_is_what_the_commands_say(tmp_path: Path):
    made = tmp_path / "cli.md"
    options = ["--name", "dreamcrawl", "--title", "Commands", "--output", str(made)]
    subprocess.run(
        [sys.executable, "-m", "typer", "flows.cli", "utils", "docs", *options],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )

    assert (ROOT / "docs" / "cli.md").read_text() == made.read_text(), "make docs writes it anew"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_of_the_project_leads_somewhere(page: Path):
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))

    missing = [link for link in links if not (page.parent / link).exists()]

    assert missing == []


def test_every_decision_is_a_page_with_its_four_parts():
    pages = sorted((ROOT / "docs" / "adr").glob("*.md"))

    assert len(pages) >= 6
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for part in ("**Context.**", "**Decision.**", "**Rejected.**", "**Consequences.**"):
            assert part in text, f"{page.name} lacks {part}"
