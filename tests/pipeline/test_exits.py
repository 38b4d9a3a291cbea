"""Every way by which a picture leaves: title, author, source, licence and what was changed go along."""

from __future__ import annotations

import dataclasses
import html
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flows.figure_pictures import read_figure_picture
from flows.wiring import load_environment
from pipeline.catalog.values import Derivation
from pipeline.contact_sheet import labelled_sheet, write_sheet
from pipeline.errors import NotPermitted
from pipeline.export.export import export
from pipeline.export.selection import Selection, What
from pipeline.provenance.c2pa import C2paSigner
from pipeline.provenance.export_run import export_run
from pipeline.provenance.keys import make_keys
from pipeline.provenance.replay import replay_derivation
from pipeline.provenance.xmp import write_credit_xmp
from tests.support.gallery import client_of
from tests.support.inverting import InvertingRenderer, Workshop, identity_of, picture, workshop
from tests.support.signing import MEDIA_TYPES, actions_of, told_by_reader

TITLE, CREATOR = "A stone bridge", "Jane Doe"
PAGE = "https://pictures.example/bridges?page=1"
GUIDE, PAINTER, GUIDE_PAGE = "A pattern", "Gil Painter", "https://painters.example/gil/pattern"
WORDS = "Jane Doe told me so on 3 May"


@dataclasses.dataclass
class Place:
    """One workspace: an original, share-alike, and dreams of it with a guide in each file format, signed."""

    shop: Workshop
    run_id: int
    item_id: int
    dreams: dict[str, Derivation]

    def file(self, image_format: str = "PNG") -> Path:
        return self.shop.dreams / self.dreams[image_format].file_name


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("exits")
    signer = C2paSigner(make_keys(root / "keys"))
    with workshop(root) as shop:
        with shop.catalog.write() as uow:
            run_id = uow.runs.start(
                "run", keywords=("bridge",), source=None, parameters={}, process="m:1:0", version="1"
            )
        about: dict[str, Any] = {"page_url": PAGE, "license_id": "CC-BY-SA-4.0", "title": TITLE, "creator": CREATOR}
        item_id = shop.add(picture(1), **about)
        guide = shop.add(picture(2), title=GUIDE, creator=PAINTER, page_url=GUIDE_PAGE, license_id="CC-BY-3.0")
        dreams = {}
        for number, image_format in enumerate(MEDIA_TYPES):
            recipe = identity_of({"kind": "invert", "number": number})
            renderer = InvertingRenderer(dataclasses.replace(recipe, pictures=(shop.item(guide).pixel_sha256,)))
            dreams[image_format] = shop.dream(
                item_id, renderer=renderer, output_format=image_format, signer=signer, run_id=run_id
            )
        yield Place(shop, run_id, item_id, dreams)


def packet_of(data: bytes) -> str:
    """The XMP packet by Pillow, without any code of the pipeline."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
        return html.unescape(found.decode() if isinstance(found, bytes) else str(found))


def exported(place: Place, folder: Path, *, what: What, layout: str) -> list[str]:
    """Of an export: what stands beside each picture, and its two lists of attributions."""
    export(folder, catalog=place.shop.catalog, store=place.shop.store, layout=layout, selection=Selection(what=what))
    lists = [(folder / name).read_text() for name in ("ATTRIBUTION.md", "ATTRIBUTION.csv")]
    if layout == "files":
        return [(folder / "00000" / "000000000.json").read_text(), *lists]
    if layout == "parquet":
        import pyarrow.parquet

        return [str(pyarrow.parquet.read_table(folder / "00000.parquet").to_pylist()[0]), *lists]
    with tarfile.open(folder / "00000.tar") as tar:
        member = tar.extractfile("000000000.json")
        assert member is not None
        return [member.read().decode(), *lists]


def crate(place: Place, folder: Path) -> list[str]:
    export_run(place.run_id, catalog=place.shop.catalog, store=place.shop.store, folder=folder, format_="ro-crate")
    return [(folder / name).read_text() for name in ("ro-crate-metadata.json", "ATTRIBUTION.md")]


def prov(place: Place, folder: Path) -> list[str]:
    export_run(place.run_id, catalog=place.shop.catalog, store=place.shop.store, folder=folder, format_="prov")
    return [(folder / "provenance.prov.json").read_text()]


def page(place: Place, _folder: Path) -> list[str]:
    client = client_of(place.shop)
    return [html.unescape(client.get(f"/items/i{place.item_id}").text), client.get(f"/api/items/i{place.item_id}").text]


def downloaded_dream(place: Place, _folder: Path) -> list[str]:
    answer = client_of(place.shop).get(f"/media/dream/{place.dreams['PNG'].blob_sha256}")
    return [packet_of(answer.content)]


def downloaded_original(place: Place, _folder: Path) -> list[str]:
    """Its bytes are not touched; the answer names its deed, and the page that credits it."""
    client = client_of(place.shop)
    link = client.get(f"/media/original/{place.shop.item(place.item_id).blob_sha256}").headers["Link"]
    pages = {rel: address for address, rel in re.findall('<([^>]*)>; rel="([^"]*)"', link)}
    assert set(pages) == {"license", "describedby"}
    return [html.unescape(client.get(pages["describedby"]).text)]


def signed(image_format: str) -> Callable[[Place, Path], list[str]]:
    def told(place: Place, _folder: Path) -> list[str]:
        found = told_by_reader(place.file(image_format).read_bytes(), MEDIA_TYPES[image_format])
        return [actions_of(found)[-1]["parameters"]["dreamcrawl.attribution"]]

    return told


def sheet(place: Place, folder: Path) -> list[str]:
    """A figure of a picture that the catalog knows."""
    file = folder / "bridge.png"
    folder.mkdir()
    file.write_bytes(place.shop.store.read(place.shop.item(place.item_id).blob_sha256))
    environment = load_environment({"workspace": str(place.shop.root)})
    shown = read_figure_picture(environment, file, max_side=64)
    packets = []
    for suffix in (".png", ".jpg", ".webp"):
        drawn = labelled_sheet([("original", shown.pixels), ("inverted", 255 - shown.pixels)], columns=2)
        write_sheet(drawn, folder / f"sheet{suffix}", xmp=write_credit_xmp([shown.credit], software="dreamcrawl 1"))
        packets.append(packet_of((folder / f"sheet{suffix}").read_bytes()))
    return packets


def replayed(place: Place, folder: Path) -> list[str]:
    dream = place.dreams["PNG"]
    folder.mkdir()
    replay_derivation(
        dream.id,
        catalog=place.shop.catalog,
        store=place.shop.store,
        make_renderer=lambda recipe, _network, _side, _profile: InvertingRenderer(
            dataclasses.replace(
                identity_of(recipe), pictures=tuple(each["pixel_sha256"] for each in dream.manifest["inputs"])
            )
        ),
        write_to=folder / "again.png",
    )
    return [packet_of((folder / "again.png").read_bytes())]


def layouts(what: What, layout: str) -> Callable[[Place, Path], list[str]]:
    return lambda place, folder: exported(place, folder, what=what, layout=layout)


DREAM_EXITS: dict[str, Callable[[Place, Path], list[str]]] = {
    **{
        f"dreams/ {each}": lambda place, _f, each=each: [packet_of(place.file(each).read_bytes())]
        for each in MEDIA_TYPES
    },
    **{f"C2PA in {each}": signed(each) for each in MEDIA_TYPES},
    "dreams/ sidecar": lambda place, _folder: [
        place.file().with_name(f"{place.file().name}.json").read_text(encoding="utf-8")
    ],
    **{
        f"export --what dreams --format {each}": layouts(What.DREAMS, each)
        for each in ("files", "webdataset", "parquet")
    },
    "export-provenance ro-crate": crate,
    "export-provenance prov": prov,
    "gallery: page and API": page,
    "gallery: dream file": downloaded_dream,
    "replay --write-to": replayed,
}
ORIGINAL_EXITS: dict[str, Callable[[Place, Path], list[str]]] = {
    **{f"export --format {each}": layouts(What.ORIGINALS, each) for each in ("files", "webdataset", "parquet")},
    "export-provenance ro-crate": crate,
    "export-provenance prov": prov,
    "gallery: page and API": page,
    "gallery: original file": downloaded_original,
    "presets --sheet, compare": sheet,
}


@pytest.mark.parametrize("name", ORIGINAL_EXITS)
def test_an_original_leaves_with_title_author_source_and_licence(place: Place, tmp_path: Path, name: str) -> None:
    if "parquet" in name:
        pytest.importorskip("pyarrow")

    for text in ORIGINAL_EXITS[name](place, tmp_path / "out"):
        for said in (TITLE, CREATOR, PAGE):
            assert said in text, (name, said)
        assert "CC BY-SA 4.0" in text or "CC-BY-SA-4.0" in text


@pytest.mark.parametrize("name", DREAM_EXITS)
def test_a_dream_leaves_with_the_same_what_was_changed_and_with_what_guide(
    place: Place, tmp_path: Path, name: str
) -> None:
    if "parquet" in name:
        pytest.importorskip("pyarrow")

    for text in DREAM_EXITS[name](place, tmp_path / "out"):
        for said in (TITLE, CREATOR, PAGE, GUIDE, PAINTER, GUIDE_PAGE):
            assert said in text, (name, said)
        assert "CC BY-SA 4.0" in text or "CC-BY-SA-4.0" in text
        assert "neural network" in text or '"network"' in text


def test_the_lists_name_every_command_that_writes_pictures() -> None:
    """Whoever adds a command that lets pictures out finds it missing here."""
    from typer.main import get_command

    from flows.cli import app

    known = " ".join([*DREAM_EXITS, *ORIGINAL_EXITS])
    writes = {"export", "export-provenance", "presets", "compare", "replay"}
    # They write into the workspace only, whose dreams/ and gallery are in the lists, or no picture at all.
    stays = {
        "run", "collect", "demo", "crawl", "ingest", "dream", "schedule", "browse", "backup", "restore", "gc",
        "fsck", "keys", "networks", "config", "items", "runs", "sources", "duplicates", "verify", "recipe", "tag",
        "rate", "features", "similar", "status",
    }  # fmt: skip

    commands = set(get_command(app).commands)  # type: ignore[attr-defined]  # a group

    assert all(each in known for each in writes)
    assert commands - stays <= writes, "say in which of the lists above its pictures leave"


@pytest.mark.parametrize("license_id", ["CC-BY-ND-4.0", None])
def test_a_figure_is_not_drawn_of_what_may_not_be_dreamed_on_unless_words_are_given(
    tmp_path: Path, license_id: str | None
) -> None:
    file = tmp_path / "known.png"
    file.write_bytes(picture(1))
    with workshop(tmp_path) as shop:
        shop.add(picture(1), license_id=license_id)
    said = load_environment({"workspace": str(tmp_path), "dream.responsibility": WORDS})

    with pytest.raises(NotPermitted, match=r"is i1, which is not dreamed on: .*dream\.responsibility"):
        read_figure_picture(load_environment({"workspace": str(tmp_path)}), file, max_side=64)
    assert TITLE in read_figure_picture(said, file, max_side=64).credit

    # What no catalog knows is a file of the user's own, and looking at it makes no workspace.
    nowhere = load_environment({"workspace": str(tmp_path / "nowhere")})
    assert read_figure_picture(nowhere, file, max_side=64).credit == "known.png, a file of its maker\u2019s own."
    assert not (tmp_path / "nowhere").exists()


def test_the_words_of_responsibility_go_wherever_such_a_dream_is_told_of(tmp_path: Path) -> None:
    with workshop(tmp_path) as shop:
        with shop.catalog.write() as uow:
            run_id = uow.runs.start("run", keywords=(), source=None, parameters={}, process="m:1:0", version="1")
        signer = C2paSigner(make_keys(tmp_path / "keys"))
        item_id = shop.add(picture(1), license_id=None, page_url=PAGE)
        dream = shop.dream(item_id, responsibility=WORDS, signer=signer, run_id=run_id)
        place = Place(shop, run_id, item_id, {"PNG": dream})
        data = place.file().read_bytes()
        out = tmp_path / "out"
        by_default = export(
            out / "kept", catalog=shop.catalog, store=shop.store, layout="files", selection=Selection(What.DREAMS)
        )
        export(
            out / "any",
            catalog=shop.catalog,
            store=shop.store,
            layout="files",
            selection=Selection(What.DREAMS, licenses=("any",)),
        )
        action = actions_of(told_by_reader(data, "image/png"))[-1]["parameters"]

        assert (by_default.samples, dict(by_default.left_out)) == (0, {"licence does not permit sharing": 1})
        assert action["dreamcrawl.responsibility"] == WORDS
        assert action["dreamcrawl.permission"] == "responsibility"
        assert f"<dreamcrawl:Responsibility>{WORDS}<" in packet_of(data)
        told = json.loads((out / "any" / "00000" / "000000000.json").read_text())
        assert told["derivation"]["permission"] == {"basis": "responsibility", "words": WORDS}
        places = [
            (out / "any" / "ATTRIBUTION.md").read_text(),
            *crate(place, tmp_path / "crate")[:1],
            *prov(place, tmp_path / "prov"),
            *page(place, tmp_path),
        ]
        assert [WORDS in text for text in places] == [True] * 5
        assert not (tmp_path / "crate" / "dreams").exists()  # told of, and its file stays here
