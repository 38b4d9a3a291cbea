"""A run as an RO-Crate: a folder with pictures, records and lines of credit, and `ro-crate-metadata.json` over them.

Sources: RO-Crate 1.1; Process Run Crate profile 0.5, whose words for a run are schema.org's `CreateAction`s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from pipeline.errors import StoreCorrupt
from pipeline.formats import MEDIA_TYPES
from pipeline.licenses import License, license_on_record
from pipeline.provenance.attribution import credit_dream, credit_original, license_address, license_of
from pipeline.provenance.canonical import json_sha256
from pipeline.provenance.copies import SIDECAR_SUFFIX, sidecar_of
from pipeline.provenance.manifest import starts_from_picture
from pipeline.provenance.markdown import markdown_text
from pipeline.provenance.permission import permission_on_record
from pipeline.provenance.prov import prov_json
from pipeline.provenance.run_graph import WITHDRAWN, Dream, Picture, RunGraph
from pipeline.provenance.sharing import public_url, sharing_of, web_address
from pipeline.store import Store

METADATA = "ro-crate-metadata.json"
PROV = "provenance.prov.json"
ATTRIBUTION = "ATTRIBUTION.md"
DAMAGED = "damaged or missing in the store"

_CRATE = "https://w3id.org/ro/crate/1.1"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_SUFFIXES = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif"}
_LICENSES = "#licences"
# Terms of schema.org that are younger than the crate's own list of them.
_OWN_TERMS = {name: f"http://schema.org/{name}" for name in ("sha256", "creditText", "usageInfo")}


@dataclass
class Crate:
    """What goes into the folder.

    Attributes:
        files: Name -> content, metadata included; of stored pictures the digest.
        stored: Name -> SHA-256 of a picture in the store.
        left_out: Reason -> how many pictures are described without their file.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    stored: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)


def crate_of(graph: RunGraph, *, store: Store, at: datetime) -> Crate:
    """The crate of a run. What a licence does not let go, or a site has withdrawn, is described without its file.

    store: tells which files are there; damaged ones are left out.
    at: when the crate is made.
    """
    building = _Building(graph, store)
    for picture in graph.pictures:
        building.add_original(picture)
    for dream in graph.dreams:
        building.add_dream(dream)
    return building.finish(at)


@dataclass
class _Building:
    graph: RunGraph
    store: Store
    crate: Crate = field(default_factory=Crate)
    entities: dict[str, dict[str, Any]] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    credits_: list[str] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)

    def add_original(self, picture: Picture) -> str:
        """The id of its entity."""
        item = picture.item
        name = f"originals/i{item.id}-{item.blob_sha256[:8]}.{_SUFFIXES.get(item.format, 'bin')}"
        about: dict[str, Any] = {
            "name": f"i{item.id}",
            "sha256": item.blob_sha256,
            "width": _pixels(item.width),
            "height": _pixels(item.height),
        }
        if item.withdrawn_at is None:
            credit = credit_original(item, picture.sightings)
            license_ = self._license(license_of(item), license_address(item))
            about |= {"name": item.title or f"i{item.id}", "creditText": credit, "license": license_}
            if item.creator:
                about["creator"] = self._creator(item.creator)
            if addresses := [address for each in picture.sightings if (address := _address(each.page_url))]:
                about["isBasedOn"] = _one_or_many(list(dict.fromkeys(addresses)))
        identity = self._picture(
            name, f"#i{item.id}", about, sha256=item.blob_sha256, format_=item.format, objection=picture.objection
        )
        self.names[item.id] = identity
        if identity == name:
            self.credits_.append(f"- `{name}`: {markdown_text(about['creditText'])}")
        return identity

    def add_dream(self, dream: Dream) -> None:
        made = dream.derivation
        name = f"dreams/{made.file_name}"
        original = self.names[dream.original.item.id]
        sources = [original, *(self.names[each.item.id] for each in dream.inputs)]
        about: dict[str, Any] = {
            "name": f"d{made.id}: dream of {self.entities[original]['name']}",
            "sha256": made.blob_sha256,
            "width": _pixels(made.width),
            "height": _pixels(made.height),
        }
        if based_on := sources if starts_from_picture({"recipe": made.recipe}) else sources[1:]:
            about["isBasedOn"] = _one_or_many([_ref(each) for each in based_on])
        if dream.objection != WITHDRAWN:
            about["creditText"] = credit_dream(dream.original.item, dream.original.sightings, made)
            sharing = sharing_of(*dream.licenses, permission=permission_on_record(dream.manifest))
            about["usageInfo"] = sharing.note
            if sharing.license_id is not None:
                about["license"] = self._license(
                    license_on_record(sharing.license_id, sharing.license_url), sharing.license_url
                )
        identity = self._picture(
            name,
            f"#d{made.id}",
            about,
            sha256=made.blob_sha256,
            format_=str(made.manifest.get("output", {}).get("format")),
            objection=dream.objection,
        )
        if identity == name:
            self.credits_.append(f"- `{name}`: {markdown_text(about['creditText'])}")
            record = name + SIDECAR_SUFFIX
            text = json.dumps(sidecar_of(made), ensure_ascii=False, indent=2) + "\n"
            description = "the recipe, network, seed, sizes and digests"
            self._file(record, text.encode(), f"How d{made.id} was made", "application/json", description)
            self.entities[record]["about"] = _ref(name)
        self._action(
            f"#dreaming-{made.key[:16]}",
            name=f"Dreaming d{made.id} with {made.preset or 'a recipe without a name'} on {made.network}",
            start=made.created_at - timedelta(seconds=max(0.0, made.seconds)),
            end=made.created_at,
            objects=[*sources, self._weights(dream)],
            results=[identity],
        )

    def finish(self, at: datetime) -> Crate:
        run = self.graph.run
        made_here = [self.names[each.item.id] for each in self.graph.pictures if each.item.first_run_id == run.id]
        self._action(
            f"#run-{run.id}",
            name=f"Run r{run.id}: {run.kind} {', '.join(run.keywords)}".strip(),
            start=run.started_at,
            end=run.finished_at,
            objects=[],
            results=made_here,
            failed=run.status == "failed",
        )
        prov = json.dumps(prov_json(self.graph), ensure_ascii=False, indent=2) + "\n"
        self._file(PROV, prov.encode(), "The same as W3C PROV", "application/json", "PROV-JSON of the run")
        listing = "# Attribution\n\n" + "\n".join(self.credits_) + "\n"
        title, author = "Attribution", "each picture with its title, author, source and licence"
        self._file(ATTRIBUTION, listing.encode("utf-8", "replace"), title, "text/markdown", author)
        self.crate.files[METADATA] = (json.dumps(self._metadata(at), ensure_ascii=False, indent=2) + "\n").encode()
        return self.crate

    def _metadata(self, at: datetime) -> dict[str, Any]:
        run = self.graph.run
        version = run.version
        words = f" for {', '.join(run.keywords)}" if run.keywords else ""
        root = {
            "@id": "./",
            "@type": "Dataset",
            "name": f"dreamcrawl run r{run.id}{words}",
            "description": f"Pictures that a {run.kind} of dreamcrawl collected{words}, the dreams it made of them "
            "with a neural network, and how each was made.",
            "datePublished": _moment(at),
            "conformsTo": _ref(_PROFILE),
            "license": _ref(_LICENSES),
            "hasPart": [_ref(each) for each in self.parts],
            "mentions": [_ref(each) for each in self.others],
        }
        fixed = [
            {
                "@id": METADATA,
                "@type": "CreativeWork",
                "conformsTo": _ref(_CRATE),
                "about": _ref("./"),
            },
            root,
            {"@id": _PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
            {
                "@id": _LICENSES,
                "@type": "CreativeWork",
                "name": "A licence for each picture",
                "description": f"Every picture names its own licence; {ATTRIBUTION} has the lines of credit.",
            },
            {
                "@id": self._software(),
                "@type": "SoftwareApplication",
                "name": "dreamcrawl",
                "version": version,
                "description": "collects pictures by keyword and dreams on them",
            },
        ]
        return {"@context": [f"{_CRATE}/context", _OWN_TERMS], "@graph": [*fixed, *self.entities.values()]}

    def _picture(
        self, name: str, described: str, about: Mapping[str, Any], *, sha256: str, format_: str, objection: str | None
    ) -> str:
        """Its entity: a file of the crate, or a description when the file must stay away."""
        if objection is None:
            try:
                size = len(self.store.read(sha256))
            except StoreCorrupt:
                objection = DAMAGED
        if objection is not None:
            self.crate.left_out[objection] = self.crate.left_out.get(objection, 0) + 1
            told = {
                "@type": ["CreativeWork", "ImageObject"],
                **about,
                "description": f"The file is not in this crate: {objection}.",
            }
            self.entities[described] = {"@id": described, **told}
            self.others.append(described)
            return described
        media_type = MEDIA_TYPES.get(format_, "application/octet-stream")
        told = {"@type": ["File", "ImageObject"], **about, "encodingFormat": media_type, "contentSize": str(size)}
        self.entities[name] = {"@id": name, **told}
        self.parts.append(name)
        self.crate.stored[name] = sha256
        return name

    def _file(self, name: str, data: bytes, title: str, media_type: str, description: str) -> None:
        self.crate.files[name] = data
        self.entities[name] = {
            "@id": name,
            "@type": "File",
            "name": title,
            "description": description,
            "encodingFormat": media_type,
            "contentSize": str(len(data)),
        }
        self.parts.append(name)

    def _action(
        self,
        identity: str,
        *,
        name: str,
        start: datetime,
        end: datetime | None,
        objects: list[str],
        results: list[str],
        failed: bool = False,
    ) -> None:
        entity: dict[str, Any] = {
            "@id": identity,
            "@type": "CreateAction",
            "name": name,
            "description": name,
            "instrument": _ref(self._software()),
            "startTime": _moment(start),
        }
        # Of a run that was killed or still goes on there is no status to tell.
        if failed or end is not None:
            entity["actionStatus"] = f"http://schema.org/{'Failed' if failed else 'Completed'}ActionStatus"
        if end is not None:
            entity["endTime"] = _moment(end)
        if failed:
            # Not in the words on record: they name files of this machine.
            entity["error"] = f"the run failed; `dreamcrawl runs r{self.graph.run.id}` says why, where it was run"
        for key, ids in (("object", objects), ("result", results)):
            if ids:
                entity[key] = _one_or_many([_ref(each) for each in ids])
        self.entities[identity] = entity
        self.others.append(identity)

    def _software(self) -> str:
        return f"urn:dreamcrawl:software:{quote(self.graph.run.version, safe='')}"

    def _license(self, license_: License, address: str | None) -> Any:
        if address is None:
            return license_.name
        told = {"@type": "CreativeWork", "name": license_.name, "identifier": license_.id}
        self.entities.setdefault(address, {"@id": address, **told, "url": address})
        return _ref(address)

    def _creator(self, name: str) -> dict[str, str]:
        identity = f"#creator-{json_sha256({'name': name})[:16]}"
        self.entities.setdefault(identity, {"@id": identity, "@type": "Person", "name": name})
        return _ref(identity)

    def _weights(self, dream: Dream) -> str:
        made = dream.derivation
        identity = f"#weights-{made.weights_sha256[:16]}"
        about = {"@type": "CreativeWork", "name": f"weights of {made.network}", "sha256": made.weights_sha256}
        self.entities.setdefault(identity, {"@id": identity, **about})
        return identity


def _ref(identity: str) -> dict[str, str]:
    return {"@id": identity}


def _one_or_many(values: list[Any]) -> Any:
    """As RO-Crate recommends: a list for several only."""
    return values[0] if len(values) == 1 else values


def _pixels(count: int) -> str:
    return f"{count} px"


def _address(url: str) -> str | None:
    address = web_address(url)
    return public_url(address) if address else None


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")
