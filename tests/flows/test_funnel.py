from __future__ import annotations

from flows.funnel import Funnel
from pipeline.errors import Objection
from pipeline.reasons import OBJECTIONS
from pipeline.records import Check, CrawlReport, IngestReport, StylizeReport, VerifyReport


def test_stages_add_up_and_reasons_are_summed():
    funnel = (
        Funnel()
        .with_recovered(IngestReport(fetched=2, accepted=1, rejected=1, reasons={"corrupt": 1}))
        .with_crawl(
            CrawlReport("x", found=9, fetched=5, known=2, refused=1, failed=1, reasons={"robots": 1, "http_4xx": 1})
        )
        .with_ingest(IngestReport(fetched=5, accepted=3, exact_duplicates=1, rejected=1, reasons={"corrupt": 1}))
        .with_stylize(StylizeReport(made=3, already=1))
    )

    assert funnel.found == funnel.known + funnel.refused + funnel.failed + funnel.fetched
    kept = funnel.accepted + funnel.exact_duplicates + funnel.near_duplicates + funnel.rejected
    assert kept == funnel.fetched + funnel.recovered
    assert funnel.reasons == {"robots": 1, "http_4xx": 1, "corrupt": 2}
    assert (funnel.dreamed, funnel.already_dreamed, funnel.complete) == (3, 1, True)


def test_a_crawl_that_ended_early_and_a_failed_dream_make_the_run_partial():
    assert not Funnel().with_crawl(CrawlReport("x", finished="deadline")).complete
    assert not Funnel().with_stylize(StylizeReport(failed=((3, "no such blob"),))).complete
    assert "i3: no such blob" in Funnel().with_stylize(StylizeReport(failed=((3, "no such blob"),))).warnings


def test_a_dream_with_one_broken_check_is_not_verified():
    checks = (Check("d1", "pixels", True), Check("d2", "pixels", True), Check("d2", "manifest", False))

    funnel = Funnel().with_verify(VerifyReport(checks))

    assert (funnel.verified, funnel.verify_failures) == (1, 1)


def test_json_round_trip_keeps_every_count():
    funnel = Funnel(found=4, fetched=3, reasons={"dns": 1}, crawl_reasons={"dns": 1}, warnings=("w",), complete=False)

    assert Funnel.from_json(funnel.to_json()) == funnel
    assert Funnel.from_json({**funnel.to_json(), "a_later_field": 1}) == funnel


def test_a_funnel_without_dreams_claims_no_verification():
    assert Funnel().rows()[-1] == ("verified", 0, "")
    assert Funnel(verified=2).rows()[-1] == ("verified", 2, "every digest holds")


def test_filtered_and_postponed_have_a_line_only_where_there_are_any():
    plain = Funnel().with_crawl(CrawlReport("x", found=1, fetched=1))
    troubled = Funnel().with_crawl(
        CrawlReport("x", found=4, filtered=3, postponed=1, reasons={"license": 2, "too_small": 1, "quota": 1})
    )

    assert [name.strip() for name, *_ in plain.crawl_rows()] == [
        "found",
        "already known",
        "refused",
        "failed",
        "fetched",
    ]
    rows = {name.strip(): (count, note) for name, count, note in troubled.crawl_rows()}
    assert rows["filtered"] == (3, "license 2, too_small 1")
    assert rows["postponed"] == (1, "quota 1")
    assert troubled.found == sum(
        rows[name][0] for name in ("already known", "refused", "filtered", "postponed", "failed")
    )


def test_the_same_reason_is_told_apart_by_the_stage_that_gave_it():
    funnel = (
        Funnel()
        .with_crawl(CrawlReport("x", found=5, filtered=2, fetched=3, reasons={"too_small": 2}))
        .with_ingest(IngestReport(fetched=3, rejected=1, accepted=2, reasons={"too_small": 1}))
    )

    assert funnel.reasons == {"too_small": 3}
    assert funnel.reasons_of("filtered") == {"too_small": 2}
    assert funnel.ingest_reasons() == {"too_small": 1}


def test_a_host_that_is_busy_may_have_postponed_or_failed_a_picture():
    failed = Funnel().with_crawl(CrawlReport("x", found=1, failed=1, reasons={"too_many_requests": 1}))
    postponed = Funnel().with_crawl(CrawlReport("x", found=1, postponed=1, reasons={"too_many_requests": 1}))

    assert failed.reasons_of("failed") == {"too_many_requests": 1}
    assert postponed.reasons_of("postponed") == {"too_many_requests": 1}


def test_what_was_postponed_is_missing_unless_there_are_enough_without_it():
    assert not Funnel().with_crawl(CrawlReport("x", found=1, postponed=1)).complete
    assert Funnel().with_crawl(CrawlReport("x", found=2, postponed=1, fetched=1, finished="limit")).complete


def test_the_figures_of_several_crawls_are_added_up():
    hosts = {"a.org": {"requests": 2}}
    one = CrawlReport("x", pages=1, requests=3, bytes_fetched=10, bytes_received=20, bytes_saved=5, hosts=hosts)

    funnel = Funnel().with_crawl(one).with_crawl(CrawlReport("y", pages=2, requests=1, finished="limit"))

    assert funnel.crawl == {
        "pages": 3,
        "requests": 4,
        "bytes_fetched": 10,
        "bytes_received": 20,
        "bytes_saved": 5,
        "seconds": 0.0,
        "finished": "limit",
        "hosts": hosts,
    }


def test_what_may_not_be_dreamed_on_is_summed_over_batches_and_told_in_one_line_a_reason():
    batch = StylizeReport(
        made=1, skipped=((1, "a"), (2, "b"), (3, "c")), skip_reasons={"license_unknown": 2, "no_derivatives": 1}
    )

    funnel = Funnel().with_stylize(batch).with_stylize(batch)

    assert (funnel.dreamed, funnel.skipped, funnel.left_out, funnel.complete) == (2, 6, 6, True)
    assert ("  not dreamed on", 6, "license_unknown 4, no_derivatives 2") in funnel.rows()
    assert not funnel.warnings
    unknown, forbidden = funnel.notes
    assert unknown.startswith("4 pictures were not dreamed on: no licence that can be read")
    assert forbidden.startswith("2 pictures were not dreamed on: its licence does not permit adapted pictures")
    assert all("--responsibility" in note for note in funnel.notes)
    assert Funnel.from_json(funnel.to_json()) == funnel
    assert all(note in funnel.markdown() for note in funnel.notes)


def test_every_objection_is_explained():
    assert set(OBJECTIONS) == set(Objection)
    assert all(each.meaning and each.advice for each in OBJECTIONS.values())
    # One of a later version.
    assert Funnel(dream_reasons={"weather": 1}).notes == ("1 picture was not dreamed on: weather",)
