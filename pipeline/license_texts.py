"""Licences in the words of a page or a file: which a text names, and what in it goes against one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.licenses import (
    CC0,
    PUBLIC_DOMAIN_MARK,
    UNKNOWN_LICENSE,
    License,
    creative_commons,
    going_together,
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
    r"\b(?:not|never|neither|cannot|except|excluding|unless|nicht|keine?r?|pas(?!-)|niet|sauf)\b"
    r"|n['\u2019]t\b|\bno longer\b"
    rf"|{_RESERVED_WORDS}",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r";|\n|\.(?=\s|$)")
# "Don't look back" by Jane Doe: a title denies nothing.
_TITLE = re.compile(r"[\"\u201c\u201e\u00ab][^\"\u201c\u201d\u201e\u00ab\u00bb\n]{1,300}[\"\u201c\u201d\u00bb](?= by )")
_LEAVE = r"(?:permission|consent|authori[sz]ation|agreement)"
_USE = r"(?:reproduc|cop(?:y|ied)|us(?:e|ed|age)\b|publish|publication|republish|repost|redistribut|distribut|download)"
_MACHINES = (
    r"(?:ai (?:train|model|use|system)\w*|artificial intelligence|machine learning|data[\s-]?mining|TDM"
    r"|(?:train|teach)\w* (?:of )?(?:an? )?(?:ai|artificial|machines?|neural|models?))\b"
)
_MUST_NOT = r"(?:(?:may|must|shall|can|do)\s*not|(?:don|mustn|can)['\u2019]t)"
# What no licence known here says: rights that are kept, and uses by machines that are not wanted. Not each "not":
# beside a deed it may well say that no restrictions are known, that nobody is liable, or that no machine has made it.
_RESERVED = re.compile(
    rf"{_RESERVED_WORDS}"
    rf"|\b(?:{_MUST_NOT} (?:be )?(?:\w+ly )?|no part\b[^.;\n]{{0,60}})\b{_USE}\w*\b"
    r"(?![^.;\n]{0,60}(?:commercial|credit|attribution|naming|imply|endorse))"
    r"(?![^.;\n]{0,60}\bwithout (?:\w+ ){0,2}(?:link|mention|acknowledg|citing|naming))"
    # So the deeds of licences without derivatives have it.
    r"(?! (?:the |any |your )?(?:modif|adapt|alter|derivative|remix|transform))"
    rf"|(?<!commercial )\b{_USE}\w* (?:is |are )?(?:strictly )?(?:prohibited|forbidden)\b"
    rf"|\b(?:by|with) {_LEAVE} only\b"
    r"|\bnur mit (?:\w+ ){0,3}(?:genehmigung|zustimmung|erlaubnis)\b"
    r"|\b(?:personal|private|editorial|educational) (?:use|purposes) only\b"
    r"|\bonly for (?:personal|private|editorial) use\b|\brights[\s-]managed\b"
    r"|\bnur (?:f\u00fcr den|zum) (?:privaten|pers\u00f6nlichen) gebrauch\b"
    r"|\bno[\s-]?(?:image[\s-]?|gen(?:erative)?[\s-]?)?ai\b"
    r"(?! (?:\w+ )?(?:was|were|used|involved|generated|content|enhance\w*|manipulat\w*|edit\w*|here)\b)"
    r"|\b(?:not|never|no|prohibit\w*|forbid\w*)\b"
    r"(?! (?:\w+ ){0,3}(?:made|created|generated|produced|edited|enhanced) (?:with|by|using|through)\b)"
    rf"[^.;\n]{{0,80}}\b{_MACHINES}(?! (?:was|were) )"
    rf"|\b{_MACHINES} (?:is |are )?(?:strictly )?(?:prohibited|forbidden|not (?:allowed|permitted)|reserved)\b"
    # The property Data Mining of PLUS, which IPTC has taken over; and what museums say of what is in copyright.
    r"|\bDMI-PROHIBITED|\brightsstatements\.org/(?:vocab|page)/InC\b",
    re.IGNORECASE,
)
# Uses for which one has to ask. "No copyright: use it without permission" asks for nothing.
_ASKED = re.compile(
    r"(?:\b(?:no(?! (?:known )?(?:copyright|restrictions?|conditions?|limits?|limitations?|need|rights reserved)\b)"
    r"|not(?! (?:need|necessary|required))|never|prohibited|forbidden)\b|\bdon['\u2019]t\b(?! need))"
    rf"[^.;\n]{{0,80}}\bwithout (?:\w+ ){{0,4}}{_LEAVE}\b|"
    + "".join(
        rf"(?<!\bno {word})"
        for word in ("", "further ", "prior ", "special ", "additional ", "explicit ", "written ", "formal ", "other ")
    )
    + rf"\b{_LEAVE} (?:is )?(?:required|needed)\b",
    re.IGNORECASE,
)
# "No commercial use without permission" asks for no more than a licence without commercial use.
_FOR_COMMERCE = re.compile(r"\bcommercial", re.IGNORECASE)
_FOR_MORE = re.compile(r"\b(?:and|or|all|any(?! commercial))\b|,", re.IGNORECASE)
_PAID = r"[ck]omm?er[zc]i\w*"
_UNPAID = rf"(?:non|nicht|no|niet)[\s-]?{_PAID}"
_BOTH = r"(?:\s?/\s?|,? (?:and|or|as well as|und|oder|sowie|et|ou|e|o|y|en|of) )"
# "For commercial and non-commercial use" asks for nothing.
_PAID_OR_NOT = re.compile(rf"\b(?:{_PAID}(?:, |{_BOTH}){_UNPAID}|{_UNPAID}{_BOTH}{_PAID})", re.IGNORECASE)
_NON_COMMERCIAL = re.compile(
    r"\bnon[\s-]?commercial|\bnicht[\s-]?kommerziell|\bniet[\s-]?commerci|\bno comercial", re.IGNORECASE
)
_NO_COMMERCE = re.compile(
    r"\bno commercial"
    r"|\b(?:not|never|cannot|(?:don|mustn|can)['\u2019]t)\b(?! (?:only|limited|just|restricted)\b)"
    r"[^.;,\n]{0,30}\bcommercial"
    r"|\bcommercial (?:use|usage|reproduction|purposes)(?: is| are)? (?:strictly )?(?:prohibited|forbidden|not)\b"
    r"|\bkeine kommerzielle|\bpas d\W?utilisation commercial|\brightsstatements\.org/(?:vocab|page)/NoC-NC\b",
    re.IGNORECASE,
)
_CHANGE = r"(?:alter|modif|crop|adapt|remix|derivative|transform)"
_NO_DERIVATIVES = re.compile(
    r"\bno[\s-]?deriv"
    # "No changes were made" is what a credit says.
    r"|\bno (?:alterations?|modifications?|changes|edits|editing|cropping|adaptations?|remix\w*)\b"
    r"(?! (?:(?:were|was|have been|has been) )?(?:made|done|applied)\b)"
    # Likewise "has not been cropped" of the picture as it is.
    rf"|(?:(?<!\bwas )(?<!\bwere )(?<!\bhas )(?<!\bhave )(?<!\bis )\b(?:not|never)\b(?! been\b)"
    rf"|\bnot (?:to be|allowed|permitted)\b|\b(?:cannot|(?:don|mustn|can)['\u2019]t)\b)[^.;,\n]{{0,20}}\b{_CHANGE}"
    r"|\bkeine bearbeitung(?!(?:en)? (?:vorgenommen|erfolgt))|\bpas de modification(?!s? (?:apport|effectu))"
    r"|\bsin obras? derivada",
    re.IGNORECASE,
)
_SHARE_ALIKE = re.compile(r"\bshare[\s-]?alike", re.IGNORECASE)


def license_from_text(text: str) -> License | None:
    """The licence that a short text names ("CC BY-SA 4.0", "CC0", an SPDX id, an address), or None.

    Nothing is guessed: None for a Creative Commons licence without a version or with one that there never was, for two
    licences that differ, and where a word denies it or says that all rights are reserved.
    """
    if (exact := license_by_id(text.strip())) is not UNKNOWN_LICENSE:
        return exact
    named, words = _names_in(text)
    found = one_of(named)
    denied = _DENIED.search(_TITLE.sub(" ", words))
    return None if found is None or denied or _asks_for_more(words, found) else found


def goes_against(text: str, license_: License) -> bool:
    """Whether a text that stands beside a licence says what cannot be true with it.

    That is another licence, the same one denied, a condition that it has not, rights that are kept ("all rights
    reserved", "no AI", "by permission only"). "Some rights reserved" is what Creative Commons means.
    """
    return reserves(text) or _asks_for_more(text, license_) or _names_another(text, license_)


def reserves(text: str) -> bool:
    """Whether a text keeps rights that every licence known here gives."""
    return bool(_RESERVED.search(text)) or any(not for_commerce for for_commerce in _leave_asked(text))


def restrains(text: str) -> bool:
    """Whether a text keeps rights, or forbids commercial use or alterations: so it speaks of what may be done."""
    return reserves(text) or _forbids_commerce(text) or bool(_NO_DERIVATIVES.search(text))


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
    if going_together([license_, *named]) is None:
        return True
    return any(map(_denies_a_name, _CLAUSE_END.split(_TITLE.sub(" ", text))))


def _denies_a_name(clause: str) -> bool:
    named, words = _names_in(clause)
    return bool(named) and bool(_DENIED.search(words))


def _asks_for_more(text: str, license_: License) -> bool:
    """Whether a text names a condition that the licence has not: no commercial use, no derivatives, share-alike."""
    return (
        (license_.permits_commercial_use is not False and _forbids_commerce(text))
        or (license_.permits_adaptation is not False and bool(_NO_DERIVATIVES.search(text)))
        or (not license_.share_alike and bool(_SHARE_ALIKE.search(text)))
    )


def _forbids_commerce(text: str) -> bool:
    said = _NO_COMMERCE.search(text) or _NON_COMMERCIAL.search(_PAID_OR_NOT.sub(" ", text))
    return bool(said) or any(_leave_asked(text))


def _leave_asked(text: str) -> Iterator[bool]:
    """For each clause that says that one has to ask, whether only for commercial use."""
    for clause in _CLAUSE_END.split(text):
        if _ASKED.search(clause):
            yield bool(_FOR_COMMERCE.search(clause)) and not _FOR_MORE.search(clause)


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
