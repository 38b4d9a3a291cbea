"""`--license`, as every command has it."""

from __future__ import annotations

from flows.commands.common import ExitCode, ShownError
from pipeline.license_choices import license_choice

LICENSE_WORDS = "shareable, adaptable, commercial, unknown, any, or a licence such as CC-BY, CC-BY-4.0 or CC0-1.0"
"""What it takes; docs/licences.md says what each means."""


def parse_license(text: str) -> str:
    """What a user asks for, as `pipeline.license_choices` has it.

    Raises:
        ShownError: There is no such licence; the message names what comes near.
    """
    try:
        return license_choice(text)
    except ValueError as error:
        raise ShownError(f"--license: {error}", ExitCode.USAGE) from error
