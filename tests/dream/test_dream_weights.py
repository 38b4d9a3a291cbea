from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dream.errors import UnknownName, WeightsCorrupt, WeightsUnavailable
from dream.networks.cards import EFFICIENTNET_LITE0, INCEPTION_V3, NetworkCard
from dream.networks.weights import (
    MIRROR_VARIABLE,
    card_is_here,
    ensure_for_card,
    import_for_card,
    import_weights,
    known_digest,
    pinned_card,
)
from tests.support.weights_server import WeightsServer, serving

ROOT = Path(__file__).resolve().parents[2]
BODY = bytes(range(256)) * 4000
FILE_NAME = "net.h5"


def card_for(body: bytes, **changes: str | None) -> NetworkCard:
    values: dict[str, str | None] = {
        "weights_sha256": hashlib.sha256(body).hexdigest(),
        "weights_md5": hashlib.md5(body).hexdigest(),
        "weights_url": f"https://weights.example/some/folder/{FILE_NAME}",
    }
    return NetworkCard(  # type: ignore[arg-type]  # the changes are texts
        name="net",
        description="",
        source="",
        license="CC0-1.0",
        weights_file=FILE_NAME,
        input_scale=1.0,
        input_offset=0.0,
        smallest_side=8,
        **(values | changes),
    )


@pytest.fixture
def server() -> Iterator[WeightsServer]:
    with serving(WeightsServer(BODY, FILE_NAME)) as running:
        yield running


def nothing_half_done(folder: Path) -> bool:
    return not [path for path in folder.iterdir() if path.suffix in {".part", ".tmp"}]


def test_weights_are_fetched_once_and_then_found(server: WeightsServer, tmp_path: Path):
    seen: list[tuple[int, int | None]] = []

    first = ensure_for_card(
        card_for(BODY), weights_folder=tmp_path / "w", mirror=server.address, on_progress=lambda *at: seen.append(at)
    )
    second = ensure_for_card(card_for(BODY), weights_folder=tmp_path / "w", offline=True)

    assert first == second
    assert first.read_bytes() == BODY
    assert server.requests == [f"/{FILE_NAME}"]
    assert seen[0] == (0, len(BODY))
    assert seen[-1] == (len(BODY), len(BODY))
    assert nothing_half_done(tmp_path / "w")


def test_the_environment_names_a_mirror_too(server: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(MIRROR_VARIABLE, server.address + "/")

    assert ensure_for_card(card_for(BODY), weights_folder=tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("digest", ["weights_sha256", "weights_md5"])
def test_a_file_with_a_wrong_digest_is_refused_and_not_kept(server: WeightsServer, tmp_path: Path, digest: str):
    wrong = {digest: "0" * (64 if digest == "weights_sha256" else 32)}

    with pytest.raises(WeightsCorrupt, match="networks import net"):
        ensure_for_card(card_for(BODY, **wrong), weights_folder=tmp_path, mirror=server.address)

    assert not (tmp_path / FILE_NAME).exists()
    assert nothing_half_done(tmp_path)


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(server: WeightsServer, tmp_path: Path):
    server.cut_after, server.cuts = 300_000, 2

    path = ensure_for_card(card_for(BODY), weights_folder=tmp_path, mirror=server.address)

    assert path.read_bytes() == BODY
    assert server.ranges == [None, "bytes=300000-", "bytes=600000-"]


def test_a_server_without_ranges_starts_over(server: WeightsServer, tmp_path: Path):
    server.cut_after, server.cuts, server.knows_ranges = 300_000, 1, False

    assert ensure_for_card(card_for(BODY), weights_folder=tmp_path, mirror=server.address).read_bytes() == BODY


@pytest.mark.parametrize("length", ["\u00b2", "9" * 5_000, "soon"])
def test_a_length_that_is_none_is_not_gone_by(server: WeightsServer, tmp_path: Path, length: str):
    server.length = length

    assert ensure_for_card(card_for(BODY), weights_folder=tmp_path, mirror=server.address).read_bytes() == BODY


def test_what_arrived_before_a_failure_is_used_the_next_time(server: WeightsServer, tmp_path: Path):
    server.cut_after, server.cuts = 1000, 1
    with pytest.raises(_Stop):
        ensure_for_card(card_for(BODY), weights_folder=tmp_path, mirror=server.address, on_progress=_stop_at_1000)

    path = ensure_for_card(card_for(BODY), weights_folder=tmp_path, mirror=server.address)

    assert path.read_bytes() == BODY
    assert server.ranges == [None, "bytes=1000-"]


class _Stop(Exception):
    pass


def _stop_at_1000(here: int, _total: int | None) -> None:
    if here >= 1000:
        raise _Stop


def test_a_beginning_longer_than_the_file_is_thrown_away(server: WeightsServer, tmp_path: Path):
    (tmp_path / f".{FILE_NAME}.part").write_bytes(b"x" * (len(BODY) + 5))

    assert ensure_for_card(card_for(BODY), weights_folder=tmp_path, mirror=server.address).read_bytes() == BODY


def test_a_beginning_of_something_else_ends_in_a_refusal_and_then_in_a_clean_start(
    server: WeightsServer, tmp_path: Path
):
    (tmp_path / f".{FILE_NAME}.part").write_bytes(b"x" * 1000)

    with pytest.raises(WeightsCorrupt):
        ensure_for_card(card_for(BODY), weights_folder=tmp_path, mirror=server.address)

    assert ensure_for_card(card_for(BODY), weights_folder=tmp_path, mirror=server.address).read_bytes() == BODY


def test_a_server_that_refuses_is_reported_with_the_way_out(server: WeightsServer, tmp_path: Path):
    server.status = 503

    with pytest.raises(WeightsUnavailable, match="503") as caught:
        ensure_for_card(card_for(BODY), weights_folder=tmp_path, mirror=server.address)

    assert "dreamcrawl networks import net PATH" in str(caught.value)
    assert len(server.requests) == 1


def test_nobody_listening_is_reported(tmp_path: Path):
    with pytest.raises(WeightsUnavailable, match=r"from http://127\.0\.0\.1:9/\S+: \[Errno \d+\] Connection refused; "):
        ensure_for_card(card_for(BODY), weights_folder=tmp_path, mirror="http://127.0.0.1:9")


def test_only_http_addresses_are_fetched(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / FILE_NAME).write_bytes(BODY)

    with pytest.raises(WeightsUnavailable, match="only http"):
        ensure_for_card(card_for(BODY), weights_folder=tmp_path, mirror=(tmp_path / "elsewhere").as_uri())


def test_offline_names_the_file_its_address_and_the_way_out(tmp_path: Path):
    with pytest.raises(WeightsUnavailable) as caught:
        ensure_for_card(INCEPTION_V3, weights_folder=tmp_path / "none", offline=True)

    for words in (
        "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/",
        "dreamcrawl networks import inception_v3 PATH",
    ):
        assert words in str(caught.value)
    assert not card_is_here(INCEPTION_V3, tmp_path / "none")


def test_a_file_that_changed_on_disk_is_refused_and_never_fetched_again_by_itself(
    server: WeightsServer, tmp_path: Path
):
    (tmp_path / FILE_NAME).write_bytes(BODY[:-1])

    with pytest.raises(WeightsCorrupt, match="remove the file"):
        ensure_for_card(card_for(BODY), weights_folder=tmp_path, mirror=server.address)

    assert server.requests == []


def test_two_processes_at_once_make_one_download(server: WeightsServer, tmp_path: Path):
    server.pause_seconds = 1.5
    processes = [_fetching(server, tmp_path / "w") for _ in range(2)]

    outcomes = [process.communicate(timeout=60) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], outcomes
    assert (tmp_path / "w" / FILE_NAME).read_bytes() == BODY
    assert len(server.requests) == 1


def test_a_killed_download_leaves_no_lock_and_nothing_that_looks_whole(server: WeightsServer, tmp_path: Path):
    server.pause_seconds = 30
    process = _fetching(server, tmp_path / "w")
    deadline = time.monotonic() + 30
    while not server.requests and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.communicate(timeout=10)
    assert not (tmp_path / "w" / FILE_NAME).exists()

    server.pause_seconds = 0

    assert ensure_for_card(card_for(BODY), weights_folder=tmp_path / "w", mirror=server.address).read_bytes() == BODY


def _fetching(server: WeightsServer, folder: Path) -> subprocess.Popen[bytes]:
    script = (
        "import pickle, sys; from pathlib import Path\n"
        "from dream.networks.weights import ensure_for_card\n"
        f"card = pickle.loads({pickle.dumps(card_for(BODY))!r})\n"
        "ensure_for_card(card, weights_folder=Path(sys.argv[1]), mirror=sys.argv[2])\n"
    )
    command = [sys.executable, "-c", script, str(folder), server.address]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)


def test_a_file_that_came_some_other_way_is_taken_in_after_its_digests(tmp_path: Path):
    (tmp_path / "from-a-friend.bin").write_bytes(BODY)

    path = import_for_card(card_for(BODY), tmp_path / "from-a-friend.bin", weights_folder=tmp_path / "w")

    assert path == tmp_path / "w" / FILE_NAME
    assert ensure_for_card(card_for(BODY), weights_folder=tmp_path / "w", offline=True) == path
    assert nothing_half_done(tmp_path / "w")


def test_another_file_is_not_taken_in(tmp_path: Path):
    (tmp_path / "other.h5").write_bytes(b"not it")

    with pytest.raises(WeightsCorrupt, match="SHA256"):
        import_weights("inception_v3", tmp_path / "other.h5", weights_folder=tmp_path / "w")

    assert list((tmp_path / "w").glob("*.h5")) == []
    assert nothing_half_done(tmp_path / "w")


def test_importing_what_is_not_there_or_not_needed_is_an_answer_not_a_crash(tmp_path: Path):
    with pytest.raises(WeightsUnavailable, match="not a file"):
        import_weights("inception_v3", tmp_path / "missing.h5", weights_folder=tmp_path)
    with pytest.raises(WeightsUnavailable, match="import nothing"):
        import_weights("efficientnet_lite0", tmp_path / "missing.pth", weights_folder=tmp_path)
    with pytest.raises(UnknownName, match="inception_v3"):
        import_weights("inception", tmp_path / "missing.h5", weights_folder=tmp_path)


def test_the_embedded_network_needs_no_folder_and_no_network(tmp_path: Path):
    path = ensure_for_card(EFFICIENTNET_LITE0, weights_folder=tmp_path / "none", offline=True)

    assert hashlib.sha256(path.read_bytes()).hexdigest().startswith("57934424")
    assert card_is_here(EFFICIENTNET_LITE0, tmp_path / "none")
    assert not (tmp_path / "none").exists()


# Files of which only the MD5 is published.


def pinned_folder(server: WeightsServer, folder: Path) -> tuple[NetworkCard, Path]:
    card = card_for(BODY, weights_sha256=None)
    return card, ensure_for_card(card, weights_folder=folder, mirror=server.address)


def test_a_file_known_by_its_md5_is_known_by_its_sha256_from_then_on(server: WeightsServer, tmp_path: Path):
    card, path = pinned_folder(server, tmp_path)

    pinned = pinned_card(card, tmp_path)

    assert pinned.weights_sha256 == known_digest(pinned) == hashlib.sha256(BODY).hexdigest()
    assert ensure_for_card(card, weights_folder=tmp_path, offline=True) == path
    assert len(server.requests) == 1
    assert nothing_half_done(tmp_path)


def test_before_it_is_here_nothing_can_be_made_with_it_and_the_command_is_named(tmp_path: Path):
    card = card_for(BODY, weights_sha256=None)

    with pytest.raises(WeightsUnavailable, match="dreamcrawl networks fetch net"):
        known_digest(pinned_card(card, tmp_path))


def test_a_byte_that_changed_after_arrival_is_noticed_though_no_sha256_is_published(
    server: WeightsServer, tmp_path: Path
):
    card, path = pinned_folder(server, tmp_path)
    path.write_bytes(b"x" + BODY[1:])

    with pytest.raises(WeightsCorrupt, match="expected"):
        ensure_for_card(card, weights_folder=tmp_path, mirror=server.address)

    assert len(server.requests) == 1


def test_another_file_with_a_pin_of_its_own_is_not_taken_for_it(server: WeightsServer, tmp_path: Path):
    card, path = pinned_folder(server, tmp_path)
    path.with_name(f"{path.name}.sha256").write_text("0" * 64)

    with pytest.raises(WeightsCorrupt, match="0000"):
        ensure_for_card(card, weights_folder=tmp_path, offline=True)


def test_a_pin_that_is_none_is_reported_with_the_way_out(server: WeightsServer, tmp_path: Path):
    card, path = pinned_folder(server, tmp_path)
    path.with_name(f"{path.name}.sha256").write_text("half")

    for use in (lambda: pinned_card(card, tmp_path), lambda: ensure_for_card(card, weights_folder=tmp_path)):
        with pytest.raises(WeightsCorrupt, match="networks import net"):
            use()


def test_a_file_put_there_by_hand_is_taken_in_by_its_md5_or_refused(tmp_path: Path):
    card = card_for(BODY, weights_sha256=None)
    (tmp_path / FILE_NAME).write_bytes(BODY)

    assert pinned_card(card, tmp_path).weights_sha256 is None
    ensure_for_card(card, weights_folder=tmp_path, offline=True)
    assert pinned_card(card, tmp_path).weights_sha256 == hashlib.sha256(BODY).hexdigest()

    (tmp_path / f"{FILE_NAME}.sha256").unlink()
    (tmp_path / FILE_NAME).write_bytes(BODY[1:])
    with pytest.raises(WeightsCorrupt, match="MD5"):
        ensure_for_card(card, weights_folder=tmp_path, offline=True)


def test_an_imported_file_is_pinned_too(tmp_path: Path):
    card = card_for(BODY, weights_sha256=None)
    (tmp_path / "copy.h5").write_bytes(BODY)

    import_for_card(card, tmp_path / "copy.h5", weights_folder=tmp_path / "w")

    assert pinned_card(card, tmp_path / "w").weights_sha256 == hashlib.sha256(BODY).hexdigest()
