"""Filters from the command line: each value read, and the settings over which it goes."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, cast, get_args

from crawler.filters import FORMATS, SQUARE_TOLERANCE, Filters, Orientation
from flows.commands.common import ExitCode, ShownError

if TYPE_CHECKING:
    from pipeline.settings import CrawlSettings

_FORMATS = tuple(sorted(set(FORMATS.values())))
_ALSO = {"jpg": "jpeg"}
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_MEGA = 1_000_000


def filters_for(
    settings: CrawlSettings,
    *,
    license: str | None,  # noqa: A002  # the option's name
    require_license: bool | None,
    min_width: int | None,
    min_height: int | None,
    max_megapixels: float | None,
    orientation: Orientation | None,
    aspect: tuple[float, float],
    formats: tuple[str, ...],
    since: str | None,
    until: str | None,
    mature: bool | None,
) -> Filters:
    """The filters of a crawl; None stands for what the settings say.

    Raises:
        ShownError: No picture could pass all of them.
    """
    megapixels = settings.max_megapixels if max_megapixels is None else max_megapixels
    filters = Filters(
        license=settings.license if license is None else license,
        license_required=settings.require_license if require_license is None else require_license,
        min_width=settings.min_width if min_width is None else min_width,
        min_height=settings.min_height if min_height is None else min_height,
        max_pixels=round(megapixels * _MEGA),
        min_aspect=aspect[0],
        max_aspect=aspect[1],
        orientation=orientation,
        formats=formats,
        since=since,
        until=until,
        mature=settings.mature if mature is None else mature,
    )
    if reason := _impossible(filters):
        raise ShownError(f"no picture can be like that: {reason}", ExitCode.USAGE)
    return filters


def _impossible(filters: Filters) -> str | None:
    least = max(1, filters.min_width) * max(1, filters.min_height)
    if filters.max_pixels and least > filters.max_pixels:
        return (
            f"{filters.min_width} x {filters.min_height} pixels are more than "
            f"{filters.max_pixels / _MEGA:g} million (--max-megapixels)"
        )
    if filters.since and filters.until and filters.since[: len(filters.until)] > filters.until[: len(filters.since)]:
        return f"--since {filters.since} is after --until {filters.until}"
    bounds = {
        "landscape": (1.0, float("inf")),
        "portrait": (0.0, 1.0),
        "square": (1 - SQUARE_TOLERANCE, 1 / (1 - SQUARE_TOLERANCE)),
    }
    low, high = bounds.get(filters.orientation or "", (0.0, float("inf")))
    if filters.min_aspect > high or (filters.max_aspect and filters.max_aspect < low):
        return f"--orientation {filters.orientation} and --aspect exclude each other"
    return None


def parse_orientation(text: str | None) -> Orientation | None:
    """`--orientation`.

    Raises:
        ShownError: No such orientation.
    """
    if text is None:
        return None
    known = get_args(Orientation)
    if text.lower() not in known:
        raise ShownError(f"--orientation is {', '.join(known[:-1])} or {known[-1]}; got {text!r}", ExitCode.USAGE)
    return cast("Orientation", text.lower())


def parse_aspect(text: str | None) -> tuple[float, float]:
    """`--aspect MIN:MAX` as least and most width / height, 0 for none: `1.2:2`, `4/3:16/9`, `:1`.

    Raises:
        ShownError: Not two positive numbers in order.
    """
    if text is None:
        return (0.0, 0.0)
    low, colon, high = text.partition(":")
    try:
        least, most = (_ratio(part) if part.strip() else 0.0 for part in (low, high))
    except (ValueError, ZeroDivisionError, OverflowError):
        least, most = -1.0, -1.0
    if not colon or least < 0 or most < 0 or (not least and not most) or (most and least > most):
        raise ShownError(
            f"--aspect is MIN:MAX, the least and the most width / height, such as 1.2:2, 4/3:16/9 or :1; got {text!r}",
            ExitCode.USAGE,
        )
    return (least, most)


def _ratio(text: str) -> float:
    width, slash, height = text.partition("/")
    number = float(width) / float(height) if slash else float(width)
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return number


def parse_formats(text: str | None) -> tuple[str, ...]:
    """`--format jpeg,png`, each once.

    Raises:
        ShownError: A format that is not kept.
    """
    names = [_ALSO.get(name, name) for name in re.split(r"[,\s]+", (text or "").strip().lower()) if name]
    unknown = [name for name in names if name not in _FORMATS]
    if unknown or (text is not None and not names):
        raise ShownError(
            f"--format takes {', '.join(_FORMATS)}; got {', '.join(unknown) or repr(text)}", ExitCode.USAGE
        )
    return tuple(dict.fromkeys(names))


def parse_date(option: str, text: str | None) -> str | None:
    """A year, a month or a day in ISO 8601.

    Raises:
        ShownError: It is no date.
    """
    if text is None:
        return None
    match = _DATE.fullmatch(text.strip())
    try:
        year, month, day = (int(part or 1) for part in match.groups()) if match else (0, 0, 0)
        dt.date(year, month, day)
    except ValueError:
        raise ShownError(
            f"{option} is a date such as 2019, 2019-05 or 2019-05-02; got {text!r}", ExitCode.USAGE
        ) from None
    return text.strip()
