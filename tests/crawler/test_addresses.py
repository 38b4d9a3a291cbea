from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.addresses import AddressPolicy, is_public, resolves_to_private

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
    ],
)
def test_a_public_site_leads_nowhere_else(url: str, why: str) -> None:
    assert why in (SITE.objection(url) or "")


def test_a_start_address_on_this_machine_is_reached_at_its_port_only() -> None:
    assert LOCAL.objection("http://127.0.0.1:8000/a") is None
    assert LOCAL.objection("http://127.0.0.1:8001/a") is not None
    assert LOCAL.objection("http://127.0.0.1/a") is not None
    assert LOCAL.objection("http://localhost:8000/a") is not None
    assert LOCAL.private_host == "127.0.0.1"
    assert SITE.private_host is None


def test_without_a_contact_only_the_start_host_is_reached() -> None:
    policy = AddressPolicy(("127.0.0.1", 8000), start_is_private=True, has_contact=False)

    assert policy.objection("http://127.0.0.1:8000/a") is None
    assert "no contact is set" in (policy.objection("https://example.org/a.jpg") or "")


def test_only_hosts_of_this_machine_resolve_to_private_ones_here() -> None:
    assert resolves_to_private("127.0.0.1")
    assert resolves_to_private("::1")
    assert resolves_to_private("localhost")
    assert not resolves_to_private("93.184.215.14")
    assert not resolves_to_private("no-such-host.invalid")
