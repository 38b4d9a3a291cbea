"""The gallery says who signed a dream, and what others make of that."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.provenance.keys import make_keys
from tests.support.gallery import client_of
from tests.support.inverting import picture, workshop


def test_a_signed_dream_names_its_signer_and_others_none(tmp_path: Path) -> None:
    pytest.importorskip("c2pa", reason="needs the extra c2pa")
    from pipeline.provenance.c2pa import C2paSigner

    signer = C2paSigner(make_keys(tmp_path / "keys", name="Jane <b>Doe</b>"))
    with workshop(tmp_path / "workspace") as shop:
        signed = shop.dream(shop.add(picture(1)), signer=signer)
        plain = shop.dream(shop.add(picture(2)))
        client = client_of(shop)

        told = client.get(f"/items/i{signed.item_id}").text
        assert "Jane &lt;b&gt;Doe&lt;/b&gt;" in told
        assert "unknown until it has the trust anchor" in told
        assert "Signed by" not in client.get(f"/items/i{plain.item_id}").text
