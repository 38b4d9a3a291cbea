"""What no licence permits to dream on, by the commands: left out, told with the way out, made when words are given."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipeline.catalog.engine import open_catalog
from pipeline.records import DeclaredLicense
from tests.support.inboxes import FREE, fetched, sealed_inbox
from tests.support.inverting import InvertingRenderer
from tests.support.pictures import scene_file

WORDS = "I have the photographer's permission, mail of 3 May"
NO_DERIVATIVES = DeclaredLicense("CC-BY-ND-4.0", "https://creativecommons.org/licenses/by-nd/4.0/", "rel=license")


class Desk:
    """A workspace with three pictures of a site: i1 without a licence, i2 under ND, i3 free."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        inbox = self.folder / "dreamcrawl-data" / "inbox"
        inbox.mkdir(parents=True)
        records = [fetched("a.png"), fetched("b.png", license=NO_DERIVATIVES), fetched("c.png", license=FREE)]
        sealed_inbox(inbox, [(record, scene_file(number)) for number, record in enumerate(records)])
        assert self.run("ingest").exit_code == 0

    def run(self, *arguments: str) -> Any:
        from flows.cli import app

        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr("flows.renderer.look_renderer", lambda _environment, _look: InvertingRenderer())
            patch.setenv("COLUMNS", "300")
            return CliRunner().invoke(app, list(arguments))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled")
    Desk(folder).fill()
    return folder


@pytest.fixture
def desk(tmp_path: Path, filled: Path) -> Desk:
    shutil.copytree(filled, tmp_path / "desk")
    return Desk(tmp_path / "desk")


def test_what_is_left_out_is_counted_and_the_way_out_is_told(desk: Desk) -> None:
    done = desk.run("dream")
    told = desk.run("runs", "show", "r2").stdout
    shown = json.loads(desk.run("runs", "show", "r2", "--json").stdout)

    assert done.exit_code == 0, done.output
    assert "1 made, 0 already there, 0 failed, 2 not dreamed on" in done.stdout
    assert "1 picture was not dreamed on: no licence that can be read" in done.stdout
    assert done.stdout.count("--responsibility") == 2
    assert "--require-license" in done.stdout
    for text in ("not dreamed on: license_unknown", "not dreamed on: no_derivatives", "--responsibility"):
        assert text in told
    counters = shown["counters"]
    assert (counters["skipped"], counters["dream_reasons"]) == (2, {"license_unknown": 1, "no_derivatives": 1})
    assert shown["status"] == "done"


def test_only_items_under_a_licence_are_dreamed_on_and_listed_where_one_is_asked_for(desk: Desk) -> None:
    listed = {
        asked: [each["public_id"] for each in json.loads(desk.run("items", "--license", asked, "--json").stdout)]
        for asked in ("CC0", "shareable", "commercial", "unknown", "any", "cc by-nd")
    }
    several = desk.run("items", "--license", "CC0", "--license", "CC-BY-ND", "--json").stdout
    done = json.loads(desk.run("dream", "--license", "CC0", "--json").stdout)
    misspelt = [
        desk.run(*command, "--license", "comercial") for command in (["dream"], ["items"], ["export", "--to", "x"])
    ]

    assert listed == {
        "CC0": ["i3"],
        "shareable": ["i2", "i3"],
        "commercial": ["i3"],
        "unknown": ["i1"],
        "any": ["i1", "i2", "i3"],
        "cc by-nd": ["i2"],
    }
    assert [each["public_id"] for each in json.loads(several)] == ["i2", "i3"]
    assert (done["made"], done["skipped"]) == (1, [])
    assert [each.exit_code for each in misspelt] == [2, 2, 2]
    assert all("did you mean commercial?" in each.output for each in misspelt)
    assert desk.run("dream", "--item", "i1", "--license", "any").exit_code == 2


def test_a_near_copy_under_a_licence_is_dreamed_on_and_told(desk: Desk) -> None:
    with open_catalog(desk.folder / "dreamcrawl-data" / "catalog.sqlite3") as catalog, catalog.write() as uow:
        uow.duplicates.link(3, 1, distance=2)

    done = desk.run("dream")
    counters = json.loads(desk.run("runs", "show", "r2", "--json").stdout)["counters"]

    assert "1 made, 0 already there, 0 failed, 1 not dreamed on" in done.stdout
    assert "i3 is dreamed on in place of i1, which it is near to: the licence is unknown" in done.stdout
    assert any("i3 is dreamed on in place of i1" in each for each in counters["warnings"])


def test_a_limit_counts_what_may_be_dreamed_on(desk: Desk) -> None:
    done = json.loads(desk.run("dream", "--limit", "1", "--json").stdout)

    assert (done["made"], [each[0] for each in done["skipped"]]) == (1, [1, 2])
    assert done["dreams"][0]["item"] == "i3"


def test_one_that_was_asked_for_by_name_fails_with_the_reason(desk: Desk) -> None:
    unknown, forbidden = desk.run("dream", "--item", "i1"), desk.run("dream", "--item", "i2")

    assert (unknown.exit_code, forbidden.exit_code) == (1, 1)
    assert "the licence is unknown" in unknown.stdout
    assert "CC BY-ND 4.0 does not permit adapted pictures" in forbidden.stdout
    assert "--responsibility" in unknown.stdout


@pytest.mark.parametrize("words", ["yes", "..."])
def test_too_few_words_are_refused_before_anything_is_made(desk: Desk, words: str) -> None:
    done = desk.run("dream", "--item", "i1", "--responsibility", words)

    assert done.exit_code == 2
    assert "words that say why" in done.output
    assert "dream.responsibility (command line)" in done.output
    assert len(json.loads(desk.run("runs", "--json").stdout)) == 1


def test_with_words_it_is_made_and_the_words_stand_in_its_record(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    one = desk.run("dream", "--item", "i1", "--responsibility", WORDS, "--json")
    monkeypatch.setenv("DREAMCRAWL_DREAM_RESPONSIBILITY", WORDS)
    rest = desk.run("dream", "--json")

    (dream,) = json.loads(one.stdout)["dreams"]
    sidecar = json.loads(Path(f"{dream['file']}.json").read_text(encoding="utf-8"))
    assert one.exit_code == rest.exit_code == 0
    assert sidecar["manifest"]["permission"] == {"basis": "responsibility", "words": WORDS}
    assert (json.loads(rest.stdout)["made"], json.loads(rest.stdout)["already"]) == (2, 1)
    assert desk.run("verify").exit_code == 0
    run = json.loads(desk.run("runs", "show", "r2", "--json").stdout)
    assert run["parameters"]["responsibility"] == WORDS


def test_a_schedule_keeps_the_words_it_was_given(desk: Desk) -> None:
    (desk.folder / "mill.png").write_bytes(scene_file(7))
    source = ("--source", f"folder={desk.folder}", "--cron", "0 6 * * *")
    added = desk.run("schedule", "add", "mine", "mill", *source, "--responsibility", WORDS)
    plain = desk.run("schedule", "add", "other", "mill", *source)
    refused = desk.run("schedule", "add", "third", "mill", *source, "--responsibility", "yes")

    kept = {row["name"]: row["options"] or {} for row in json.loads(desk.run("schedule", "list", "--json").stdout)}
    assert (added.exit_code, plain.exit_code, refused.exit_code) == (0, 0, 2), added.output + plain.output
    assert kept["mine"]["responsibility"] == WORDS
    assert "responsibility" not in kept["other"]


def test_dreams_of_before_are_signed_and_certificates_renewed_by_command(desk: Desk, tmp_path: Path) -> None:
    desk.run("dream")
    without = desk.run("keys", "sign")
    desk.run("keys", "init", "--name", "Jane Doe", "--years", "0.1")
    soon = desk.run("keys", "show")
    signed = json.loads(desk.run("keys", "sign", "--json").stdout)
    again = desk.run("keys", "sign")
    keys = desk.folder / "dreamcrawl-data" / "keys"
    (keys / "root-key.pem").rename(tmp_path / "safe.pem")
    missing = desk.run("keys", "renew")
    renewed = desk.run("keys", "renew", "--root-key", str(tmp_path / "safe.pem"), "--json")
    later = desk.run("keys", "show")
    verified = desk.run("verify", "d1")

    assert (without.exit_code, "keys init" in without.output) == (2, True)
    assert "`dreamcrawl keys renew`" in soon.stdout
    assert signed["signed"] == [1]
    assert "0 signed, 1 were already, 0 failed" in again.stdout
    assert (missing.exit_code, "--root-key" in missing.output) == (1, True)
    assert json.loads(renewed.stdout)["signer"] == "Jane Doe"
    assert "keys renew" not in later.stdout
    assert verified.exit_code == 0
    assert "content credentials: trusted, signed by Jane Doe" in verified.stdout
    assert desk.run("keys", "sign", "d9").exit_code == 2
