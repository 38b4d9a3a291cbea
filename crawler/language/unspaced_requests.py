"""Reads requests in Japanese, Chinese and Thai, whose words have no spaces between them. No I/O.

BudouX cuts the text into segments; particles and other small words end a phrase. What negates stands behind the phrase
in Japanese, before it in Chinese and Thai.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator

UNSPACED_LANGUAGES: tuple[str, ...] = ("ja", "th", "zh")


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_QUOTED = re.compile(
    r"(?P<minus>(?:(?<=\s)|^)[-−])?(?:\"(?P<plain>[^\"\n]+)\"|「(?P<corner>[^」\n]+)」|『(?P<white>[^』\n]+)』)"
)
_MINUS = re.compile(r"(?:(?<=\s)|^)[-−](?P<word>[^\s、。，,.;；!！?？]+)")
_CLAUSE = re.compile(r"[\s、。，．,;；:：!！?？・/()（）\[\]【】「」『』\"]+")

_HAN = "々〆\u3400-\u9fff\uf900-\ufaff"
_KATAKANA = "\u30a1-\u30fa\u30fc"
_HIRAGANA = "\u3041-\u309f"
_JA_NOUN = rf"(?:[{_HAN}{_KATAKANA}A-Za-z0-9Ａ-Ｚａ-ｚ]+|[{_HIRAGANA}]{{2,}}?)"
_JA_NEGATION = re.compile(
    rf"(?P<what>{_JA_NOUN}(?:(?:や|と|か|・){_JA_NOUN})*)"
    r"(?:なし|無し|ナシ|抜き|ぬき|以外|(?:を|は)?除(?:く|いて|いた|外)|(?:の|が|は|も)(?:いない|居ない|ない|無い|写っていない|入っていない)"
    r"|(?:は|が)(?:不要|いらない|要らない)|を含まない|(?:で|じゃ)は?ない)(?:の|で)?"
)
_JA_UNPEOPLED = re.compile(r"無人(?:の|$)")
_JA_LIST = re.compile(r"や|と|か|・")
_JA_PARTICLE = re.compile(
    r"(?:における|にある|にいる|からの|への|での|との|には|では|とか|から|まで|より|など|だけ|の|が|は|を|に|へ|で|と|や|も)$"
)
_JA_DESCRIBES = re.compile(rf"[{_HAN}{_KATAKANA}{_HIRAGANA}](?:い|な)$")
_JA_VERB = re.compile(rf"[{_HAN}][{_HIRAGANA}]*[るくうつすむぶぐぬてただ]$")
_JA_COUNT = re.compile(r"^[一二三四五六七八九十百数\d０-９]+(?:匹|頭|羽|本|枚|人|つ|台|個|軒|隻|件)?$")
_JA_SMALL = _words(
    "中 上 下 前 後ろ 後 横 隣 間 周り 近く 側 そば 外 内 奥 写真 画像 絵 イラスト 壁紙"
    " ある いる する こと もの ため よう たち です ます した して ください 下さい 欲しい"
    " ほしい 見たい 探して 集めて 見せて 二つ 一つ たくさん 多く 様子"
)

_ZH_NEGATION = re.compile(
    r"(?:没有|沒有|不要|不含|不带|不帶|不包括|不包含|排除|除去|除了|避免|别有|別有|没|沒)(?:任何|有)?"
    r"(?P<what>[^的、，,。;；\s]{1,12}?(?:(?:、|和|或者|或|与|與|及)[^的，,。;；\s]{1,12}?)*)(?=的|以外|之外|[，,。;；!！?？\s]|$)(?:以外|之外)?的?"
)
_ZH_UNPEOPLED = re.compile(rf"(?:无|無)(?P<what>[{_HAN}])(?=的|[，,。;；\s]|$)的?")
_ZH_LIST = re.compile(r"、|和|或者|或|与|與|及")
_ZH_SMALL = _words(
    "的 地 得 有 在 是 和 与 與 及 或 或者 以及 跟 同 一 一个 一個 一只 一隻 一张 一張"
    " 两 兩 两只 三 只 隻 个 個 条 條 张 張 座 些 几 幾 里 裡 裏 上 下 中 前 后 後"
    " 旁 旁边 旁邊 边 邊 那 这 這 我 想 要 想要 找 看 请 請 给 給 照片 图片 圖片 相片"
    " 图像 圖像 壁纸 壁紙 拍摄 拍攝 关于 關於 着 著 了 很 非常 把 被 为 為 到 从 從 向"
    " 对 對 也 都 还 還 就 带 帶 带有 帶有 拥有 擁有 位于 位於"
)
_ZH_PLACE = re.compile(r"(?<=..)(?:旁边|旁邊|上|下|里|裡|裏|中|前|后|後|边|邊)$")
# An adjective and `的` belong to the noun behind; what is longer is mostly a thing of its own.
_ZH_SHORT = 2

_TH_NEGATION = re.compile(r"(?:โดยไม่มี|โดยไม่|ไม่มี|ไม่เอา|ไม่ใช่|ปราศจาก|ยกเว้น|ไม่)(?P<what>\S+)")
_TH_LIST = re.compile(r"และ|หรือ")
_TH_SMALL = re.compile(r"ที่|กับ|ใน|และ|หรือ|บน|ของ|โดย|จาก|ใต้|ริม|พร้อม|ข้าง|ด้วย|รูปภาพ|ภาพถ่าย|รูป|ภาพ|มี|อยู่")


def read_unspaced(text: str, language: str) -> tuple[list[str], list[str]]:
    """Keywords and exclusions of a request; `language` is one of `UNSPACED_LANGUAGES`."""
    keywords: list[tuple[int, str]] = []
    exclusions: list[str] = []

    def quoted(match: re.Match[str]) -> str:
        phrase = match["plain"] or match["corner"] or match["white"]
        if match["minus"]:
            exclusions.append(phrase)
        else:
            keywords.append((match.start(), phrase))
        return _blank(match)

    def refused(match: re.Match[str]) -> str:
        exclusions.append(match["word"])
        return _blank(match)

    rest = _MINUS.sub(refused, _QUOTED.sub(quoted, text))
    rest, negated = _NEGATIONS[language](rest)
    exclusions += negated
    keywords += _PHRASES[language](rest)
    return [phrase for _, phrase in sorted(keywords, key=lambda found: found[0])], exclusions


def _blank(match: re.Match[str]) -> str:
    """As many characters that end a phrase, so that places in the text stay what they are."""
    return "\n" * len(match[0])


def _cut(text: str, pattern: re.Pattern[str], take: Callable[[re.Match[str]], None]) -> str:
    def cut(match: re.Match[str]) -> str:
        take(match)
        return _blank(match)

    return pattern.sub(cut, text)


def _japanese_negations(text: str) -> tuple[str, list[str]]:
    found: list[str] = []
    text = _cut(text, _JA_UNPEOPLED, lambda _: found.append("人"))
    text = _cut(text, _JA_NEGATION, lambda match: found.extend(_JA_LIST.split(match["what"])))
    return text, found


def _chinese_negations(text: str) -> tuple[str, list[str]]:
    found: list[str] = []
    text = _cut(text, _ZH_NEGATION, lambda match: found.extend(_ZH_LIST.split(match["what"])))
    text = _cut(text, _ZH_UNPEOPLED, lambda match: found.append(match["what"]))
    return text, found


def _thai_negations(text: str) -> tuple[str, list[str]]:
    found: list[str] = []
    text = _cut(text, _TH_NEGATION, lambda match: found.extend(_TH_LIST.split(match["what"])))
    return text, found


def _japanese_phrases(text: str) -> Iterator[tuple[int, str]]:
    for place, clause in _clauses(text):
        before = ""
        for segment in _segments("ja", clause):
            bare = _JA_PARTICLE.sub("", segment) if len(segment) > 1 else segment
            if bare in _JA_SMALL or _JA_COUNT.match(bare):
                before = ""
            elif bare == segment and _JA_DESCRIBES.search(segment):
                before += segment
            elif bare == segment and _JA_VERB.search(segment):
                before = ""
            elif bare:
                ends = bare
                for small in ("写真", "画像", "壁紙", "イラスト"):
                    ends = ends.removesuffix(small)
                if ends:
                    yield place, before + ends
                before = ""
        if before:
            yield place, before


def _chinese_phrases(text: str) -> Iterator[tuple[int, str]]:
    for place, clause in _clauses(text):
        run = ""
        for segment in _segments("zh", clause):
            if segment == "的" and 0 < len(run) <= _ZH_SHORT:
                run += segment
            elif segment in _ZH_SMALL:
                if phrase := _chinese_phrase(run):
                    yield place, phrase
                run = ""
            else:
                run += segment
        if phrase := _chinese_phrase(run):
            yield place, phrase


def _chinese_phrase(run: str) -> str:
    return _ZH_PLACE.sub("", run.removesuffix("的"))


def _thai_phrases(text: str) -> Iterator[tuple[int, str]]:
    for place, clause in _clauses(text):
        run = ""
        for segment in _segments("th", clause):
            if _TH_SMALL.fullmatch(segment):
                if run:
                    yield place, run
                run = ""
            else:
                run += segment
        if run:
            yield place, run


def _clauses(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for match in _CLAUSE.finditer(text):
        if match.start() > start:
            yield start, text[start : match.start()]
        start = match.end()
    if start < len(text):
        yield start, text[start:]


def _segments(language: str, clause: str) -> list[str]:
    return [str(segment) for segment in _parser(language)(clause)]


@functools.cache
def _parser(language: str) -> Callable[[str], list[str]]:
    import budoux

    load = {
        "ja": budoux.load_default_japanese_parser,
        "zh": budoux.load_default_simplified_chinese_parser,
        "th": budoux.load_default_thai_parser,
    }[language]
    parse: Callable[[str], list[str]] = load().parse
    return parse


_NEGATIONS: dict[str, Callable[[str], tuple[str, list[str]]]] = {
    "ja": _japanese_negations,
    "zh": _chinese_negations,
    "th": _thai_negations,
}
_PHRASES: dict[str, Callable[[str], Iterator[tuple[int, str]]]] = {
    "ja": _japanese_phrases,
    "zh": _chinese_phrases,
    "th": _thai_phrases,
}
