"""What a candidate gives instead of a picture: a typed outcome with its reason. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import Reason
from pipeline.records import Consent, Outcome


@dataclass(frozen=True)
class Trouble:
    """Why a candidate gave nothing.

    Attributes:
        outcome: REFUSED when it was not requested, or not taken, for consent or safety; FAILED when no usable answer
            came.
        detail: One line for people.
        consent: The verdict that refused it, where one did.
    """

    outcome: Outcome
    reason: Reason
    detail: str
    consent: Consent | None = None
