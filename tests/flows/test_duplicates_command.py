"""`duplicates`: what ingest found, what a person decides, and which picture is kept in front."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from flows.cli import app
from pipeline.catalog.engine import open_catalog
from pipeline.fingerprints import DEFAULT_NEAR_DISTANCE
from pipeline.images import ImageLimits
from pipeline.ingest.ingest import ingest_inbox
from pipeline.store import Store
from tests.support.inboxes import fetched, sealed_inbox
from tests.support.items import withdraw
from tests.support.pictures import file_of, scene


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """i1 a small copy of i2, which is linked to it; i3 is i1 mirrored; i4 another picture."""
    large, other = scene(1, width=320, height=240), scene(2, width=320, height=240)
    small = Image.fromarray(large).resize((200, 150))
    candidates = [
        (fetched("small.png", title="Mill"), file_of(small)),
        (fetched("large.jpg"), file_of(large, "JPEG", quality=90)),
        (fetched("mirrored.png"), file_of(np.fliplr(np.asarray(small)))),
        (fetched("other.png"), file_of(other)),
    ]
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:
        report = ingest_inbox(
            sealed_inbox(tmp_path / "inbox", candidates),
            catalog=catalog,
            store=Store(tmp_path / "store"),
            run_id=None,
            limits=ImageLimits(),
            near_distance=DEFAULT_NEAR_DISTANCE,
        )
    assert (report.accepted, report.near_duplicates) == (3, 1)
    return tmp_path


def run(workspace: Path, *arguments: str, code: int = 0) -> str:
    answer = CliRunner().invoke(app, ["duplicates", *arguments, "--workspace", str(workspace)])
    assert answer.exit_code == code, answer.output
    return answer.output


def at(workspace: Path) -> str:
    """How a command that is shown finds the workspace that was named; its name needs no quotes."""
    return f" --workspace {workspace}"


def as_json(workspace: Path, *arguments: str) -> Any:
    return json.loads(run(workspace, *arguments, "--json"))


def test_what_waits_for_a_person_is_listed_until_it_is_decided(workspace: Path) -> None:
    waiting = as_json(workspace, "list")
    assert {(pair["first"], pair["second"], pair["tier"]) for pair in waiting} == {
        ("i1", "i3", "review"),
        ("i2", "i3", "review"),
    }
    assert all(pair["relation"] == "mirrored" for pair in waiting)
    assert [pair["second"] for pair in as_json(workspace, "list", "--all", "--tier", "near")] == ["i2"]

    assert "i3 stands for itself" in run(workspace, "decide", "i3", "i1", "different", "--by", "ada")

    assert [(pair["first"], pair["second"]) for pair in as_json(workspace, "list")] == [("i2", "i3")]
    assert as_json(workspace, "find")["searched"] == 0
    shown = run(workspace, "show", "i1", "i3")
    assert "mirrored" in shown
    assert "different, by ada" in shown


def test_what_is_listed_says_what_it_means_and_what_to_do_next(workspace: Path) -> None:
    listed = run(workspace, "list")
    assert "review: they seem the same, but one is mirrored, turned or cut" in listed
    assert f"dreamcrawl duplicates show i1 i3{at(workspace)}" in listed
    assert f"dreamcrawl duplicates decide i1 i3 same{at(workspace)}" in listed
    assert f"dreamcrawl duplicates merge i1{at(workspace)}" in run(workspace, "groups")

    mirrored = " ".join(run(workspace, "show", "i3", "i1").split())
    assert "i3 is i1, mirrored" in mirrored
    assert "share of one that the other covers, 0 to 1 1.0" in mirrored
    assert "borders were left out no" in mirrored
    assert "decision none yet" in mirrored
    assert "decision none needed: they are linked" in " ".join(run(workspace, "show", "i1", "i2").split())

    answer = as_json(workspace, "decide", "i3", "i1", "same")
    assert answer == {
        "items": [
            {"item": "i3", "linked_to": "i1", "withdrawn": False},
            {"item": "i1", "linked_to": None, "withdrawn": False},
        ],
        "kept_apart": [],
    }
    assert run(workspace, "list") == "no pairs wait for you\n"
    assert run(workspace, "list", "--tier", "similar") == "no pairs of this tier wait for you\n"
    run(workspace, "merge", "--all")
    assert "dreamcrawl duplicates merge" not in run(workspace, "groups")  # it is as proposed


def test_pictures_that_were_never_compared_are_told_until_find_has_done_so(workspace: Path) -> None:
    with open_catalog(workspace / "catalog.sqlite3") as catalog, catalog.write() as uow:
        uow.duplicates.forget(4)
    hint = f"Some pictures were never compared with the others; this does it: dreamcrawl duplicates find{at(workspace)}"
    assert hint in run(workspace, "list")
    assert hint in run(workspace, "groups")

    found = " ".join(run(workspace, "find").split())

    assert "pictures signed 1 pictures that cannot be read 0 pictures compared with those before them 1" in found
    assert f"Pairs that wait for you to say what they are: dreamcrawl duplicates list{at(workspace)}" in found
    assert hint not in run(workspace, "list") + run(workspace, "groups")


def test_two_that_are_the_same_are_linked(workspace: Path) -> None:
    assert "i4 linked to i1" in run(workspace, "decide", "i4", "i2", "same")
    assert [item["item"] for item in as_json(workspace, "groups")[0]["items"]] == ["i4", "i2", "i1"]


def test_the_proposed_picture_is_put_in_front(workspace: Path) -> None:
    (group,) = as_json(workspace, "groups")
    assert (group["group"], group["keep"], group["settled"]) == ("i1", "i2", False)
    assert group["reasons"] == ["more pixels (320x240; the others have 200x150 at most)"]

    assert as_json(workspace, "merge", "i1") == [{"kept": 2, "instead_of": 1, "fell_out": []}]

    (group,) = as_json(workspace, "groups")
    assert (group["group"], group["settled"]) == ("i2", True)
    assert as_json(workspace, "merge", "i2", "--keep", "i1") == [{"kept": 1, "instead_of": 2, "fell_out": []}]
    assert as_json(workspace, "merge", "--all")[0]["kept"] == 2
    with open_catalog(workspace / "catalog.sqlite3") as catalog, catalog.read() as uow:
        assert uow.items.get(2).title == "Mill"
        assert uow.counts().items == 4


def test_a_group_that_is_named_twice_is_merged_once(workspace: Path) -> None:
    assert as_json(workspace, "merge", "i1", "i1") == [{"kept": 2, "instead_of": 1, "fell_out": []}]


def test_a_withdrawn_picture_is_not_put_in_front(workspace: Path) -> None:
    with open_catalog(workspace / "catalog.sqlite3") as catalog, catalog.write() as uow:
        withdraw(uow, 1)  # as an older version left it

    answer = run(workspace, "merge", "i1", "--keep", "i1", code=2)

    assert "i1 was withdrawn on 2026-01-01" in " ".join(answer.split())
    assert as_json(workspace, "merge", "--all") == [{"kept": 2, "instead_of": 1, "fell_out": []}]
    assert "i1 is withdrawn" in run(workspace, "decide", "i1", "i4", "same")


def test_contradictory_decisions_are_told(workspace: Path) -> None:
    run(workspace, "decide", "i1", "i4", "same")
    run(workspace, "decide", "i1", "i3", "different")

    answer = " ".join(run(workspace, "decide", "i4", "i3", "same").split())

    assert "i4 linked to i3" in answer
    assert "i1 and i4 were said to be the same, but another decision keeps them apart" in answer
    assert ("i1", "i4", "same") in {
        (pair["first"], pair["second"], pair["decision"]) for pair in as_json(workspace, "list")
    }


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 12345"), OSError("No username set")])
def test_a_user_without_a_name_can_decide(workspace: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def nobody() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", nobody)

    run(workspace, "decide", "i3", "i1", "different")

    assert "different, by unknown" in run(workspace, "show", "i1", "i3")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("decide", "i1", "i1", "same"), "is one item"),
        (("decide", "i1", "i99", "same"), "no item i99"),
        (("show", "i1", "i99"), "no item i99"),
        (("show", "d1", "i1"), "not the id of an item"),
        (("merge",), "name groups, or --all"),
        (("merge", "i4"), "no picture is linked to i4"),
        (("merge", "i1", "--keep", "i4"), "not in the group"),
    ],
)
def test_wrong_usage_is_one_line(workspace: Path, arguments: tuple[str, ...], says: str) -> None:
    answer = run(workspace, *arguments, code=2)

    assert says in " ".join(answer.split())
    assert "Traceback" not in answer
