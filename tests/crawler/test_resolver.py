"""The resolver gives out judged addresses only; the name servers here are made up, and may answer anything."""

# ruff: noqa: N802  # Twisted's names

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.task import Clock

from crawler.network.addresses import AddressPolicy
from crawler.network.resolver import ADMITTED_PRIVATE, REFUSED_HOSTS, GuardedResolver

PUBLIC, PUBLIC6 = "93.184.215.14", "2606:4700::1111"
OPEN = AddressPolicy(has_contact=True)


class Names:
    """A name server: each lookup of a name takes the next of its answers, the last one for ever; None: no answer."""

    def __init__(self, **answers: list[list[str] | None]) -> None:
        self._answers = {name.replace("_", "."): iter_last(found) for name, found in answers.items()}
        self.asked: list[str] = []

    def resolveHostName(self, receiver: Any, name: str, *_rest: Any) -> None:
        self.asked.append(name)
        found = self._answers[name]()
        if found is not None:
            receiver.resolutionBegan(None)
            for text in found:
                kind = IPv6Address if ":" in text else IPv4Address
                receiver.addressResolved(kind("TCP", text, 0))
            receiver.resolutionComplete()


def iter_last(values: list[Any]) -> Callable[[], Any]:
    left = list(values)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


class Receiver:
    """What Twisted's endpoint would connect to."""

    def __init__(self) -> None:
        self.addresses: list[tuple[str, int]] = []
        self.complete = False

    def resolutionBegan(self, _resolution: Any) -> None:
        assert not self.complete

    def addressResolved(self, address: Any) -> None:
        self.addresses.append((address.host, address.port))

    def resolutionComplete(self) -> None:
        assert not self.complete
        self.complete = True


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    REFUSED_HOSTS.clear()
    ADMITTED_PRIVATE.clear()
    yield
    REFUSED_HOSTS.clear()
    ADMITTED_PRIVATE.clear()


def ask(resolver: GuardedResolver, host: str, port: int = 80) -> Receiver:
    receiver = Receiver()
    resolver.resolveHostName(receiver, host, port)
    return receiver


def guarded(names: Names, policy: AddressPolicy = OPEN, clock: Clock | None = None) -> GuardedResolver:
    return GuardedResolver(clock or Clock(), policy=policy, timeout_seconds=10.0, resolver=names)


def test_public_addresses_of_both_kinds_are_given_in_their_order() -> None:
    found = ask(guarded(Names(a_test=[[PUBLIC6, PUBLIC]])), "a.test", 443)

    assert found.addresses == [(PUBLIC6, 443), (PUBLIC, 443)]
    assert found.complete
    assert REFUSED_HOSTS == {}


def test_private_addresses_among_public_ones_are_dropped() -> None:
    found = ask(guarded(Names(a_test=[["127.0.0.1", "::1", PUBLIC, "::ffff:10.0.0.1", "64:ff9b::a00:1"]])), "a.test")

    assert found.addresses == [(PUBLIC, 80)]
    assert REFUSED_HOSTS == {}


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:127.0.0.1", "fe80::1%2", "fc00::1"])
def test_a_name_with_private_addresses_only_has_none_and_the_reason_is_kept(address: str) -> None:
    found = ask(guarded(Names(a_test=[[address]])), "a.test")

    assert (found.addresses, found.complete) == ([], True)
    assert {"a.test": address} == REFUSED_HOSTS


def test_a_name_that_changes_its_address_within_a_crawl_is_looked_up_once() -> None:
    names = Names(a_test=[[PUBLIC], ["127.0.0.1"]])
    resolver = guarded(names)

    assert [ask(resolver, "a.test").addresses for _ in range(3)] == [[(PUBLIC, 80)]] * 3
    assert names.asked == ["a.test"]


def test_a_name_that_had_no_address_is_looked_up_again_and_judged_again() -> None:
    resolver = guarded(Names(a_test=[[], ["127.0.0.1"]]))

    assert ask(resolver, "a.test").addresses == []
    assert REFUSED_HOSTS == {}
    assert ask(resolver, "a.test").addresses == []
    assert REFUSED_HOSTS == {"a.test": "127.0.0.1"}


def test_the_host_that_was_named_may_be_private_at_its_own_port() -> None:
    policy = AddressPolicy(("mills", 8000), start_is_private=True, allowed=frozenset({("trap.test", 9000)}))
    resolver = guarded(Names(mills=[["10.0.0.5"]], trap_test=[["127.0.0.1"]]), policy)

    assert ask(resolver, "mills", 8000).addresses == [("10.0.0.5", 8000)]
    assert ask(resolver, "trap.test", 9000).addresses == [("127.0.0.1", 9000)]
    assert ask(resolver, "mills", 80).addresses == []
    assert ask(resolver, "trap.test", 80).addresses == []
    assert {("10.0.0.5", 8000), ("127.0.0.1", 9000)} == ADMITTED_PRIVATE


def test_a_name_server_that_does_not_answer_is_given_up_and_may_answer_late() -> None:
    clock, late = Clock(), []
    names = Names(a_test=[None])
    resolve = names.resolveHostName
    names.resolveHostName = lambda receiver, *rest: (late.append(receiver), resolve(receiver, *rest))
    first, second = (ask(guarded_by, "a.test") for guarded_by in [guarded(names, clock=clock)] * 2)

    clock.advance(9.9)
    assert not first.complete
    clock.advance(0.2)
    assert (first.complete, second.complete) == (True, True)
    assert names.asked == ["a.test"]
    late[0].addressResolved(IPv4Address("TCP", "127.0.0.1", 0))
    late[0].resolutionComplete()
    assert first.addresses == []


def test_a_name_in_other_letters_is_one_with_its_ascii_form() -> None:
    names = Names(bücher_test=[["127.0.0.1"]])

    assert ask(guarded(names), "bücher.test").addresses == []
    assert REFUSED_HOSTS == {"xn--bcher-kva.test": "127.0.0.1"}


@pytest.mark.parametrize(
    "notation", ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0x7f000001", "localhost"]
)
def test_this_machine_is_found_out_in_every_notation_by_the_real_resolver(notation: str) -> None:
    class Immediately(Clock):
        """A reactor whose one thread is this one."""

        def callFromThread(self, function: Any, *arguments: Any) -> None:
            function(*arguments)

        def getThreadPool(self) -> Any:
            return self

        def callInThreadWithCallback(self, done: Any, function: Any, *arguments: Any, **keywords: Any) -> None:
            done(True, function(*arguments, **keywords))

    found = ask(GuardedResolver(Immediately(), policy=OPEN, timeout_seconds=10.0), notation)

    assert (found.addresses, found.complete) == ([], True)
    assert REFUSED_HOSTS[notation] in {"127.0.0.1", "::1"}
