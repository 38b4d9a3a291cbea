"""`keys`, `verify` and `export-provenance` as users meet them; `replay` is tried with `dream`."""

from __future__ import annotations

import io
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from pipeline.errors import KeysUnusable
from pipeline.images import decode, encode
from pipeline.provenance.credential_checks import Trust
from pipeline.provenance.manifest import manifest_sha256
from pipeline.provenance.verify import verify_file
from pipeline.provenance.xmp import write_xmp
from tests.support.inverting import Workshop, picture, workshop
from tests.support.signing import signed_by_stranger, state_of

Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    from flows.cli import app

    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: object) -> Any:
        return CliRunner().invoke(app, [str(each) for each in arguments])

    return invoke


@pytest.fixture
def shop(tmp_path: Path, run: Run) -> Iterator[Workshop]:
    """A workspace with keys, one original and one signed dream."""
    from flows.wiring import load_environment, open_signer

    assert run("keys", "init", "--name", "Jane Doe").exit_code == 0
    with workshop(tmp_path / "dreamcrawl-data") as made:
        made.dream(made.add(picture(1)), signer=open_signer(load_environment()))
        yield made


def copy_of(shop: Workshop) -> Path:
    return shop.dreams / shop.derivation(1).file_name


def test_keys_are_made_shown_and_never_overwritten(run: Run, tmp_path: Path) -> None:
    before = run("keys", "show", "--json")
    made = run("keys", "init", "--name", "Jane Doe", "--organization", "Example", "--years", "2", "--json")
    again = run("keys", "init")
    shown = run("keys", "show", "--json")

    assert json.loads(before.stdout) == {"signs": False, "reason": "no keys"}
    assert made.exit_code == 0, made.output
    folder = tmp_path / "dreamcrawl-data" / "keys"
    assert json.loads(made.stdout)["folder"] == str(folder)
    assert (again.exit_code, "never overwritten" in again.stderr) == (2, True)
    told = json.loads(shown.stdout)
    assert (told["signer"], told["signs"]) == ("Jane Doe, Example", True)
    assert told["certificate_sha256"] == json.loads(made.stdout)["certificate_sha256"]
    if os.name == "posix":
        assert stat.S_IMODE((folder / "signing-key.pem").stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize(("mode", "what"), [(0o600, ""), (0o644, "others can read"), (0o602, "others can change")])
def test_a_key_that_others_can_reach_is_told(run: Run, tmp_path: Path, mode: int, what: str) -> None:
    made = run("keys", "init")
    key = tmp_path / "dreamcrawl-data" / "keys" / "signing-key.pem"
    key.chmod(mode)

    shown, answer = run("keys", "show"), json.loads(run("keys", "show", "--json").stdout)

    assert "Move root-key.pem off this machine" in made.stdout
    assert shown.exit_code == 0
    assert [line.startswith(what) for line in answer["warnings"]] == ([True] if what else [])
    assert ("warning: " in shown.stdout) is bool(what)


def test_an_option_that_names_no_folder_does_not_mean_the_current_one(run: Run, tmp_path: Path) -> None:
    commands = (
        ("keys", "init", "--to", ""),
        ("keys", "renew", "--in", " "),
        ("export-provenance", "r1", "--to", ""),
        ("export", "--to", ""),
    )

    for command in commands:
        done = run(*command)
        assert (done.exit_code, "names no folder" in done.stderr) == (2, True), done.output
    assert list(tmp_path.iterdir()) == []


def test_keys_elsewhere_sign_once_the_settings_name_them(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.wiring import load_environment, open_signer

    assert run("keys", "init", "--to", "mine").exit_code == 0
    assert open_signer(load_environment()) is None
    monkeypatch.setenv("DREAMCRAWL_SIGNING_KEY", str(tmp_path / "mine" / "signing-key.pem"))
    half = run("keys", "show")
    monkeypatch.setenv("DREAMCRAWL_SIGNING_CERTIFICATES", str(tmp_path / "mine" / "signing-chain.pem"))

    assert (half.exit_code, "go together" in half.stderr) == (2, True)
    assert json.loads(run("keys", "show", "--json").stdout)["signs"] is True
    (tmp_path / "mine" / "signing-key.pem").write_text("nonsense")
    broken = run("keys", "show")
    assert (broken.exit_code, "no private key" in broken.stderr) == (1, True)


@pytest.mark.parametrize(
    "gone",
    [
        ("signing-key.pem",),
        ("signing-chain.pem",),
        ("trust-anchor.pem",),
        ("signing-key.pem", "signing-chain.pem", "trust-anchor.pem"),
    ],
)
def test_keys_of_which_some_are_lost_are_not_taken_for_none(run: Run, tmp_path: Path, gone: tuple[str, ...]) -> None:
    from flows.wiring import load_environment, open_signer

    folder = tmp_path / "dreamcrawl-data" / "keys"
    assert run("keys", "init").exit_code == 0
    for name in gone:
        (folder / name).unlink()

    shown = run("keys", "show")

    assert (shown.exit_code, f"no {gone[0]}" in shown.stderr, "move the folder away" in shown.stderr) == (1, True, True)
    with pytest.raises(KeysUnusable):
        open_signer(load_environment())


def test_without_the_library_nothing_is_signed_and_keys_show_says_why(
    shop: Workshop, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.wiring import load_environment, open_signer
    from pipeline.provenance import c2pa

    monkeypatch.setattr(c2pa, "is_installed", lambda: False)

    assert open_signer(load_environment()) is None
    assert "dreams are not signed: pip install 'dreamcrawl[c2pa]'" in run("keys", "show").stdout
    assert run("verify").exit_code == 0
    assert shop.derivation(1).manifest["signature"]["signer"] == "Jane Doe"


def test_verify_tells_of_each_file_what_is_known(shop: Workshop, run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(copy_of(shop).read_bytes())
    (tmp_path / "original.png").write_bytes(picture(1))

    done = run("verify", "mine.png", "original.png", "d1")

    assert done.exit_code == 0, done.output
    assert "mine.png: content credentials: trusted, signed by Jane Doe" in done.stdout
    assert "mine.png: catalog: d1, made from i1" in done.stdout
    assert "original.png: catalog: an original of i1" in done.stdout
    assert "d1: content credentials: trusted, signed by Jane Doe" in done.stdout
    assert "all as recorded" in done.stdout


def test_verify_says_of_a_picture_with_nothing_that_there_is_nothing(shop: Workshop, run: Run, tmp_path: Path) -> None:
    (tmp_path / "plain.png").write_bytes(picture(9))

    told = run("verify", "plain.png")
    answer = json.loads(run("verify", "plain.png", "--json").stdout)

    assert told.exit_code == 2
    assert told.stdout == ""
    assert told.stderr.strip().removeprefix("dreamcrawl: ") == (
        "plain.png carries no dreamcrawl record and no content credentials, and the catalog does not know it"
    )
    assert (answer["ok"], answer["checks"]) == (False, [])
    assert [each["subject"] for each in answer["unknown"]] == ["plain.png"]
    assert shop.dreams.exists()


def test_what_does_not_hold_outweighs_what_is_not_known(shop: Workshop, run: Run, tmp_path: Path) -> None:
    damaged = bytearray(copy_of(shop).read_bytes())
    damaged[-20] ^= 1
    (tmp_path / "damaged.png").write_bytes(damaged)
    (tmp_path / "plain.png").write_bytes(picture(9))

    done = run("verify", "plain.png", "damaged.png", copy_of(shop))

    assert done.exit_code == 1
    assert "damaged.png: bytes: not as recorded" in done.stdout
    assert "plain.png carries no dreamcrawl record" in done.stderr
    assert "2 pictures" in done.stdout


def test_trust_anchors_given_decide_who_is_believed(shop: Workshop, run: Run, tmp_path: Path) -> None:
    (tmp_path / "strange.png").write_bytes(signed_by_stranger(picture(3), "image/png", tmp_path / "stranger"))
    anchor = tmp_path / "stranger" / "root.pem"

    plain = run("verify", "strange.png")
    trusting = run("verify", "strange.png", "--trust-anchors", anchor)
    ours = run("verify", copy_of(shop), "--trust-anchors", anchor)
    wrong = run("verify", "strange.png", "--trust-anchors", "strange.png")
    missing = run("verify", "strange.png", "--trust-anchors", "nowhere.pem")

    assert plain.exit_code == trusting.exit_code == 0
    assert "valid, signed by Stranger, who is not among those trusted here" in plain.stdout
    assert "claimed software: Strange Camera 3" in plain.stdout
    assert "trusted, signed by Stranger" in trusting.stdout
    assert (ours.exit_code, "found signed by Jane Doe" in ours.stdout) == (1, True)
    for done, reason in ((wrong, "strange.png holds no certificate"), (missing, "there is no file nowhere.pem")):
        assert (done.exit_code, done.stderr.count("\n"), reason in done.stderr) == (2, 1, True), done.stderr
        assert "keys init" not in done.stderr
        assert "://" not in done.stderr


def test_with_trust_anchors_given_nothing_unsigned_holds(shop: Workshop, run: Run, tmp_path: Path) -> None:
    record = {name: part for name, part in shop.derivation(1).manifest.items() if name != "signature"}
    record["source"] = {**record["source"], "creator": "Mallory"}
    forged = encode(decode(copy_of(shop).read_bytes()).rgb, format="PNG", xmp=write_xmp(record))
    sidecar = {"schema": "dreamcrawl.sidecar/1", "manifest": record, "manifest_sha256": manifest_sha256(record)}
    anchor = tmp_path / "dreamcrawl-data" / "keys" / "trust-anchor.pem"
    (tmp_path / "forged.png").write_bytes(forged)
    (tmp_path / "alone.png.json").write_text(json.dumps(sidecar))
    (tmp_path / "original.png").write_bytes(picture(1))
    far = ("--workspace", tmp_path / "elsewhere")

    believed = run("verify", "forged.png", *far)
    refused = [run("verify", name, "--trust-anchors", anchor, *far) for name in ("forged.png", "alone.png.json")]
    known = run("verify", "original.png", "--trust-anchors", anchor)
    shop.dream(shop.add(picture(2)))
    everything = run("verify", "--trust-anchors", anchor)

    assert believed.exit_code == 0, "only the catalog or a signature tells such a forgery"
    for done in (*refused, known):
        assert done.exit_code == 1, done.output
        assert "content credentials: not as recorded" in done.stdout
    assert everything.exit_code == 1
    assert "d2: content credentials: not as recorded" in everything.stdout
    assert "d1: content credentials" not in everything.stdout
    assert run("verify").exit_code == 0


def test_an_anchor_of_ones_own_that_is_broken_is_told_and_the_rest_verified(
    shop: Workshop, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "dreamcrawl-data" / "keys" / "trust-anchor.pem").write_text("nonsense")

    done = run("verify", copy_of(shop))

    assert done.exit_code == 0, done.output
    assert "valid, signed by Jane Doe, who is not among those trusted here" in done.stdout
    assert "all as recorded" in done.stdout
    assert "trust-anchor.pem holds no certificate" in done.stderr
    assert "://" not in done.stderr


def test_a_signature_that_cannot_be_checked_is_not_passed_over(
    shop: Workshop, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.provenance import c2pa, credential_checks

    for module in (c2pa, credential_checks):
        monkeypatch.setattr(module, "is_installed", lambda: False)
    anchor = tmp_path / "dreamcrawl-data" / "keys" / "trust-anchor.pem"

    plain, everything = run("verify", copy_of(shop)), run("verify")
    strict = run("verify", copy_of(shop), "--trust-anchors", anchor)
    report = verify_file(copy_of(shop), trust=Trust(anchor.read_bytes(), required=True))

    for done in (plain, everything):
        assert done.exit_code == 0
        last = done.stdout.splitlines()[-1]
        assert last.endswith("1 signature not checked: pip install 'dreamcrawl[c2pa]'")
        assert "all as recorded" not in last
    assert (strict.exit_code, "pip install 'dreamcrawl[c2pa]'" in strict.stderr) == (2, True)
    assert [check.name for check in report.checks if not check.ok] == ["content credentials"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 5_000,
        b"just words",
        b"\x89PNG\r\n\x1a\n" + b"\xff" * 400,
        b"\xff\xd8\xff\xeb\x00\x40JP" + b"\x01" * 400,
        b"RIFF\xff\xff\xff\xffWEBPC2PA\xff\xff\xff\xff" + b"\x00" * 50,
        b"GIF89a" + b"\xff" * 60,
        b"\xff\xd8" + b"\xff" * 70_000,
        picture(1)[:700],
        picture(1, image_format="JPEG")[:700],
    ],
    ids=range(10),
)
def test_garbage_gives_one_clear_line(run: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "thing").write_bytes(content)

    done = run("verify", "thing")

    assert done.exit_code == 2, done.output
    assert done.output.count("\n") == 1
    assert done.stderr.startswith("dreamcrawl: thing is no picture that can be read (")


def test_huge_and_hopeless_files_give_one_clear_line(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(2**31)  # takes no room on the disk
    (tmp_path / "folder").mkdir()
    bomb = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "PNG")
    (tmp_path / "bomb.png").write_bytes(bomb.getvalue())

    for name, reason in (
        ("huge.png", "too large"),
        ("folder", "is a folder"),
        ("bomb.png", "is no picture that can be read"),
        ("nope", "neither an id"),
        ("n" * 5_000, "neither an id"),
    ):
        done = run("verify", name)
        assert (done.exit_code, done.output.count("\n"), reason in done.stderr) == (2, 1, True), (name, done.output)
    assert not (tmp_path / "dreamcrawl-data").exists()


def test_a_run_is_exported_in_both_forms(shop: Workshop, run: Run, tmp_path: Path) -> None:
    with shop.catalog.write() as uow:
        run_id = uow.runs.start("dream", keywords=[], source=None, parameters={}, process="h:1:1", version="0.1.0")
        uow.runs.add_items(run_id, [(1, "known")])

    crate = run("export-provenance", f"r{run_id}", "--to", "crate")
    prov = run("export-provenance", f"r{run_id}", "--to", "prov", "--format", "prov", "--json")
    again = run("export-provenance", f"r{run_id}", "--to", "crate")

    assert crate.exit_code == 0, crate.output
    assert "3 files" in crate.stdout or "4 files" in crate.stdout
    assert (tmp_path / "crate" / "ro-crate-metadata.json").is_file()
    assert json.loads(prov.stdout)["files"] == 1
    assert (again.exit_code, "has something in it" in again.stderr) == (2, True)
    assert run("export-provenance", "r99", "--to", "x").exit_code == 2
    assert run("export-provenance", "r1", "--to", "x", "--format", "zip").exit_code == 2


def test_what_is_exported_and_shown_is_signed_still(shop: Workshop, run: Run, tmp_path: Path) -> None:
    assert run("export", "--to", "out", "--what", "dreams").exit_code == 0

    (exported,) = (tmp_path / "out").rglob("*.png")
    anchor = (tmp_path / "dreamcrawl-data" / "keys" / "trust-anchor.pem").read_bytes()
    assert state_of(exported.read_bytes(), "image/png", anchor) == "Trusted"
    assert exported.read_bytes() == copy_of(shop).read_bytes()
