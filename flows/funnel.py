"""The funnel of one run: how many pictures came how far, and why the others did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from pipeline.reasons import FAILED, FILTERED, POSTPONED, REFUSED, explained_objection, outcome_of
from pipeline.records import CrawlReport, IngestReport, StylizeReport, VerifyReport

_EXAMPLES = 3
_EARLY = frozenset({"deadline", "interrupted"})


@dataclass(frozen=True)
class Funnel:
    """Counts of one run; found = known + refused + filtered + postponed + failed + fetched.

    Attributes:
        found: Candidates that matched the keywords.
        known: Of these, skipped because an earlier run had them.
        refused: Not requested: robots.txt, or an address that may not be reached.
        filtered: Ruled out by what was asked for: licence, size, shape, date, ...
        postponed: Left for a later run, as their host wants to be left alone.
        failed: Requested, without a usable answer.
        fetched: Whose bytes were fetched.
        recovered: Taken over from a crawl that was killed; fetched then.
        accepted: New pictures; accepted + exact + near + rejected = fetched + recovered.
        exact_duplicates: Same bytes or same pixels as a picture already there.
        near_duplicates: New files that resemble a picture already there; kept and linked.
        rejected: Could not be kept.
        dreamed: Dreams made by this run.
        already_dreamed: Dreams that an earlier run had made.
        dream_failures: Pictures that could not be dreamed.
        skipped: Pictures that may not be dreamed on.
        verified: Dreams whose every digest holds.
        verify_failures: Dreams with a digest that does not.
        reasons: Reason -> how many, over refused, filtered, postponed, failed and rejected.
        crawl_reasons: Those of the crawl alone; the others are ingest's.
        dream_reasons: Reason -> how many, over skipped.
        crawl: What else the crawl's report told: pages, requests, bytes, seconds, how it ended, and each host's counts.
        complete: Whether every stage came to its end.
    """

    found: int = 0
    known: int = 0
    refused: int = 0
    filtered: int = 0
    postponed: int = 0
    failed: int = 0
    fetched: int = 0
    recovered: int = 0
    accepted: int = 0
    exact_duplicates: int = 0
    near_duplicates: int = 0
    rejected: int = 0
    dreamed: int = 0
    already_dreamed: int = 0
    dream_failures: int = 0
    skipped: int = 0
    verified: int = 0
    verify_failures: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    crawl_reasons: Mapping[str, int] = field(default_factory=dict)
    dream_reasons: Mapping[str, int] = field(default_factory=dict)
    crawl: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    complete: bool = True

    def with_crawl(self, report: CrawlReport) -> Self:
        """This funnel and what the crawl did."""
        warnings = report.warnings
        if report.finished in _EARLY:
            warnings = (*warnings, f"the crawl ended early ({report.finished}); run the same command again to go on")
        return replace(
            self,
            found=self.found + report.found,
            known=self.known + report.known,
            refused=self.refused + report.refused,
            filtered=self.filtered + report.filtered,
            postponed=self.postponed + report.postponed,
            failed=self.failed + report.failed,
            fetched=self.fetched + report.fetched,
            reasons=_sum(self.reasons, report.reasons),
            crawl_reasons=_sum(self.crawl_reasons, report.reasons),
            crawl=_crawl_figures(self.crawl, report),
            warnings=(*self.warnings, *warnings),
            # What was postponed is missing, unless there were enough without it.
            complete=self.complete
            and (report.finished == "limit" or (report.finished == "done" and not report.postponed)),
        )

    def with_examples(self, examples: Mapping[str, Sequence[tuple[str, str]]]) -> Self:
        """This funnel with some of what the crawl did not take: reason -> (address, detail)."""
        told = {**self.crawl.get("examples", {})}
        for reason, some in examples.items():
            told[reason] = [*told.get(reason, ()), *(list(example) for example in some)][:_EXAMPLES]
        return replace(self, crawl={**self.crawl, "examples": told})

    def with_recovered(self, report: IngestReport) -> Self:
        """This funnel and what ingest took from the inbox of a crawl that was killed."""
        return replace(self.with_ingest(report), recovered=self.recovered + report.fetched)

    def with_ingest(self, report: IngestReport) -> Self:
        """This funnel and what ingest did."""
        return replace(
            self,
            accepted=self.accepted + report.accepted,
            exact_duplicates=self.exact_duplicates + report.exact_duplicates,
            near_duplicates=self.near_duplicates + report.near_duplicates,
            rejected=self.rejected + report.rejected,
            reasons=_sum(self.reasons, report.reasons),
        )

    def with_stylize(self, report: StylizeReport) -> Self:
        """This funnel and what the dream stage did."""
        return replace(
            self,
            dreamed=self.dreamed + report.made,
            already_dreamed=self.already_dreamed + report.already,
            dream_failures=self.dream_failures + len(report.failed),
            skipped=self.skipped + len(report.skipped),
            dream_reasons=_sum(self.dream_reasons, report.skip_reasons),
            warnings=(
                *self.warnings,
                *(f"i{item}: {line}" for item, line in report.failed),
                *(f"i{item} is dreamed on {line}" for item, line in report.stand_ins),
            ),
            complete=self.complete and not report.failed,
        )

    def with_refused_files(self, reasons: Sequence[str]) -> Self:
        """This funnel and why files of the user's own could not be taken, a line for each."""
        return replace(
            self,
            rejected=self.rejected + len(reasons),
            warnings=(*self.warnings, *reasons),
            complete=self.complete and not reasons,
        )

    def with_verify(self, report: VerifyReport) -> Self:
        """This funnel and what verification found."""
        dreams = [subject for subject in report.subjects if subject.startswith("d")]
        failed = {subject for subject in report.failed_subjects if subject.startswith("d")}
        broken = tuple(f"{check.subject}: {check.name}: not as recorded" for check in report.checks if not check.ok)
        return replace(
            self,
            verified=self.verified + len(dreams) - len(failed),
            verify_failures=self.verify_failures + len(failed),
            warnings=(*self.warnings, *broken),
        )

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        values = asdict(self)
        values["reasons"] = dict(self.reasons)
        values["crawl_reasons"] = dict(self.crawl_reasons)
        values["dream_reasons"] = dict(self.dream_reasons)
        values["crawl"] = {**self.crawl}
        values["warnings"] = list(self.warnings)
        return values

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The funnel that `to_json` gave; unknown names are left out."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        known["warnings"] = tuple(known.get("warnings", ()))
        return cls(**known)

    def rows(self) -> list[tuple[str, int, str]]:
        """(name, count, note) of each line to show, top to bottom."""
        return [
            *self.crawl_rows(),
            *self.ingest_rows(),
            (
                "dreamed",
                self.dreamed,
                f"{self.already_dreamed} more were there already" if self.already_dreamed else "",
            ),
            *([("  not dreamed on", self.skipped, _list(self.dream_reasons))] if self.skipped else []),
            ("verified", self.verified, "every digest holds" if self.verified and not self.verify_failures else ""),
        ]

    def crawl_rows(self) -> list[tuple[str, int, str]]:
        """The lines about the crawl; filtered and postponed only where there were any."""
        rows = [
            ("found", self.found, "matched the keywords"),
            ("  already known", self.known, "not fetched again"),
            ("  refused", self.refused, self._because(REFUSED)),
            ("  filtered", self.filtered, self._because(FILTERED)),
            ("  postponed", self.postponed, self._because(POSTPONED)),
            ("  failed", self.failed, self._because(FAILED)),
            (
                "fetched",
                self.fetched,
                f"and {self.recovered} from a crawl that was cut short" if self.recovered else "",
            ),
        ]
        return [row for row in rows if row[1] or row[0].strip() not in {FILTERED, POSTPONED}]

    def ingest_rows(self) -> list[tuple[str, int, str]]:
        """The lines about ingest."""
        return [
            ("  accepted", self.accepted, "new pictures"),
            ("  exact duplicates", self.exact_duplicates, "same bytes or same pixels; kept once"),
            ("  near duplicates", self.near_duplicates, "kept, linked to the picture they resemble"),
            ("  rejected", self.rejected, _list(self.ingest_reasons())),
        ]

    def ingest_reasons(self) -> dict[str, int]:
        """Reason -> how many, over rejected."""
        return dict(Counter(self.reasons) - Counter(self.crawl_reasons))

    @property
    def notes(self) -> tuple[str, ...]:
        """The warnings, then why pictures were not dreamed on and what to do about it, a line for each reason."""
        return (*self.warnings, *(_not_dreamed(*each) for each in sorted(self.dream_reasons.items())))

    @property
    def left_out(self) -> int:
        """How many candidates were not taken, for a reason that the user may want to know."""
        return self.refused + self.filtered + self.postponed + self.failed + self.rejected + self.skipped

    def reasons_of(self, outcome: str) -> dict[str, int]:
        """Reason -> how many, over one outcome of the crawl: refused, filtered, postponed or failed."""
        has = {name for name in (REFUSED, FILTERED, POSTPONED, FAILED) if getattr(self, name)}
        return {reason: count for reason, count in self.crawl_reasons.items() if outcome_of(reason, has) == outcome}

    def _because(self, outcome: str) -> str:
        return _list(self.reasons_of(outcome))

    def markdown(self) -> str:
        """The funnel as a Markdown table, for the run report."""
        lines = ["| stage | pictures | |", "| --- | ---: | --- |"]
        lines += [f"| {name.strip()} | {count} | {note} |" for name, count, note in self.rows()]
        lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines)


def _not_dreamed(reason: str, count: int) -> str:
    told = explained_objection(reason)
    were = "1 picture was" if count == 1 else f"{count} pictures were"
    advice = f"; {told.advice}" if told.advice not in {"", "nothing"} else ""
    return f"{were} not dreamed on: {told.meaning or reason}{advice}"


def _list(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))


def _crawl_figures(former: Mapping[str, Any], report: CrawlReport) -> dict[str, Any]:
    """The figures of one crawl added to those of the crawls before it."""
    names = ("pages", "requests", "bytes_fetched", "bytes_received", "bytes_saved", "seconds")
    figures: dict[str, Any] = {name: former.get(name, 0) + getattr(report, name) for name in names}
    hosts = {host: dict(counts) for host, counts in {**former.get("hosts", {}), **report.hosts}.items()}
    # Of several sources, one that ended early is what is to be told.
    finished = former["finished"] if former.get("finished") in _EARLY else report.finished
    kept = {"examples": former["examples"]} if "examples" in former else {}
    return {**figures, "finished": finished, "hosts": hosts, **kept}


def _sum(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return dict(Counter(first) + Counter(second))
