"""What exiftool, which knows nothing of us, reads in our dreams."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.provenance.c2pa import C2paSigner
from pipeline.provenance.keys import make_keys
from tests.support.inverting import Workshop, picture, workshop
from tests.support.signing import MEDIA_TYPES

EXIFTOOL = shutil.which("exiftool")
pytestmark = pytest.mark.skipif(EXIFTOOL is None, reason="exiftool is not installed (libimage-exiftool-perl)")

TITLE, CREATOR, PAGE = "Brücke & <stone>", "Jane “Doe”", "https://pictures.example/bridges?page=1&lang=en"
WORDS = "Jane told me so on 3 May"


@pytest.fixture(scope="module", params=["unsigned", "signed"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workshop, Any]]:
    root = tmp_path_factory.mktemp(request.param)
    signer = C2paSigner(make_keys(root / "keys")) if request.param == "signed" else None
    with workshop(root) as made:
        yield made, signer


def read(path: Path) -> dict[str, Any]:
    """Group and name -> value, as exiftool tells them."""
    command = [str(EXIFTOOL), "-json", "-G1", "-a", "-struct", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    (found,) = json.loads(done.stdout)
    assert "ExifTool:Error" not in found
    return dict(found)


@pytest.mark.parametrize("image_format", MEDIA_TYPES)
def test_exiftool_shows_attribution_source_type_and_our_own_fields(
    shop: tuple[Workshop, Any], image_format: str
) -> None:
    made, signer = shop
    about = {"title": TITLE, "creator": CREATOR, "page_url": PAGE, "license_id": "CC-BY-SA-4.0"}
    item_id = made.add(picture(list(MEDIA_TYPES).index(image_format)), **about)
    dream = made.dream(item_id, output_format=image_format, signer=signer)

    found = read(made.dreams / dream.file_name)

    assert found["XMP-dc:Title"] == TITLE
    assert found["XMP-dc:Creator"] in (CREATOR, [CREATOR])
    rights = found["XMP-dc:Rights"]
    assert all(said in rights for said in (TITLE, CREATOR, PAGE, "CC BY-SA 4.0", "altered by a neural network"))
    assert found["XMP-dc:Source"] == PAGE
    assert found["XMP-xmpRights:WebStatement"] == "https://creativecommons.org/licenses/by-sa/4.0/"
    assert "share it under CC BY-SA 4.0" in found["XMP-xmpRights:UsageTerms"]
    assert found["XMP-iptcExt:DigitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert found["XMP-xmpMM:DerivedFrom"]["DocumentID"] == f"urn:sha256:{made.item(item_id).blob_sha256}"
    own = {name.rpartition(":")[2]: value for name, value in found.items() if "dreamcrawl" in name.lower()}
    assert own["DerivationKey"] == dream.key
    assert own["ManifestSHA256"] == dream.manifest_sha256
    assert own["Permission"] == "license"
    assert json.loads(own["Manifest"]) == dream.manifest
    if image_format == "WEBP":  # where older versions of exiftool do not look for C2PA
        return
    assert bool([name for name in found if "JUMBF" in name or "C2PA" in name.upper()]) is (signer is not None)


def test_exiftool_shows_the_words_of_responsibility(shop: tuple[Workshop, Any]) -> None:
    made, signer = shop
    item_id = made.add(picture(9), license_id=None)

    dream = made.dream(item_id, responsibility=WORDS, signer=signer)

    found = read(made.dreams / dream.file_name)
    assert WORDS in [value for name, value in found.items() if name.endswith(":Responsibility")]
    assert WORDS in found["XMP-photoshop:Instructions"]
    assert "XMP-xmpRights:Marked" not in found
