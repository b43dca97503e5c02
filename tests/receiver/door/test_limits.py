"""Counting: how many in a minute, and whom a request came from."""

from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.requests import Request

from framerelay.config.settings import Settings
from framerelay.receiver.door.clients import client_of
from framerelay.receiver.door.limits import Budgets, Limits, Rate
from framerelay.runs.tokens import HookAddress, TakeAddress


class Clock:
    """Stands still until a test moves it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def request_from(peer: str | None, *headers: tuple[str, str]) -> Request:
    """A request as uvicorn describes it."""
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return Request({"type": "http", "headers": raw, "client": (peer, 1234) if peer else None})


def test_a_rate_lets_a_number_pass_in_a_minute_and_then_one_for_each_that_expires() -> None:
    """All at once if they like; the wait that is named is the right one, and asking too early costs nothing."""
    clock = Clock()
    rate = Rate(60, keys_max=10, clock=clock)

    assert [rate.wait_s("a") for _ in range(60)] == [0.0] * 60
    assert [rate.wait_s("a") for _ in range(3)] == [1.0] * 3
    assert rate.wait_s("b") == 0.0
    clock.now += 1.0
    assert [rate.wait_s("a"), rate.wait_s("a")] == [0.0, 1.0]
    clock.now += 1000.0
    assert [rate.wait_s("a") for _ in range(61)] == [0.0] * 60 + [1.0]


def test_several_are_counted_at_once_over_any_time() -> None:
    """Bytes over a day as well as requests over a minute; what does not fit is not counted at all."""
    clock = Clock()
    rate = Rate(1000, keys_max=10, over_s=100.0, clock=clock)

    assert [rate.wait_s("a", 400), rate.wait_s("a", 400)] == [0.0, 0.0]
    assert rate.wait_s("a", 400) == pytest.approx(20.0)
    assert rate.wait_s("a", 200) == 0.0
    clock.now += 50.0
    assert (rate.wait_s("a", 500), rate.wait_s("a")) == (0.0, pytest.approx(0.1))


@settings(max_examples=200)
@given(
    requests=st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.integers(0, 700), st.sampled_from([0.0, 7.0, 9e3])),
        max_size=30,
    )
)
def test_calls_and_bytes_are_counted_together_or_not_at_all(requests: list[tuple[str, int, int, float]]) -> None:
    """Those of the last minute and of the last day, as somebody with a notebook would add them up."""
    clock = Clock()
    budgets = Budgets(3, 1000, keys_max=10, clock=clock)
    levels = {"a": (0.0, 0.0), "b": (0.0, 0.0)}
    for key, calls, size, passes_s in requests:
        clock.now += passes_s
        for name, (some_calls, some_bytes) in levels.items():
            levels[name] = max(some_calls - passes_s / 20, 0.0), max(some_bytes - passes_s / 86.4, 0.0)
        all_calls, all_bytes = levels[key][0] + calls, levels[key][1] + size
        wait_s = max((all_calls - 3) * 20, (all_bytes - 1000) * 86.4, 0.0)

        assert budgets.wait_s(key, calls, size) == pytest.approx(wait_s, abs=1e-6)
        if wait_s < 1e-6:
            levels[key] = all_calls, all_bytes


def test_only_so_many_addresses_are_remembered() -> None:
    """The last used ones, at least half of them; one that calls again and again is never forgotten."""
    budgets = Budgets(1, 1000, keys_max=100, clock=Clock())

    assert budgets.wait_s("a", 1, 1) == 0.0
    for number in range(1000):
        assert budgets.wait_s(number, 1, 1) == 0.0
        assert budgets.wait_s(max(number - 20, 0), 1, 1) == 60.0
        assert budgets.wait_s("a", 1, 1) == 60.0
        assert len(budgets._empty_at) + len(budgets._empty_at_before) <= 100
    assert budgets.wait_s(1, 1, 1) == 0.0


def test_a_body_of_the_largest_size_always_has_room() -> None:
    """Whatever the budget is set to; a hook has a hundred times as much; what is refused uses up nothing else."""
    limits = Limits(replace(Settings(), callback_bytes_per_day=1, callback_bytes_max=100_000, callbacks_per_minute=9))
    take, hook = TakeAddress(run_id="run_a", shot_id="s1", take=1), HookAddress(hook="mine")

    assert [limits.lets_in(take, 100_000 - 1024) for _ in range(5)] == [True] * 4 + [False]
    assert [limits.lets_in(take, 100_000) for _ in range(9)] == [False] * 9
    with pytest.raises(HTTPException) as failure:
        limits.count_body(take, 100_000)
    assert failure.value.status_code == 429
    for _ in range(5):
        limits.count_callback(take)  # Nine in a minute: four were let in.
    assert [limits.lets_in(hook, 100_000 - 1024) for _ in range(401)].count(True) == 400


def test_a_client_that_hammers_is_not_forgotten_and_memory_is_bounded() -> None:
    """A hundred thousand others push out only each other."""
    rate = Rate(2, keys_max=100, clock=Clock())
    rate.wait_s("a"), rate.wait_s("a")
    waits = set()
    for number in range(100_000):
        rate.wait_s(number)
        if number % 50 == 0:
            waits.add(rate.wait_s("a"))

    assert waits == {30.0}
    assert len(rate._empty_at) == 100


def test_strangers_without_number_share_one_count() -> None:
    """When there is no room to count another address, the rest are counted together: nobody is let in uncounted."""
    clock = Clock()
    limits = Limits(replace(Settings(), refusals_per_minute=2), clock=clock)

    def refused(number: int) -> bool:
        try:
            limits.count_stranger(request_from(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"))
        except HTTPException:
            return True
        return False

    outcomes = [refused(number) for number in range(10_200)]
    assert not any(outcomes[:9_999])
    assert outcomes[9_999:].count(False) == 2
    clock.now += 61.0
    assert not refused(20_000)


def test_a_hook_may_be_called_a_hundred_times_as_often_as_a_take() -> None:
    """Each address by itself."""
    limits = Limits(replace(Settings(), callbacks_per_minute=3), clock=Clock())

    def passed(address: Any, tries: int) -> int:
        count = 0
        for _ in range(tries):
            with suppress(HTTPException):
                limits.count_callback(address)
                count += 1
        return count

    assert passed(TakeAddress(run_id="r", shot_id="s", take=1), 10) == 3
    assert passed(TakeAddress(run_id="r", shot_id="s", take=1, ends_at=9), 10) == 0
    assert passed(TakeAddress(run_id="r", shot_id="s", take=2), 10) == 3
    assert passed(HookAddress(hook="h"), 400) == 300


OURS = frozenset({ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("192.0.2.7")})
FOR = "X-Forwarded-For"


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        ("198.51.100.1", [], "198.51.100.1"),
        ("198.51.100.1", [(FOR, "203.0.113.9")], "198.51.100.1"),
        ("198.51.100.1", [("Forwarded", "for=203.0.113.9")], "198.51.100.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [(FOR, "203.0.113.9")], "203.0.113.9"),
        ("10.0.0.1", [(FOR, "1.1.1.1, 203.0.113.9")], "203.0.113.9"),
        ("10.0.0.1", [(FOR, "1.1.1.1, 203.0.113.9, 10.9.9.9,192.0.2.7")], "203.0.113.9"),
        ("10.0.0.1", [(FOR, "1.1.1.1"), (FOR, "203.0.113.9")], "203.0.113.9"),
        ("10.0.0.1", [(FOR, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
        ("10.0.0.1", [(FOR, "203.0.113.9:4711")], "203.0.113.9"),
        ("10.0.0.1", [(FOR, "[2001:db8:1:2:3::4]:4711")], "2001:db8:1:2::/64"),
        ("10.0.0.1", [(FOR, "2001:db8:1:2:3::4")], "2001:db8:1:2::/64"),
        ("10.0.0.1", [(FOR, "::ffff:203.0.113.9")], "203.0.113.9"),
        ("10.0.0.1", [(FOR, "203.0.113.9, unknown")], "10.0.0.1"),
        ("10.0.0.1", [(FOR, "203.0.113.9, ")], "10.0.0.1"),
        ("10.0.0.1", [(FOR, "\xff\x00,'\"")], "10.0.0.1"),
        ("10.0.0.1", [(FOR, "203.0.113.9, nonsense, 10.0.0.2")], "10.0.0.2"),
        ("10.0.0.1", [(FOR, ",".join(["1.1.1.1"] * 5000))], "1.1.1.1"),
        ("10.0.0.1", [("Forwarded", 'for=1.1.1.1, FOR="[2001:db8::1]:99";proto=https;by=10.0.0.1')], "2001:db8::/64"),
        ("10.0.0.1", [("Forwarded", "proto=https;for=203.0.113.9")], "203.0.113.9"),
        ("10.0.0.1", [("Forwarded", "for=1.1.1.1, for=_hidden")], "10.0.0.1"),
        ("10.0.0.1", [("Forwarded", 'for="1.1.1.1, for=203.0.113.9')], "203.0.113.9"),
        ("10.0.0.1", [(FOR, "203.0.113.9"), ("Forwarded", "for=1.1.1.1")], "10.0.0.1"),
        ("fd00::1", [(FOR, "203.0.113.9")], "203.0.113.9"),
        ("::ffff:10.0.0.1", [(FOR, "203.0.113.9")], "203.0.113.9"),
        (None, [(FOR, "203.0.113.9")], "unknown"),
        ("nonsense", [(FOR, "203.0.113.9")], "unknown"),
    ],
)
def test_only_our_own_proxies_are_believed_and_only_as_far_as_they_reach(
    peer: str | None, headers: list[tuple[str, str]], expected: str
) -> None:
    """From the right, the first that is not a proxy of ours; what is left of it is a stranger's word."""
    assert client_of(request_from(peer, *headers), proxies=OURS) == expected
