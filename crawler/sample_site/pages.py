"""The site's pages as HTML text. Plain, readable without scripts, and with each photograph's author and licence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from crawler.sample_site.photos import Photo
from crawler.sample_site.pictures import medium_width
from crawler.sample_site.plan import Kind, LicenseForm, SitePicture

SITE_NAME = "Small World Photo Archive"

_NOTES = {
    Kind.BYTE_COPY: "A mirrored copy of the archive's file.",
    Kind.PIXEL_COPY: "Saved again without loss for long keeping.",
    Kind.NEAR_COPY: "A smaller version for the press.",
    Kind.TRUNCATED: "This upload broke off; the file is damaged.",
    Kind.NOT_AN_IMAGE: "This file was moved.",
    Kind.MISSING: "This file was lost.",
    Kind.CLOSED: "The scan is not for machines.",
    Kind.HIDDEN: "From a private collection.",
}
_NAVIGATION = (
    ("/", "Archive"),
    ("/topics/animals.html", "Animals"),
    ("/topics/windmills.html", "Windmills"),
    ("/topics/monuments.html", "Monuments"),
    ("/topics/energy.html", "Energy"),
    ("/topics/things.html", "Things"),
    ("/credits.html", "Credits"),
)


def document(title: str, body: str, *, head: str = "") -> str:
    """A whole page with the site's frame around `body`, which is HTML already."""
    links = "".join(f'<a href="{href}">{escape(text)}</a>' for href, text in _NAVIGATION)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="stylesheet" href="/style.css">
<link rel="icon" href="data:,">
{head}</head>
<body>
<header><a class="brand" href="/">{SITE_NAME}</a><nav>{links}</nav></header>
<main>
{body}
</main>
<footer>
<p>A made-up site with real photographs. <a href="/credits.html">Who took them, and under which licence</a>.</p>
</footer>
</body>
</html>
"""


def photo_page(picture: SitePicture, related: Sequence[SitePicture]) -> str:
    """The page of one picture; `related` are other pictures, shown as thumbnails that link to their own pages."""
    photo = picture.photo
    tags = "".join(
        f'<li><a rel="tag" href="/tags.html#{_anchor(tag)}">{escape(tag)}</a></li>' for tag in photo.keywords
    )
    note = f'<p class="note">{_NOTES[picture.kind]}</p>' if picture.kind in _NOTES else ""
    more = "".join(thumbnail_card(other) for other in related)
    microdata = picture.license_form is LicenseForm.MICRODATA
    scope = ' itemscope itemtype="https://schema.org/ImageObject"' if microdata else ""
    body = f"""<article{scope}>
<h1>{escape(photo.title)}</h1>
{note}
<figure>
{_picture_element(picture)}
<figcaption>{_caption(picture)}</figcaption>
</figure>
<ul class="tags">{tags}</ul>
<p class="source"><a href="{escape(photo.source)}">Where this photograph comes from</a></p>
</article>
<aside><h2>More from the archive</h2><div class="grid">{more}</div></aside>"""
    return document(f"{photo.title} - {SITE_NAME}", body, head=_head(picture))


def list_page(title: str, intro: str, pictures: Sequence[SitePicture], *, thumbnails: bool = True) -> str:
    """A page that links to many pictures' pages, by thumbnail or by name only."""
    if thumbnails:
        items = f'<div class="grid">{"".join(thumbnail_card(picture) for picture in pictures)}</div>'
    else:
        links = (f'<li><a href="{p.page}">{escape(p.photo.title)}</a></li>' for p in pictures)
        items = f"<ul>{''.join(links)}</ul>"
    return document(f"{title} - {SITE_NAME}", f"<h1>{escape(title)}</h1>\n<p>{escape(intro)}</p>\n{items}")


def front_page(topics: Sequence[tuple[str, str, str, SitePicture]], others: Sequence[tuple[str, str, str]]) -> str:
    """The front page: topics as (path, title, intro, cover picture), other sections as (path, title, intro)."""
    cards = "".join(
        f'<a class="card" href="{path}"><img src="{thumbnail_path(cover.photo)}" alt="" loading="lazy">'
        f"<span>{escape(title)}</span><small>{escape(intro)}</small></a>"
        for path, title, intro, cover in topics
    )
    sections = "".join(
        f'<li><a href="{path}">{escape(title)}</a> - {escape(intro)}</li>' for path, title, intro in others
    )
    body = f"""<h1>{SITE_NAME}</h1>
<p class="lead">Photographs that their authors let everybody use, with their names and licences beside them.</p>
<div class="grid">{cards}</div>
<h2>Elsewhere in the house</h2>
<ul>{sections}</ul>"""
    return document(SITE_NAME, body)


def tags_page(pictures: Sequence[SitePicture]) -> str:
    """Every tag with links to the originals that carry it."""
    tags = sorted({tag for picture in pictures for tag in picture.photo.keywords})
    parts = []
    for tag in tags:
        links = ", ".join(
            f'<a href="{p.page}">{escape(p.photo.title)}</a>' for p in pictures if tag in p.photo.keywords
        )
        parts.append(f'<h2 id="{_anchor(tag)}">{escape(tag)}</h2><p>{links}</p>')
    return document(f"Tags - {SITE_NAME}", "<h1>Tags</h1>" + "".join(parts))


def credits_page(photos: Sequence[Photo]) -> str:
    """Every photograph with its author, licence and source."""
    rows = "".join(
        f"<tr><td>{escape(photo.title)}</td><td>{escape(photo.author)}</td>"
        f'<td><a href="{photo.license_url}">{photo.license_name}</a></td>'
        f'<td><a href="{escape(photo.source)}">source</a></td></tr>'
        for photo in photos
    )
    head = "<tr><th>Photograph</th><th>Author</th><th>Licence</th><th>Source</th></tr>"
    return document(f"Credits - {SITE_NAME}", f"<h1>Credits</h1><table>{head}{rows}</table>")


def thumbnail_card(picture: SitePicture) -> str:
    """A thumbnail with the title below, both a link to the picture's page."""
    photo = picture.photo
    return (
        f'<a class="card" href="{picture.page}"><img src="{thumbnail_path(photo)}" alt="{escape(photo.title)}"'
        f' loading="lazy"><span>{escape(photo.title)}</span></a>'
    )


def thumbnail_path(photo: Photo) -> str:
    """Where the photo's thumbnail lies."""
    return f"/thumbs/{photo.slug}.jpg"


def medium_path(photo: Photo) -> str:
    """Where the photo's medium rendition lies."""
    return f"/images/medium/{photo.slug}.jpg"


def _anchor(tag: str) -> str:
    return tag.replace(" ", "-")


def _picture_element(picture: SitePicture) -> str:
    """The full size comes by srcset, by picture element, or behind a link, as on real sites; copies are plain."""
    photo = picture.photo
    alt = escape(f"{photo.title}: {photo.keywords[0]}" if photo.keywords else photo.title)
    size = f'width="{photo.width}" height="{photo.height}"'
    item = ' itemprop="contentUrl"' if picture.license_form is LicenseForm.MICRODATA else ""
    if picture.kind is not Kind.ORIGINAL or item:
        return f'<img{item} src="{picture.image}" alt="{alt}" {size}>'
    medium = medium_path(photo)
    widths = f"{medium} {medium_width(photo)}w, {picture.image} {photo.width}w"
    match int(photo.sha256[:2], 16) % 3:
        case 0:
            return f'<img src="{medium}" srcset="{widths}" sizes="100vw" alt="{alt}" {size}>'
        case 1:
            return f'<picture><source srcset="{widths}" sizes="100vw"><img src="{medium}" alt="{alt}" {size}></picture>'
        case _:
            return f'<a href="{picture.image}"><img src="{medium}" alt="{alt}" {size}></a>'


def _caption(picture: SitePicture) -> str:
    photo, form = picture.photo, picture.license_form
    if form is LicenseForm.MICRODATA:
        author = (
            f'<span itemprop="creator" itemscope itemtype="https://schema.org/Person">'
            f'<span itemprop="name">{escape(photo.author)}</span></span>'
        )
        title = f'<span itemprop="name">{escape(photo.title)}</span>'
        terms = f'<a itemprop="license" href="{photo.license_url}">{photo.license_name}</a>'
        return f"{title}. Photograph: {author}. Licence: {terms}."
    text = f"{escape(photo.title)}. Photograph: {escape(photo.author)}."
    match form:
        case LicenseForm.REL | LicenseForm.REL_AND_JSON_LD:
            author = f'<a rel="author" href="/credits.html">{escape(photo.author)}</a>'
            terms = f'<a rel="license" href="{photo.license_url}">{photo.license_name}</a>'
            return f"{escape(photo.title)}. Photograph: {author}. Licence: {terms}."
        case LicenseForm.NONE | LicenseForm.EMBEDDED:
            return text
        case _:
            return f"{text} Licence: {photo.license_name}."


def _head(picture: SitePicture) -> str:
    photo = picture.photo
    match picture.license_form:
        case LicenseForm.JSON_LD | LicenseForm.REL_AND_JSON_LD:
            facts = {
                "@context": "https://schema.org",
                "@type": "ImageObject",
                "name": photo.title,
                "contentUrl": picture.image,
                "creator": {"@type": "Person", "name": photo.author},
                "license": photo.license_url,
                "acquireLicensePage": photo.source,
                "keywords": ", ".join(photo.keywords),
            }
            text = json.dumps(facts, ensure_ascii=False).replace("</", "<\\/")
            return f'<script type="application/ld+json">{text}</script>\n'
        case LicenseForm.OPEN_GRAPH:
            properties = {
                "og:type": "article",
                "og:site_name": SITE_NAME,
                "og:title": photo.title,
                "og:image": picture.image,
                "og:image:alt": photo.title,
                "article:author": photo.author,
                "og:license": photo.license_url,
            }
            return "".join(f'<meta property="{k}" content="{escape(v)}">\n' for k, v in properties.items())
        case _:
            return ""
