"""The site that the crawl benchmark fetches from: real photographs on loopback, and a count of what was asked for.

    python benchmarks/crawl_site.py FOLDER [--photos 2000]    # makes the photographs, then serves until it is ended

Each picture is put together from sixteen cuts of the bundled photographs, at their own scale, and saved as JPEG: 1.2
megapixels, no two alike, with the detail of photographs, which a few files enlarged or copied would not have.

    /                    links to the pages          /page/3.html    100 photographs each
    /photo/00017.jpg     a photograph                /mixed/...      the same with unwanted ones among them
    /robots.txt          closes /closed/             /stats          what was sent since /stats/reset, as JSON
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import random
import re
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from PIL import Image

PHOTOS = Path(__file__).resolve().parents[1] / "crawler" / "sample_site" / "photos"
PER_PAGE = 100
# In bytes: what 2,000 photographs of the size that sites show come to on average.
AIMED_BYTES = 133_000
TILE = (320, 240)
# Longer side of the mixed site's wanted photographs is at least this; see `mixed_kind`.
WANTED_WIDTH = 640
# How the mixed site sends: 0.8 MB a second on each connection, as sites far away do.
CHUNK_BYTES, CHUNK_SECONDS = 16_384, 0.02

_REQUEST = re.compile(rb"GET (\S+) HTTP/1\.[01]\r\n")


def make_photos(folder: Path, count: int) -> None:
    """`count` photographs in `folder`, each made once; the same ones every time."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [number for number in range(count) if not (folder / f"{number:05}.jpg").exists()]
    if missing:
        with ProcessPoolExecutor() as pool:
            list(pool.map(_make_photo, [(folder, number) for number in missing], chunksize=20))


def _make_photo(job: tuple[Path, int]) -> None:
    folder, number = job
    dice = random.Random(number)
    size = (TILE[1] * 4, TILE[0] * 4) if mixed_kind(number) == "portrait" else (TILE[0] * 4, TILE[1] * 4)
    canvas = Image.new("RGB", size)
    for left in range(0, size[0], TILE[0]):
        for top in range(0, size[1], TILE[1]):
            canvas.paste(_cut(dice), (left, top))
    for quality in (75, 65, 55, 45, 35, 25):
        buffer = io.BytesIO()
        canvas.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= AIMED_BYTES * 1.1:
            break
    target = folder / f"{number:05}.jpg"
    partial = target.with_suffix(".part")
    partial.write_bytes(buffer.getvalue())
    partial.rename(target)


def _cut(dice: random.Random) -> Image.Image:
    photo = _photos()[dice.randrange(len(_photos()))]
    left, top = (dice.randint(0, max(0, side - tile)) for side, tile in zip(photo.size, TILE, strict=True))
    return photo.crop((left, top, left + TILE[0], top + TILE[1]))


@cache
def _photos() -> list[Image.Image]:
    paths = sorted(path for path in PHOTOS.iterdir() if path.suffix in {".jpg", ".webp", ".png"})
    return [Image.open(path).convert("RGB") for path in paths]


def mixed_kind(number: int) -> str:
    """What a picture of the mixed site is: three of ten are of no use to who wants landscapes they may use."""
    return {0: "portrait", 3: "opt-out", 6: "not-a-picture"}.get(number % 10, "wanted")


@dataclass
class Site:
    """What is served, and what was."""

    photos: list[bytes]
    sent_bytes: int = 0
    requests: Counter[str] = field(default_factory=Counter)

    def answer(self, path: str) -> tuple[bytes, bytes]:
        """Head and body for a path."""
        kind, _, name = path.strip("/").partition("/")
        if kind in {"photo", "mixed"} and (number := _number(name)) is not None and number < len(self.photos):
            return self._picture(kind, number)
        if path == "/":
            pages = range((len(self.photos) + PER_PAGE - 1) // PER_PAGE)
            links = "".join(f'<a href="/page/{page}.html">photographs {page}</a>' for page in pages)
            return _ok(f"<html><body>{links}</body></html>".encode(), "text/html", etag="home")
        if kind == "page" and (page := _number(name)) is not None:
            numbers = range(page * PER_PAGE, min((page + 1) * PER_PAGE, len(self.photos)))
            shown = "".join(
                f'<p><img src="/photo/{number:05}.jpg" alt="photograph {number}"></p>' for number in numbers
            )
            return _ok(f"<html><body>{shown}</body></html>".encode(), "text/html", etag=f"page{page}")
        if path == "/robots.txt":
            return _ok(b"User-agent: *\nDisallow: /closed/\n", "text/plain")
        return _head(b"404 Not Found", 0, "text/plain"), b""

    def _picture(self, kind: str, number: int) -> tuple[bytes, bytes]:
        data, of = self.photos[number], mixed_kind(number)
        if kind == "photo" or of in {"wanted", "portrait"}:
            return _ok(data, "image/jpeg", etag=f"p{number}")
        if of == "opt-out":
            return _ok(data, "image/jpeg", extra=b"X-Robots-Tag: noai, noimageai\r\n")
        return _ok(b"%PDF-1.7\n" + data, "application/pdf")


class Connection(asyncio.Protocol):
    """One connection, kept alive; requests have no bodies."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._buffer = b""
        self._sending: list[asyncio.Task[None]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected."""
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]  # of TCP, it is one

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head, self._buffer = self._buffer[: end + 4], self._buffer[end + 4 :]
            match = _REQUEST.match(head)
            if match is None:
                self._transport.close()
                return
            path = match[1].decode("latin-1")
            path = re.sub(r"^http://[^/]+", "", path)
            site = self._site
            if path.startswith("/stats"):
                body = json.dumps({"requests": site.requests, "sent_bytes": site.sent_bytes}).encode()
                if path == "/stats/reset":
                    site.requests.clear()
                    site.sent_bytes = 0
                reply, body = _ok(body, "application/json")
            else:
                reply, body = site.answer(path)
                if b"\r\nif-none-match: " in head.lower() and (tag := _etag(reply)) and tag in head:
                    reply, body = _head(b"304 Not Modified", 0, "", extra=b"ETag: " + tag + b"\r\n"), b""
                site.requests[path.strip("/").partition("/")[0] or "home"] += 1
            if path.startswith("/mixed/"):
                self._sending.append(asyncio.get_running_loop().create_task(self._send_slowly(reply, body)))
                continue
            if not path.startswith("/stats"):
                site.sent_bytes += len(body)
            self._transport.write(reply + body)

    async def _send_slowly(self, head: bytes, body: bytes) -> None:
        """As over a network: a client that has seen enough can hang up before the rest is on its way."""
        self._transport.write(head)
        for start in range(0, len(body), CHUNK_BYTES):
            if self._transport.is_closing():
                return
            part = body[start : start + CHUNK_BYTES]
            self._site.sent_bytes += len(part)
            self._transport.write(part)
            await asyncio.sleep(CHUNK_SECONDS)


def _etag(reply: bytes) -> bytes | None:
    match = re.search(rb"ETag: (\S+)\r\n", reply)
    return match[1] if match else None


def _ok(body: bytes, kind: str, *, etag: str | None = None, extra: bytes = b"") -> tuple[bytes, bytes]:
    if etag:
        extra += f'ETag: "{etag}"\r\n'.encode()
    return _head(b"200 OK", len(body), kind, extra=extra), body


def _head(status: bytes, length: int, kind: str, *, extra: bytes = b"") -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % length, b"Content-Type: " + kind.encode()]
    return b"\r\n".join(lines) + b"\r\n" + extra + b"\r\n"


def _number(name: str) -> int | None:
    stem = name.partition(".")[0]
    return int(stem) if stem.isdecimal() else None


async def serve(folder: Path, count: int) -> None:
    """Serve until ended; the port is printed first."""
    site = Site([(folder / f"{number:05}.jpg").read_bytes() for number in range(count)])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(site), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], sum(map(len, site.photos)), flush=True)
    await server.serve_forever()


def main() -> None:
    """Make the photographs and serve them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=2000)
    arguments = parser.parse_args()
    make_photos(arguments.folder, arguments.photos)
    try:
        asyncio.run(serve(arguments.folder, arguments.photos))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
