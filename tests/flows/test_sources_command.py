from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crawler.sources import SOURCES
from flows.cli import app
from tests.support.pictures import file_of, scene
from tests.support.web_server import Answer, web_server

ROOT = Path(__file__).resolve().parents[2]
MODULE = '''
import json

from crawler.items import ImageItem, ParsedPage
from crawler.sources.base import ApiAnswer, ApiRequest, ApiSource, Manners, WebSource
from pipeline.records import DeclaredLicense


class Tiny(WebSource):
    """Pages of one line each."""

    name = "tiny"

    @property
    def start_url(self):
        return self.argument

    def follows(self, url):
        return False

    def parse(self, url, html):
        return ParsedPage(items=(ImageItem(image_url=self.argument + html.strip(), page_url=url, title="a mill"),))


class Zoo(ApiSource):
    """A search over animals."""

    name = "zoo"
    title = "The Zoo"
    homepage = "https://zoo.example/"
    terms = "https://zoo.example/terms"
    manners = Manners(delay_seconds=0.0, daily=500)
    credential = "zoo"
    credential_required = False
    default_base = "https://api.zoo.example"

    def begin(self, keywords, filters, *, has_credential):
        secret = {"?key": "zoo"} if has_credential else {}
        return [ApiRequest(f"{self.base}/find?q={word}", keyword=word, secret=secret) for word in keywords]

    def parse(self, request, answer, *, status=200):
        cc0 = DeclaredLicense("CC0-1.0", None, "api")
        found = json.loads(answer)
        return ApiAnswer(tuple(self.item(path, request.keyword, cc0) for path in found))

    def item(self, path, title, license):
        return ImageItem(
            image_url=self.base + path, page_url=self.base, title=title, license=license, source_id=path
        )


NOTHING = 3
'''
ENTRY_POINTS = """[dreamcrawl.sources]
tiny = tiny_sources:Tiny
zoo = tiny_sources:Zoo
odd = tiny_sources:NOTHING
gone = nowhere:X
"""
SECRET = "z00-k3y"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a distribution in it, as pip would leave it."""
    folder = tmp_path_factory.mktemp("site-packages")
    (folder / "tiny_sources.py").write_text(MODULE)
    info = folder / "tiny_sources-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-sources\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


def dreamcrawl(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from flows.cli import main; main()"
    paths = os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": paths, "DREAMCRAWL_CREDENTIALS_ZOO": SECRET}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_installed_sources_are_listed_beside_the_built_in_ones(installed: Path, tmp_path: Path):
    done = dreamcrawl(installed, tmp_path, "sources", "--json")

    cards = {card["name"]: card for card in json.loads(done.stdout)}
    assert set(SOURCES) < set(cards)
    tiny, zoo = cards["tiny"], cards["zoo"]
    assert (tiny["kind"], tiny["about"], tiny["origin"]) == ("site", "Pages of one line each", "tiny-sources 1.5")
    assert (zoo["kind"], zoo["title"], zoo["credential"], zoo["credential_set"]) == ("search", "The Zoo", "zoo", True)
    assert zoo["manners"][""]["daily"] == 500
    assert "is not a WebSource" in cards["odd"]["problem"]
    assert "nowhere" in cards["gone"]["problem"]
    assert SECRET not in done.stdout + done.stderr


def test_an_installed_search_is_crawled_by_its_name_and_its_key_is_sent_but_not_kept(installed: Path, tmp_path: Path):
    picture = Answer(file_of(scene(5), "JPEG"), content_type="image/jpeg")
    answer = Answer(json.dumps(["/one.jpg"]).encode(), content_type="application/json")
    with web_server({"/find?q=okapi&key=" + SECRET: answer, "/one.jpg": picture}) as server:
        done = dreamcrawl(
            installed, tmp_path, "crawl", "okapi", "--source", f"zoo={server.url}", "--workspace", "w", "--json"
        )
        asked = [each.path for each in server.log]

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fetched"] == 1
    assert f"/find?q=okapi&key={SECRET}" in asked
    assert SECRET not in done.stdout + done.stderr
    for path in (tmp_path / "w").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def test_an_installed_site_is_crawled_too(installed: Path, tmp_path: Path):
    picture = Answer(file_of(scene(6), "JPEG"), content_type="image/jpeg")
    with web_server({"/": Answer(b"two.jpg"), "/two.jpg": picture}) as server:
        done = dreamcrawl(installed, tmp_path, "crawl", "mill", "--source", f"tiny={server.url}/", "--json")

    assert json.loads(done.stdout)["fetched"] == 1, done.stderr


def test_a_source_that_cannot_be_loaded_is_refused_in_one_line(installed: Path, tmp_path: Path):
    done = dreamcrawl(installed, tmp_path, "crawl", "mill", "--source", "gone=x")

    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "gone" in done.stderr


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_built_in_source_tells_what_it_is_and_gives_a_command_to_try(tmp_path: Path, monkeypatch, name: str):
    monkeypatch.chdir(tmp_path)

    text = CliRunner().invoke(app, ["sources", "show", name]).stdout
    card = json.loads(CliRunner().invoke(app, ["sources", "show", name, "--json"]).stdout)

    assert card["about"]
    assert card["licenses"]
    assert f"dreamcrawl run windmill --source {card['example']}" in text
    if card["kind"] == "search":
        assert card["terms"].startswith("https://")
        assert card["terms"] in text
        assert "s between two requests" in text
    if card["credential_required"]:
        assert f"DREAMCRAWL_CREDENTIALS_{name.upper()}" in text
        assert "needed, not set" in text


def test_the_table_has_every_source(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    for arguments in (["sources"], ["sources", "list"]):
        lines = CliRunner().invoke(app, arguments).stdout.splitlines()
        assert {line.split()[0].partition("=")[0] for line in lines if line} >= set(SOURCES)


def test_a_source_that_there_is_not_is_refused_with_the_nearest(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(app, ["sources", "show", "openvers"])

    assert result.exit_code == 2
    assert "openverse" in result.stderr
