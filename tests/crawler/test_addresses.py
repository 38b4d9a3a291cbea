from __future__ import annotations

import ipaddress
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.network.addresses import AddressPolicy, is_private_name, is_public, read_allowed

SITE = AddressPolicy(("example.org", 443), start_is_private=False, has_contact=True)
LOCAL = AddressPolicy(("127.0.0.1", 8000), start_is_private=True, has_contact=True)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.8",
        "192.88.99.1",
        "198.18.0.1",
        "203.0.113.5",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "2001:db8::1",
        "3fff::1",
        "fec0::1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "2606:4700::1111%eth0",
        "2130706433",
        "0177.0.0.1",
        "not an address",
        "",
    ],
)
def test_inner_tunnelled_and_reserved_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_a_private_ipv4_address_is_private_in_ipv6_notation_too(address: ipaddress.IPv4Address) -> None:
    assert is_public(f"::ffff:{address}") == is_public(str(address))
    assert not is_public(f"64:ff9b::{address}")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a.jpg",
        "http://example.org/a.jpg",
        "https://images.example.net/a.jpg",
        "http://93.184.215.14/a.jpg",
    ],
)
def test_a_public_site_reaches_public_hosts_on_the_web_s_own_ports(url: str) -> None:
    assert SITE.objection(url) is None


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file:///etc/passwd", "only http"),
        ("ftp://example.org/a", "only http"),
        ("data:image/png;base64,AA", "only http"),
        ("http:///a", "only http"),
        ("https://example.org:8443/a", "port 8443"),
        ("http://example.org:22/", "port 22"),
        ("http://example.org:99999/", "impossible port"),
        ("http://127.0.0.1/a", "not a public address"),
        ("http://localhost/a", "not a public address"),
        ("http://a.localhost/a", "not a public address"),
        ("http://[::1]/a", "not a public address"),
        ("http://[::ffff:10.0.0.1]/a", "not a public address"),
        ("http://169.254.169.254/latest/meta-data", "not a public address"),
        ("http://localhost./a", "not a public address"),
        ("http://example.org@127.0.0.1/a", "a user name"),
        ("http://127.0.0.1@example.org/a", "a user name"),
        ("http://example.org\\@127.0.0.1/a", "a user name"),
        ("http://[fe80::1%25eth0]/a", "cannot be one"),
        ("http://[2606:4700::1111%25eth0]/a", "cannot be one"),
        ("http://%31%32%37.0.0.1/a", "cannot be one"),
        ("http://exa mple.org/a", "cannot be one"),
        ("http://[::1/a", "impossible port or host"),
        ("javascript:alert(1)", "only http"),
        ("//example.org/a", "only http"),
    ],
)
def test_a_public_site_leads_nowhere_else(url: str, why: str) -> None:
    assert why in (SITE.objection(url) or "")


def test_a_start_address_on_this_machine_is_reached_at_its_port_only() -> None:
    assert LOCAL.objection("http://127.0.0.1:8000/a") is None
    assert LOCAL.objection("http://127.0.0.1:8001/a") is not None
    assert LOCAL.objection("http://127.0.0.1/a") is not None
    assert LOCAL.objection("http://localhost:8000/a") is not None
    assert LOCAL.admits("127.0.0.1", 8000, "127.0.0.1")
    assert not LOCAL.admits("127.0.0.1", 80, "127.0.0.1")
    assert not LOCAL.admits("example.org", 8000, "127.0.0.1")


def test_a_public_start_host_may_not_come_to_lie_inside() -> None:
    assert SITE.admits("example.org", 443, "93.184.215.14")
    assert not SITE.admits("example.org", 443, "127.0.0.1")
    assert not SITE.admits("example.org", 443, "::ffff:10.0.0.1")


def test_without_a_contact_only_the_start_host_is_reached() -> None:
    policy = AddressPolicy(("127.0.0.1", 8000), start_is_private=True, has_contact=False)

    assert policy.objection("http://127.0.0.1:8000/a") is None
    assert "no contact is set" in (policy.objection("https://example.org/a.jpg") or "")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "::1", "10.0.0.1", "localhost", "localhost.", "mills", "nas.local", "wiki.corp", "a.home.arpa"],
)
def test_what_names_a_private_machine_by_itself_may_be_named(host: str) -> None:
    assert is_private_name(host)


@pytest.mark.parametrize(
    "host", ["93.184.215.14", "2606:4700::1111", "example.org", "localhost.example.org", "a.locals"]
)
def test_a_public_name_is_public_whatever_it_resolves_to(host: str) -> None:
    assert not is_private_name(host)


def test_what_is_allowed_is_allowed_exactly() -> None:
    policy = AddressPolicy(allowed=read_allowed(["127.0.0.2:8000", "trap.test:8000", "[::1]:8000"]))

    for address in ("http://127.0.0.2:8000/a", "https://trap.test:8000/", "http://[::1]:8000/"):
        assert policy.objection(address) is None
    for address in (
        "http://127.0.0.2:8001/", "http://127.0.0.1:8000/", "http://trap.test:80/", "http://a.trap.test:8000/",
        "http://trap.test.:8000/", "http://2130706434:8000/", "http://[::ffff:127.0.0.2]:8000/",
    ):  # fmt: skip
        assert policy.objection(address) is not None
    assert policy.admits("trap.test", 8000, "127.0.0.1")
    assert not policy.admits("trap.test", 80, "127.0.0.1")


@pytest.mark.parametrize("entry", ["*:80", "127.0.0.1", "*", "", "127.0.0.0/8:80", "a@b:80", "10.0.0.1:*", ":80"])
def test_nothing_is_allowed_by_pattern(entry: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_allowed([entry])


def test_no_setting_allows_anything(tmp_path: Path) -> None:
    from pipeline.errors import SettingsInvalid
    from pipeline.settings import load_settings

    settings = load_settings(environment={"DREAMCRAWL_CRAWL_ALLOW": "127.0.0.1:80"}, folder=tmp_path)

    assert "allow" not in {row.name.rpartition(".")[2] for row in settings.listing()}
    with pytest.raises(SettingsInvalid, match="unknown setting"):
        load_settings(environment={}, folder=tmp_path, overrides={"crawl.allow": "127.0.0.1:80"})


def test_no_command_and_no_setting_reaches_the_allow_list() -> None:
    """Only tests may fill it, so no module of the program may mention it where a request is made."""
    root = Path(__file__).parents[2]
    fills_it = re.compile(r"\ballow\s*=|--allow\b|DREAMCRAWL_ADDRESS")
    makers = [path for folder in ("flows", "pipeline") for path in (root / folder).rglob("*.py")]

    assert makers
    assert not [path for path in makers if fills_it.search(path.read_text("utf-8"))]
