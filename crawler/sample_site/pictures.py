"""The bytes of the site's pictures: originals as they are, copies made from them; the same on every machine.

"The same" holds for one version of Pillow; the originals are never made anew, so their digests hold everywhere.
"""

from __future__ import annotations

import io
from functools import lru_cache
from xml.sax.saxutils import escape, quoteattr

from PIL import Image, PngImagePlugin

from crawler.sample_site.photos import Photo
from crawler.sample_site.plan import Kind, LicenseForm, SitePicture

THUMBNAIL_PIXELS = 160
# EXIF tags, from the Exif 2.32 standard.
_ARTIST = 0x013B
_COPYRIGHT = 0x8298


def picture_bytes(picture: SitePicture) -> bytes | None:
    """The file behind the picture's address; None where there is none."""
    photo = picture.photo
    if picture.license_form is LicenseForm.EMBEDDED:
        return _with_embedded_license(photo)
    match picture.kind:
        case Kind.ORIGINAL | Kind.BYTE_COPY | Kind.CLOSED | Kind.HIDDEN:
            return photo.read()
        case Kind.PIXEL_COPY:
            return _as_png(photo)
        case Kind.NEAR_COPY:
            return _recompressed(photo)
        case Kind.TRUNCATED:
            whole = _jpeg(_pixels(photo), 80)
            return whole[: len(whole) // 2]
        case Kind.NOT_AN_IMAGE:
            return b"<!doctype html><title>Moved</title><p>This picture has moved. Please ask at the desk.</p>\n"
        case Kind.MISSING:
            return None


def thumbnail(photo: Photo) -> bytes:
    """A JPEG of at most `THUMBNAIL_PIXELS` on either side."""
    return _scaled_jpeg(photo, THUMBNAIL_PIXELS / max(photo.width, photo.height), 78)


def medium(photo: Photo) -> bytes:
    """A JPEG of `medium_width` pixels: what the photo's page shows before one asks for the full size."""
    return _scaled_jpeg(photo, medium_width(photo) / photo.width, 82)


def medium_width(photo: Photo) -> int:
    """Width, in pixels, of the medium rendition: three quarters of the full width, at most 480."""
    return min(480, photo.width * 3 // 4)


def _recompressed(photo: Photo) -> bytes:
    scale = 0.5 if max(photo.width, photo.height) > 640 else 0.85
    return _scaled_jpeg(photo, scale, 62)


def _as_png(photo: Photo) -> bytes:
    facts = PngImagePlugin.PngInfo()
    facts.add_text("Title", photo.title)
    facts.add_text("Author", photo.author)
    facts.add_text("Comment", "Saved again without loss for the archive")
    buffer = io.BytesIO()
    _pixels(photo).save(buffer, "PNG", pnginfo=facts)
    return buffer.getvalue()


def _with_embedded_license(photo: Photo) -> bytes:
    image = _pixels(photo)
    exif = Image.Exif()
    exif[_ARTIST] = photo.author
    exif[_COPYRIGHT] = f"{photo.license_name}, {photo.license_url}"
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92, exif=exif, xmp=_xmp(photo))
    return buffer.getvalue()


def _xmp(photo: Photo) -> bytes:
    marked = "True" if photo.needs_attribution else "False"
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/" xmlns:cc="http://creativecommons.org/ns#"
 xmpRights:Marked="{marked}" xmpRights:WebStatement={quoteattr(photo.license_url)}>
<cc:license rdf:resource={quoteattr(photo.license_url)}/>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{escape(photo.title)}</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>{escape(photo.author)}</rdf:li></rdf:Seq></dc:creator>
<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{escape(photo.license_name)}</rdf:li></rdf:Alt></dc:rights>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>""".encode()


def _scaled_jpeg(photo: Photo, scale: float, quality: int) -> bytes:
    image = _pixels(photo)
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    return _jpeg(image.resize(size, Image.Resampling.LANCZOS), quality)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@lru_cache(maxsize=1)  # one photo after the other is asked for several times
def _pixels(photo: Photo) -> Image.Image:
    return Image.open(io.BytesIO(photo.read())).convert("RGB")
