"""The traps of the trap site, by what they are about."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from urllib.parse import quote

from pipeline.errors import Reason
from tests.support.pictures import file_of, scene, scene_file
from tests.support.trap_server import Reply
from tests.support.trap_site import (
    FAILED,
    FETCHED,
    FILTERED,
    MAX_BYTES,
    POSTPONED,
    PUBLIC,
    REFUSED,
    TrapSite,
    _picture,
    html,
    image,
    moved,
    packed,
    png_of,
    text,
)

MAIN = "trap.test"
INNER = {
    "inner.test": ["127.0.0.1"], "inner6.test": ["::1"], "mapped.test": ["::ffff:127.0.0.1"],
    "linklocal.test": ["169.254.169.254"], "nat64.test": ["64:ff9b::7f00:1"], "sixtofour.test": ["2002:7f00:1::"],
    "teredo.test": ["2001:0:7f00:1::"], "sitelocal.test": ["fec0::1"], "zero.test": ["0.0.0.0"],
}  # fmt: skip
"""Names of the public internet that lead inside."""

Names = Mapping[str, list[list[str]]]


def set_traps(site: TrapSite, ports: Mapping[str, int], *, dripping: bool) -> Names:
    """Fill the site; gives what its names resolve to."""
    here = f"{MAIN}:{ports['main']}"
    hosts = [MAIN, "closed.test", "down.test", "tdm.test", "aitxt.test", "usage.test", "pausing.test", "busy.test"]
    site.start = f"http://{here}/"
    site.allow = (*(f"{host}:{ports['main']}" for host in hosts), f"tls.test:{ports['tls']}")
    site.reachable = {("127.0.0.1", ports["main"]), ("127.0.0.1", ports["tls"]), (PUBLIC, 80)}
    names = {
        **{host: [["127.0.0.1"]] for host in (*hosts, "tls.test")},
        **{host: [addresses] for host, addresses in INNER.items()},
        # Public when it is judged, and inside when it is asked for once more; and one with both.
        "rebinding.test": [[PUBLIC], ["127.0.0.1"]],
        "turning.test": [["127.0.0.1"], ["127.0.0.1"]],
        "mixed.test": [["127.0.0.1", "::1", PUBLIC, "10.0.0.1"]],
    }
    if "six" in ports:
        site.allow += (f"six.test:{ports['six']}", f"[::1]:{ports['six']}")
        site.reachable.add(("::1", ports["six"]))
        names["six.test"] = [["::1"]]
    _plain(site, here)
    _hosts_that_say_no(site, ports["main"])
    _pictures_that_say_no(site, here)
    _addresses(site, ports)
    _redirects(site, here, ports)
    _bodies(site, here)
    if dripping:
        _dripping(site, here)
    _names(site, here)
    _pages(site, here, ports)
    return names


def _plain(site: TrapSite, here: str) -> None:
    site.routes[MAIN, "/robots.txt"] = text("User-agent: *\nDisallow: /closed/\n")
    for number in range(6):
        site.routes[MAIN, f"/good/{number}.jpg"] = Reply(_picture(number))
        site.show(f"http://{here}/good/{number}.jpg", FETCHED)
    site.routes[MAIN, "/closed/a.jpg"] = Reply(_picture(900))
    site.show(f"http://{here}/closed/a.jpg", REFUSED, Reason.ROBOTS)
    site.forbidden.append((MAIN, "/closed/"))
    site.show(f"http://{here}/gone.jpg", FAILED, Reason.HTTP_CLIENT_ERROR)
    site.routes[MAIN, "/broken.jpg"] = Reply(b"", "text/plain", 500)
    site.show(f"http://{here}/broken.jpg", FAILED, Reason.HTTP_SERVER_ERROR)


def _hosts_that_say_no(site: TrapSite, port: int) -> None:
    def add(host: str, path: str, outcome: object, reason: Reason | None, seed: int) -> None:
        site.routes[host, path] = Reply(_picture(seed))
        site.show(f"http://{host}:{port}{path}", outcome, reason)  # type: ignore[arg-type]  # a test's shorthand
        if outcome is REFUSED:
            site.forbidden.append((host, path))

    site.routes["closed.test", "/robots.txt"] = text("User-agent: dreamcrawl\nDisallow: /\n")
    add("closed.test", "/a.jpg", REFUSED, Reason.ROBOTS, 20)
    site.routes["down.test", "/robots.txt"] = Reply(b"", "text/plain", 503)
    add("down.test", "/a.jpg", REFUSED, Reason.ROBOTS, 21)
    reserved = [
        {"location": "/reserved/", "tdm-reservation": 1, "tdm-policy": "https://example.org/policy"},
        {"location": "/*", "tdm-reservation": 0},
    ]
    site.routes["tdm.test", "/.well-known/tdmrep.json"] = Reply(json.dumps(reserved).encode(), "application/json")
    add("tdm.test", "/reserved/a.jpg", REFUSED, Reason.OPT_OUT, 22)
    add("tdm.test", "/free/a.jpg", FETCHED, None, 23)
    site.routes["aitxt.test", "/ai.txt"] = text("User-Agent: *\nDisallow: *.jpg\nAllow: *.png\n")
    add("aitxt.test", "/a.jpg", REFUSED, Reason.OPT_OUT, 24)
    add("aitxt.test", "/a.JPG", REFUSED, Reason.OPT_OUT, 25)
    add("aitxt.test", "/a.png", FETCHED, None, 26)
    site.routes["usage.test", "/robots.txt"] = text("User-agent: *\nAllow: /\nContent-Usage: train-ai=n\n")
    add("usage.test", "/a.jpg", REFUSED, Reason.OPT_OUT, 27)

    wait = Reply(b"", "text/plain", 429, (("Retry-After", "1"),))
    add("pausing.test", "/a.jpg", FETCHED, None, 28)
    site.routes["pausing.test", "/a.jpg"] = lambda before: Reply(_picture(28)) if before else wait
    add("pausing.test", "/b.jpg", FETCHED, None, 29)
    long_wait = Reply(b"", "text/plain", 429, (("Retry-After", "86400"),))
    for number in range(8):
        add("busy.test", f"/{number}.jpg", POSTPONED, Reason.TOO_MANY_REQUESTS, 30)
        site.routes["busy.test", f"/{number}.jpg"] = long_wait


def _pictures_that_say_no(site: TrapSite, here: str) -> None:
    says_no = {
        "noai": [("X-Robots-Tag", "noai")],
        "noimageai": [("x-robots-tag", "NoImageAI")],
        "noindex": [("X-Robots-Tag", "noindex")],
        "noimageindex": [("X-Robots-Tag", "noarchive, noimageindex")],
        "none": [("X-Robots-Tag", "none")],
        "noml": [("X-Robots-Tag", "noml")],
        "twice": [("X-Robots-Tag", "noarchive"), ("X-Robots-Tag", "noai")],
        "byname": [("X-Robots-Tag", "otherbot: noarchive, dreamcrawl: noai")],
        "expired": [("X-Robots-Tag", "unavailable_after: 25 Jun 2010 15:00:00 PST")],
        "tdm": [("TDM-Reservation", "1"), ("TDM-Policy", "https://example.org/policy")],
        "usage": [("Content-Usage", "train-ai=n")],
        "usagelist": [("Content-Usage", "search=y"), ("Content-Usage", "train-ai=n")],
    }
    says_nothing = {
        "other": [("X-Robots-Tag", "otherbot: noai")],
        "noarchive": [("X-Robots-Tag", "noarchive, max-image-preview: none")],
        "tdm0": [("TDM-Reservation", "0")],
        "usagey": [("Content-Usage", "train-ai=y")],
    }
    for seed, (name, headers) in enumerate({**says_no, **says_nothing}.items(), start=40):
        # A long one: that the rest did not come shows that the header alone decided.
        site.routes[MAIN, f"/says/{name}.jpg"] = Reply(_picture(seed), headers=tuple(headers))
        end = (REFUSED, Reason.OPT_OUT) if name in says_no else (FETCHED, None)
        site.show(f"http://{here}/says/{name}.jpg", *end)


def _addresses(site: TrapSite, ports: Mapping[str, int]) -> None:
    closed = ports["closed"]
    for address in (
        f"127.0.0.1:{closed}", f"localhost:{closed}", f"{MAIN}:{closed}", f"127.1:{closed}", "127.0.0.1", "localhost",
        "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fec0::1]", "[::127.0.0.1]",
        "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.1", "0", "10.0.0.1", "192.168.0.1",
        "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "a.localhost", f"{MAIN}:22", *INNER,
        "turning.test",
    ):  # fmt: skip
        site.show(f"http://{address}/inner.jpg", REFUSED, Reason.ADDRESS_FORBIDDEN)
    site.show("http://nowhere.test/a.jpg", FAILED, Reason.DNS)
    site.show(f"https://tls.test:{ports['tls']}/a.jpg", FAILED, Reason.TLS)
    for seed, host in enumerate(("rebinding.test", "mixed.test"), start=60):
        for path in ("/a.jpg", "/b.jpg"):
            site.routes[host, path] = Reply(_picture(10 * seed + ord(path[1])))
            site.show(f"http://{host}{path}", FETCHED)
    if "six" in ports:
        site.show(f"http://[::1]:{ports['closed6']}/inner.jpg", REFUSED, Reason.ADDRESS_FORBIDDEN)
        for seed, host in enumerate(("six.test", "[::1]"), start=64):
            site.routes[host, "/six.jpg"] = Reply(_picture(seed))
            site.show(f"http://{host}:{ports['six']}/six.jpg", FETCHED)


def _redirects(site: TrapSite, here: str, ports: Mapping[str, int]) -> None:
    closed, main = ports["closed"], ports["main"]
    inside = [
        f"http://127.0.0.1:{closed}/x.jpg", f"//127.0.0.1:{closed}/x.jpg", f"http://localhost:{closed}/x.jpg",
        f"http://{MAIN}:{closed}/x.jpg", f"http:\\\\127.0.0.1:{closed}\\x.jpg", "http://[::1]/x.jpg",
        "http://169.254.169.254/latest/meta-data/", "http://2130706433/x.jpg", "http://0x7f.1/x.jpg",
        "http://0177.0.0.1/x.jpg", "http://127.1/x.jpg", "http://[::ffff:127.0.0.1]/x.jpg", "http://localhost./x.jpg",
        "http://[fe80::1%25lo]/x.jpg", f"http://{here}@127.0.0.1/x.jpg", f"http://127.0.0.1@{here}/good/0.jpg",
        f"http://a:b@{here}/good/0.jpg", "http://%31%32%37.0.0.1/x.jpg",
        "http://inner.test/x.jpg", "http://linklocal.test/x.jpg", "http://inner6.test/x.jpg", "file:///etc/hostname",
        "FILE:///etc/hostname", "data:image/png;base64,iVBORw0KGgo=", "javascript:alert(1)", "ftp://127.0.0.1/x.jpg",
        "gopher://127.0.0.1/x", "blob:http://trap.test/x", "about:blank", f"http://{MAIN}:25/x.jpg",
    ]  # fmt: skip
    for number, target in enumerate(inside):
        site.routes[MAIN, f"/to/{number}.jpg"] = moved(target)
        site.show(f"http://{here}/to/{number}.jpg", REFUSED, Reason.ADDRESS_FORBIDDEN)
    others = {
        # A backslash is a slash (WHATWG URL Standard): this is a path of our own host.
        "/to/backslash.jpg": (f"http://{here}\\@127.0.0.1/x.jpg", FAILED, Reason.HTTP_CLIENT_ERROR),
        "/to/closed.jpg": ("/closed/a.jpg", REFUSED, Reason.ROBOTS),
        "/to/closed-host.jpg": (f"http://closed.test:{main}/a.jpg", REFUSED, Reason.ROBOTS),
        "/to/reserved.jpg": (f"http://tdm.test:{main}/reserved/a.jpg", REFUSED, Reason.OPT_OUT),
        "/to/good.jpg": ("/elsewhere/good.jpg", FETCHED, None),
        "/to/itself.jpg": ("/to/itself.jpg", FAILED, Reason.TOO_MANY_REDIRECTS),
        "/to/ping.jpg": ("/to/pong.jpg", FAILED, Reason.TOO_MANY_REDIRECTS),
        "/to/long/0.jpg": ("/to/long/1.jpg", FAILED, Reason.TOO_MANY_REDIRECTS),
    }
    for path, (target, outcome, reason) in others.items():
        site.routes[MAIN, path] = moved(target)
        site.show(f"http://{here}{path}", outcome, reason)
    site.routes[MAIN, "/elsewhere/good.jpg"] = Reply(_picture(70))
    site.routes[MAIN, "/to/pong.jpg"] = moved("/to/ping.jpg")
    for number in range(1, 30):
        site.routes[MAIN, f"/to/long/{number}.jpg"] = moved(f"/to/long/{number + 1}.jpg")


def _bodies(site: TrapSite, here: str) -> None:
    photo = _picture(80)
    same = file_of(scene(82, width=96, height=80), "WEBP", lossless=True)
    bomb = png_of(80, 80, (b"zTXt", b"a\0\0" + zlib.compress(bytes(2**26))))
    zeros = packed(bytes(20_000_000))
    frames = b"".join(b"," + bytes(4) + b"\1\0\1\0\0" + b"\2\2D\1\0" for _ in range(5_000))
    gif = b"GIF89a\x50\0\x50\0\x80\0\0" + b"\0\0\0\xff\xff\xff" + frames + b";"
    bodies: list[tuple[str, Reply, object, Reason | None, str]] = [
        ("endless.jpg", Reply(photo, endless=bytes(65_536)), FAILED, Reason.TOO_MANY_BYTES, ""),
        ("long.jpg", Reply(photo + bytes(MAX_BYTES)), FAILED, Reason.TOO_MANY_BYTES, ""),
        ("gzip.jpg", Reply(zeros, headers=(("Content-Encoding", "gzip"),)), FAILED, Reason.TOO_MANY_BYTES, ""),
        ("canvas.png", Reply(png_of(60_000, 60_000), "image/png"), FILTERED, Reason.TOO_MANY_PIXELS, ""),
        ("small.png", Reply(png_of(10, 10), "image/png"), FILTERED, Reason.TOO_SMALL, ""),
        ("page.jpg", Reply(b"<!doctype html><title>no</title>" * 9), FAILED, Reason.NOT_AN_IMAGE, ""),
        ("html.jpg", Reply(b"<html>", "text/html"), FAILED, Reason.NOT_AN_IMAGE, ""),
        ("program.jpg", Reply(b"MZ" + bytes(400)), FAILED, Reason.NOT_AN_IMAGE, ""),
        ("drawing.jpg", Reply(b"<svg xmlns='http://www.w3.org/2000/svg'>" * 9), FAILED, Reason.FORMAT_NOT_ALLOWED, ""),
        ("cut.jpg", Reply(photo[:1000], length=str(len(photo)), then_close=True), FAILED, Reason.CONNECTION, ""),
        ("negative.jpg", Reply(photo, length="-5"), FAILED, Reason.CONNECTION, ""),
        ("short.jpg", Reply(photo, length="1500"), FETCHED, None, "truncated"),
        ("half.jpg", Reply(_picture(81)[:1600]), FETCHED, None, "truncated"),
        ("empty.jpg", Reply(b""), FETCHED, None, "empty"),
        ("text.png", Reply(bomb, "image/png"), FETCHED, None, "corrupt"),
        ("frames.gif", Reply(gif, "image/gif"), FETCHED, None, "kept"),
        ("mislabelled.jpg", Reply(scene_file(82, "PNG", width=96, height=80)), FETCHED, None, "kept"),
        ("untyped.jpg", Reply(_picture(83), None), FETCHED, None, "kept"),
        ("unlengthy.jpg", Reply(_picture(84), length=""), FETCHED, None, "kept"),
        ("packed.jpg", Reply(packed(_picture(85)), headers=(("Content-Encoding", "gzip"),)), FETCHED, None, "kept"),
        ("again.jpg", Reply(_picture(0)), FETCHED, None, "kept"),
        ("same-look.webp", Reply(same), FETCHED, None, "kept"),
    ]  # fmt: skip
    for name, reply, outcome, reason, then in bodies:
        site.routes[MAIN, f"/body/{name}"] = reply
        site.show(f"http://{here}/body/{name}", outcome, reason, then=then)  # type: ignore[arg-type]  # a shorthand


def _dripping(site: TrapSite, here: str) -> None:
    """Always a byte before any time limit between two bytes, and never the last one."""
    site.routes[MAIN, "/drip/picture.jpg"] = Reply(_picture(90)[:600], endless=b"\0", pause=0.1)
    site.routes[MAIN, "/drip/announced.jpg"] = Reply(b"\xff", length="9000", endless=b"\xd8", pause=0.1)
    for name in ("picture", "announced"):
        site.show(f"http://{here}/drip/{name}.jpg", FAILED, Reason.TIMEOUT)


def _names(site: TrapSite, here: str) -> None:
    names = {
        "/names/..%2F..%2F..%2Fetc%2Fpasswd.jpg": "../../etc/passwd",
        "/names/a%00b.jpg": "a\N{REPLACEMENT CHARACTER}&#0;b",
        "/names/%E2%80%AEgpj.exe.jpg": "\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe\N{POP DIRECTIONAL FORMATTING}",
        f"/names/{'x' * 3000}.jpg": "y" * 10_000,
        "/names/sql.jpg": "'); DROP TABLE items; --",
        "/names/html.jpg": "<script>alert(1)</script><img src=x onerror=alert(1)>",
        "/names/format.jpg": "%s %n {0.__class__} ${jndi:ldap://inner.test/a}",
        "/names/CON.jpg": "CON",
        "/names/surrogate.jpg": "&#xD800; &#x1F32C; \N{ZERO WIDTH JOINER}" + "e" + "\N{COMBINING ACUTE ACCENT}" * 500,
        "/names/" + quote("ветряная мельница.jpg"): "ветряная мельница 風車",
    }
    for seed, (path, alt) in enumerate(names.items(), start=100):
        site.routes[MAIN, path] = Reply(_picture(seed))
        site.show(f"http://{here}{path}", FETCHED, alt=alt)


def _pages(site: TrapSite, here: str, ports: Mapping[str, int]) -> None:
    def hidden(name: str, **changes: object) -> None:
        path = f"/hidden/{name}.jpg"
        site.routes[MAIN, path] = Reply(_picture(900))
        site.routes[MAIN, f"/page/{name}"] = html(image(path), **changes)  # type: ignore[arg-type]  # a shorthand
        site.expect(f"http://{here}{path}", REFUSED, Reason.OPT_OUT)

    hidden("meta", head='<meta name="robots" content="noarchive, NOAI">')
    hidden("meta-by-name", head='<meta name="dreamcrawl" content="noimageai">')
    hidden("meta-tdm", head='<meta name="tdm-reservation" content="1">')
    hidden("header", headers=(("X-Robots-Tag", "noimageai"),))
    site.forbidden.append((MAIN, "/hidden/"))
    site.routes[MAIN, "/page/loop"] = moved("/page/pool")
    site.routes[MAIN, "/page/pool"] = moved("/page/loop")
    site.routes[MAIN, "/page/inside"] = moved(f"http://127.0.0.1:{ports['closed']}/")
    site.routes[MAIN, "/page/file"] = moved("file:///etc/")
    site.routes[MAIN, "/page/endless"] = Reply(b"<p>", "text/html", endless=b"<p>windmill" * 6_000)
    site.routes[MAIN, "/page/bomb"] = Reply(
        packed(b"<p>" * 10_000_000), "text/html", headers=(("Content-Encoding", "gzip"),)
    )
    site.routes[MAIN, "/page/deep"] = html("<div>" * 20_000 + image("/good/1.jpg"))
    site.routes[MAIN, "/page/binary"] = Reply(bytes(range(256)) * 50, "text/html")
    for number in range(40):
        links = "".join(f'<a href="/maze/{number + step}">windmill</a>' for step in (1, 2, 0))
        site.routes[MAIN, f"/maze/{number}"] = html(image("/good/0.jpg") + links)
    names = (
        "meta",
        "meta-by-name",
        "meta-tdm",
        "header",
        "loop",
        "inside",
        "file",
        "endless",
        "bomb",
        "deep",
        "binary",
    )
    site.routes[MAIN, "/"] = site.front_page(*(f"/page/{name}" for name in names), "/maze/0", "/closed/page")
