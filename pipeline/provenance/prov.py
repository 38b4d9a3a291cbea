"""A run as PROV-JSON: pictures are entities, crawling and dreaming are activities, software and people are agents.

Source: W3C PROV data model; W3C member submission "The PROV-JSON Serialization".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.provenance.attribution import credit_dream, credit_original, license_address, license_of
from pipeline.provenance.canonical import json_sha256
from pipeline.provenance.manifest import starts_from_picture
from pipeline.provenance.permission import permission_on_record
from pipeline.provenance.run_graph import WITHDRAWN, Dream, Picture, RunGraph
from pipeline.provenance.sharing import public_url, sharing_of, web_address

PREFIXES = {
    "dreamcrawl": "urn:dreamcrawl:",
    "sha256": "urn:sha256:",
    "dcterms": "http://purl.org/dc/terms/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


def prov_json(graph: RunGraph) -> dict[str, Any]:
    """The PROV-JSON document of a run, as JSON values.

    Of a picture that was withdrawn only its digests are told.
    """
    document = _Document()
    run = graph.run
    run_id = f"dreamcrawl:run-{run.id}-{run.started_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    software = document.software(run.version)
    document.add(
        "activity",
        run_id,
        {
            "prov:startTime": _moment(run.started_at),
            "prov:endTime": _moment(run.finished_at) if run.finished_at else None,
            "prov:type": _name("dreamcrawl:Run"),
            "prov:label": f"r{run.id}: {run.kind} {', '.join(run.keywords)}".strip(),
            "dreamcrawl:status": run.status,
        },
    )
    document.relate("wasAssociatedWith", activity=run_id, agent=software)
    for picture in graph.pictures:
        _add_picture(document, picture, run_id=run_id if picture.item.first_run_id == run.id else None)
    for dream in graph.dreams:
        _add_dream(document, dream, run_id=run_id)
    return document.to_json()


class _Document:
    """Collects records by kind; what is added twice under one name is one record."""

    def __init__(self) -> None:
        self._records: dict[str, dict[str, dict[str, Any]]] = {}
        self._relations = 0

    def add(self, kind: str, name: str, attributes: Mapping[str, Any]) -> str:
        told = {key: value for key, value in attributes.items() if value is not None}
        self._records.setdefault(kind, {}).setdefault(name, told)
        return name

    def has(self, kind: str, name: str) -> bool:
        return name in self._records.get(kind, {})

    def relate(self, kind: str, *, attributes: Mapping[str, Any] | None = None, **ends: str) -> None:
        self._relations += 1
        told = {f"prov:{end}": name for end, name in ends.items()} | dict(attributes or {})
        self._records.setdefault(kind, {})[f"_:r{self._relations}"] = told

    def software(self, version: str) -> str:
        attributes = {"prov:type": _name("prov:SoftwareAgent"), "prov:label": f"dreamcrawl {version}"}
        return self.add("agent", f"dreamcrawl:software-{_token(version)}", attributes)

    def to_json(self) -> dict[str, Any]:
        return {"prefix": dict(PREFIXES), **self._records}


def _add_picture(document: _Document, picture: Picture, *, run_id: str | None) -> str:
    item = picture.item
    entity = f"sha256:{item.blob_sha256}"
    if document.has("entity", entity):  # with all that it came of
        return entity
    is_told = item.withdrawn_at is None
    license_ = license_of(item)
    document.add(
        "entity",
        entity,
        {
            "prov:type": _name("dreamcrawl:Original"),
            "prov:label": f"i{item.id}",
            "dreamcrawl:pixel_sha256": item.pixel_sha256,
            "dreamcrawl:width": item.width,
            "dreamcrawl:height": item.height,
        }
        | (
            {
                "dcterms:title": item.title,
                "dcterms:license": _uri(license_address(item)) or license_.id,
                "dcterms:bibliographicCitation": credit_original(item, picture.sightings),
            }
            if is_told
            else {"dreamcrawl:withdrawn": True}
        ),
    )
    if run_id is not None:
        document.relate("wasGeneratedBy", entity=entity, activity=run_id)
    if not is_told:
        return entity
    if item.creator:
        creator = document.add(
            "agent",
            f"dreamcrawl:creator-{_token(item.creator)}",
            {"prov:type": _name("prov:Person"), "prov:label": item.creator},
        )
        document.relate("wasAttributedTo", entity=entity, agent=creator)
    for address in dict.fromkeys(public_url(each.image_url) for each in picture.sightings):
        source = document.add(
            "entity",
            f"dreamcrawl:address-{_token(address)}",
            {"prov:type": _name("dreamcrawl:Address"), "prov:location": _uri(web_address(address)) or address},
        )
        document.relate(
            "wasDerivedFrom",
            generatedEntity=entity,
            usedEntity=source,
            attributes={"prov:type": _name("prov:PrimarySource")},
        )
    return entity


def _add_dream(document: _Document, dream: Dream, *, run_id: str) -> None:
    made, manifest = dream.derivation, dream.manifest
    permission = permission_on_record(manifest)
    sharing = sharing_of(*dream.licenses, permission=permission)
    original = _add_picture(document, dream.original, run_id=None)
    entity, activity = f"sha256:{made.blob_sha256}", f"dreamcrawl:dream-{made.key}"
    is_told = dream.objection != WITHDRAWN  # a withdrawn guide is named in its credit
    document.add(
        "entity",
        entity,
        {
            "prov:type": _name("dreamcrawl:Dream"),
            "prov:label": f"d{made.id}",
            "dreamcrawl:pixel_sha256": made.pixel_sha256,
            "dreamcrawl:manifest_sha256": made.manifest_sha256,
            "dreamcrawl:width": made.width,
            "dreamcrawl:height": made.height,
        }
        | (
            {
                "dcterms:bibliographicCitation": credit_dream(dream.original.item, dream.original.sightings, made),
                # What a share-alike original, guide or mask asks of it.
                "dcterms:license": _uri(sharing.license_url) or sharing.license_id,
                "dcterms:accessRights": sharing.note,
            }
            if is_told
            else {}
        ),
    )
    document.add(
        "activity",
        activity,
        {
            "prov:startTime": _moment(made.created_at - timedelta(seconds=max(0.0, made.seconds))),
            "prov:endTime": _moment(made.created_at),
            "prov:type": _name("dreamcrawl:Dreaming"),
            "dreamcrawl:seed": _part(manifest, "render").get("seed"),
            "dreamcrawl:profile": manifest.get("profile"),
            "dreamcrawl:engine_version": manifest.get("engine_version"),
            "dreamcrawl:permission": permission.basis.value if permission and is_told else None,
            "dreamcrawl:responsibility": permission.words or None if permission and is_told else None,
        },
    )
    recipe = document.add(
        "entity",
        f"sha256:{made.recipe_sha256}",
        {"prov:type": _name("prov:Plan"), "prov:label": f"recipe {made.preset or 'without a name'}"},
    )
    weights = document.add(
        "entity",
        f"sha256:{made.weights_sha256}",
        {"prov:type": _name("dreamcrawl:Weights"), "prov:label": f"weights of {made.network}"},
    )
    version = str(_part(manifest, "software").get("version") or "unknown")
    document.relate("wasAssociatedWith", activity=activity, agent=document.software(version), plan=recipe)
    document.relate("wasInformedBy", informed=activity, informant=run_id)
    document.relate("wasGeneratedBy", entity=entity, activity=activity)
    for used in (original, *(_add_picture(document, each, run_id=None) for each in dream.inputs), weights):
        document.relate("used", activity=activity, entity=used)
    if signature := _part(manifest, "signature"):
        signer = document.add(
            "agent",
            f"dreamcrawl:signer-{_token(str(signature.get('certificate_sha256')))}",
            {
                "prov:label": str(signature.get("signer")),
                "dreamcrawl:certificate_sha256": str(signature.get("certificate_sha256")),
            },
        )
        document.relate("wasAttributedTo", entity=entity, agent=signer)
    if starts_from_picture({"recipe": made.recipe}):
        document.relate("wasDerivedFrom", generatedEntity=entity, usedEntity=original, activity=activity)


def _name(name: str) -> dict[str, str]:
    """A name of a namespace, as a value."""
    return {"$": name, "type": "prov:QUALIFIED_NAME"}


def _uri(address: str | None) -> dict[str, str] | None:
    return {"$": address, "type": "xsd:anyURI"} if address else None


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _token(text: str) -> str:
    """A short name for any text, the same each time."""
    return json_sha256({"text": text})[:16]


def _part(manifest: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = manifest.get(name)
    return part if isinstance(part, Mapping) else {}
