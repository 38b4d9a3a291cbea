"""CBOR and JUMBF, as far as signatures need them read."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.provenance.cbor import NotCbor, parse_cbor
from pipeline.provenance.jumbf import signing_certificate, unsigned_change


@pytest.mark.parametrize(
    ("hexadecimal", "value"),
    [
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1903e8", 1000),
        ("1b000000e8d4a51000", 1000000000000),
        ("20", -1),
        ("3903e7", -1000),
        ("f6", None),
        ("40", b""),
        ("4401020304", b"\x01\x02\x03\x04"),
        ("6449455446", "IETF"),
        ("62c3bc", "ü"),
        ("80", []),
        ("8301820203820405", [1, [2, 3], [4, 5]]),
        ("a201020304", {1: 2, 3: 4}),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("c11a514b67b0", (1, 1363896240)),
    ],
)
def test_the_examples_of_rfc_8949_read_as_they_say(hexadecimal: str, value: Any) -> None:
    assert parse_cbor(bytes.fromhex(hexadecimal)) == value


@pytest.mark.parametrize(
    "hexadecimal",
    [
        "",  # nothing
        "18",  # a number cut off
        "4401",  # bytes cut off
        "62ff00",  # a text that is no UTF-8
        "0000",  # two values
        "9f01ff",  # a length left open
        "fb3ff199999999999a",  # a float
        "f5",  # true
        "1c",  # a reserved width
        "9bffffffffffffffff",  # more items than there are bytes
        "bbffffffffffffffff",
        "a2010201ff",
        "a201020103",  # a key twice
        "a1800b",  # a list as a key
        "81" * 40 + "00",  # nested deeply
    ],
)
def test_what_is_not_read_is_refused(hexadecimal: str) -> None:
    with pytest.raises(NotCbor):
        parse_cbor(bytes.fromhex(hexadecimal))


@given(st.binary(max_size=200))
def test_no_bytes_do_harm(data: bytes) -> None:
    with contextlib.suppress(NotCbor):
        parse_cbor(data)

    assert unsigned_change(data)
    assert signing_certificate(data) is None


@given(st.binary(max_size=40), st.sampled_from([b"c2pa", b"c2ma", b"c2cs"]))
def test_boxes_of_any_content_do_no_harm(content: bytes, type_: bytes) -> None:
    described = type_ + bytes.fromhex("00110010800000aa00389b71") + b"\x03c2pa.signature\x00"
    description = (8 + len(described)).to_bytes(4, "big") + b"jumd" + described
    inner = b"jumb" + description + (8 + len(content)).to_bytes(4, "big") + b"cbor" + content
    box = (4 + len(inner)).to_bytes(4, "big") + inner
    outer = b"jumb" + description + box
    store = (4 + len(outer)).to_bytes(4, "big") + outer

    assert unsigned_change(store)
    assert signing_certificate(store) is None
