"""ai.txt by Spawning: the grammar of robots.txt, mostly by file extension, about the use of media by models.

The name is shared with younger formats that hold other keys; those say nothing in this grammar.
"""

from __future__ import annotations

from dataclasses import dataclass

from crawler.consent.objections import AI_TXT, Objection
from crawler.consent.paths import path_of
from crawler.consent.robots import Group, group_for, parse_groups, text_of


@dataclass(frozen=True)
class AiTxt:
    """An ai.txt that was read.

    Attributes:
        url: Its address.
        group: What it says to us, or to all.
    """

    url: str
    group: Group | None = None

    def objection(self, url: str) -> Objection | None:
        """Why what lies at an address must not be used, or None."""
        # `*.jpg` means `.JPG` too.
        line = self.group.closing_line(path_of(url).lower()) if self.group is not None else None
        return None if line is None else Objection(AI_TXT, line, self.url)


def read_ai_txt(status: int, body: bytes, url: str) -> AiTxt:
    """What the answer to a request for ai.txt says; nothing, where there is no such file."""
    if not 200 <= status < 300:
        return AiTxt(url)
    return AiTxt(url, group_for(parse_groups(text_of(body), lower=True)))
