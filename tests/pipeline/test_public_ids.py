from __future__ import annotations

import pytest

from pipeline.errors import NotFound, UsageError
from pipeline.public_ids import looks_like_id, parse_id


@pytest.mark.parametrize(
    ("text", "letter", "number"),
    [
        ("i12", "i", 12),
        ("12", "i", 12),
        (" D3 ", "d", 3),
        ("r007", "r", 7),
        ("r2147483647", "r", 2**31 - 1),
        ("5", "", 5),
    ],
)
def test_an_id_is_read_with_its_letter_or_without(text: str, letter: str, number: int) -> None:
    assert parse_id(text, letter) == number


@pytest.mark.parametrize(
    "text", ["", "i", "d12", "i-1", "i1.5", "i1e3", "i\u0661", "i\u00b2", "ii1", "i1\0", "x" * 10_000]
)
def test_what_is_no_id_is_told_in_few_words(text: str) -> None:
    with pytest.raises(UsageError, match="not the id of an item; these look like i12") as caught:
        parse_id(text, "i")

    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("digits", ["0", "2147483648", "9" * 19, "9" * 30, "9" * 10_000])
def test_an_id_that_no_catalog_gives_is_not_found(digits: str) -> None:
    with pytest.raises(NotFound, match="there is no d") as caught:
        parse_id(f"d{digits}", "d")

    assert len(str(caught.value)) < 80


def test_a_letter_with_a_number_looks_like_an_id() -> None:
    assert looks_like_id("i12", "id")
    assert looks_like_id("D" + "9" * 400, "id")
    assert not any(looks_like_id(text, "id") for text in ("r3", "12", "i", "i1.png", "i\u0661", "./i1"))
