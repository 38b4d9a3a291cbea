"""What a dream is said to come of, in every form that tells it: never of a picture that does not show in it."""

from __future__ import annotations

import dataclasses
import json
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from pipeline.catalog.tables import ItemRow
from pipeline.catalog.values import Derivation
from pipeline.provenance.c2pa import C2paSigner
from pipeline.provenance.containers import find_xmp
from pipeline.provenance.export_run import export_run
from tests.support.inverting import InvertingRenderer, Workshop, identity_of, picture
from tests.support.prov_constraints import violations

DERIVED_FROM = ".//{http://ns.adobe.com/xap/1.0/mm/}DerivedFrom"


def dreamed(
    shop: Workshop, recipe: dict[str, Any], *, guide: int | None = None, **options: Any
) -> tuple[int, Derivation]:
    """A run with one dream."""
    with shop.catalog.write() as uow:
        run_id = uow.runs.start("dream", keywords=[], source=None, parameters={}, process="h:1:1", version="0.1.0")
    identity = identity_of(recipe)
    if guide is not None:
        identity = dataclasses.replace(identity, pictures=(shop.item(guide).pixel_sha256,))
    return run_id, shop.dream(shop.add(picture(1)), renderer=InvertingRenderer(identity), run_id=run_id, **options)


def told(shop: Workshop, run_id: int, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The PROV document and the entities of the crate, by id."""
    for name in ("prov", "ro-crate"):
        export_run(run_id, catalog=shop.catalog, store=shop.store, folder=folder / name, format_=name)
    prov = json.loads((folder / "prov" / "provenance.prov.json").read_text(encoding="utf-8"))
    crate = json.loads((folder / "ro-crate" / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    return prov, {each["@id"]: each for each in crate["@graph"]}


@pytest.mark.parametrize(
    ("recipe", "from_noise"),
    [
        ({"kind": "x", "start": "noise"}, True),
        ({"kind": "x", "start": "noise", "strength": 0.5}, False),  # blended with the picture
        ({"kind": "x"}, False),
    ],
)
def test_a_dream_from_noise_comes_of_no_picture(
    shop: Workshop, tmp_path: Path, recipe: dict[str, Any], from_noise: bool
) -> None:
    run_id, dream = dreamed(shop, recipe)

    prov, crate = told(shop, run_id, tmp_path / "told")

    packet = find_xmp(shop.store.read(dream.blob_sha256))
    assert packet is not None
    assert (ET.fromstring(packet).find(DERIVED_FROM) is None) == from_noise
    entity, original = f"sha256:{dream.blob_sha256}", f"sha256:{shop.item(dream.item_id).blob_sha256}"
    derived = [each for each in prov["wasDerivedFrom"].values() if each["prov:generatedEntity"] == entity]
    assert [each["prov:usedEntity"] for each in derived] == ([] if from_noise else [original])
    # It was used all the same: the dream has its size.
    assert original in [each["prov:entity"] for each in prov["used"].values()]
    assert ("isBasedOn" in crate[f"dreams/{dream.file_name}"]) != from_noise


def test_a_dream_from_noise_with_a_guide_comes_of_the_guide(shop: Workshop, tmp_path: Path) -> None:
    guide = shop.add(picture(2), title="A pattern")
    run_id, dream = dreamed(shop, {"kind": "guided", "start": "noise"}, guide=guide)

    _prov, crate = told(shop, run_id, tmp_path / "told")

    based_on = crate[f"dreams/{dream.file_name}"]["isBasedOn"]["@id"]
    assert crate[based_on]["sha256"] == shop.item(guide).blob_sha256


def test_a_withdrawn_guide_is_named_in_no_export(shop: Workshop, tmp_path: Path) -> None:
    guide = shop.add(picture(2), title="A secret pattern", creator="Somebody Else")
    run_id, _dream = dreamed(shop, {"kind": "guided"}, guide=guide)
    with shop.catalog.write() as uow:
        uow.session.execute(
            update(ItemRow).where(ItemRow.id == guide).values(withdrawn_at=datetime.now(UTC), withdrawn_reason="noai")
        )

    told(shop, run_id, tmp_path / "told")

    texts = {path.name: path.read_bytes() for path in (tmp_path / "told").rglob("*") if path.is_file()}
    assert {"provenance.prov.json", "ro-crate-metadata.json"} <= set(texts)
    assert not any(b"secret pattern" in text or b"Somebody Else" in text for text in texts.values())


def test_who_signed_a_dream_is_an_agent_of_it(shop: Workshop, signer: C2paSigner, tmp_path: Path) -> None:
    run_id, dream = dreamed(shop, {"kind": "x"}, signer=signer)

    prov, _crate = told(shop, run_id, tmp_path / "told")

    entity = f"sha256:{dream.blob_sha256}"
    [agent] = [each["prov:agent"] for each in prov["wasAttributedTo"].values() if each["prov:entity"] == entity]
    assert prov["agent"][agent] == {
        "prov:label": "Jane Doe",
        "dreamcrawl:certificate_sha256": signer.keys.certificate_sha256,
    }
    assert violations(prov) == []
