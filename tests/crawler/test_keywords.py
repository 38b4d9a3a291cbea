from __future__ import annotations

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crawler.errors import KeywordInvalid
from crawler.keywords import FIELD_WEIGHTS, contains, match_keywords, normalize, normalize_file_name, parse_keywords

WORDS = st.text(alphabet=string.ascii_lowercase, min_size=3, max_size=10)


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("Two cats on a wall", "cat"),
        ("A cat", "cats"),
        ("CAT", "cat"),
        ("cat, dog", "Cat"),
        ("Glasses", "glass"),
        ("butterflies", "butterfly"),
        ("Windmühle", "windmuhle"),
        ("Windmuhle", "Windmühle"),
        ("STRASSE", "Straße"),
        ("a screw-driver", "screw driver"),
        ("screw drivers", "screw driver"),
        ("birds of prey", "bird of prey"),
        ("İstanbul", "istanbul"),
        ("Cafe\u0301 noir", "café"),
        ("三毛猫の写真", "猫"),
        ("고양이가 있다", "고양이"),
        ("panda_70ccf9", "panda"),
        ("ﬁsh", "fish"),
        ("IŞIK", "ışık"),
        ("DIYARBAKIR", "Diyarbakır"),
        ("Smørrebrød", "smorrebrod"),
        ("Łódź", "lodz"),
        ("œuvre", "OEUVRE"),
        ("أشجار القيقب في الخريف", "خريف"),
        ("قطّة سوداء", "قطه"),
        ("والجبال", "الجبال"),
        ("کتاب", "كتاب"),
        ("שָׁלוֹם", "שלום"),
        ("החתול ישן", "חתול"),
        ("झील के किनारे", "झील"),
        ("ทะเลสาบสวย", "ทะเลสาบ"),
        ("ガラスの瓶", "ｶﾞﾗｽ"),
        ("Ёлка", "елка"),
        ("ΑΝΕΜΟΜΥΛΟΣ", "ανεμόμυλος"),
        ("an old wind-mill", "windmill"),
        ("two wind mills", "windmill"),
        ("screwdriver", "screw driver"),
        ("WindMühle", "windmühle"),
    ],
)
def test_finds_the_word_whatever_its_case_accents_number_and_punctuation(text: str, keyword: str) -> None:
    assert contains(normalize(text), normalize(keyword))


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("catalogue of tools", "cat"),
        ("concatenate", "cat"),
        ("windmill", "mill"),
        ("wind and mill", "windmill"),
        ("screw and driver", "screw driver"),
        ("driver screw", "screw driver"),
        ("is", "i"),
        ("as", "a"),
        ("news", "ne"),
        ("", "cat"),
        ("cat", ""),
        ("car pet", "carpets and rugs"),
        ("a can of", "canof"),
        ("झाल", "झील"),
        ("カラス", "ガラス"),
        ("ورد", "رد"),
    ],
)
def test_does_not_find_parts_of_words_or_words_apart(text: str, keyword: str) -> None:
    assert not contains(normalize(text), normalize(keyword))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BlueWindmill02", "blue windmill 02"),
        ("windmill-1e3f06", "windmill 1 e 3 f 06"),
        ("IMG_2003", "img 2003"),
        ("WindMill", "wind mill"),
        ("old%20mill", "old 20 mill"),
    ],
)
def test_splits_file_names_at_humps_and_digits(name: str, expected: str) -> None:
    assert normalize_file_name(name) == expected


@given(st.text())
def test_normal_form_is_its_own_normal_form(text: str) -> None:
    assert normalize(normalize(text)) == normalize(text)


@given(WORDS, WORDS, WORDS)
def test_a_word_is_found_between_any_others(before: str, word: str, after: str) -> None:
    assert contains(normalize(f"{before} {word.title()}! {after}"), word)


@given(WORDS, WORDS)
def test_a_word_is_never_found_inside_a_longer_one(word: str, rest: str) -> None:
    assume(rest not in ("s", "es", "ies"))
    longer = word + rest
    assume(longer not in (word + "s", word + "es") and not longer.endswith("ies"))

    assert not contains(longer, word)
    assert not contains(rest + word, word)


@given(st.lists(WORDS, min_size=1, max_size=4), st.lists(WORDS, max_size=6), st.integers(0, 6))
def test_a_phrase_is_found_where_its_words_stand_in_a_row(phrase: list[str], others: list[str], at: int) -> None:
    text = [*others[:at], *phrase, *others[at:]]

    assert contains(" ".join(text), " ".join(phrase))


@given(WORDS, st.sampled_from(sorted(FIELD_WEIGHTS)))
def test_a_match_names_the_field_it_stands_in(word: str, field: str) -> None:
    matches = match_keywords([word], {field: (word,)})

    assert [(match.keyword, match.fields, match.score) for match in matches] == [(word, (field,), FIELD_WEIGHTS[field])]


def test_a_keyword_in_every_field_scores_one_and_one_in_none_is_left_out() -> None:
    fields = dict.fromkeys(FIELD_WEIGHTS, ("windmill",))

    matches = match_keywords(["windmill", "panda"], fields)

    assert len(matches) == 1
    assert matches[0].score == 1.0
    assert matches[0].fields == ("title", "caption", "alt", "tags", "file_name", "page_title")


def test_a_phrase_does_not_match_across_two_tags() -> None:
    assert not match_keywords(["screw driver"], {"tags": ("screw", "driver")})
    assert match_keywords(["screw driver"], {"tags": ("tool", "screw driver")})


def test_keywords_are_trimmed_and_each_is_kept_once() -> None:
    assert parse_keywords([" Wind  mill ", "wind mill", "WIND MILL", "fish"]) == ("Wind mill", "fish")


@pytest.mark.parametrize("word", ["", "  ", "!!!", "x" * 101])
def test_a_keyword_that_can_match_nothing_is_refused(word: str) -> None:
    with pytest.raises(KeywordInvalid):
        parse_keywords(["good", word])
