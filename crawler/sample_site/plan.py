"""What the sample site holds, decided without a crawler: the oracle that a crawl of it is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from crawler.sample_site.photos import Photo, load_photos

# Keywords that stand in the tags of all the pictures they fit, and nowhere else, so that the counts are exact.
KEYWORDS = ("animal", "fish", "monument", "solar", "windmill")
# Keywords for which there are copies, and pictures that cannot or may not be had.
_TROUBLED = ("animal", "windmill")
_COPIES = 3
# Served only as a JPEG made anew with XMP and EXIF, on a page that names no licence.
_EMBEDDED = ("koala-77b243.webp", "windmill-e624ee.webp")


class Kind(StrEnum):
    """What one picture of the site is."""

    ORIGINAL = "original"  # a photograph found nowhere else on the site, but for its copies
    BYTE_COPY = "byte_copy"  # the same file under another address
    PIXEL_COPY = "pixel_copy"  # another file with the same pixels
    NEAR_COPY = "near_copy"  # compressed again and of another size
    TRUNCATED = "truncated"  # the file ends in the middle
    NOT_AN_IMAGE = "not_an_image"  # called .jpg, served as image/jpeg, but a page of HTML
    MISSING = "missing"  # the page shows it, the server answers 404
    CLOSED = "closed"  # the page is open, but robots.txt closes the picture's folder
    HIDDEN = "hidden"  # robots.txt closes the page and the picture


class LicenseForm(StrEnum):
    """How a page says under which licence its picture is."""

    REL_AND_JSON_LD = "rel_and_json_ld"
    REL = "rel"
    JSON_LD = "json_ld"
    MICRODATA = "microdata"
    OPEN_GRAPH = "open_graph"
    EMBEDDED = "embedded"  # not at all; the file's own XMP and EXIF do
    NONE = "none"


@dataclass(frozen=True)
class SitePicture:
    """One picture with a page of its own.

    Attributes:
        photo: What it shows, or is a copy of.
        page: Path of its page, with a leading slash.
        image: Path of the full-size picture.
    """

    kind: Kind
    photo: Photo
    page: str
    image: str
    license_form: LicenseForm


@dataclass(frozen=True)
class KeywordCounts:
    """What a complete crawl for one keyword, and then ingest, must count.

    Attributes:
        unique: Different photographs.
        exact_duplicates: Further files with the same bytes or the same pixels.
        near_duplicates: Further files that resemble a photograph.
        broken: Pictures that come, but are truncated.
        not_images: Files that their first bytes show to be none, so that a crawl does not hand them on.
        missing: Pictures that the server does not have.
        closed: Pictures on open pages that robots.txt closes.
        hidden: Pictures on closed pages, of which a crawl must not even learn.
    """

    unique: int
    exact_duplicates: int
    near_duplicates: int
    broken: int
    not_images: int
    missing: int
    closed: int
    hidden: int

    @property
    def fetched(self) -> int:
        """How many files a crawl hands to ingest."""
        return self.unique + self.exact_duplicates + self.near_duplicates + self.broken

    @property
    def found(self) -> int:
        """How many candidates a crawl has a record of."""
        return self.fetched + self.failed + self.closed

    @property
    def failed(self) -> int:
        """How many candidates give no picture that can be handed on."""
        return self.missing + self.not_images


def plan_pictures() -> list[SitePicture]:
    """Every picture of the site, originals first."""
    photos = load_photos()
    withheld = {_of(photos, keyword)[-1].file for keyword in _TROUBLED}
    pictures = [
        _original(number, photo) for number, photo in enumerate(photo for photo in photos if photo.file not in withheld)
    ]
    for keyword in _TROUBLED:
        pictures += _troubles([photo for photo in _of(photos, keyword) if photo.file not in withheld])
        held_back = _of(photos, keyword)[-1]
        pictures += [_picture(Kind.CLOSED, held_back), _picture(Kind.HIDDEN, held_back)]
    return pictures


def count_by_keyword(pictures: Sequence[SitePicture]) -> Mapping[str, KeywordCounts]:
    """The expected numbers for each of `KEYWORDS`."""
    return {keyword: _counts([p for p in pictures if keyword in p.photo.keywords]) for keyword in KEYWORDS}


def _of(photos: Sequence[Photo], keyword: str) -> list[Photo]:
    return [photo for photo in photos if keyword in photo.keywords]


def _original(number: int, photo: Photo) -> SitePicture:
    if photo.file in _EMBEDDED:
        return SitePicture(
            Kind.ORIGINAL, photo, f"/photos/{photo.slug}.html", f"/images/{photo.slug}.jpg", LicenseForm.EMBEDDED
        )
    if not photo.needs_attribution and number % 3 == 0:
        form = LicenseForm.NONE
    else:
        forms = (LicenseForm.REL_AND_JSON_LD, LicenseForm.JSON_LD, LicenseForm.REL, LicenseForm.MICRODATA)
        form = LicenseForm.OPEN_GRAPH if number % 7 == 0 else forms[number % len(forms)]
    return SitePicture(Kind.ORIGINAL, photo, f"/photos/{photo.slug}.html", f"/images/{photo.file}", form)


def _troubles(photos: Sequence[Photo]) -> list[SitePicture]:
    """Copies of the first photographs, so that each photograph has at most one copy of each kind."""
    # The files of these two are made anew with embedded facts, so they have no unchanged copy.
    plain = [photo for photo in photos if photo.file not in _EMBEDDED]
    return [
        *(_picture(Kind.BYTE_COPY, photo) for photo in plain[:_COPIES]),
        *(_picture(Kind.NEAR_COPY, photo) for photo in plain[_COPIES : 2 * _COPIES]),
        _picture(Kind.PIXEL_COPY, plain[2 * _COPIES]),
        _picture(Kind.TRUNCATED, plain[2 * _COPIES + 1]),
        _picture(Kind.NOT_AN_IMAGE, plain[2 * _COPIES + 2]),
        _picture(Kind.MISSING, plain[2 * _COPIES + 3]),
    ]


def _picture(kind: Kind, photo: Photo) -> SitePicture:
    slug = photo.slug
    page, image = {
        Kind.BYTE_COPY: (f"/mirror/{slug}.html", f"/mirror/files/{photo.file}"),
        Kind.PIXEL_COPY: (f"/lossless/{slug}.html", f"/lossless/files/{slug}.png"),
        Kind.NEAR_COPY: (f"/press/{slug}.html", f"/press/files/{slug}.jpg"),
        Kind.TRUNCATED: (f"/attic/{slug}-cut.html", f"/attic/files/{slug}-cut.jpg"),
        Kind.NOT_AN_IMAGE: (f"/attic/{slug}-page.html", f"/attic/files/{slug}-page.jpg"),
        Kind.MISSING: (f"/attic/{slug}-lost.html", f"/attic/files/{slug}-lost.jpg"),
        Kind.CLOSED: (f"/attic/{slug}-scan.html", f"/scans/{photo.file}"),
        Kind.HIDDEN: (f"/private/{slug}.html", f"/private/files/{photo.file}"),
    }[kind]
    return SitePicture(kind, photo, page, image, LicenseForm.REL_AND_JSON_LD)


def _counts(pictures: Sequence[SitePicture]) -> KeywordCounts:
    def number(*kinds: Kind) -> int:
        return sum(picture.kind in kinds for picture in pictures)

    return KeywordCounts(
        unique=number(Kind.ORIGINAL),
        exact_duplicates=number(Kind.BYTE_COPY, Kind.PIXEL_COPY),
        near_duplicates=number(Kind.NEAR_COPY),
        broken=number(Kind.TRUNCATED),
        not_images=number(Kind.NOT_AN_IMAGE),
        missing=number(Kind.MISSING),
        closed=number(Kind.CLOSED),
        hidden=number(Kind.HIDDEN),
    )
