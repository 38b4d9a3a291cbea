from __future__ import annotations

from flows.funnel import Funnel
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
    funnel = Funnel(found=4, fetched=3, reasons={"dns": 1}, warnings=("w",), complete=False)

    assert Funnel.from_json(funnel.to_json()) == funnel
    assert Funnel.from_json({**funnel.to_json(), "a_later_field": 1}) == funnel


def test_a_funnel_without_dreams_claims_no_verification():
    assert Funnel().rows()[-1] == ("verified", 0, "")
    assert Funnel(verified=2).rows()[-1] == ("verified", 2, "every digest holds")
