from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.errors import KeywordInvalid
from crawler.keywords import MAX_KEYWORD_CHARACTERS, parse_keywords
from crawler.language.keyword_extraction import MAX_KEYWORDS, MAX_TEXT_CHARACTERS, extract_keywords

# What a person who reads the request would type as keywords and exclusions. Written before the code.
REQUESTS = [
    (
        "en",
        "a calm lake with red maple trees in autumn, no people",
        ["calm lake", "red maple trees", "autumn"],
        ["people"],
    ),
    ("en", 'windmills -people -"power lines"', ["windmills"], ["people", "power lines"]),
    ("en", "Photos of old windmills in Holland", ["old windmills", "Holland"], []),
    ("en", "I am looking for pictures of polar bears on ice", ["polar bears", "ice"], []),
    ("en", '"red panda" in the snow, not in a zoo', ["red panda", "snow"], ["zoo"]),
    ("en", "cats and dogs", ["cats", "dogs"], []),
    ("en", "two cats on a wall, without collars or leashes", ["cats", "wall"], ["collars", "leashes"]),
    ("en", "a castle without tourists, cars, or scaffolding", ["castle"], ["tourists", "cars", "scaffolding"]),
    ("en", "a lake without people in autumn", ["lake", "autumn"], ["people"]),
    ("en", "birds of prey in flight", ["birds of prey", "flight"], []),
    ("en", "snow-covered mountains at sunrise", ["snow-covered mountains", "sunrise"], []),
    ("en", "a lighthouse but no ships", ["lighthouse"], ["ships"]),
    ("en", "no ships but a lighthouse", ["lighthouse"], ["ships"]),
    ("en", "an old mill by the river", ["old mill", "river"], []),
    ("en", "Show me the Golden Gate Bridge in fog, please", ["Golden Gate Bridge", "fog"], []),
    ("en", "street at night except New York", ["street", "night"], ["New York"]),
    ("en", "the face of an owl", ["face", "owl"], []),
    ("en", "cat in the hat", ["cat", "hat"], []),
    ("en", "hat", ["hat"], []),
    ("en", "lighthouses", ["lighthouses"], []),
    ("en", "vintage car; NOT red", ["vintage car"], ["red"]),
    ("en", "a Boeing 747 at dawn", ["Boeing 747", "dawn"], []),
    ("en", "a wooden boat.\nNo water. A beach!", ["wooden boat", "beach"], ["water"]),
    ("en", "mountain lake; without: boats, people", ["mountain lake"], ["boats", "people"]),
    ("en", "some high-resolution images of steam trains", ["steam trains"], []),
    ("en", "New York City at night", ["New York City", "night"], []),
    ("en", "black and white portrait of an old fisherman", ["black and white portrait", "old fisherman"], []),
    ("en", "sin city skyline", ["sin city skyline"], []),
    (
        "de",
        "ein ruhiger See mit roten Ahornbäumen im Herbst, ohne Menschen",
        ["ruhiger See", "roten Ahornbäumen", "Herbst"],
        ["Menschen"],
    ),
    (
        "de",
        "Bilder von alten Windmühlen in Holland, keine Autos oder Straßen",
        ["alten Windmühlen", "Holland"],
        ["Autos", "Straßen"],
    ),
    ("de", "die Katze auf dem Dach", ["Katze", "Dach"], []),
    (
        "fr",
        "un lac calme avec des érables rouges en automne, sans personne",
        ["lac calme", "érables rouges", "automne"],
        ["personne"],
    ),
    ("fr", "photos de chats noirs sur un toit", ["chats noirs", "toit"], []),
    (
        "fr",
        "l’église d’Étretat au coucher de soleil, sans voitures ni bateaux",
        ["église d’Étretat", "coucher de soleil"],
        ["voitures", "bateaux"],
    ),
    (
        "es",
        "un lago tranquilo con arces rojos en otoño, sin gente",
        ["lago tranquilo", "arces rojos", "otoño"],
        ["gente"],
    ),
    ("es", "gatos y perros en la playa al amanecer", ["gatos", "perros", "playa", "amanecer"], []),
    (
        "it",
        "un lago calmo con aceri rossi in autunno, senza persone",
        ["lago calmo", "aceri rossi", "autunno"],
        ["persone"],
    ),
    ("it", "foto dell'Etna all'alba, senza nuvole", ["Etna", "alba"], ["nuvole"]),
    (
        "pt",
        "um lago calmo com bordos vermelhos no outono, sem pessoas",
        ["lago calmo", "bordos vermelhos", "outono"],
        ["pessoas"],
    ),
    (
        "nl",
        "een rustig meer met rode esdoorns in de herfst, zonder mensen",
        ["rustig meer", "rode esdoorns", "herfst"],
        ["mensen"],
    ),
    (
        "sv",
        "en stilla sjö med röda lönnar på hösten, utan människor",
        ["stilla sjö", "röda lönnar", "hösten"],
        ["människor"],
    ),
    ("da", "en gammel mølle ved åen, uden mennesker", ["gammel mølle", "åen"], ["mennesker"]),
    (
        "pl",
        "spokojne jezioro z czerwonymi klonami jesienią, bez ludzi",
        ["spokojne jezioro", "czerwonymi klonami jesienią"],
        ["ludzi"],
    ),
    (
        "cs",
        "klidné jezero s červenými javory na podzim, bez lidí",
        ["klidné jezero", "červenými javory", "podzim"],
        ["lidí"],
    ),
    (
        "ru",
        "тихое озеро с красными клёнами осенью, без людей",
        ["тихое озеро", "красными клёнами осенью"],
        ["людей"],
    ),
    ("uk", "тихе озеро з червоними кленами, без людей", ["тихе озеро", "червоними кленами"], ["людей"]),
    ("el", "ένας παλιός ανεμόμυλος στο νησί, χωρίς ανθρώπους", ["παλιός ανεμόμυλος", "νησί"], ["ανθρώπους"]),
    ("hu", "régi szélmalom a folyónál, emberek nélkül", ["régi szélmalom", "folyónál"], ["emberek"]),
    ("tr", "eski yel değirmenleri ve nehir, insan olmadan", ["eski yel değirmenleri", "nehir"], ["insan"]),
    (
        "ar",
        "بحيرة هادئة مع أشجار القيقب الحمراء في الخريف، بدون أشخاص",
        ["بحيرة هادئة", "أشجار القيقب الحمراء", "الخريف"],
        ["أشخاص"],
    ),
    ("he", "אגם שקט עם עצים אדומים, בלי אנשים", ["אגם שקט", "עצים אדומים"], ["אנשים"]),
    ("hi", "लाल मेपल के पेड़ और शांत झील, बिना लोगों के", ["लाल मेपल के पेड़", "शांत झील"], ["लोगों"]),
    (
        "id",
        "danau yang tenang dengan pohon maple merah di musim gugur, tanpa orang",
        ["danau yang tenang", "pohon maple merah", "musim gugur"],
        ["orang"],
    ),
    ("ja", "秋の赤いカエデの木がある静かな湖、人なし", ["秋", "赤いカエデ", "木", "静かな湖"], ["人"]),
    ("ja", "人のいない海辺の写真", ["海辺"], ["人"]),
    ("ja", "雪の中の赤い鳥居", ["雪", "赤い鳥居"], []),
    ("ja", "夕暮れの富士山と桜、人や車なし", ["夕暮れ", "富士山", "桜"], ["人", "車"]),
    ("ja", "無人の駅のホーム", ["駅", "ホーム"], ["人"]),
    ("ja", "猫が二匹、犬以外", ["猫"], ["犬"]),
    ("zh", "秋天有红枫树的平静湖泊，没有人", ["秋天", "红枫树", "平静湖泊"], ["人"]),
    ("zh", "没有游客的长城照片", ["长城"], ["游客"]),
    ("zh", "雪山下的湖", ["雪山", "湖"], []),
    ("zh", "古老的風車和鬱金香，不要汽車或行人", ["古老的風車", "鬱金香"], ["汽車", "行人"]),
    (
        "ko",
        "가을의 잔잔한 호수와 붉은 단풍나무, 사람 없이",
        ["가을", "잔잔한 호수", "붉은 단풍나무"],
        ["사람"],
    ),
    ("ko", "노을이 지는 바다와 등대, 배 제외", ["노을이 지는 바다", "등대"], ["배"]),
    ("ko", "사람이 없는 바닷가 사진", ["바닷가"], ["사람"]),
    ("th", "ทะเลสาบกับต้นเมเปิ้ลสีแดงในฤดูใบไม้ร่วง ไม่มีคน", ["ทะเลสาบ", "ต้นเมเปิ้ลสีแดง", "ฤดูใบไม้ร่วง"], ["คน"]),
]


@pytest.mark.parametrize(("language", "text", "keywords", "exclusions"), REQUESTS, ids=[r[1][:40] for r in REQUESTS])
def test_takes_what_a_person_would_take(language: str, text: str, keywords: list[str], exclusions: list[str]) -> None:
    found = extract_keywords(text)

    assert (list(found.keywords), list(found.exclusions)) == (keywords, exclusions), found.language
    assert found.language == language


def test_the_language_may_be_named() -> None:
    assert extract_keywords("die hard", language="en").keywords == ("die hard",)
    assert extract_keywords("die hard", language="de").keywords == ("hard",)


@pytest.mark.parametrize("language", ["xx", "klingon", ""])
def test_a_language_that_is_not_known_is_refused_with_those_that_are(language: str) -> None:
    with pytest.raises(KeywordInvalid, match="de, "):
        extract_keywords("a mill", language=language)


@pytest.mark.parametrize("text", ["", "   ", "?!", "with a the", "no people", "x" * (MAX_TEXT_CHARACTERS + 1)])
def test_a_request_for_nothing_is_refused(text: str) -> None:
    with pytest.raises(KeywordInvalid):
        extract_keywords(text)


def test_each_keyword_is_given_once_and_what_is_excluded_is_no_keyword() -> None:
    found = extract_keywords("cats, Cats, a dog and a wall, no dog")

    assert found.keywords == ("cats", "wall")
    assert found.exclusions == ("dog",)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_any_text_gives_usable_keywords_or_is_refused(text: str) -> None:
    try:
        found = extract_keywords(text)
    except KeywordInvalid:
        return

    assert 1 <= len(found.keywords) <= MAX_KEYWORDS
    assert parse_keywords(found.keywords) == found.keywords
    assert parse_keywords(found.exclusions) == found.exclusions
    assert all(len(word) <= MAX_KEYWORD_CHARACTERS for word in (*found.keywords, *found.exclusions))
