"""The bytes of a C2PA manifest store that its signature does not reach, and the certificate that signed it.

A signature covers the picture, the claim and every assertion. It does not cover the types and flags of the boxes
around them, nor the zeros after itself that keep its room; readers of C2PA ignore a change there. Such a change says
nothing false, yet a file that was altered should not pass for one that was not, so each of these bytes is compared with
the only value it has in a file that we signed.

Sources: ISO 19566-5 (JUMBF), RFC 8949 (CBOR), RFC 9052 (COSE_Sign1), C2PA specification 2.2, sections 11.1 and 14.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.provenance.cbor import NotCbor, parse_cbor

_STORE, _MANIFEST, _UPDATE = b"c2pa", b"c2ma", b"c2um"
_PARTS = {
    b"c2pa.assertions": b"c2as",
    b"c2pa.claim": b"c2cl",
    b"c2pa.claim.v2": b"c2cl",
    b"c2pa.signature": b"c2cs",
    b"c2pa.credentials": b"c2vc",
    b"c2pa.databoxes": b"c2db",
}
_TYPE_END = bytes.fromhex("00110010800000aa00389b71")
# The flags of a description: may be asked for, has a label; and, for assertions, has a salt as well.
_FLAGS = 0x03
_SALTED = 0x13
_COSE_SIGN1 = 18
_X5CHAIN = 33
_PADDING = frozenset({"pad", "pad2"})


@dataclass(frozen=True)
class _Box:
    """A JUMBF superbox: what its description says, and the boxes after that."""

    type_: bytes
    flags: int
    label: bytes
    content: bytes

    def is_of(self, type_: bytes) -> bool:
        """Whether it is of this type, with the flags that such a box has."""
        return self.type_ == type_ + _TYPE_END and self.flags == _FLAGS


class _Unreadable(ValueError):
    """Not what JUMBF should look like."""


def unsigned_change(store: bytes) -> str:
    """What differs, in the bytes that no signature reaches, from what the C2PA library writes; empty when nothing does.

    store: a manifest store; that of anybody else's software may differ in good faith.
    """
    try:
        box = _whole(store)
        manifests = _children(box.content)
        _expect(box.label == b"c2pa" and box.is_of(_STORE))
        for manifest in manifests:
            _expect(manifest.is_of(_MANIFEST) or manifest.is_of(_UPDATE))
            for part in _children(manifest.content):
                _expect(part.is_of(_PARTS.get(part.label, b"")))
                assertions = _children(part.content) if part.label == b"c2pa.assertions" else ()
                _expect(all(each.flags in {_FLAGS, _SALTED} for each in assertions))
        padding = _signature(manifests[-1])[1]
    except _Unreadable as error:
        return str(error)
    return "" if not any(padding) else "the room after the signature is not empty"


def signing_certificate(store: bytes) -> bytes | None:
    """The certificate (DER) that the active manifest says it was signed with, or None when none can be read."""
    try:
        *_, active = _children(_whole(store).content)
        return _signature(active)[0]
    except _Unreadable:
        return None


def _expect(holds: bool) -> None:
    if not holds:
        raise _Unreadable("a box of the manifest is marked in another way than its place asks for")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, content) of the boxes that fill these bytes."""
    position = 0
    while position < len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        if size < 8 or position + size > len(data):
            raise _Unreadable("a box of the manifest has a size that does not fit")
        yield data[position + 4 : position + 8], data[position + 8 : position + size]
        position += size


def _whole(data: bytes) -> _Box:
    found = list(_boxes(data))
    if len(found) != 1:
        raise _Unreadable("there is no single box that holds the manifests")
    return _box(*found[0])


def _children(data: bytes) -> list[_Box]:
    found = [_box(*each) for each in _boxes(data)]
    if not found:
        raise _Unreadable("a box of the manifest is empty")
    return found


def _box(type_: bytes, content: bytes) -> _Box:
    if type_ != b"jumb":
        raise _Unreadable("a box of the manifest is of an unknown kind")
    size = int.from_bytes(content[:4], "big")
    description = content[8:size]
    # Behind the label may stand a salt, in a box of its own.
    label, zero, _salt = description[17:].partition(b"\x00")
    if content[4:8] != b"jumd" or size > len(content) or not zero:
        raise _Unreadable("a box of the manifest has no description")
    return _Box(description[:16], description[16], label, content[size:])


def _signature(manifest: _Box) -> tuple[bytes | None, bytes]:
    """The signing certificate, and all padding beside the signature."""
    box = next((each for each in _children(manifest.content) if each.label == b"c2pa.signature"), None)
    if box is None:
        raise _Unreadable("the manifest has no signature")
    contents = list(_boxes(box.content))
    if len(contents) != 1 or contents[0][0] != b"cbor":
        raise _Unreadable("the signature is not in one piece")
    try:
        value = parse_cbor(contents[0][1])
        chain = parse_cbor(value[1][0])
    except (NotCbor, TypeError, LookupError) as error:
        raise _Unreadable(f"the signature cannot be read: {error}") from error
    match value:
        case (tag, [bytes(), dict(unprotected), None, bytes()]) if tag == _COSE_SIGN1:
            padding = list(unprotected.values())
        case _:
            raise _Unreadable("the signature is no COSE_Sign1")
    if not set(unprotected) <= _PADDING or not all(isinstance(each, bytes) for each in padding):
        raise _Unreadable("there is more beside the signature than padding")
    first = chain.get(_X5CHAIN, chain.get("x5chain")) if isinstance(chain, dict) else None
    first = first[0] if isinstance(first, list) and first else first
    return first if isinstance(first, bytes) else None, b"".join(padding)
