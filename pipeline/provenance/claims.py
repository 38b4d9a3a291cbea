"""What a dream's C2PA manifest claims, drawn from the dream's own record. Plain values; nothing is signed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.provenance.canonical import cut_text
from pipeline.provenance.manifest import digital_source_type, manifest_sha256, starts_from_picture
from pipeline.provenance.permission import permission_on_record
from pipeline.provenance.sharing import web_address
from pipeline.provenance.xmp import attribution

ORIGINAL = "original"
"""Label of the ingredient that a dream was made of."""

NAMESPACE = "dreamcrawl."
"""What the parameters of an action begin with that are ours and not the standard's."""

_MAX_TEXT_BYTES, _MAX_LINE_BYTES = 500, 3_000


@dataclass(frozen=True)
class Ingredient:
    """A picture that had a part in a dream.

    Attributes:
        about: Its description as the C2PA library takes it, with label and relationship.
        media_type: Such as `image/jpeg`.
        data: The bytes of its file; a manifest inside is carried on with what its validation gives.
    """

    about: Mapping[str, Any]
    media_type: str
    data: bytes


def original_of(manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """The description of the picture that a dream was made of, as `parentOf`; None when it began from noise."""
    if not starts_from_picture(manifest):
        return None
    source = manifest["source"]
    return _described(source, ORIGINAL, "parentOf", page=source["page_url"])


def inputs_of(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The descriptions of the guides and masks, as `inputTo`, in the order of the record."""
    return [
        _described(each, f"input-{number}", "inputTo", page=each.get("page_url"))
        for number, each in enumerate(manifest.get("inputs", ()), start=1)
    ]


def claim_of(manifest: Mapping[str, Any], *, media_type: str, ingredients: Sequence[str]) -> dict[str, Any]:
    """The definition of the C2PA manifest, as the C2PA library takes it.

    manifest: The dream's record, as `build_manifest` gave it.
    media_type: Of the dream's file.
    ingredients: Labels of those that are added to it.
    """
    software = dict(manifest["software"])
    title = manifest["source"]["title"] or manifest["source"]["item"]
    return {
        "claim_generator_info": [software],
        "title": cut_text(str(title), _MAX_TEXT_BYTES),
        "format": media_type,
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "created": True,  # said by the signer, and not gathered from others
                "data": {"actions": _actions(manifest, software, ingredients), "allActionsIncluded": True},
            }
        ],
    }


def _actions(
    manifest: Mapping[str, Any], software: Mapping[str, Any], ingredients: Sequence[str]
) -> list[dict[str, Any]]:
    common = {"when": manifest["created_at"], "softwareAgent": dict(software)}
    dream: dict[str, Any] = {
        "action": "c2pa.edited",
        **common,
        "digitalSourceType": digital_source_type(manifest),
        "parameters": _parameters(manifest, ingredients),
    }
    if ORIGINAL not in ingredients:
        return [dream | {"action": "c2pa.created"}]
    actions = [{"action": "c2pa.opened", "parameters": {"ingredientIds": [ORIGINAL]}}]
    source, prepared = manifest["source"], manifest["preparation"]
    if (source["width"], source["height"]) != (prepared["width"], prepared["height"]):
        sizes = f"{source['width']}x{source['height']} to {prepared['width']}x{prepared['height']} pixels"
        actions.append({"action": "c2pa.resized", **common, "parameters": {"description": f"from {sizes} (Lanczos)"}})
    return [*actions, dream]


def _parameters(manifest: Mapping[str, Any], ingredients: Sequence[str]) -> dict[str, Any]:
    permission = permission_on_record(manifest)
    own = {
        "derivation_key": manifest["derivation_key"],
        "manifest_sha256": manifest_sha256(manifest),
        "recipe_sha256": manifest["recipe_sha256"],
        "preset": manifest["preset"],
        "network": manifest["network"]["name"],
        "weights_sha256": manifest["network"]["weights_sha256"],
        "engine_version": manifest["engine_version"],
        "seed": manifest["render"]["seed"],
        "source_sha256": manifest["source"]["sha256"],
        "attribution": cut_text(attribution(manifest), _MAX_LINE_BYTES),
        "terms": manifest["sharing"]["terms"],
        "license": manifest["sharing"]["license_id"],
        "permission": permission.basis.value if permission else None,
        "responsibility": permission.words or None if permission else None,
    }
    parameters: dict[str, Any] = {"description": "DeepDream: gradient ascent through a trained network"}
    if inputs := [label for label in ingredients if label != ORIGINAL]:
        parameters["ingredientIds"] = inputs
    return parameters | {f"{NAMESPACE}{name}": value for name, value in own.items() if value is not None}


def _described(part: Mapping[str, Any], label: str, relationship: str, *, page: str | None) -> dict[str, Any]:
    creator, license_ = part["creator"], part["license"]
    credit = f"by {creator}, {license_['name']}" if creator else license_["name"]
    about: dict[str, Any] = {
        "label": label,
        "relationship": relationship,
        "title": cut_text(str(part["title"] or part["item"]), _MAX_TEXT_BYTES),
        "description": cut_text(credit, _MAX_TEXT_BYTES),
        "instance_id": f"urn:sha256:{part['sha256']}",
    }
    if address := web_address(page):
        about["informational_URI"] = address
    return about
