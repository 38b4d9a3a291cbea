"""The manifest: all that is known about how one dream was made, as plain JSON values.

Its digest is taken over the canonical JSON, so it is the same in the catalog, in the picture and in the sidecar.
The field names are described in docs/provenance.md.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from pipeline.catalog.values import Item, Sighting
from pipeline.provenance.canonical import canonical_json, clean_text, json_sha256, parse_object
from pipeline.provenance.derivation import RendererIdentity, key_of
from pipeline.provenance.described_pictures import described_input, described_source
from pipeline.provenance.permission import Permission, license_of
from pipeline.provenance.sharing import sharing_of

SCHEMA = "dreamcrawl.manifest/1"
SOFTWARE = "dreamcrawl"

# What a renderer must say about each picture it made; it may say more.
REQUIRED_FACTS = ("octave_sizes", "seed", "jitter_sha256", "objective", "device", "versions")
# What else it may say about its surroundings; replay names which of all these differ.
ENVIRONMENT_FACTS = (
    "platform", "machine", "cpu", "threads", "dtype", "onednn", "tensor_float_32", "deterministic", "device_name",
    "profile", "variant", "batch", "tiles", "fold_difference", "octave_steps", "base_size", "chosen_channels",
)  # fmt: skip

# IPTC's terms for where a picture comes from: "Augmentation, correction or enhancement using a Generative AI model" for
# one that was dreamed on, "created algorithmically using a trained model" for one that began from noise.
ALTERED_BY_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
MADE_BY_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

_SHA256 = re.compile(r"[0-9a-f]{64}")


class ManifestUnreadable(ValueError):
    """A JSON value is no manifest of this schema."""


@dataclass(frozen=True)
class Preparation:
    """How the source's pixels became the renderer's input.

    Attributes:
        width: Of the input, in pixels.
        height: Of the input, in pixels.
        pixel_sha256: Pixel digest of the input.
        steps: What was done, in order, in words.
        versions: Name -> version of the libraries that did it.
    """

    width: int
    height: int
    pixel_sha256: str
    steps: tuple[str, ...]
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Output:
    """The dream's file.

    Attributes:
        format: `PNG`, `JPEG` or `WEBP`.
        width: In pixels.
        height: In pixels.
        pixel_sha256: Pixel digest of the file, decoded.
        rendered_pixel_sha256: Pixel digest before encoding; another one for JPEG, which loses some.
    """

    format: str
    width: int
    height: int
    pixel_sha256: str
    rendered_pixel_sha256: str


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read and found well-formed; `raw` is all of it.

    Digests are lower-case hex. `item` is the public id in the catalog that made it, such as `i12`.
    """

    derivation_key: str
    item: str
    source_sha256: str
    source_pixel_sha256: str
    prepared_pixel_sha256: str
    max_side: int
    profile: str
    recipe: Mapping[str, Any]
    recipe_sha256: str
    preset: str | None
    network: str
    weights_sha256: str
    engine_version: int
    output: Output
    created_at: str
    software_version: str
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def read(cls, data: Any) -> Self:
        """The manifest in a JSON value from anywhere.

        Raises:
            ManifestUnreadable: Not a manifest, of a newer schema, or a field is missing or of the wrong kind.
        """
        root = _Fields(data, "manifest")
        if (schema := root.text("schema")) != SCHEMA:
            raise ManifestUnreadable(f'schema is "{schema[:60]}", and this version reads "{SCHEMA}"')
        source, preparation, network = root.part("source"), root.part("preparation"), root.part("network")
        output = root.part("output")
        root.part("render")
        return cls(
            derivation_key=root.digest("derivation_key"),
            item=source.text("item"),
            source_sha256=source.digest("sha256"),
            source_pixel_sha256=source.digest("pixel_sha256"),
            prepared_pixel_sha256=preparation.digest("pixel_sha256"),
            max_side=preparation.number("max_side"),
            # What was made before there was another has none.
            profile=root.text("profile") if "profile" in root.values else "exact",
            recipe=root.part("recipe").values,
            recipe_sha256=root.digest("recipe_sha256"),
            preset=None if root.values.get("preset") is None else root.text("preset"),
            network=network.text("name"),
            weights_sha256=network.digest("weights_sha256"),
            engine_version=root.number("engine_version"),
            output=Output(
                format=output.text("format"),
                width=output.number("width"),
                height=output.number("height"),
                pixel_sha256=output.digest("pixel_sha256"),
                rendered_pixel_sha256=output.digest("rendered_pixel_sha256"),
            ),
            created_at=root.text("created_at"),
            software_version=root.part("software").text("version"),
            raw=root.values,
        )

    @property
    def recomputed_key(self) -> str:
        """The derivation key that follows from the manifest's own fields."""
        return key_of(
            source_pixel_sha256=self.source_pixel_sha256,
            recipe_sha256=self.recipe_sha256,
            weights_sha256=self.weights_sha256,
            engine_version=self.engine_version,
            max_side=self.max_side,
            profile=self.profile,
        )


def build_manifest(
    item: Item,
    sightings: Sequence[Sighting],
    *,
    identity: RendererIdentity,
    facts: Mapping[str, Any],
    preparation: Preparation,
    output: Output,
    created_at: datetime,
    software_version: str,
    inputs: Sequence[Item] = (),
    input_sightings: Mapping[int, Sequence[Sighting]] | None = None,
    permission: Permission | None = None,
    signature: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The manifest of one dream, as it will read back from any JSON text of it.

    sightings: all of the item's, oldest first; may be empty.
    inputs: guides and masks that the recipe names.
    input_sightings: item id -> where each of these was met, oldest first; what is left out was met nowhere.
    facts: what the renderer said; see `REQUIRED_FACTS`.
    permission: on what grounds it may be made; None leaves that out.
    signature: with which certificate the file will be signed; None when it will not be.

    Raises:
        ValueError: The recipe's digest is not that of the recipe, a required fact is missing, or something is no
            JSON value.
    """
    if missing := [name for name in REQUIRED_FACTS if name not in facts]:
        raise ValueError(f"the renderer did not say: {', '.join(missing)}")
    key = key_of(
        source_pixel_sha256=item.pixel_sha256,
        recipe_sha256=identity.recipe_sha256,
        weights_sha256=identity.weights_sha256,
        engine_version=identity.engine_version,
        max_side=identity.max_side,
        profile=identity.profile,
    )
    manifest = {
        "schema": SCHEMA,
        "derivation_key": key,
        "created_at": created_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "software": {"name": SOFTWARE, "version": software_version},
        "source": described_source(item, sightings),
        "preparation": {
            "steps": list(preparation.steps),
            "max_side": identity.max_side,
            "width": preparation.width,
            "height": preparation.height,
            "pixel_sha256": preparation.pixel_sha256,
            "versions": dict(preparation.versions),
        },
        "recipe": dict(identity.recipe),
        "recipe_sha256": identity.recipe_sha256,
        "preset": identity.preset,
        "network": {
            "name": identity.network,
            "weights_sha256": identity.weights_sha256,
            "license": identity.network_license,
        },
        "engine_version": identity.engine_version,
        "profile": identity.profile,
        "inputs": [described_input(each, (input_sightings or {}).get(each.id, ())) for each in inputs],
        "render": dict(facts),
        "sharing": sharing_of(*map(license_of, (item, *inputs)), permission=permission).to_json(),
        "output": {
            "format": output.format,
            "width": output.width,
            "height": output.height,
            "pixel_sha256": output.pixel_sha256,
            "rendered_pixel_sha256": output.rendered_pixel_sha256,
        },
    }
    if permission is not None:
        manifest["permission"] = permission.to_json()
    if signature is not None:
        manifest["signature"] = dict(signature)
    try:
        # Through the text once, so that tuples and keys are what every reader will find.
        plain = parse_object(json.dumps(manifest, ensure_ascii=False, allow_nan=False))
        Manifest.read(plain)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the record of this dream cannot be written: {error}") from error
    if clean_text(text := canonical_json(plain)) != text:
        raise ValueError("the record of this dream cannot be written: it holds characters that XML cannot hold")
    if json_sha256(plain["recipe"]) != identity.recipe_sha256:
        raise ValueError("the digest of the recipe is not that of its canonical JSON")
    return plain


def starts_from_picture(manifest: Mapping[str, Any]) -> bool:
    """Whether the original shows in the dream; it does not in one from noise or a blank, unless it is blended in.

    manifest: as `build_manifest` gave it; a recipe without these fields is taken to start from the picture.
    """
    recipe = manifest["recipe"]
    blended = recipe.get("strength", 1.0) != 1.0 or recipe.get("mask") is not None
    return blended or recipe.get("start", "image") not in {"noise", "blank"}


def digital_source_type(manifest: Mapping[str, Any]) -> str:
    """The address of IPTC's term for what this dream is."""
    return ALTERED_BY_MODEL if starts_from_picture(manifest) else MADE_BY_MODEL


def manifest_sha256(manifest: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of the manifest's canonical JSON.

    Raises:
        ValueError: It holds something that is no JSON value, or text that is no Unicode.
    """
    try:
        return json_sha256(dict(manifest))
    except TypeError as error:
        raise ValueError(str(error)) from error


def software_version() -> str:
    """The version of this program, or `unknown` where it runs without being installed."""
    try:
        return importlib.metadata.version(SOFTWARE)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


class _Fields:
    """Reads typed fields of a JSON object, and names the one that is wrong."""

    def __init__(self, data: Any, name: str) -> None:
        if not isinstance(data, Mapping):
            raise ManifestUnreadable(f"{name} is no JSON object")
        self.values: Mapping[str, Any] = data
        self._name = name

    def part(self, key: str) -> _Fields:
        return _Fields(self.values.get(key), f"{self._name}.{key}")

    def text(self, key: str) -> str:
        if not isinstance(value := self.values.get(key), str):
            raise ManifestUnreadable(f"{self._name}.{key} is no text")
        return value

    def digest(self, key: str) -> str:
        if not _SHA256.fullmatch(value := self.text(key)):
            raise ManifestUnreadable(f"{self._name}.{key} is no SHA-256")
        return value

    def number(self, key: str) -> int:
        value = self.values.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ManifestUnreadable(f"{self._name}.{key} is no whole number")
        return value
