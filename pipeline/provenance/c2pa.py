"""C2PA manifests ("Content Credentials"), written and read; the only home of the C2PA library, which is an extra.

Nothing is ever fetched: no manifest kept elsewhere, no revocation list, no time stamp. An address in a picture must not
make this machine call it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipeline.errors import KeysUnusable
from pipeline.images import encode
from pipeline.provenance.canonical import clean_text
from pipeline.provenance.claims import Ingredient, claim_of
from pipeline.provenance.containers import find_manifest_store
from pipeline.provenance.jumbf import signing_certificate, unsigned_change
from pipeline.provenance.keys import SigningKeys, certificate_name

if TYPE_CHECKING:
    import c2pa

State = Literal["trusted", "valid", "invalid", "elsewhere"]
"""Signed by one who is trusted here; signed by a stranger; does not hold; kept at an address, which is not fetched."""

_MAX_LINE = 200
_MOST_LISTED = 20
_TRUSTED, _UNTRUSTED = "signingCredential.trusted", "signingCredential.untrusted"


class SigningFailed(ValueError):
    """This picture could not be signed; the text says why."""


@dataclass(frozen=True)
class CarriedIngredient:
    """An ingredient that a manifest names.

    Attributes:
        relationship: parentOf, componentOf or inputTo.
        state: That of its own manifest when it was taken in, or None when it had none.
    """

    title: str
    relationship: str
    state: State | None


@dataclass(frozen=True)
class Credentials:
    """What a picture's C2PA manifest says, and whether it holds. Everything in it may come from anyone.

    Attributes:
        problems: Codes of the C2PA standard, or words, for what does not hold.
        signer: Whom the signing certificate names; empty when unknown.
        certificate_sha256: Digest of that certificate, in hex; empty when unknown.
        generator: Name and version of the software that made it.
        actions: Each as C2PA names it, with its digital source type if it has one.
        unsigned_change: What differs, in bytes that no signature reaches, from what our own library writes; empty when
            nothing does. Of files that others signed it means nothing.
    """

    state: State
    problems: tuple[str, ...] = ()
    signer: str = ""
    certificate_sha256: str = ""
    generator: str = ""
    actions: tuple[str, ...] = ()
    ingredients: tuple[CarriedIngredient, ...] = ()
    unsigned_change: str = ""


def is_installed() -> bool:
    """Whether the C2PA library is here; asking loads nothing."""
    return importlib.util.find_spec("c2pa") is not None


def read_credentials(data: bytes, *, media_type: str, anchors_pem: bytes = b"") -> Credentials | None:
    """The C2PA manifest in a picture's file, validated; None when there is none. The library must be installed.

    data: The whole file; it may come from anyone. Never raises for what the file holds.
    anchors_pem: Certificates that are trusted, with those below them.
    """
    import c2pa

    store = find_manifest_store(data)
    try:
        with (
            c2pa.Context(_settings(anchors_pem)) as context,
            c2pa.Reader(media_type, io.BytesIO(data), context=context) as reader,
        ):
            told = json.loads(reader.json())
    except (c2pa.C2paError, ValueError, OSError) as error:
        if store is None:
            return Credentials("elsewhere") if str(error).startswith("Remote:") else None
        return Credentials("invalid", (_line(f"it cannot be read: {error}"),))
    found = _credentials(told)
    if store is None:
        return found
    return _with_bytes(found, store.data, store.problem)


@dataclass(frozen=True)
class C2paSigner:
    """Signs dreams with one key; the library must be installed."""

    keys: SigningKeys = field(repr=False)

    @property
    def identity(self) -> dict[str, str]:
        """What a dream's record says of its signature: a file that has lost it can be told."""
        return {
            "standard": "C2PA",
            "algorithm": self.keys.algorithm,
            "signer": self.keys.signer,
            "certificate_sha256": self.keys.certificate_sha256,
        }

    def check(self) -> None:
        """See that what is signed with these keys holds, before any picture is worked on.

        Raises:
            KeysUnusable: It does not; with the reason of the C2PA library.
        """
        plain = encode(np.zeros((1, 1, 3), np.uint8), format="PNG")
        definition = {"title": "check", "format": "image/png", "assertions": [_CHECK_ACTIONS]}
        try:
            signed = self._signed(plain, "image/png", definition, ())
        except SigningFailed as error:
            raise KeysUnusable(f"the keys of {self.keys.signer} cannot sign: {error}") from error
        found = read_credentials(signed, media_type="image/png", anchors_pem=self.keys.anchors_pem)
        if found is None or found.state != "trusted":
            problems = ", ".join(found.problems) if found else "no signature is found"
            raise KeysUnusable(f"what the keys of {self.keys.signer} sign does not hold: {problems}")

    def sign(
        self, data: bytes, *, media_type: str, manifest: Mapping[str, Any], ingredients: Sequence[Ingredient]
    ) -> bytes:
        """The file with a C2PA manifest, which must be the last thing ever written to it; its pixels are unchanged.

        data: The dream's file, with its XMP packet.
        manifest: The dream's record.
        ingredients: What it was made of. The manifest that one of them carries is kept in the chain; where that cannot
            be read at all, the ingredient is named without it.

        Raises:
            SigningFailed: The library refuses.
        """
        labels = [str(each.about["label"]) for each in ingredients]
        definition = claim_of(manifest, media_type=media_type, ingredients=labels)
        try:
            signed = self._signed(data, media_type, definition, ingredients)
            store = find_manifest_store(signed)
            if store is not None and not store.problem and not unsigned_change(store.data):
                return signed
        except SigningFailed:
            if not ingredients:
                raise
        # A stranger's manifest in an ingredient can be broken in any way, or laid out in one that hides a change.
        described = [dict(each.about) | {"format": each.media_type} for each in ingredients]
        return self._signed(data, media_type, definition | {"ingredients": described}, ())

    def _signed(
        self, data: bytes, media_type: str, definition: Mapping[str, Any], ingredients: Sequence[Ingredient]
    ) -> bytes:
        import c2pa

        keys, out = self.keys, io.BytesIO()
        try:
            # No address of a time-stamp authority: signing works without any network.
            info = c2pa.C2paSignerInfo(keys.algorithm.encode(), keys.chain_pem, keys.key_pem, None)
            with (
                c2pa.Context(_settings(keys.anchors_pem)) as context,
                c2pa.Signer.from_info(info) as signer,
                c2pa.Builder(json.dumps(definition), context) as builder,
            ):
                for each in ingredients:
                    builder.add_ingredient(json.dumps(dict(each.about)), each.media_type, io.BytesIO(each.data))
                builder.sign(signer, media_type, io.BytesIO(data), out)
        except (c2pa.C2paError, ValueError, OSError) as error:
            raise SigningFailed(_line(f"C2PA: {error}")) from error
        return out.getvalue()


_CHECK_ACTIONS = {
    "label": "c2pa.actions.v2",
    "data": {
        "actions": [
            {
                "action": "c2pa.created",
                "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia",
            }
        ]
    },
}


def _settings(anchors_pem: bytes) -> c2pa.Settings:
    import c2pa

    values: dict[str, Any] = {
        "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
        "builder": {"thumbnail": {"enabled": False}},
    }
    if anchors_pem:
        values["trust"] = {"trust_anchors": anchors_pem.decode("ascii")}
    return c2pa.Settings.from_dict(values)


def _credentials(told: Mapping[str, Any]) -> Credentials:
    """From the JSON of the library's reader, whose fields may be absent in what others wrote."""
    active = _object(_object(told.get("manifests")).get(str(told.get("active_manifest"))))
    results = _object(_object(told.get("validation_results")).get("activeManifest"))
    generators = [_object(each) for each in _list(active.get("claim_generator_info"))]
    generator = " ".join(str(generators[0].get(key) or "") for key in ("name", "version")) if generators else ""
    actions = [
        _object(action)
        for assertion in map(_object, _list(active.get("assertions")))
        if str(assertion.get("label", "")).startswith("c2pa.actions")
        for action in _list(_object(assertion.get("data")).get("actions"))
    ]
    return Credentials(
        state=_state(str(told.get("validation_state"))),
        problems=_codes(results.get("failure")),
        signer=_line(_object(active.get("signature_info")).get("common_name") or ""),
        generator=_line(generator or active.get("claim_generator") or ""),
        actions=tuple(_action(each) for each in actions[:_MOST_LISTED]),
        ingredients=tuple(_ingredient(_object(each)) for each in _list(active.get("ingredients"))[:_MOST_LISTED]),
    )


def _with_bytes(found: Credentials, store: bytes, framing: str) -> Credentials:
    """With what the library does not tell: the certificate's digest and whole name, and the bytes left unsigned."""
    certificate = signing_certificate(store)
    return replace(
        found,
        signer=_line((certificate_name(certificate) if certificate else None) or found.signer),
        certificate_sha256=hashlib.sha256(certificate).hexdigest() if certificate else "",
        unsigned_change=framing or unsigned_change(store),
    )


def _state(validation_state: str) -> State:
    match validation_state:
        case "Trusted":
            return "trusted"
        case "Valid":
            return "valid"
    return "invalid"


def _codes(failures: Any) -> tuple[str, ...]:
    codes = (_line(_object(each).get("code") or "") for each in _list(failures)[:_MOST_LISTED])
    return tuple(dict.fromkeys(code for code in codes if code and code != _UNTRUSTED))


def _action(action: Mapping[str, Any]) -> str:
    kind = str(action.get("digitalSourceType") or "").rpartition("/")[2]
    return _line(f"{action.get('action')} ({kind})" if kind else str(action.get("action")))


def _ingredient(ingredient: Mapping[str, Any]) -> CarriedIngredient:
    results = _object(_object(ingredient.get("validation_results")).get("activeManifest"))
    state: State | None = None
    if ingredient.get("active_manifest"):
        trusted = any(_object(each).get("code") == _TRUSTED for each in _list(results.get("success")))
        failed = _codes(results.get("failure")) or ingredient.get("validation_status")
        state = "invalid" if failed else "trusted" if trusted else "valid"
    return CarriedIngredient(
        title=_line(ingredient.get("title") or "untitled"),
        relationship=_line(ingredient.get("relationship") or "of no stated relationship"),
        state=state,
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _line(text: Any) -> str:
    return " ".join(clean_text(str(text)).split())[:_MAX_LINE]
