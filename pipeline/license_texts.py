"""Licences in the words of a page or a file: which a text names, and what in it goes against one."""

from __future__ import annotations

import re

from pipeline.licenses import (
    CC0,
    PUBLIC_DOMAIN_MARK,
    UNKNOWN_LICENSE,
    License,
    creative_commons,
    kind_of,
    license_by_id,
    license_from_url,
    one_of,
)

_CC_PORTS = (
    "am ar at au az be bg br ca ch cl cn co cr cz de dk ec ee eg es fi fr ge gr gt hk hr hu ie igo il in it jp kr lu "
    "mk mt mx my nl no nz pe ph pl pr pt ro rs scotland se sg si th tw ug uk us ve vn za"
)
# What a text may name, each with all that would make another licence of it.
_CC_ADDRESS = re.compile(
    r"(?<![\w/.@=?&#%-])(?:https?://)?(?:www\.)?(creativecommons\.org/(?:licenses|publicdomain)/[^\s<>\"'()\[\],;]*)",
    re.IGNORECASE,
)
_CC_TEXT = re.compile(
    r"\bcc[\s_-]*(?P<elements>by(?:[\s_-]*(?:nc|nd|sa)){0,2})(?![a-z])"
    r"(?:[\s_-]*(?P<version>\d+(?:\.\d+)+)(?!\w)(?![\s_,/(+-]*(?:nc|nd|sa)\b)"
    r"(?:-(?P<joined>[a-z]{2}|igo|scotland)(?!\w)|\s+(?P<apart>[a-z]{2}|igo|scotland)(?!\w)(?P<last>[^\w\s]|\s*$)?)?)?",
    re.IGNORECASE,
)
_CC0_TEXT = re.compile(
    r"\bcc(?:[_-]?(?:0|zero)|\s(?:0|zero)(?=\s*(?:$|[,;:)\]!]|\.(?!\d)|1\.0|licen[cs]e|universal|public domain)))"
    r"(?:[\s_-]*(?P<version>\d+(?:\.\d+)+))?(?!\w|\.\d)",
    re.IGNORECASE,
)
_MARK_TEXT = re.compile(r"\b(?:cc[\s_-])?pdm[\s_-]?1\.0\b|\bpublic domain mark\b(?!\s*(?!1\.0)\d)", re.IGNORECASE)
_RESERVED_WORDS = (
    r"\ball rights (?:are )?reserved\b"
    r"|\balle rechte vorbehalten\b|\balle rechten voorbehouden\b|\bmed ensamr\u00e4tt\b"
    r"|\btous (?:les )?droits r[e\u00e9]serv[e\u00e9]s\b|\btutti i diritti (?:sono )?riservati\b"
    r"|\btodos los derechos reservados\b|\btodos os direitos reservados\b|\bwszelkie prawa zastrze\u017cone\b"
    r"|\b\u0432\u0441\u0435 \u043f\u0440\u0430\u0432\u0430 \u0437\u0430\u0449\u0438\u0449\u0435\u043d\u044b\b"
    r"|\u7121\u65ad\u8ee2\u8f09|\u4fdd\u7559\u6240\u6709\u6743\u5229|\u7248\u6743\u6240\u6709"
)
# Words that take back what a text names, or may.
_DENIED = re.compile(
    r"\b(?:not|never|neither|cannot|except|excluding|unless|nicht|keine?r?|pas|niet|sauf)\b|n['\u2019]t\b|\bno longer\b"
    rf"|{_RESERVED_WORDS}",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r";|\n|\.(?=\s|$)")
_LEAVE = r"(?:permission|consent|authori[sz]ation|agreement)"
_USE = r"(?:reproduc|cop(?:y|ied)|us(?:e|ed|age)\b|publish|publication|republish|repost|redistribut|distribut|download)"
_MACHINES = (
    r"(?:ai (?:train|model|use|system)\w*|artificial intelligence|machine learning|data[\s-]?mining|TDM"
    r"|(?:train|teach)\w* (?:of )?(?:an? )?(?:ai|artificial|machine|neural|model))"
)
# What no licence known here says: rights that are kept, uses for which one has to ask, and none by machines. Not each
# "not": beside a deed it may well say that no restrictions are known, or that nobody is liable.
_RESERVED = re.compile(
    rf"{_RESERVED_WORDS}"
    rf"|\b(?:(?:may|must|shall|can|do)\s*not (?:be )?(?:\w+ly )?|no part\b[^.;\n]{{0,60}})\b{_USE}\w*"
    r"(?![^.;\n]{0,60}(?:commercial|credit|attribution|naming|imply|endorse))"
    rf"|\b(?:no|not|never|prohibited|forbidden)\b[^.;\n]{{0,80}}\bwithout (?:\w+ ){{0,4}}{_LEAVE}\b"
    rf"|(?<!commercial )\b{_USE}\w* (?:is |are )?(?:strictly )?(?:prohibited|forbidden)\b"
    rf"|(?<!\bno )(?<!\bno further )\b{_LEAVE} (?:is )?(?:required|needed)\b|\b(?:by|with) {_LEAVE} only\b"
    r"|\bnur mit (?:\w+ ){0,3}(?:genehmigung|zustimmung|erlaubnis)\b"
    r"|\b(?:personal|private|editorial|educational) (?:use|purposes) only\b"
    r"|\bonly for (?:personal|private|editorial) use\b|\brights[\s-]managed\b"
    r"|\bnur (?:f\u00fcr den|zum) (?:privaten|pers\u00f6nlichen) gebrauch\b"
    r"|\bno[\s-]?(?:image[\s-]?|gen(?:erative)?[\s-]?)?ai\b(?! (?:was|were|used|involved|generated|content))"
    rf"|\b(?:not|never|no|without|prohibit\w*|forbid\w*)\b[^.;\n]{{0,80}}\b{_MACHINES}"
    rf"|\b{_MACHINES} (?:is |are )?(?:strictly )?(?:prohibited|forbidden|not (?:allowed|permitted)|reserved)\b"
    # The property Data Mining of PLUS, which IPTC has taken over; and what museums say of what is in copyright.
    r"|\bDMI-PROHIBITED|\brightsstatements\.org/(?:vocab|page)/InC\b",
    re.IGNORECASE,
)
# What is not in a licence that has not the element.
_ELEMENT_WORDS = {
    "nc": re.compile(
        # "For commercial and non-commercial use" asks for nothing.
        r"(?<!\bcommercial and )(?<!\bcommercial or )(?<!\bcommercial, )\bnon[\s-]?commercial"
        r"(?!(?:ly)?,? (?:and|or|as well as) commercial)"
        r"|\bno commercial|\b(?:not|never)\b[^.;,\n]{0,30}\bcommercial"
        r"|\bcommercial (?:use|usage|reproduction|purposes)(?: is| are)? (?:strictly )?(?:prohibited|forbidden|not)\b"
        r"|\bnicht[\s-]?kommerziell|\bkeine kommerzielle|\bniet[\s-]?commerci|\bpas d\W?utilisation commercial"
        r"|\bno comercial|\bnon commerciale|\brightsstatements\.org/(?:vocab|page)/NoC-NC\b",
        re.IGNORECASE,
    ),
    "nd": re.compile(
        r"\bno[\s-]?deriv|\bno (?:alterations?|modifications?|changes|edits|editing|cropping|adaptations?|remix)"
        r"|\b(?:not|never)\b[^.;,\n]{0,20}\b(?:alter|modif|crop|adapt|remix|derivative|transform)"
        r"|\bkeine bearbeitung|\bpas de modification|\bsin obras? derivada",
        re.IGNORECASE,
    ),
    "sa": re.compile(r"\bshare[\s-]?alike", re.IGNORECASE),
}


def license_from_text(text: str) -> License | None:
    """The licence that a short text names ("CC BY-SA 4.0", "CC0", an SPDX id, an address), or None.

    Nothing is guessed: None for a Creative Commons licence without a version or with one that there never was, for two
    licences that differ, and where a word denies it or says that all rights are reserved.
    """
    if (exact := license_by_id(text.strip())) is not UNKNOWN_LICENSE:
        return exact
    named, words = _names_in(text)
    found = one_of(named)
    return None if found is None or _DENIED.search(words) or _asks_for_more(words, found) else found


def goes_against(text: str, license_: License) -> bool:
    """Whether a text that stands beside a licence says what cannot be true with it.

    That is another licence, the same one denied, a condition that it has not, rights that are kept ("all rights
    reserved", "no AI", "by permission only"). "Some rights reserved" is what Creative Commons means.
    """
    return bool(_RESERVED.search(text)) or _asks_for_more(text, license_) or _names_another(text, license_)


def reserves(text: str) -> bool:
    """Whether a text keeps rights that every licence known here gives."""
    return bool(_RESERVED.search(text))


def _names_another(text: str, license_: License) -> bool:
    """Whether a text names a licence that is not this one: of a name without a version, only the elements count."""
    named, words = _names_in(text)
    for match in _CC_TEXT.finditer(words):
        if match["version"] is None:
            named.remove(None)
            # "CC by Jane Doe" names no licence.
            if not match[0].endswith(" by") and _elements(match) != kind_of(license_).removeprefix("CC-").lower():
                return True
    if not named:
        return False
    return one_of([license_, *named]) is None or any(map(_denies_a_name, _CLAUSE_END.split(text)))


def _denies_a_name(clause: str) -> bool:
    named, words = _names_in(clause)
    return bool(named) and bool(_DENIED.search(words))


def _asks_for_more(text: str, license_: License) -> bool:
    """Whether a text names a condition that the licence has not: no commercial use, no derivatives, share-alike."""
    has = {
        "nc": license_.permits_commercial_use is False,
        "nd": license_.permits_adaptation is False,
        "sa": license_.share_alike,
    }
    return any(words.search(text) for element, words in _ELEMENT_WORDS.items() if not has[element])


def _names_in(text: str) -> tuple[list[License | None], str]:
    """The licences that a text names, None for each that cannot be read, and the text without addresses."""
    named = [license_from_url(f"https://{address.rstrip('.').lower()}") for address in _CC_ADDRESS.findall(text)]
    words = _CC_ADDRESS.sub(" ", text)
    named += [_named(match) for match in _CC_TEXT.finditer(words)]
    named += [CC0 if match["version"] in {None, "1.0"} else None for match in _CC0_TEXT.finditer(words)]
    named += [PUBLIC_DOMAIN_MARK for _ in _MARK_TEXT.finditer(words)]
    return named, words


def _named(match: re.Match[str]) -> License | None:
    """The licence that a name of it in a text means; None without a version."""
    if match["version"] is None:
        return None
    apart = match["apart"] or ""
    # "at" and "in" are words as well: in small letters they name a country only where nothing follows.
    port = match["joined"] or (apart if apart.isupper() or match["last"] is not None else "")
    return creative_commons(
        _elements(match), match["version"], port.lower() if port.lower() in _CC_PORTS.split() else ""
    )


def _elements(match: re.Match[str]) -> str:
    return re.sub(r"[\s_-]*(nc|nd|sa)", r"-\1", match["elements"].lower())
