"""From what was read to one verdict for each picture."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from crawler.consent.ai_txt import AiTxt
from crawler.consent.objections import AI_TXT, CONTENT_USAGE, META_ROBOTS, ROBOTS_TXT, TDMREP, X_ROBOTS_TAG, Objection
from crawler.consent.robots import RobotsVerdict
from crawler.consent.tdmrep import TdmFile
from crawler.troubles import Trouble
from pipeline.records import NO_RULE, Consent, Outcome

IN_HEADERS = (X_ROBOTS_TAG, TDMREP, CONTENT_USAGE)
"""The conventions that the headers of an answer are read for."""

ON_PAGES = (META_ROBOTS,)
"""What a page was read for that shows a picture."""

_MAX_VALUE = 200


@dataclass(frozen=True)
class SiteConsent:
    """What the files of one origin say.

    Attributes:
        robots: Always read, or closed.
        tdm_file: None when it was not asked for, or no answer came.
        ai_txt: Likewise.
    """

    robots: RobotsVerdict
    tdm_file: TdmFile | None = None
    ai_txt: AiTxt | None = None

    @property
    def checked(self) -> tuple[str, ...]:
        """The conventions that its files were read for."""
        files = ((TDMREP, self.tdm_file), (AI_TXT, self.ai_txt))
        return (ROBOTS_TXT, CONTENT_USAGE, *(rule for rule, file in files if file is not None))

    def objection(self, url: str) -> Objection | None:
        """Why the picture at an address must not be requested, or None."""
        found = self.robots.objection(url) or self.robots.usage_objection(url)
        if found is None and self.tdm_file is not None:
            found = self.tdm_file.objection(url)
        if found is None and self.ai_txt is not None:
            found = self.ai_txt.objection(url)
        return found


def allowed(checked: tuple[str, ...]) -> Consent:
    """The verdict that nothing speaks against a picture, now.

    checked: The conventions that were looked at; each is named once.
    """
    return Consent(True, NO_RULE, checked_at=_now(), checked=tuple(dict.fromkeys(checked)))


def refused(objection: Objection, checked: tuple[str, ...] = ()) -> Trouble:
    """What comes of a picture that something speaks against: the verdict, with a typed reason."""
    consent = Consent(
        False,
        objection.rule,
        objection.value[:_MAX_VALUE],
        objection.where,
        _now(),
        tuple(dict.fromkeys(checked)),
        objection.in_headers,
    )
    return Trouble(Outcome.REFUSED, objection.reason, objection.detail[:500], consent)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
