from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from fastapi.testclient import TestClient

from pipeline.browse import views
from pipeline.catalog.gallery_values import RunBreakdown
from pipeline.errors import Objection, Reason
from tests.support.gallery import (
    BASE,
    HOSTILE_TITLE,
    HOSTILE_URLS,
    add,
    client_of,
    fill,
    hostile_entry,
    page_of,
    photographs,
)
from tests.support.html_pages import Page, read_page
from tests.support.inverting import Workshop, workshop
from tests.support.pictures import scene_file


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Ten photographs, two near duplicates, seven dreams, one run."""
    with workshop(tmp_path_factory.mktemp("gallery")) as opened:
        fill(opened, photographs()[:10])
        yield opened


@pytest.fixture(scope="module")
def client(shop: Workshop) -> TestClient:
    return client_of(shop)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A gallery of pictures whose pages meant harm with every word."""
    with workshop(tmp_path_factory.mktemp("hostile")) as opened:
        with opened.catalog.write() as uow:
            run_id = uow.runs.start(
                "run",
                keywords=(HOSTILE_TITLE,),
                source=f"website={HOSTILE_URLS[0]}",
                parameters={HOSTILE_TITLE: [HOSTILE_TITLE]},
                process="machine:1:0",
                version="0.1.0",
            )
            for number, url in enumerate(HOSTILE_URLS):
                uow.rejections.add(
                    run_id, url, page_url=HOSTILE_URLS[number - 1], stage="crawl", reason="robots", detail=HOSTILE_TITLE
                )
            counters = {"found": 3, "reasons": {HOSTILE_TITLE: 1}, "warnings": [HOSTILE_TITLE]}
            uow.runs.finish(run_id, "failed", counters, error=HOSTILE_TITLE)
        for number in range(len(HOSTILE_URLS)):
            item_id = add(opened, scene_file(number), hostile_entry(number), run_id=run_id)
            # Words of the user's own may hold anything as well.
            opened.dream(item_id, responsibility="I say <script>alert(9)</script> \u202e so")
        yield client_of(opened)


@pytest.fixture(scope="module")
def pages(client: TestClient) -> dict[str, Page]:
    return walk(client)


@pytest.fixture(scope="module")
def hostile_pages(hostile: TestClient) -> dict[str, Page]:
    return walk(hostile)


def walk(client: TestClient, start: str = "/", *, queries_a_path: int = 3) -> dict[str, Page]:
    """The pages that links lead to from a page, by address; of each path with a few of its queries."""
    waiting, pages = [start], {}
    seen = {start}
    queries: Counter[str] = Counter()
    while waiting:
        url = waiting.pop()
        answer = client.get(url)
        assert answer.status_code in {200, 302}, (url, answer.status_code)
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        pages[url] = read_page(answer.text)
        for link in pages[url].links + pages[url].loaded:
            inside = urljoin(BASE + url, link).removeprefix(BASE).partition("#")[0]
            path, _, query = inside.partition("?")
            if not path.startswith("/") or inside in seen or (query and queries[path] >= queries_a_path):
                continue
            queries[path] += bool(query)
            seen.add(inside)
            waiting.append(inside)
    return pages


def is_internal(url: str) -> bool:
    return urljoin(BASE + "/", url).startswith(BASE + "/")


def test_every_link_leads_somewhere_and_every_page_is_well_formed(pages):
    assert len(pages) > 30
    assert {url: page.faults for url, page in pages.items() if page.faults} == {}
    for page in pages.values():
        assert len(page.all("h1")) == 1
        assert all("alt" in image.attributes for image in page.all("img"))
        assert all(image["width"].isdigit() and image["height"].isdigit() for image in page.all("img"))
        ids = [element["id"] for element in page.elements if element["id"]]
        assert len(ids) == len(set(ids))


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs_inline(pages, hostile_pages):
    for walked in (pages, hostile_pages):
        for url, page in walked.items():
            assert all(is_internal(each) for each in page.loaded), url
            assert [urlsplit(script["src"]).path for script in page.all("script")] == ["/static/gallery.js"]
            assert not page.all("style")
            for element in page.elements:
                handlers = [name for name in element.attributes if name.startswith("on") or name == "style"]
                assert not handlers, (url, element)


def test_hostile_texts_are_shown_and_never_obeyed(hostile_pages):
    assert {url: page.faults for url, page in hostile_pages.items() if page.faults} == {}
    item = hostile_pages["/items/i1"]
    title = " ".join(HOSTILE_TITLE.split())
    assert title in item.text
    assert title in hostile_pages["/runs/r1"].text
    for page in hostile_pages.values():
        assert not page.all("b") or all("bold" not in element.text for element in page.all("b"))
        for link in page.links:
            assert urlsplit(urljoin(BASE, link)).scheme in {"http", "https"}, link


def test_a_file_of_ones_own_is_named_by_its_path_and_not_linked_to(tmp_path):
    entry = {"title": "Mill", "source": "file:///home/anna/Gr%C3%B6%C3%9Fe%201/%3Cb%3Emill.jpg"}
    with workshop(tmp_path) as opened:
        add(opened, scene_file(1), entry, run_id=None)
        page = page_of(client_of(opened), "/items/i1")

    assert "/home/anna/Größe 1/<b>mill.jpg" in page.text
    assert not [link for link in page.links if link.startswith("file:")]


def test_links_beyond_the_gallery_are_web_addresses_that_are_told_nothing(pages, hostile_pages):
    outside = []
    for walked in (pages, hostile_pages):
        for page in walked.values():
            outside += [link for link in page.all("a") if not is_internal(link["href"])]

    assert outside
    assert {tuple(sorted(link["rel"].split())) for link in outside} == {("nofollow", "noopener", "noreferrer")}
    hosts = {urlsplit(link["href"]).hostname for link in outside}
    assert {"commons.wikimedia.org", "creativecommons.org", "pictures.example"} <= hosts


def test_a_pictures_page_tells_everything_that_is_known(client, shop):
    page = page_of(client, "/items/i1")
    with shop.catalog.read() as uow:
        item = uow.items.get(1)
        dream = uow.derivations.of_item(1)[-1]
        sighting = uow.sightings.of_item(1)[0]
    assert item is not None

    for told in (
        item.title,
        item.creator,
        "CC BY-SA 2.0",
        item.blob_sha256,
        item.pixel_sha256,
        dream.blob_sha256,
        dream.weights_sha256,
        dream.recipe_sha256,
        dream.manifest_sha256,
        dream.key,
        dream.file_name,
        sighting.page_url,
        sighting.image_url,
        "by rel=license",
        f"dreamcrawl verify d{dream.id}",
        f"dreamcrawl replay d{dream.id}",
        "objective 1 \u203a layer mixed3",
        "40\u00d730, 80\u00d760",
        "tensorflow 2.21.0",
    ):
        assert told in page.text, told
    assert f"/api/derivations/d{dream.id}/manifest" in page.links


def test_the_credit_names_title_author_source_and_licence(client):
    page = page_of(client, "/items/i1")
    lines = [element.text for element in page.elements if element["class"] == "credit"]

    source = "https://commons.wikimedia.org/wiki/File:Arc_de_Triomphe_du_Carrousel_12_June_2006.jpg"
    original = (
        f"\u201cArc de Triomphe du Carrousel 12 June 2006\u201d by Dan Mckay, {source}, "
        "CC BY-SA 2.0 (https://creativecommons.org/licenses/by-sa/2.0/)."
    )
    dreamed = "Altered with a neural network by dreamcrawl (preset paper-multi, network inception_v3); original: "
    assert lines == [dreamed + original, original]


def test_a_credit_cannot_turn_the_text_around_it(hostile):
    page = page_of(hostile, "/items/i1")
    lines = [element.text for element in page.elements if element["class"] == "credit"]

    assert lines
    assert not any("\u202e" in line for line in lines)


def test_a_dream_is_chosen_by_address(client, shop):
    with shop.catalog.read() as uow:
        first, second = uow.derivations.of_item(1)

    chosen = page_of(client, f"/items/i1?dream=d{first.id}")
    assert f"/media/dream/{first.blob_sha256}" in chosen.loaded
    assert f"/media/dream/{second.blob_sha256}" in page_of(client, "/items/i1").loaded
    answer = client.get(f"/dreams/d{first.id}")
    assert (answer.status_code, answer.headers["location"]) == (302, f"/items/i1?dream=d{first.id}")
    under_preset = page_of(client, f"/items/i1?preset={first.preset}")
    assert f"/media/dream/{first.blob_sha256}" in under_preset.loaded


def test_a_picture_knows_its_neighbours_and_the_way_back(client):
    item = page_of(client, "/items/i6?keyword=animal&sort=oldest&after=3")

    assert "/?keyword=animal&sort=oldest&after=3" in item.links
    for relation in ("prev", "next"):
        link = next((each["href"] for each in item.all("a") if each["rel"] == relation), None)
        if link is not None:
            assert parse_qs(urlsplit(link).query) == {"keyword": ["animal"], "sort": ["oldest"]}
            assert page_of(client, link)


def test_a_runs_page_shows_its_funnel_and_what_was_not_kept(client):
    page = page_of(client, "/runs/r1")
    bars = [element for element in page.all("rect") if element["class"] == "fill"]

    assert float(bars[0]["width"]) == 100
    assert all(0 <= float(bar["width"]) <= 100 for bar in bars)
    for told in ("Found", "Fetched", "Accepted", "Near duplicates", "Dreamed", "Verified", "closed by robots.txt 6"):
        assert told in page.text
    robots = page_of(client, "/runs/r1?reason=robots")
    rows = [element.text for element in robots.all("td") if element.text == "closed by robots.txt"]
    assert len(rows) == 6


def test_long_lists_of_rejections_and_runs_are_paged(tmp_path):
    with workshop(tmp_path) as shop:
        with shop.catalog.write() as uow:
            for _ in range(65):
                last = uow.runs.start("crawl", keywords=(), source=None, parameters={}, process="m:1:0", version="1")
            for number in range(120):
                uow.rejections.add(last, f"https://e/{number}", page_url=None, stage="crawl", reason="dns", detail="x")
        client = client_of(shop)
        runs = {
            url: page
            for url, page in walk(client, "/runs", queries_a_path=9).items()
            if url.startswith("/runs?") or url == "/runs"
        }
        seen = [link for page in runs.values() for link in page.links if link.startswith("/runs/r")]
        rejected, url = [], f"/runs/r{last}"
        while url:
            page = page_of(client, url)
            rejected += [link for link in page.links if link.startswith("https://e/")]
            following = next((link["href"] for link in page.all("a") if link["rel"] == "next"), None)
            url = following and urljoin(url, following).partition("#")[0]

    assert sorted(seen) == sorted(f"/runs/r{number}" for number in range(1, 66))
    assert rejected == [f"https://e/{number}" for number in range(120)]


@pytest.mark.parametrize(
    ("license_id", "words"),
    [
        (
            "CC-BY-ND-4.0",
            ["May be shared as it is yes", "May be shared altered no: keep it private", "its licence does not permit"],
        ),
        ("CC-BY-NC-SA-4.0", ["May be shared altered yes", "May be sold no", "must carry the same licence yes"]),
        ("CC0-1.0", ["Credit is needed no"]),
        (None, ["unknown: keep it private"]),
    ],
)
def test_a_licence_says_what_it_permits(tmp_path, license_id, words):
    with workshop(tmp_path) as shop:
        item_id = shop.add(scene_file(1), license_id=license_id)
        text = page_of(client_of(shop), f"/items/i{item_id}").text

    for word in words:
        assert word.lower() in text.lower()


def test_a_picture_without_a_dream_says_how_to_make_one(client, shop):
    with shop.catalog.read() as uow:
        plain = next(item for item in uow.items.list() if not uow.derivations.of_item(item.id))

    page = page_of(client, f"/items/i{plain.id}")
    assert f"dreamcrawl dream --item i{plain.id}" in page.text
    assert not page.all("input")[1:]


def test_a_very_large_picture_or_an_animation_is_shown_smaller(tmp_path):
    with workshop(tmp_path) as shop:
        large = shop.add(scene_file(1, "JPEG", width=1700, height=400))
        sha256 = shop.item(large).blob_sha256
        page = page_of(client_of(shop), f"/items/i{large}")

    assert f"/media/thumb/{sha256}?side=1600" in page.loaded
    assert f"/media/original/{sha256}" in page.links


def test_sightings_that_say_nothing_are_shown_too(tmp_path):
    with workshop(tmp_path) as shop:
        item_id = shop.add(
            scene_file(1),
            title=None,
            creator=None,
            license_id=None,
            license_declared_by=None,
            image_url="file:///home/jane/pictures/bridge.png",
            page_url="file:///home/jane/pictures/",
            tags=(),
        )
        page = page_of(client_of(shop), f"/items/i{item_id}")

    credit = next(element.text for element in page.elements if element["class"] == "credit")
    assert credit == f"Untitled picture i{item_id}, creator unknown, file:bridge.png, licence unknown."
    assert not any(link.startswith("file:") for link in page.links)


@pytest.mark.parametrize(
    ("license_id", "said"),
    [("CC-BY-ND-4.0", "does not permit altered pictures"), (None, "Nothing is known that permits altered pictures")],
)
def test_the_page_of_what_may_not_be_dreamed_on_says_why_and_what_to_do(tmp_path, license_id, said):
    with workshop(tmp_path) as shop:
        add(shop, scene_file(1), {"license": license_id}, run_id=None)
        free = add(shop, scene_file(2), {"license": "CC0-1.0"}, run_id=None)
        client = client_of(shop)

        text = client.get("/items/i1").text
        assert said in text
        assert "dreamcrawl dream --item i1 --responsibility" in text
        assert "--responsibility" not in client.get(f"/items/i{free}").text

        dream = shop.dream(1, responsibility="Jane told me so on 3 May")
        assert "Dreamed on the user\u2019s own responsibility" in client.get(f"/items/i{dream.item_id}").text


def test_a_run_tells_why_pictures_were_not_dreamed_on():
    counters = {"found": 9, "skipped": 3, "dream_reasons": {"license_unknown": 2, "weather": 1}, "reasons": {"dns": 1}}

    (bar,) = [bar for bar in views.funnel(counters, RunBreakdown()) if bar.label == "Not dreamed on"]

    assert bar.count == 3
    assert bar.reasons == (("licence unknown", 2, "license_unknown"), ("weather", 1, "weather"))


def test_a_run_tells_of_every_candidate_what_became_of_it_at_its_stage():
    counters = {
        "found": 20, "known": 1, "refused": 1, "filtered": 5, "postponed": 2, "failed": 2, "fetched": 9, "rejected": 2,
        "reasons": {"robots": 1, "license": 3, "too_small": 2, "quota": 2, "not_an_image": 2, "truncated": 2},
        "crawl_reasons": {"robots": 1, "license": 3, "too_small": 2, "quota": 2, "not_an_image": 1, "truncated": 1},
    }  # fmt: skip

    bars = {bar.label: bar for bar in views.funnel(counters, RunBreakdown())}

    assert {label: [(code, n) for _, n, code in bar.reasons] for label, bar in bars.items() if bar.reasons} == {
        "Refused": [("robots", 1)],
        "Filtered": [("license", 3), ("too_small", 2)],
        "Postponed": [("quota", 2)],
        "Failed": [("truncated", 1), ("not_an_image", 1)],
        "Rejected": [("truncated", 1), ("not_an_image", 1)],
    }
    for bar in bars.values():
        assert not bar.reasons or sum(n for _, n, _ in bar.reasons) == bar.count


def test_every_reason_has_words():
    codes = [str(each) for each in (*Reason, *Objection)]

    assert all(views.reason_text(code) not in ("", code) for code in codes if code not in ("empty", "too_small"))
    assert len({views.reason_text(code) for code in codes}) == len(codes)
