"""Pages that declare a licence and something else beside it: when it counts, and when nothing is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crawler.sources import metadata
from crawler.sources.answers import declared_license
from crawler.sources.html_page import parse_page
from crawler.sources.markup import Element, text_of
from crawler.sources.sidecars import read_sidecar
from pipeline.records import DeclaredLicense

CC = "https://creativecommons.org"
BY = f"{CC}/licenses/by/4.0/"
LINK = f'<a rel="license" href="{BY}">CC BY 4.0</a>'


def license_on(html: str) -> DeclaredLicense | None:
    (item,) = parse_page("https://photos.example/mill", html).items
    return item.license


def json_ld(**values: object) -> str:
    about = {"@context": "https://schema.org", "@type": "ImageObject", "contentUrl": "/mill.jpg", **values}
    return f'<script type="application/ld+json">{json.dumps(about)}</script>'


PICTURE = '<img src="/mill.jpg" alt="A mill">'
SCOPE = 'itemscope itemtype="https://schema.org/ImageObject"'
PROPERTY = '<img itemprop="contentUrl" src="/mill.jpg">'


@pytest.mark.parametrize(
    "html",
    [
        f"<figure>{PICTURE}<figcaption>\u00a9 Jane Doe. All rights reserved. {LINK}</figcaption></figure>",
        f"<article>{PICTURE}<p>Licence: {LINK} (not for commercial use)</p></article>",
        f"<article>{PICTURE}<p>{LINK}, <b>NoAI</b></p></article>",
        f"{json_ld(license=BY, copyrightNotice='Jane Doe, all rights reserved')}<figure>{PICTURE}</figure>",
        f"{json_ld(license=BY, usageInfo='May not be used for AI training')}<figure>{PICTURE}</figure>",
        f"{json_ld(license=[BY, f'{CC}/licenses/by-nc/4.0/'])}<figure>{PICTURE}</figure>",
        f"{json_ld(license=f'{CC}/licenses/by-nc-nd/4.0/')}<figure>{PICTURE}<figcaption>{LINK}</figcaption></figure>",
        f"{json_ld(license=BY)}<figure>{PICTURE}<figcaption>Reuters. All rights reserved.</figcaption></figure>",
        f"{json_ld(license=BY)}<figure>{PICTURE}<figcaption>Jane Doe, CC BY-NC 2.0</figcaption></figure>",
        f'<div {SCOPE}><a itemprop="license" href="{BY}">CC</a><p itemprop="copyrightNotice">No AI</p>{PROPERTY}</div>',
        f"<main><figure>{PICTURE}<figcaption>Non-commercial use</figcaption></figure></main><div><p>{LINK}</p></div>",
        f"{json_ld(copyrightNotice='Not for commercial use')}<main>{PICTURE}</main><p>Text: {LINK}</p>",
        # The picture's own words go before the licence of the page's text.
        f"{json_ld(copyrightNotice='All rights reserved')}<main>{PICTURE}</main><p>Text: {LINK}</p>",
        f"{json_ld(license='https://photos.example/terms')}<main>{PICTURE}</main><div><p>Text: {LINK}</p></div>",
    ],
)
def test_a_licence_beside_what_goes_against_it_is_unknown(html: str) -> None:
    found = license_on(html)

    assert found is not None
    assert found.id == "unknown"
    assert found.url != BY
    assert found.text


@pytest.mark.parametrize(
    "html",
    [
        # The site's footer is not about the picture.
        f"<figure>{PICTURE}<figcaption>{LINK}</figcaption></figure><footer><p>All rights reserved.</p></footer>",
        f"<div>{PICTURE}<p>By Jane Doe, {LINK}</p><footer>\u00a9 Photos Ltd. All rights reserved.</footer></div>",
        f"<div>{PICTURE}<p>{LINK}</p></div><div>All rights reserved by their owners. Not for commercial use.</div>",
        f"<div>{PICTURE}<p>{LINK}</p><footer><a rel=license href='{CC}/licenses/by-nc/4.0/'>Site</a></footer></div>",
        f'<figure>{PICTURE}<figcaption><a rel="license" href="{BY}">Some rights reserved</a></figcaption></figure>',
        f"<article>{PICTURE}<footer>{LINK}</footer></article>",
        f"{json_ld(license=BY, copyrightNotice='Jane Doe', usageInfo=BY)}<figure>{PICTURE}</figure>",
        f"{json_ld(license=BY)}<figure>{PICTURE}<figcaption>The mill does not turn any more.</figcaption></figure>",
        f"{json_ld(license=BY, acquireLicensePage='https://photos.example/buy')}<figure>{PICTURE}</figure>",
        # The text of the page may have another licence than the picture on it.
        f"{json_ld(license=BY)}<main>{PICTURE}</main><div><a rel='license' href='{CC}/licenses/by-sa/4.0/'>x</a></div>",
    ],
)
def test_what_is_said_of_the_site_or_goes_with_the_licence_takes_nothing_back(html: str) -> None:
    found = license_on(html)

    assert found is not None
    assert (found.id, found.url) == ("CC-BY-4.0", BY)


def test_thousands_of_links_in_one_paragraph_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def counted(element: Element) -> str | None:
        read.append(element.tag)
        return text_of(element)

    monkeypatch.setattr(metadata, "text_of", counted)
    links = f'<a rel="license" href="{BY}">x</a>' * 5_000

    found = license_on(f"<div>{PICTURE}<p>{links}</p></div>")

    assert found is not None
    assert found.id == "CC-BY-4.0"
    assert read.count("p") <= 2  # once for the picture, once for the page
    assert len(read) < 500


def test_both_sides_stand_in_the_words() -> None:
    found = license_on(f"<figure>{PICTURE}<figcaption>Jane Doe. All rights reserved. {LINK}</figcaption></figure>")

    assert found is not None
    assert found.text == f"CC BY 4.0 ({BY}), but Jane Doe. All rights reserved. CC BY 4.0"


def test_answers_and_sidecars_are_read_by_the_same_rule(tmp_path: Path) -> None:
    picture = tmp_path / "mill.jpg"
    about = {"license": "CC BY 4.0", "rights": "\u00a9 Agency, all rights reserved"}
    picture.with_suffix(".json").write_text(json.dumps(about))

    beside = read_sidecar(picture).license
    answered = declared_license("europeana", url=[BY, "http://rightsstatements.org/vocab/InC/1.0/"])
    against = declared_license("archive", url=BY, terms="May not be reproduced without permission")

    assert beside is not None
    assert (beside.id, beside.url) == ("unknown", None)
    assert beside.text == f"CC BY 4.0 ({BY}), but \u00a9 Agency, all rights reserved"
    assert answered is not None
    assert answered.id == "unknown"
    assert against is not None
    assert against.id == "unknown"
