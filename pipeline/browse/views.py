"""Turns what was read into what a template prints: menus of links, bars, rows and numbers. No HTML here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from pipeline.browse.state import View
from pipeline.catalog.gallery_values import Count, Facets, FacetValue, GalleryPage, RunBreakdown, Sort
from pipeline.licenses import UNKNOWN, license_by_id
from pipeline.reasons import EXPLAINED, FAILED, FILTERED, OBJECTIONS, POSTPONED, REFUSED, REJECTED, outcome_of

# A recipe has some forty values; a manifest from elsewhere must not fill the page.
_MOST_ROWS = 300


@dataclass(frozen=True)
class Choice:
    """One value of a menu and the address of the gallery with it."""

    label: str
    url: str
    chosen: bool
    count: int | None = None


@dataclass(frozen=True)
class Menu:
    """One filter as a list of links; `chosen` is the label in force, or None."""

    label: str
    chosen: str | None
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Chip:
    """A filter in force, and the address of the gallery without it."""

    label: str
    remove_url: str


@dataclass(frozen=True)
class Bar:
    """One line of a funnel.

    Attributes:
        percent: Length of its bar, 0-100, against the largest line.
        kind: `through` for what went on to the next stage, `aside` for what did not, `dream` for dreams.
        depth: 0 for a stage, 1 for a part of the stage above.
        reasons: (reason in words, how many, reason as stored).
    """

    label: str
    count: int
    percent: float
    kind: str
    depth: int
    note: str = ""
    reasons: tuple[tuple[str, int, str], ...] = ()


def menus(view: View, facets: Facets) -> tuple[Menu, ...]:
    """The filters and the order as menus; a menu without anything to choose is left out."""
    wanted = view.wanted
    dreamed = (
        Choice("With a dream", view.with_filter(dreamed=True).url(), wanted.dreamed is True, facets.dreamed),
        Choice("Without a dream", view.with_filter(dreamed=False).url(), wanted.dreamed is False, facets.not_dreamed),
    )
    found = (
        _menu("Keyword", view, "keyword", facets.keywords),
        _menu("Source", view, "source", facets.sources),
        _menu("Licence", view, "license_id", facets.licenses),
        _menu("Preset", view, "preset", facets.presets),
        _menu("Tag", view, "tag", facets.tags),
        _with_all("Dreams", dreamed, view.with_filter(dreamed=None).url()),
    )
    return tuple(menu for menu in found if len(menu.choices) > 1)


def sort_menu(view: View) -> Menu:
    """The orders."""
    labels = {Sort.NEWEST: "Newest first", Sort.OLDEST: "Oldest first", Sort.LARGEST: "Largest first"}
    choices = tuple(Choice(label, view.sorted_by(sort).url(), view.sort is sort) for sort, label in labels.items())
    return Menu(labels[view.sort], None, choices)


def chips(view: View) -> tuple[Chip, ...]:
    """What is in force, each with the address that lifts it."""
    wanted = view.wanted
    found = [
        (view.text and f"\u201c{view.text}\u201d", view.with_text("")),
        (wanted.keyword, view.with_filter(keyword=None)),
        (wanted.source and f"from {wanted.source}", view.with_filter(source=None)),
        (wanted.license_id and license_label(wanted.license_id), view.with_filter(license_id=None)),
        (wanted.preset and f"dreamed as {wanted.preset}", view.with_filter(preset=None)),
        ({True: "with a dream", False: "without a dream", None: None}[wanted.dreamed], view.with_filter(dreamed=None)),
        (wanted.run_id and f"met by run r{wanted.run_id}", view.with_filter(run_id=None)),
        (wanted.tag and f"tagged {wanted.tag}", view.with_filter(tag=None)),
        (wanted.stars and f"{stars_text(wanted.stars)} or more", view.with_filter(stars=None)),
    ]
    return tuple(Chip(str(label), without.url()) for label, without in found if label)


def stars_text(stars: int) -> str:
    """A rating as stars of five."""
    return "\u2605" * stars + "\u2606" * (5 - stars)


def range_text(page: GalleryPage) -> str:
    """Such as `49\u201396 of 213 pictures`."""
    total = count_text(page.total)
    noun = "picture" if page.total == Count(1) else "pictures"
    if len(page.tiles) == page.total.number and not page.total.capped:
        return f"{total} {noun}"
    if page.first.capped:
        return f"{total} {noun}, beyond the first {number_text(page.first.number - 1)}"
    last = page.first.number + len(page.tiles) - 1
    return f"{number_text(page.first.number)}\u2013{number_text(last)} of {total} {noun}"


def funnel(counters: Mapping[str, Any], breakdown: RunBreakdown) -> tuple[Bar, ...]:
    """The funnel of a run; a stage that the run did not come to, or has not, is left out."""
    counts = {name: value for name, value in counters.items() if type(value) is int and value >= 0}
    reasons = _reasons_by_outcome(counters, counts, breakdown)
    longest = max([counts.get(name, 0) for name, *_ in _FUNNEL], default=0) or 1
    bars = []
    for name, label, kind, depth, note in _FUNNEL:
        if name not in counts or (counts[name] == 0 and depth > 0):
            continue
        parts = sorted(
            ((reason_text(each), n, each) for each, n in reasons.get(name, {}).items()),
            key=lambda part: (-part[1], part[0]),
        )
        bars.append(Bar(label, counts[name], 100 * counts[name] / longest, kind, depth, note, tuple(parts)))
    return tuple(bars)


def _reasons_by_outcome(
    counters: Mapping[str, Any], counts: Mapping[str, int], breakdown: RunBreakdown
) -> dict[str, dict[str, int]]:
    """Outcome -> reason -> how many; as the run has counted them, else by the candidates on record."""
    of_all = _counted(counters, "reasons") or {each.reason: each.count for each in breakdown.reasons}
    of_crawl = _counted(counters, "crawl_reasons")
    outcomes = (REFUSED, FILTERED, POSTPONED, FAILED)
    there_are = {outcome for outcome in outcomes if counts.get(outcome)}
    found: dict[str, dict[str, int]] = {"skipped": _counted(counters, "dream_reasons")}
    for reason, number in of_crawl.items():
        found.setdefault(outcome_of(reason, there_are), {})[reason] = number
    for reason, number in of_all.items():
        if (rest := number - of_crawl.get(reason, 0)) > 0:
            # Where the crawl's were not counted apart, as in a run that was cut short, they are told by their kind.
            outcome = REJECTED if "crawl_reasons" in counters else outcome_of(reason, there_are)
            found.setdefault(outcome, {})[reason] = rest
    return found


def _counted(counters: Mapping[str, Any], name: str) -> dict[str, int]:
    values = counters.get(name)
    return {str(k): v for k, v in values.items() if type(v) is int} if isinstance(values, Mapping) else {}


def flat_rows(value: Any) -> tuple[tuple[str, str], ...]:
    """A JSON object as (name, text) rows, nested names joined, in its order; at most 300."""
    return tuple(row for row, _ in zip(_flat(value, ""), range(_MOST_ROWS), strict=False))


def sizes_text(sizes: Any) -> str:
    """Octave sizes, (height, width) in pixels each, as `80\u00d760, 104\u00d778`; empty when they are none."""
    try:
        return ", ".join(f"{int(width)}\u00d7{int(height)}" for height, width in sizes)
    except (TypeError, ValueError):
        return ""


def license_label(license_id: str | None) -> str:
    """A licence's name; what was asked for where that is no licence, and `Unknown licence` without one."""
    license_ = license_by_id(license_id or UNKNOWN)
    return license_.name if license_.id != UNKNOWN or license_id in {None, UNKNOWN} else str(license_id)


def reason_text(reason: str) -> str:
    """A stored reason in words."""
    told = EXPLAINED.get(reason) or OBJECTIONS.get(reason)
    return told.label if told else reason.replace("_", " ")


def count_text(count: Count) -> str:
    """`213`, or `10 000+` where counting stopped."""
    return f"{number_text(count.number)}+" if count.capped else number_text(count.number)


def number_text(number: int) -> str:
    """`10 000`, with narrow no-break spaces."""
    return f"{number:,}".replace(",", "\u202f")


def address_text(url: str) -> str:
    """An address as people write it: of a file of one's own its path, with its spaces and letters."""
    return unquote(url.removeprefix("file://")) if url.startswith("file:///") else url


def bytes_text(size: int) -> str:
    """Such as `74.2 kB`, in powers of 1000."""
    if size < 1000:
        return f"{size} bytes"
    value = float(size)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.5 or unit == "GB":
            break
    return f"{value:.1f} {unit}"


def moment_text(moment: datetime) -> str:
    """Such as `2026-11-22 21:50 UTC`."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def seconds_text(seconds: float) -> str:
    """Such as `0.8 s` or `3 min 20 s`."""
    if seconds < 0.1:
        return "less than 0.1 s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def fitted(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height of a thumbnail whose longer side is at most `side`; never larger than the picture."""
    scale = min(1.0, side / max(width, height, 1))
    return max(1, round(width * scale)), max(1, round(height * scale))


def ratio_class(width: int, height: int) -> str:
    """The class that tells gallery.css how wide a tile is: its width over its height in tenths, 4 to 30."""
    return f"r{min(30, max(4, round(10 * width / max(height, 1))))}"


def staged(width: int, height: int, *, most_width: int, most_height: int, most_enlarged: float) -> tuple[int, int]:
    """The size at which one picture is shown large: as large as fits, small ones enlarged only so much."""
    scale = min(most_width / max(width, 1), most_height / max(height, 1), most_enlarged)
    return max(1, round(width * scale)), max(1, round(height * scale))


# (counter, label, kind, depth, note), from the first stage to the last.
_FUNNEL = (
    ("found", "Found", "through", 0, "matched the keywords"),
    ("known", "Already known", "aside", 1, "met before, not fetched again"),
    ("refused", "Refused", "aside", 1, "not asked for"),
    ("filtered", "Filtered", "aside", 1, "not what was asked for"),
    ("postponed", "Postponed", "aside", 1, "their host wants to be left alone"),
    ("failed", "Failed", "aside", 1, "no usable answer"),
    ("fetched", "Fetched", "through", 0, "their bytes came in"),
    ("recovered", "Recovered", "through", 1, "taken over from a crawl that was cut short"),
    ("exact_duplicates", "Exact duplicates", "aside", 1, "same bytes or same pixels, kept once"),
    ("near_duplicates", "Near duplicates", "aside", 1, "kept, linked to the picture they resemble"),
    ("rejected", "Rejected", "aside", 1, "not a picture that can be kept"),
    ("accepted", "Accepted", "through", 0, "new pictures"),
    ("already_dreamed", "Already dreamed", "aside", 1, "an earlier run made these dreams"),
    ("skipped", "Not dreamed on", "aside", 1, ""),
    ("dream_failures", "Could not be dreamed", "aside", 1, ""),
    ("dreamed", "Dreamed", "dream", 0, "dreams made by this run"),
    ("verify_failures", "Do not hold", "aside", 1, "a digest differs: run dreamcrawl verify"),
    ("verified", "Verified", "dream", 0, "every digest holds"),
)


def _menu(label: str, view: View, name: str, values: Sequence[FacetValue]) -> Menu:
    chosen = getattr(view.wanted, name)
    text = license_label if name == "license_id" else str
    choices = tuple(
        Choice(text(each.value), view.with_filter(**{name: each.value}).url(), each.value == chosen, each.count)
        for each in values
    )
    if chosen is not None and not any(choice.chosen for choice in choices):
        choices = (Choice(text(chosen), view.url(), chosen=True), *choices)
    return _with_all(label, choices, view.with_filter(**{name: None}).url())


def _with_all(label: str, choices: tuple[Choice, ...], all_url: str) -> Menu:
    chosen = next((choice.label for choice in choices if choice.chosen), None)
    everything = Choice("All", all_url, chosen is None)
    return Menu(label, chosen, (everything, *choices) if choices else ())


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _flat(part, f"{name} \u203a {_words(key)}" if name else _words(key))
    elif isinstance(value, list) and any(isinstance(part, Mapping | list) for part in value):
        for number, part in enumerate(value, start=1):
            yield from _flat(part, f"{name} {number}")
    elif isinstance(value, list):
        yield name, ", ".join(_scalar(part) for part in value) or "none"
    else:
        yield name, _scalar(value)


def _scalar(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _words(key: Any) -> str:
    return str(key).replace("_", " ")
